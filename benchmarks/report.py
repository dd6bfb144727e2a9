"""Measured rows as Markdown and figures: `python -m benchmarks.report ROWS [ROWS...] [--out FOLDER]`."""

import dataclasses
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from benchmarks import rows
from benchmarks.epochs import table as epoch_table
from benchmarks.peers import tables as peers_tables
from benchmarks.recurrences import outcome
from benchmarks.recurrences import report as throughput_report
from rnnjax.commands import parse, run
from rnnjax.files import make_folder, write_text

PROGRAM = "benchmarks.report"
REPORT = "report.md"
# By the name in the rows' field "benchmark": rows, and the folder for figures -> Markdown.
RENDERERS: dict[str, Callable[[Sequence[dict[str, Any]], Path], str]] = {
    outcome.BENCHMARK: throughput_report.render,
    "peers": lambda some, folder: f"# Peers\n\n{peers_tables.markdown(some)}\n",
    "epoch": lambda some, folder: f"# Epoch\n\n{epoch_table.report(some)}\n",
}


@dataclasses.dataclass(frozen=True)
class Report:
    """Turn measured rows into Markdown, printed and written, and figures."""

    rows: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Files of rows, JSON Lines, as the benchmarks write them."""
    out: Path | None = None
    """The folder for report.md and its figures, made where it is missing; beside the first file unless given."""

    def __post_init__(self):
        if not self.rows:
            raise ValueError("rows: expected at least one file, got none")

    @property
    def folder(self) -> Path:
        return self.out or self.rows[0].with_name(f"{self.rows[0].stem}-report")


def read_all(paths: Sequence[Path]) -> dict[str, list[dict[str, Any]]]:
    """The rows of all files by their benchmark. Raises ValueError for a file without rows or a row of no benchmark."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"rows: expected a file, got {path}")
        some = list(rows.read(path))
        if not some:
            raise ValueError(f"{path}: expected rows, got none")
        for row in some:
            if row.get("benchmark") not in RENDERERS:
                names = ", ".join(RENDERERS)
                raise ValueError(f"{path}: expected rows of a benchmark ({names}), got {row.get('benchmark')}")
            found.setdefault(row["benchmark"], []).append(row)
    return found


def report(options: Report) -> str:
    """The Markdown of all benchmarks that have rows, written with the figures."""
    found = read_all(options.rows)
    make_folder(options.folder)
    text = "\n".join(RENDERERS[name](some, options.folder) for name, some in found.items())
    write_text(options.folder / REPORT, text)
    return text


def main(arguments: list[str]) -> None:
    """Prints the report and says where it is."""
    options = parse(Report, PROGRAM, arguments)
    print(report(options))
    print(f"written to {options.folder / REPORT}", file=sys.stderr)


if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
