"""What `import rnnjax` costs: `python -m benchmarks.imports [--rounds N]`.

Each import runs in a new process, `flax.linen` and `rnnjax` in turns, so that what else the machine does slows both.
The aim is a ratio of medians of at most 1.3: rnnjax needs Flax, and may cost little more than it.
"""

import dataclasses
import statistics
import subprocess
import sys
import time

from rnnjax.commands import parse, run

PROGRAM = "benchmarks.imports"
REFERENCE, OURS = "flax.linen", "rnnjax"
AIM = 1.3


@dataclasses.dataclass(frozen=True)
class Imports:
    """Time `import rnnjax` beside `import flax.linen`, in new processes."""

    rounds: int = 15
    """Rounds, each with one process for either; one more before them is not counted."""

    def __post_init__(self):
        if self.rounds < 2:
            raise ValueError(f"rounds: expected at least 2, got {self.rounds}")


def seconds(module: str) -> float:
    """Wall time of a Python process that imports the module and ends."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - start


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds by module, a number a round; every other round begins with the other module."""
    times: dict[str, list[float]] = {REFERENCE: [], OURS: []}
    for number in range(rounds + 1):
        for module in (REFERENCE, OURS) if number % 2 else (OURS, REFERENCE):
            times[module].append(seconds(module))
    # The first round also reads the files from disk.
    return {module: found[1:] for module, found in times.items()}


def report(times: dict[str, list[float]]) -> str:
    """The medians, and their ratio with the quartiles of the rounds' own ratios."""
    medians = {module: statistics.median(found) for module, found in times.items()}
    low, _, high = statistics.quantiles(
        [ours / other for ours, other in zip(times[OURS], times[REFERENCE], strict=True)]
    )
    lines = [f"import {module}: {medians[module]:.3f} s (fastest {min(times[module]):.3f})" for module in times]
    ratio = medians[OURS] / medians[REFERENCE]
    return "\n".join([*lines, f"ratio {ratio:.2f} (quartiles of rounds {low:.2f} to {high:.2f}), aim: at most {AIM}"])


def main(arguments: list[str]) -> None:
    """The command."""
    print(report(measure(parse(Imports, PROGRAM, arguments).rounds)))


if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
