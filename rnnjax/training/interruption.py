"""Handles SIGTERM and Ctrl-C so that a run stops cleanly."""

import contextlib
import os
import signal
import threading
import types
from collections.abc import Iterator

from rnnjax.compat import preempted_at, several_processes

AGAIN_SECONDS = 1.0


class Interrupted(BaseException):
    """A signal asked the run to stop. `signal` is its number, `step` the last finished step, or None.

    Like KeyboardInterrupt it is not an Exception, so that `except Exception` does not catch it.
    """

    def __init__(self, number: int, step: int | None = None):
        after = "" if step is None else f" after step {step}"
        super().__init__(f"stopped by {signal.Signals(number).name}{after}")
        self.signal, self.step = number, step


class StopSignals:
    """Context in which SIGTERM and Ctrl-C raise Interrupted: at once, or within `between_steps` after the current step.

    A second Ctrl-C ends the process at once. With several processes, a signal to any of them stops all of them after
    the same train step. Interrupted is raised again every second until the context is left. `several` says whether
    there are several processes; by default JAX is asked, which starts its devices.
    """

    def __init__(self, several: bool | None = None):
        self._received: int | None = None
        self._given, self._waiting, self._several = several, False, False
        self._before: dict[int, object] = {}
        self._again = threading.Timer(0, self._ask_again)

    def __enter__(self) -> "StopSignals":
        self._several = several_processes() if self._given is None else self._given
        # With several processes JAX itself handles SIGTERM, and makes all processes agree on a step.
        for number in (signal.SIGINT,) if self._several else (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *stopped: object) -> None:
        self._waiting = True
        self._again.cancel()
        if self._again.is_alive():
            self._again.join()  # its signal must not arrive after the handlers are removed
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
        """Sends the signal again: Python drops exceptions raised in finalisers and garbage collector callbacks."""
        if not (self._waiting or self._several):
            os.kill(os.getpid(), signal.SIGTERM)

    @property
    def received(self) -> int | None:
        """The number of the signal that came, or None."""
        return self._received

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Context in which a signal is only recorded, not raised."""
        before, self._waiting = self._waiting, True
        try:
            yield
        finally:
            self._waiting = before

    @contextlib.contextmanager
    def between_steps(self) -> Iterator[None]:
        """Context in which a signal is only recorded, for `check`. A recorded signal is raised on entry and on exit."""
        self.raise_noted()
        with self.noted():
            yield
        self.raise_noted()

    def raise_noted(self) -> None:
        """Raises Interrupted if a signal was recorded."""
        if self._received is not None:
            raise Interrupted(self._received)

    def check(self, step: int) -> bool:
        """Whether to stop after this step. With several processes, all of them must call it after every step."""
        if self._several:
            return preempted_at(step)
        return self._received is not None

    def interrupted(self, step: int) -> Interrupted:
        """The exception to raise for a run that stopped after this step."""
        return Interrupted(self._received or signal.SIGTERM, step)
