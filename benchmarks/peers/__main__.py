"""Is this library worth the switch? The same layer in Flax, Keras, Haiku, Equinox, PyTorch and here.

Command: `python -m benchmarks.peers`, or with a preset, `python -m benchmarks.peers long`.
"""

import contextlib
import functools
import operator
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.peers.comparison import WRONG, compare, use_float32
from benchmarks.peers.options import PRESETS, Comparison
from benchmarks.peers.tables import markdown
from benchmarks.rows import append
from rnnjax.commands import parse, run
from rnnjax.training import use_cpu_cores

PROGRAM = "benchmarks.peers"
DEFAULT = "standard"


def compare_and_report(options: Comparison) -> None:
    """Appends the rows as they come, and prints their tables. Raises ValueError where a peer's numbers are wrong."""
    path = options.rows or Path("runs") / f"peers-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.jsonl"
    check_writable(path)
    rows = []
    for row in compare(options):
        append(path, row)
        rows.append(row)
    print(f"{markdown(rows)}\n\nrows {path}")
    wrong = [row["peer"] for row in rows if row.get("reason", "").startswith(WRONG)]
    if wrong:
        raise ValueError(f"{len(wrong)} of {len(rows)} rows are wrong: {', '.join(dict.fromkeys(wrong))}")


def check_writable(path: Path) -> None:
    """Raises ValueError where no file of rows can be written, before anything is measured."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise ValueError(f"rows: expected a file that can be written, got {path}: {error.strerror}") from error


def main(arguments: list[str]) -> None:
    """Compares as the arguments say."""
    wants_help = arguments in (["-h"], ["--help"])
    if not wants_help and (not arguments or arguments[0].startswith("-")):
        arguments = [DEFAULT, *arguments]
    commands = [
        Annotated[Comparison, tyro.conf.subcommand(name, default=preset, description=words)]
        for name, (words, preset) in PRESETS.items()
    ]
    union = functools.reduce(operator.or_, commands)
    if wants_help:
        # The presets, and then the options that they take.
        with contextlib.suppress(SystemExit):
            parse(union, PROGRAM, arguments)
        arguments = [DEFAULT, "--help"]
    options = parse(union, PROGRAM, arguments)
    use_cpu_cores()
    use_float32()
    compare_and_report(options)


if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
