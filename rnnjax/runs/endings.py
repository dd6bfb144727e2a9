"""The end of a run: its last status, and the note on how to resume it."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from rnnjax.errors import first_line
from rnnjax.runs.checkpoints import find_best, find_checkpoints, read_position
from rnnjax.runs.folder import CHECKPOINTS
from rnnjax.training import DivergedError, Interrupted
from rnnjax.training.processes import was_lost


def tell_end(
    error: BaseException | None,
    resume: str | None,
    path: Path,
    step: int | None,
    write_status: Callable[..., None],
) -> None:
    """Writes the status of a run that ends with this error or without one, after this step (None: a run without steps).

    `resume` is the command that resumes the run, None if the run cannot be resumed. It is added to the error as a note.
    Interrupted, and errors caused by a lost process, are raised again with a message that names the step.
    """
    again = [] if resume is None else [f"resume with: {resume}"]
    if error is None:
        write_status("finished")
    elif isinstance(error, Interrupted):
        stopped = Interrupted(error.signal, step)
        write_status("stopped", str(stopped))
        _add_notes(stopped, again)
        raise stopped from error
    elif isinstance(error, DivergedError):
        write_status("diverged", str(error))
        _add_notes(error, again and [_safe(path / CHECKPOINTS)])
    else:
        words = first_line(error)
        if was_lost(error):
            words = f"after step {step}: another process of the run was lost ({words})"
        # On a full disk this may fail too, and must not hide the error itself.
        with contextlib.suppress(OSError):
            write_status("failed", words)
        if was_lost(error):
            error = ConnectionError(words)
            _add_notes(error, again)
            raise error
        _add_notes(error, again)


def _add_notes(error: BaseException, notes: list[str]) -> None:
    for note in notes:
        error.add_note(note)


def _safe(checkpoints: Path) -> str:
    """The note on the last checkpoints of a run that diverged."""
    newest = find_checkpoints(checkpoints)[-1]
    with contextlib.suppress(ValueError, FileNotFoundError):
        best = find_best(checkpoints, read_position(newest))
        if best != newest:
            return f"the last good checkpoint is {newest}, that of the best epoch {best.name}"
    return f"the last good checkpoint is {newest}"
