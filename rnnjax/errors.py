"""One-line descriptions of errors."""


def first_line(error: BaseException) -> str:
    """The first line of an error message; errors of the operating system are shown without their number."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error).partition("\n")[0] or type(error).__name__
