"""SIGTERM and Ctrl-C end a run between two steps."""

import os
import signal
import types

import jax
from jax.experimental import multihost_utils


class Interrupted(Exception):
    """A signal asked the run to stop. `signal` is its number, `step` the last step done."""

    def __init__(self, number: int, step: int, then: str = ""):
        super().__init__(f"stopped by {signal.Signals(number).name} after step {step}{then}")
        self.signal, self.step = number, step


class StopSignals:
    """While it is entered, the first SIGTERM or Ctrl-C only asks to stop; a second Ctrl-C ends the process at once.

    Where several processes train together, a signal to any of them stops all of them after the same step.
    """

    def __init__(self):
        self._received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        # With several processes JAX itself listens for SIGTERM, and agrees with the others on a step.
        for number in (signal.SIGINT,) if jax.process_count() > 1 else (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *stopped: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]

    def _note(self, number: int, frame: types.FrameType | None) -> None:
        self._received = number
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if jax.process_count() > 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def check(self, step: int) -> bool:
        """Whether to stop after this step. Where there are several processes, all must ask after every step."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._received is not None

    def interrupted(self, step: int) -> Interrupted:
        """The exception for a run that has stopped."""
        return Interrupted(self._received or signal.SIGTERM, step)
