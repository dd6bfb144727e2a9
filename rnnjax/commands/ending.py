"""The end of every command: what is printed, its exit status, and how the process ends after a signal."""

import contextlib
import os
import sys
import traceback
import types
from collections.abc import Callable
from typing import NoReturn, TextIO

from rnnjax import start
from rnnjax.compat import is_closed_loop, is_out_of_memory
from rnnjax.errors import first_line, is_fault
from rnnjax.terminal import printable
from rnnjax.training.interruption import Interrupted

# The maximum number of characters shown of an error, which may quote a file.
MOST_SHOWN = 2_000


def tell(program: str, line: str) -> None:
    """Prints a line on standard error, if it can be written to; it may quote untrusted text."""
    with contextlib.suppress(OSError):
        print(printable(f"{program}: {line}"), file=sys.stderr)


def flush_output() -> None:
    """Writes out standard output. Raises OSError, once: what could not be written is then dropped."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _drop(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise
        raise OSError(error.errno, f"standard output: {error.strerror}") from error


def _drop(stream: TextIO) -> None:
    """Sends what is left of a stream nowhere: Python would try to write it once more when it exits."""
    with contextlib.suppress(OSError, ValueError):  # a stream of a test has no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def report_end(program: str, error: BaseException, signal: int | None) -> int:
    """Prints what ended the command in one line, and returns the exit status.

    `signal` is that of a signal that came before. A library may have turned its exception into one of its own. Raises
    the error itself if it is a fault of the program. `python -X dev -m ...` shows the whole traceback.
    """
    if isinstance(error, Interrupted):
        tell(program, _with_notes(str(error), error))
        return 128 + error.signal
    if isinstance(error, KeyboardInterrupt):
        tell(program, "interrupted by Ctrl-C; files already written are kept")
        return 130
    if isinstance(error, BrokenPipeError):  # the reader of the output has closed it
        _drop(sys.stdout)
        return 1
    lost = _was_lost(error)
    if is_fault(error) and not lost and not is_out_of_memory(error):
        if signal is None:
            raise error
        return report_end(program, Interrupted(signal), None)
    if sys.flags.dev_mode:
        traceback.print_exception(error)
        return 1
    message = first_line(error)
    if lost and not isinstance(error, OSError):
        message = f"another process of the run was lost; its output may give the reason ({message})"
    if is_out_of_memory(error):
        message = f"out of memory ({message})"
    if len(message) > MOST_SHOWN:
        message = f"{message[:MOST_SHOWN]}..."
    tell(program, _with_notes(message, error))
    return 1


def end_process(status: int, at_once: bool) -> NoReturn:
    """Ends the process with this status; `at_once` without Python's clean-up.

    The clean-up frees the devices of JAX, which may still compute after a signal: the process would crash.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _drop(stream)
    if "jax" in sys.modules:
        from rnnjax.training.processes import leave

        if status == 1:
            leave(status)  # a normal exit would wait for the other processes, which may be lost or waiting for this one
    if at_once:
        os._exit(status)
    raise SystemExit(status) from None


def is_own_process(command: Callable[[], None]) -> bool:
    """Whether this process exists for the command; not so if another program, such as a test, calls it."""
    parts = (command, getattr(command, "func", None), *getattr(command, "args", ()))
    return start.begun or any(getattr(part, "__module__", None) == "__main__" for part in parts)


def complain(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    """Python's hook, except that errors of leftover Orbax threads after a failed write are not shown."""
    if not is_closed_loop(error):
        sys.__excepthook__(kind, error, trace)


def complain_unraisable(dropped: "sys.UnraisableHookArgs") -> None:
    """Python's hook, except for signals: `StopSignals` raises them again."""
    if not isinstance(dropped.exc_value, (Interrupted, KeyboardInterrupt)):
        sys.__unraisablehook__(dropped)


def _was_lost(error: BaseException) -> bool:
    if "jax" not in sys.modules:
        return False
    from rnnjax.training.processes import was_lost

    return was_lost(error)


def _with_notes(message: str, error: BaseException) -> str:
    """The message and the one-line notes of the error; JAX adds longer notes, which are omitted."""
    return "; ".join([message, *(note for note in getattr(error, "__notes__", ()) if "\n" not in note)])
