"""Epochs in turn: round after round, so that drift of the machine hits all alike."""

import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from benchmarks.epochs.contestant import Contestant, Pass


class Timed(NamedTuple):
    """One epoch of one contestant."""

    name: str
    round: int
    seconds: float
    result: Pass


def timed_rounds(contestants: Mapping[str, Contestant], rounds: int) -> Iterator[Timed]:
    """Each contestant's epoch in every round. Every other round runs backwards: nobody always follows the same one."""
    for round in range(rounds):
        for name in contestants if round % 2 == 0 else reversed(list(contestants)):
            start = time.perf_counter()
            result = contestants[name].epoch()
            yield Timed(name, round, time.perf_counter() - start, result)
