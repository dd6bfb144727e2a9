"""Measured rows as Markdown and figures: `python -m benchmarks.report ROWS [ROWS...] [--out FOLDER]`."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from benchmarks import rows
from benchmarks.epochs import table as epoch_table
from benchmarks.options import check_options
from benchmarks.peers import tables as peers_tables
from benchmarks.recurrences import report as throughput_report
from benchmarks.tables import grouped
from rnnjax.commands import parse, run
from rnnjax.files import make_folder, write_text

PROGRAM = "benchmarks.report"
REPORT = "report.md"
# By the field "benchmark" of a row: rows, and the folder for figures -> Markdown.
RENDERERS: dict[str, Callable[[Sequence[dict[str, Any]], Path], str]] = {
    "throughput": throughput_report.render,
    "peers": lambda some, folder: f"# Peers\n\n{peers_tables.markdown(some)}\n",
    "epoch": lambda some, folder: f"# Epoch\n\n{epoch_table.report(some)}\n",
}


@dataclasses.dataclass(frozen=True)
class Report:
    """Turn measured rows into Markdown, printed and written, and figures."""

    rows: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Files of rows, JSON Lines, as the benchmarks write them."""
    out: Path | None = None
    """The folder for report.md and its figures; by default beside the first file."""

    def __post_init__(self):
        check_options(self)


def read_all(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The rows of all files. Raises ValueError for a file without rows, and for a row of an unknown benchmark."""
    found = []
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"rows: expected a file, got {path}")
        some = list(rows.read(path))
        if not some:
            raise ValueError(f"{path}: expected rows, got none")
        for name in (row.get("benchmark") for row in some):
            if name not in RENDERERS:
                raise ValueError(f"{path}: expected rows of a benchmark ({', '.join(RENDERERS)}), got {name}")
        found += some
    return found


def main(arguments: list[str]) -> None:
    """Writes and prints the report of each benchmark that has rows."""
    options = parse(Report, PROGRAM, arguments)
    groups = grouped(read_all(options.rows), lambda row: row["benchmark"])
    folder = options.out or options.rows[0].with_name(f"{options.rows[0].stem}-report")
    make_folder(folder)
    text = "\n".join(RENDERERS[some[0]["benchmark"]](some, folder) for some in groups)
    write_text(folder / REPORT, text)
    print(text)
    print(f"written to {folder / REPORT}", file=sys.stderr)


if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
