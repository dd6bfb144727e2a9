"""How long `from rnnjax import *` takes: `python -m benchmarks.imports [--rounds N]`.

Each import runs in a new process, in interleaved rounds with `import flax.linen`, which rnnjax needs anyway. `import
rnnjax` alone is quick: its names are imported when they are first used.
"""

import dataclasses
import functools
import subprocess
import sys

import numpy as np

from benchmarks.options import check_options
from benchmarks.timing import Spread, interleaved
from rnnjax.commands import parse, run

PROGRAM = "benchmarks.imports"
REFERENCE, OURS = "import flax.linen", "from rnnjax import *"
AIM = 1.3


@dataclasses.dataclass(frozen=True)
class Imports:
    """Time `from rnnjax import *` and `import flax.linen` in new processes."""

    rounds: int = 15
    """Rounds, with one process for each import; one more round at the start does not count."""

    def __post_init__(self):
        check_options(self, at_least_one=("rounds",))


def main(arguments: list[str]) -> None:
    """Prints the medians, their ratio, and the quartiles of the ratios of all rounds."""
    options = parse(Imports, PROGRAM, arguments)
    calls = {
        statement: functools.partial(subprocess.run, [sys.executable, "-c", statement], check=True)
        for statement in (OURS, REFERENCE)
    }
    seconds = interleaved(calls, options.rounds)
    for statement, values in seconds.items():
        print(f"{statement}: {np.median(values):.3f} s (fastest {values.min():.3f})")
    ratio = np.median(seconds[OURS]) / np.median(seconds[REFERENCE])
    low, _, high = Spread.of(seconds[OURS] / seconds[REFERENCE])
    print(f"ratio {ratio:.2f} (quartiles of rounds {low:.2f} to {high:.2f}), aim: at most {AIM}")


if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
