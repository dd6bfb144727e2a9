"""SIGTERM and Ctrl-C end a run in good order."""

import contextlib
import os
import signal
import threading
import types
from collections.abc import Iterator

import jax

from rnnjax.compat import preempted_at

AGAIN_SECONDS = 1.0


class Interrupted(BaseException):
    """A signal asked the run to stop. `signal` is its number, `step` the last step done, where there was one.

    Like KeyboardInterrupt no Exception: whoever handles errors must not take it for one.
    """

    def __init__(self, number: int, step: int | None = None):
        after = "" if step is None else f" after step {step}"
        super().__init__(f"stopped by {signal.Signals(number).name}{after}")
        self.signal, self.step = number, step


class StopSignals:
    """While it is entered, SIGTERM and Ctrl-C raise Interrupted: at once, or, within `between_steps`, after the step
    under way. A second Ctrl-C ends the process at once.

    Where several processes train together, a signal to any of them stops all of them after the same step; SIGTERM
    waits for the next train step there. As long as it stays entered, what was raised is raised again every second.
    """

    def __init__(self):
        self._received: int | None = None
        self._waiting = self._several = False
        self._before: dict[int, object] = {}
        self._again = threading.Timer(0, self._ask_again)

    def __enter__(self) -> "StopSignals":
        self._several = jax.process_count() > 1
        # With several processes JAX itself listens for SIGTERM, and agrees with the others on a step.
        for number in (signal.SIGINT,) if self._several else (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *stopped: object) -> None:
        self._waiting = True
        self._again.cancel()
        if self._again.is_alive():
            self._again.join()  # what it sends must not come after the handlers have gone
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]

    def _note(self, number: int, frame: types.FrameType | None) -> None:
        if self._received is None or number == signal.SIGINT:
            self._received = number
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        if self._waiting and self._several:
            os.kill(os.getpid(), signal.SIGTERM)
        elif not self._waiting:
            self._again = threading.Timer(AGAIN_SECONDS, self._ask_again)
            self._again.daemon = True
            self._again.start()
            raise Interrupted(self._received)

    def _ask_again(self) -> None:
        """Python drops what is raised in finalisers and the garbage collector's callbacks."""
        if not (self._waiting or self._several):
            os.kill(os.getpid(), signal.SIGTERM)

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Within it a signal is only noted."""
        before, self._waiting = self._waiting, True
        try:
            yield
        finally:
            self._waiting = before

    @contextlib.contextmanager
    def between_steps(self) -> Iterator[None]:
        """Within it a signal is only noted, for `check`; one that came before, or was not asked for, is raised."""
        self.raise_noted()
        with self.noted():
            yield
        self.raise_noted()

    def raise_noted(self) -> None:
        """Raises Interrupted where a signal has come."""
        if self._received is not None:
            raise Interrupted(self._received)

    def check(self, step: int) -> bool:
        """Whether to stop after this step. Where there are several processes, all must ask after every step."""
        if self._several:
            return preempted_at(step)
        return self._received is not None

    def interrupted(self, step: int) -> Interrupted:
        """The exception for a run that has stopped."""
        return Interrupted(self._received or signal.SIGTERM, step)
