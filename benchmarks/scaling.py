"""The cost of a train step of a whole network by size, devices and processes: `python -m benchmarks.scaling`.

The figures help to plan a larger run. They take a minute on two cores.
"""

import dataclasses
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.options import check_options
from benchmarks.scaling_work import Case
from benchmarks.tables import grouped, quartiles, table
from rnnjax.commands import parse, run

PROGRAM = "benchmarks.scaling"
COLUMNS: dict[str, Callable[[dict[str, Any]], object]] = {
    "T": lambda row: row["time"],
    "H": lambda row: row["hidden"],
    "processes x devices": lambda row: f"{row['processes']} x {row['devices']}",
    "step ms (quartiles)": lambda row: quartiles(row["step"]),
    "us a word": lambda row: f"{1e3 * row['step'][1] / (row['texts'] * row['time']):.2f}",
    "words/s": lambda row: f"{1e3 * row['texts'] * row['time'] / row['step'][1]:,.0f}",
    "reduced": lambda row: f"{row['bytes'] / 1e6:.1f} MB",
    "reduce ms": lambda row: f"{row['reduce'][1]:.2f}",
    "batch ms": lambda row: f"{row['batch'][1]:.2f}",
}


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Measure the train step of the sentiment study's bidirectional LSTM on texts of full length, in new processes."""

    times: tuple[int, ...] = (50, 100, 200, 400)
    """T, words of a text; the other axes use the last one."""
    hiddens: tuple[int, ...] = (64, 128, 256)
    """H, hidden features of each direction; the other axes use the first one."""
    batch: int = 32
    """Texts a step, over all devices."""
    processes: tuple[int, ...] = (1, 2)
    """Processes with one CPU device each."""
    devices: tuple[int, ...] = (2,)
    """CPU devices of one process."""
    rounds: int = 15
    """Rounds, each with a step, an all-reduce and a batch."""

    def __post_init__(self):
        axes = ("times", "hiddens", "batch", "processes", "devices", "rounds")
        check_options(self, at_least_one=axes, may_be_empty=("devices",))
        for number in (*self.processes, *self.devices):
            if self.batch % number:
                raise ValueError(f"batch: expected a multiple of {number} processes or devices, got {self.batch}")

    def cases(self) -> list[Case]:
        """Each axis alone; the other ones stay at their base."""
        base = Case(self.times[-1], self.hiddens[0], self.batch, processes=1, devices=1, rounds=self.rounds)
        axes = {"time": self.times, "hidden": self.hiddens, "devices": self.devices, "processes": self.processes}
        cases = [dataclasses.replace(base, **{axis: value}) for axis, values in axes.items() for value in values]
        return list(dict.fromkeys(cases))


def measure_all(cases: Sequence[Case]) -> Iterator[dict[str, Any]]:
    """The row of every case, as soon as it is measured. Raises ChildProcessError if a process fails."""
    for group in grouped(cases, lambda case: case.spread):
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
        command = [sys.executable, "-m", "benchmarks.scaling_work", json.dumps([vars(case) for case in group])]
        processes = [
            subprocess.Popen([*command, str(number), str(port)], stdout=subprocess.PIPE, text=True)
            for number in range(group[0].processes)
        ]
        try:
            yield from (json.loads(line) for line in processes[0].stdout or () if line.startswith("{"))
            if any(process.wait() for process in processes):
                raise ChildProcessError(f"processes: expected all of {len(processes)} to end well, got a failure")
        finally:
            for process in processes:
                process.kill()
                process.communicate()  # closes its pipe


def main(arguments: list[str]) -> None:
    """Measures the cases and prints their table."""
    options = parse(Scaling, PROGRAM, arguments)
    rows = []
    for row in measure_all(options.cases()):
        rows.append(row)
        print(f"{len(rows)} of {len(options.cases())} measured", file=sys.stderr)
    print(table(COLUMNS, rows))


if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
