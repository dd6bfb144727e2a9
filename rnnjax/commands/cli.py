"""The command line of every command: options from dataclasses, errors in one line."""

import contextlib
import io
import logging
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import tyro

from rnnjax.training import DivergedError


def parse(options: Any, program: str, arguments: list[str]) -> Any:
    """The options that the arguments give, by tyro. A bad argument ends the program with one line, status 2."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(options, prog=f"python -m {program}", args=arguments)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        print(f"{program}: {one_line(complaint.getvalue())}; see --help", file=sys.stderr)
        raise SystemExit(2) from None


def one_line(box: str) -> str:
    """What tyro's drawn box says: the text between its title and the rule after it."""
    lines = [line.strip(" │") for line in box.splitlines() if line.strip(" │")]
    words = []
    for line in lines[1:]:
        rule = not line.strip("─-╰╯")
        if rule and words:
            break
        if not rule:
            words.append(line)
    return re.sub(r"^Error parsing [A-Z]\w+: ", "", re.sub(r" +", " ", " ".join(words)))


def run(program: str, command: Callable[[], None]) -> None:
    """Runs the command; an error that a user can mend ends it with one line, status 1.

    `python -X dev -m ...` shows the whole traceback.
    """
    for library in ("absl", "datasets", "huggingface_hub"):  # they log what they then raise, too
        logging.getLogger(library).setLevel(logging.CRITICAL)
    try:
        command()
    except KeyboardInterrupt:
        print(f"{program}: stopped by the keyboard; what was written stays", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # whoever read the output has had enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (ValueError, OSError, ModuleNotFoundError, DivergedError) as error:
        if sys.flags.dev_mode:
            raise
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        print(f"{program}: {message}", file=sys.stderr)
        raise SystemExit(1) from None
