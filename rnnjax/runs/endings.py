"""The end of a run: its last status, and the note on how to resume it."""

import contextlib
import shlex
from collections.abc import Callable
from pathlib import Path

from rnnjax.errors import first_line
from rnnjax.runs.checkpoints import find_best, find_checkpoints, read_position
from rnnjax.runs.folder import CHECKPOINTS
from rnnjax.training import DivergedError, Interrupted
from rnnjax.training.processes import was_lost


def tell_end(
    error: BaseException | None, resume: str, path: Path, step: int, write_status: Callable[..., None]
) -> None:
    """Writes the status of a run that ends after this step, with this error or without one.

    Adds a note to the error that says how to resume: the command `resume` and the path. Interrupted, and errors caused
    by a lost process, are raised again with a message that names the step.
    """
    again = f"resume with: {resume} {shlex.quote(str(path))}"
    if error is None:
        write_status("finished")
    elif isinstance(error, Interrupted):
        stopped = Interrupted(error.signal, step)
        write_status("stopped", str(stopped))
        stopped.add_note(again)
        raise stopped from error
    elif isinstance(error, DivergedError):
        write_status("diverged", str(error))
        error.add_note(_safe(path / CHECKPOINTS))
    else:
        words = first_line(error)
        if was_lost(error):
            words = f"after step {step}: another process of the run was lost ({words})"
        # On a full disk this may fail too, and must not hide the error itself.
        with contextlib.suppress(OSError):
            write_status("failed", words)
        if was_lost(error):
            error = ConnectionError(words)
            error.add_note(again)
            raise error
        error.add_note(again)


def _safe(checkpoints: Path) -> str:
    """The note on the last checkpoints of a run that diverged."""
    newest = find_checkpoints(checkpoints)[-1]
    with contextlib.suppress(ValueError, FileNotFoundError):
        best = find_best(checkpoints, read_position(newest))
        if best != newest:
            return f"the last good checkpoint is {newest}, that of the best epoch {best.name}"
    return f"the last good checkpoint is {newest}"
