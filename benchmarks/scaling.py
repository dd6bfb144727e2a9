"""What a train step of a whole network costs, how that grows, and what more processes change: figures to plan with.

Command: `python -m benchmarks.scaling`. A minute on two cores.
"""

import dataclasses
import functools
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.scaled.work import Case
from benchmarks.tables import markdown, quartiles
from rnnjax.commands import parse, run
from rnnjax.fields import check_fields

PROGRAM = "benchmarks.scaling"


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Measure the train step of the sentiment study's bidirectional LSTM on texts of full length, in new processes."""

    times: tuple[int, ...] = (50, 100, 200, 400)
    """T, words of a text; the last one is the base of the other axes."""
    hiddens: tuple[int, ...] = (64, 128, 256)
    """H, hidden features of each direction; the first one is the base of the other axes."""
    batch: int = 32
    """Texts a step, over all devices."""
    processes: tuple[int, ...] = (1, 2)
    """Processes of one CPU device each, at the base."""
    devices: tuple[int, ...] = (2,)
    """CPU devices of one process, at the base."""
    rounds: int = 15
    """Rounds: a step, an all-reduce alone and a batch in each."""

    def __post_init__(self):
        check_fields(self, at_least_one=("times", "hiddens", "batch", "processes", "devices", "rounds"))
        for name in ("times", "hiddens", "processes"):
            if not getattr(self, name):
                raise ValueError(f"{name}: expected at least one, got none")
        for number in (*self.processes, *self.devices):
            if self.batch % number:
                raise ValueError(f"batch: expected a multiple of {number} processes or devices, got {self.batch}")

    def cases(self) -> list[Case]:
        """Each axis by itself, the others at their base."""
        time, hidden = self.times[-1], self.hiddens[0]
        base = functools.partial(Case, batch=self.batch, rounds=self.rounds)
        cases = [
            *(base(time=t, hidden=hidden, processes=1, devices=1) for t in self.times),
            *(base(time=time, hidden=h, processes=1, devices=1) for h in self.hiddens),
            *(base(time=time, hidden=hidden, processes=1, devices=d) for d in self.devices),
            *(base(time=time, hidden=hidden, processes=p, devices=1) for p in self.processes),
        ]
        return list(dict.fromkeys(cases))


def measure_all(cases: Sequence[Case]) -> Iterator[dict[str, Any]]:
    """Every case's row, as they come. Raises ChildProcessError where a process fails."""
    for spread in dict.fromkeys(case.spread for case in cases):
        yield from _in_processes([case for case in cases if case.spread == spread])


def _in_processes(cases: Sequence[Case]) -> Iterator[dict[str, Any]]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    told = json.dumps([dataclasses.asdict(case) for case in cases])
    command = [sys.executable, "-m", "benchmarks.scaled.work", told]
    processes = [
        subprocess.Popen([*command, str(number), str(port)], stdout=subprocess.PIPE, text=True)
        for number in range(cases[0].processes)
    ]
    try:
        first = processes[0].stdout
        rows = (line for line in first or () if line.startswith("{"))
        yield from map(json.loads, rows)
        if any(process.wait() for process in processes):
            raise ChildProcessError(f"processes: expected all of {cases[0].processes} to end well, got a failure")
    finally:
        for process in processes:
            process.kill()
            process.communicate()  # closes its pipe


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    headers = ("T", "H", "processes x devices", "step ms (quartiles)", "us a word", "words/s", "reduced")
    body = []
    for row in rows:
        middle, words = row["step"][1], row["texts"] * row["time"]
        body.append(
            (
                *(row["time"], row["hidden"], f"{row['processes']} x {row['devices']}", quartiles(row["step"])),
                *(f"{1e3 * middle / words:.2f}", f"{1e3 * words / middle:,.0f}", f"{row['bytes'] / 1e6:.1f} MB"),
                *(f"{row[name][1]:.2f}" for name in ("reduce", "batch")),
            )
        )
    return markdown((*headers, "reduce ms", "batch ms"), body)


def main(arguments: list[str]) -> None:
    """Measures and prints what the arguments say."""
    options = parse(Scaling, PROGRAM, arguments)
    rows = []
    for row in measure_all(options.cases()):
        rows.append(row)
        print(f"{len(rows)} of {len(options.cases())} measured", file=sys.stderr)
    print(table(rows))


if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
