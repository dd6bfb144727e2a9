"""Memory does not grow with the data: texts and tokens are on disk."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(__file__).with_name("study_within_memory.py")
# What is free goes back, and few threads are started, whatever machine this is.
LEAN = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "1000000",
    "MALLOC_TRIM_THRESHOLD_": "1000000",
    "OMP_NUM_THREADS": "2",
    "RAYON_NUM_THREADS": "2",
    "ARROW_IO_THREADS": "2",
    "JAX_PLATFORMS": "cpu",
}
WORDS = [f"word{n}{'o' * (n % 40)}" for n in range(1000)]


def write(path, rows):
    """Texts of 60 to 240 words of a small vocabulary. Gives the number of words."""
    random = np.random.default_rng(0)
    lengths = random.integers(60, 240, rows)
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for row, length in enumerate(lengths):
            file.write(f"{row} {' '.join(WORDS[n] for n in random.integers(0, len(WORDS), length))},{row % 2}\n")
    return int(lengths.sum()) + rows


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is of memory as Linux counts it")
def test_data_eight_times_as_large_is_read_within_the_same_memory(tmp_path):
    words = [write(tmp_path / f"{rows}.csv", rows) for rows in (1200, 9600)]
    command = [sys.executable, str(PROGRAM), *(str(tmp_path / f"{rows}.csv") for rows in (1200, 9600)), str(tmp_path)]
    root = Path(__file__).parents[2]
    environment = {**os.environ, **LEAN, "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("words")]
    # Nine tenths are trained on.
    assert read == pytest.approx([0.9 * words[0], 0.9 * words[0], 0.9 * words[1]], rel=0.02)
