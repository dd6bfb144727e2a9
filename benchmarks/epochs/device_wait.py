"""How long the device waits for its next step, seen from the host."""

import queue
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import jax

# Python hands its lock to the waiting thread after so many seconds, which is how late a finished step may be noted.
SWITCH_SECONDS = 1e-4


class DeviceWait:
    """Stands for a compiled step and, within `with`, notes when each call began and ended and when its work was done.

    A second thread waits for the work, so that whoever calls the step is not held up.
    """

    def __init__(self, step: Any):
        self._step = step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)

    def __enter__(self) -> "DeviceWait":
        self._calls: list[tuple[float, float]] = []
        self._done: list[float] = []
        self._under_way: queue.SimpleQueue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread.start()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *stopped: object) -> None:
        self._under_way.put(None)
        self._thread.join()
        sys.setswitchinterval(self._interval)

    def __call__(self, carried: Any, batch: Any) -> Any:
        began = time.perf_counter()
        carried, sums = self._step(carried, batch)
        self._calls.append((began, time.perf_counter()))
        self._under_way.put(sums)
        return carried, sums

    def _watch(self) -> None:
        while (sums := self._under_way.get()) is not None:
            jax.block_until_ready(sums)
            self._done.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """What the device waited between the beginning of `with` and its last step, after `with`."""
        return waited(self._start, self._calls, self._done)


def waited(start: float, calls: Sequence[tuple[float, float]], done: Sequence[float]) -> float:
    """Seconds without work: from each step's end (at first `start`) until the next one was handed over.

    `calls` are the moments at which each step's call began and returned, `done` those at which its work ended. A
    call hands its step over somewhere before it returns, and on a CPU it returns late, because its own step has
    taken the cores by then: the fastest call of all is what each is taken to need.
    """
    shortest = min(returned - began for began, returned in calls)
    idle_since = (start, *done[:-1])
    return sum(max(0.0, began + shortest - idle) for (began, _), idle in zip(calls, idle_since, strict=True))
