"""What is said of an error where there is one line for it."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message; of the operating system's errors the words, without their number."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error).partition("\n")[0] or type(error).__name__
