"""Errors that the user can mend, and their one-line descriptions."""

from collections.abc import Sequence

MOST_NAMED = 10


class DivergedError(ArithmeticError):
    """The loss, the gradient or the parameters are no longer finite, or the loss is far above chance."""


def is_fault(error: BaseException | None) -> bool:
    """Whether an error is a fault of the program or of a library: none that the user can mend, and no signal."""
    mended = (ValueError, OSError, ModuleNotFoundError, DivergedError)
    return isinstance(error, Exception) and not isinstance(error, mended)


def first_line(error: BaseException) -> str:
    """The first line of an error message; errors of the operating system are shown without their number."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error).partition("\n")[0] or type(error).__name__


def first_of(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"
