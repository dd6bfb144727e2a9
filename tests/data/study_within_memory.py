"""A program for a test: prepares a file for training and makes an epoch of batches, within a limit of memory.

`python study_within_memory.py FEW.csv MANY.csv CACHE`: the first file shows how much is needed for any data. That and a
small share of the second file's size is the limit, within which the second file is read. It is a limit of anonymous
memory: mapped files do not count.
"""

import gc
import resource
import sys
import threading
from pathlib import Path

import datasets
import datasets.config

from experiments.sentiment.config import TextClassification
from experiments.sentiment.data import Loader, facts, prepare

# Of what the second file is larger by: how much more memory it may take. Most of that is what pandas leaves about while
# `datasets` reads a CSV file with it; all else takes a few megabytes.
SHARE = 0.4


def study(path: str) -> int:
    """The words of an epoch's batches."""
    config = TextClassification(source=path, vocabulary=500, longest=1000, buckets=2)
    parts = prepare(config)
    print(facts(parts, config))
    loader = Loader(config, parts.train.read, 1)
    return sum(int(batch.lengths.sum()) for batch in loader.batches(parts.train, seed=0))


class Peak(threading.Thread):
    """The most anonymous memory that the process had while this ran, in bytes."""

    def __init__(self):
        super().__init__(daemon=True)
        self._over = threading.Event()
        self.bytes = 0

    def run(self) -> None:
        while not self._over.wait(0.002):
            lines = Path("/proc/self/status").read_text().splitlines()
            (data,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))
            self.bytes = max(self.bytes, data)

    def stop(self) -> int:
        self._over.set()
        self.join()
        return self.bytes


def main(few: str, many: str, cache: str) -> None:
    """Prints what was read of both files, the second one within the limit."""
    datasets.disable_progress_bars()
    # `datasets` starts threads anew for every file, whose usual 8 MiB each would have to fit as well.
    threading.stack_size(1 << 20)
    limit = 0
    for run in range(2):  # what the first run loads the second one has
        datasets.config.HF_DATASETS_CACHE = f"{cache}/{run}"
        gc.collect()
        peak = Peak()
        peak.start()
        print("words", study(few))
        limit = peak.stop() + int(SHARE * (Path(many).stat().st_size - Path(few).stat().st_size))
    gc.collect()
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    print("words", study(many))


if __name__ == "__main__":
    main(*sys.argv[1:])
