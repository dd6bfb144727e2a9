"""How a run has ended: its last status, and what its error says of how to resume it."""

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
    """Writes the status of a run that ends with this error, or without one, after a step.

    `resume` is the command that resumes a run, to which its path is added. It is a note to the error, which is raised
    in the words of a run where it has others.
    """
    again = f"go on with: {resume} {shlex.quote(str(path))}"
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
        # A full disk may be what it is about: the error itself must come out.
        with contextlib.suppress(OSError):
            write_status("failed", words)
        if was_lost(error):
            error = ConnectionError(words)
            error.add_note(again)
            raise error
        error.add_note(again)


def _safe(checkpoints: Path) -> str:
    """The checkpoints that a diverged run has left."""
    newest = find_checkpoints(checkpoints)[-1]
    with contextlib.suppress(ValueError, FileNotFoundError):
        best = find_best(checkpoints, read_position(newest))
        if best != newest:
            return f"the last good checkpoint is {newest}, that of the best epoch {best.name}"
    return f"the last good checkpoint is {newest}"
