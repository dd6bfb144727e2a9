"""How `Newton` converges, and what it costs beside the other recurrences: `python -m benchmarks.newton`.

The number of iterations depends on the largest Lyapunov exponent: small below 0, as many as steps above.
"""

import dataclasses
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.machine import environment
from benchmarks.newton_work import Case, measure
from benchmarks.options import Cells, check_options
from benchmarks.rows import keep
from benchmarks.tables import quartiles, shown, table
from rnnjax.commands import parse, run

PROGRAM = "benchmarks.newton"
COLUMNS = {
    "cell": lambda line: line["cell"],
    "gain": lambda line: f"{line['gain']:g}",
    "T": lambda line: f"{line['time']:,}",
    "B": lambda line: line["batch"],
    "exponent": lambda line: shown(line["exponent"], "+.3f"),
    "recurrence": lambda line: f"`{line['recurrence']}`",
    "iterations": lambda line: line.get("iterations", ""),
    "converged": lambda line: {True: "yes", False: "no: a loop"}.get(line.get("converged"), ""),
    "deviation": lambda line: shown(line.get("deviation"), ".0e"),
    "gradient ms": lambda line: shown(line["seconds"][1], ".3g", 1e3) if "seconds" in line else line["reason"],
    "ratio to Scan (quartiles)": lambda line: quartiles(line.get("scan_ratio")),
}


@dataclasses.dataclass(frozen=True)
class Convergence:
    """Measure iterations, Lyapunov exponents and times over cells, recurrent gains, T and B.

    The defaults take hours on two cores; a gradient includes the outputs, parameters and inputs.
    """

    cells: Cells = ("elman", "gru", "lstm", "para-gru", "para-lstm", "min-gru")
    gains: tuple[float, ...] = (0.5, 1.0, 1.5, 3.0)
    """Factors of the recurrent weights: below 1 contractive, about 1 critical, above chaotic; not of linear cells."""
    times: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    """T, steps of a sequence."""
    batches: tuple[int, ...] = (1, 8, 64)
    """B, sequences of a batch."""
    input: int = 16
    """I, input features."""
    hidden: int = 16
    """H, hidden features. Dense Jacobians that would take more than 1 GB are left out."""
    rounds: int = 5
    """Rounds; each one times every recurrence of a case once."""
    rows: Path | None = None
    """A file that the measured rows are appended to, JSON Lines; by default they are only printed."""

    def __post_init__(self):
        axes = ("times", "batches", "input", "hidden", "rounds")
        check_options(self, at_least_one=axes, above_zero=("gains",), unique=("gains",))

    def cases(self) -> list[Case]:
        """Every combination."""
        axes = itertools.product(self.cells, self.batches, self.gains, self.times)
        return [Case(cell, gain, time, batch, self.input, self.hidden) for cell, batch, gain, time in axes]


def lines_of(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line of the table for each recurrence of a row."""
    for name, result in row["recurrences"].items():
        yield {**row["case"], "exponent": row["exponent"], "recurrence": name, **result}


def measured(options: Convergence) -> Iterator[dict[str, Any]]:
    """The row of every case, as soon as it is measured."""
    cases, found = options.cases(), environment()
    for number, case in enumerate(cases, 1):
        yield {"benchmark": "newton", **measure(case, options.rounds), "environment": found}
        print(f"{number} of {len(cases)} measured", file=sys.stderr)


def main(arguments: list[str]) -> None:
    """Measures the cases, writes each row as it comes, and prints their table."""
    options = parse(Convergence, PROGRAM, arguments)
    rows = keep(measured(options), options.rows)
    print(table(COLUMNS, [line for row in rows for line in lines_of(row)]))


if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
