"""The same layer in Flax, Keras, Haiku, Equinox, PyTorch and rnnjax: `python -m benchmarks.peers [PRESET]`.

`--cell NAME` takes any cell of the library, or your own as `package.module:Name`.
"""

import os
import sys
import time
from pathlib import Path

import jax

from benchmarks.peers.comparison import PRESETS, WRONG, Comparison, compare
from benchmarks.peers.tables import markdown
from benchmarks.rows import keep
from rnnjax.commands import parse_presets, run
from rnnjax.training import use_cpu_cores

PROGRAM = "benchmarks.peers"


def compare_and_report(options: Comparison) -> None:
    """Writes the rows and prints their tables. Raises ValueError if the numbers of a peer are wrong."""
    path = options.rows or Path("runs") / f"peers-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.jsonl"
    rows = keep(compare(options), path)
    print(f"{markdown(rows)}\n\nrows {path}")
    wrong = [row["peer"] for row in rows if row.get("reason", "").startswith(WRONG)]
    if wrong:
        raise ValueError(f"{len(wrong)} of {len(rows)} rows are wrong: {', '.join(dict.fromkeys(wrong))}")


def main(arguments: list[str]) -> None:
    """Compares the peers of a preset and of flags."""
    _, options = parse_presets(PRESETS, "standard", PROGRAM, arguments)
    use_cpu_cores()
    if jax.default_backend() != "cpu":  # by default GPUs and TPUs multiply float32 matrices with fewer bits
        jax.config.update("jax_default_matmul_precision", "float32")
    compare_and_report(options)


if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
