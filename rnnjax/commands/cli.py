"""The command line of every command: options from dataclasses, errors in one line."""

import contextlib
import functools
import io
import logging
import operator
import os
import reprlib
import signal
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from rnnjax.commands.cells import import_cells
from rnnjax.compat import is_closed_loop, is_out_of_memory, words_of_box
from rnnjax.errors import first_line
from rnnjax.extras import extra
from rnnjax.terminal import printable
from rnnjax.training import DivergedError, Interrupted
from rnnjax.training.processes import leave, was_lost

with extra("experiments"):
    import tyro

Config = TypeVar("Config")
# Characters of an error that are shown: it may quote a file.
MOST_SHOWN = 2_000


def parse(options: Any, program: str, arguments: list[str], **default: Any) -> Any:
    """The options that the arguments give, by tyro, and otherwise those of a `default`.

    A bad argument ends the program with one line, status 2.
    """
    complaint = io.StringIO()
    try:
        import_cells(arguments)
    except ValueError as error:
        _tell(program, first_line(error))
        raise SystemExit(2) from None
    try:
        with contextlib.redirect_stderr(complaint):
            # What a config holds in a config of its own is options like any other.
            flat = (tyro.conf.OmitArgPrefixes,)
            return tyro.cli(options, prog=f"python -m {program}", args=arguments, config=flat, **default)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        _tell(program, f"{words_of_box(complaint.getvalue())}; see --help")
        raise SystemExit(2) from None


def parse_presets(
    presets: Mapping[str, tuple[str, Any]],
    default: str,
    program: str,
    arguments: list[str],
    commands: Sequence[type] = (),
) -> tuple[str, Any]:
    """The name of the preset or command that the arguments begin with (the default where none is), and its options.

    A preset is its description and options, a command a class of options, named in lower case. `--help` alone lists
    them all, and then the options that presets take.
    """
    wants_help = arguments in (["-h"], ["--help"])
    if not wants_help and (not arguments or arguments[0].startswith("-")):
        arguments = [default, *arguments]
    union = functools.reduce(
        operator.or_,
        [
            *(
                Annotated[type(options), tyro.conf.subcommand(name, default=options, description=words)]
                for name, (words, options) in presets.items()
            ),
            *(Annotated[command, tyro.conf.subcommand(command.__name__.lower())] for command in commands),
        ],
    )
    if wants_help:
        with contextlib.suppress(SystemExit):
            parse(union, program, arguments)
        arguments = [default, "--help"]
    return arguments[0], parse(union, program, arguments)


def parse_run(config: type[Config], train: Callable[[Config], Any], program: str, arguments: list[str]) -> None:
    """Trains a config, with the options that the arguments give; `--resume RUN` goes on under the run's own config."""
    from rnnjax.runs.config import load_config
    from rnnjax.runs.resumption import resumed_run, with_newest

    arguments = with_newest(arguments)
    run = resumed_run(arguments)
    import_cells(arguments)
    default = config() if run is None else load_config(run, config)
    options = parse(config, program, arguments, default=default)
    options.execution.begin(options)
    train(options)


def parse_study(
    presets: Mapping[str, tuple[str, Any]],
    default: str,
    program: str,
    prefix: str,
    arguments: list[str],
    load: Callable[[Path], Any],
    commands: Sequence[type] = (),
) -> tuple[str, Any]:
    """`parse_presets`, with `--resume`: where no preset is named, a run is resumed under its own config.

    The experiment of a run is named by the prefix and its preset; `load` reads the config of a run folder. Raises
    ValueError for a run of another program, and as `load`.
    """
    from rnnjax.runs import RunFolder
    from rnnjax.runs.resumption import resumed_run, with_newest

    arguments = with_newest(arguments)
    run = resumed_run(arguments)
    if run is not None and arguments[0].startswith("-"):
        import_cells(arguments)
        config, experiment = load(run), str(RunFolder(run).config().get("experiment"))
        default = experiment.removeprefix(prefix)
        if not experiment.startswith(prefix) or default not in presets:
            raise ValueError(f"{run}: expected a run of {program}, got one of {reprlib.repr(experiment)}")
        presets = {**presets, default: ("Resume a run.", config)}
    return parse_presets(presets, default, program, arguments, commands)


def _complain(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    """Python's own hook, but for what the threads say that Orbax leaves behind where it cannot write."""
    if not is_closed_loop(error):
        sys.__excepthook__(kind, error, trace)


def _with_notes(message: str, error: BaseException) -> str:
    """The message and its notes of one line; JAX adds longer ones of its own."""
    return "; ".join([message, *(note for note in getattr(error, "__notes__", ()) if "\n" not in note)])


def _tell(program: str, line: str) -> None:
    """A line on standard error, which may quote a stranger's text."""
    print(printable(f"{program}: {line}"), file=sys.stderr)


def run(program: str, command: Callable[[], None]) -> None:
    """Runs the command; an error that a user can mend ends it with one line, status 1.

    `python -X dev -m ...` shows the whole traceback.
    """
    for library in ("absl", "datasets", "huggingface_hub"):  # they log what they then raise, too
        logging.getLogger(library).setLevel(logging.CRITICAL)
    sys.excepthook = _complain
    warnings.showwarning = lambda message, *_: _tell(program, f"warning: {message}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what of Ctrl-C while this was being imported
    try:
        command()
    except KeyboardInterrupt:
        print(f"{program}: stopped by the keyboard; what was written stays", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # whoever read the output has had enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Interrupted as stopped:
        _tell(program, _with_notes(str(stopped), stopped))
        raise SystemExit(128 + stopped.signal) from None
    except Exception as error:
        expected = isinstance(error, (ValueError, OSError, ModuleNotFoundError, DivergedError))
        if not expected and not was_lost(error) and not is_out_of_memory(error):
            raise
        if sys.flags.dev_mode:
            traceback.print_exc()
        else:
            message = first_line(error)
            if was_lost(error) and not isinstance(error, OSError):
                message = f"another process of the run was lost, which may say why ({message})"
            if is_out_of_memory(error):
                message = f"expected more memory than this process could have ({message})"
            if len(message) > MOST_SHOWN:
                message = f"{message[:MOST_SHOWN]}..."
            _tell(program, _with_notes(message, error))
        sys.stdout.flush()
        sys.stderr.flush()
        leave(1)  # in good order means to wait for the others, who may be gone, or wait for this one
        raise SystemExit(1) from None


def run_study(program: str, config: type, train: Callable[[Any], Any]) -> None:
    """The command of a study without presets: `parse_run` with the arguments of this process, in `run`."""
    run(program, functools.partial(parse_run, config, train, program, sys.argv[1:]))
