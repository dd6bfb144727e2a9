"""Writing files to folders that may be manipulated by others: links are not followed, and pipes do not block."""

import contextlib
import io
import os
import shutil
import uuid
import warnings
from collections.abc import Callable, Iterator
from io import BufferedWriter
from pathlib import Path
from typing import Any

from rnnjax.errors import first_line
from rnnjax.extras import extra
from rnnjax.fonts import further_fonts
from rnnjax.untrusted import check_file, check_folder, check_own, kind_of


def path_of(text: str) -> Path:
    """The path that a user has typed, with "~" expanded. Raises ValueError for the home of an unknown user."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"expected a path, got {text!r}: {error}") from error


def make_folder(path: Path) -> None:
    """Creates a folder if nothing has this name. Raises ValueError if anything else has it, including a link."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(parents=True, exist_ok=True)
    check_folder(path)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BufferedWriter]:
    """An atomically written file: it gets its name when it is complete on disk, and replaces an existing file.

    If the name is a link, the link is replaced, not its target. Raises ValueError if the parent folder is a link,
    IsADirectoryError if the name belongs to a folder.
    """
    if kind_of(path) == "a folder":
        raise IsADirectoryError(f"{path}: expected a file, got a folder")
    with _opened(path.parent) as folder:
        hidden = f".{uuid.uuid4().hex}"
        file = _create(hidden, folder)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(hidden, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(hidden, dir_fd=folder)
            raise


def create_file(path: Path) -> BufferedWriter:
    """A new file. Raises FileExistsError if the name exists, ValueError as `new_file`."""
    with _opened(path.parent) as folder:
        return _create(path.name, folder)


def append_to(path: Path) -> BufferedWriter:
    """A file opened for appending, created if it does not exist.

    Raises ValueError if it is not a regular file, or has a second hard link, which would be written to as well.
    """
    with _opened(path.parent) as folder:
        if kind_of(path) is not None:
            check_file(path)  # before opening it, because opening a device may have side effects
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.fdopen(os.open(path.name, flags, 0o666, dir_fd=folder), "ab")
    try:
        check_own(path, os.fstat(file.fileno()))
    except ValueError:
        file.close()
        raise
    return file


def remove(path: Path) -> None:
    """Deletes a folder with its content, or anything else of this name; links are not followed."""
    if kind_of(path) == "a folder":
        shutil.rmtree(path)
    else:
        path.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes text to a file as UTF-8, atomically. Raises as `new_file`."""
    with new_file(path) as file:
        file.write(text.encode())


def save_figure(path: Path, draw: Callable[[], Any], dots_per_inch: int = 150) -> Any:
    """Saves the Matplotlib figure returned by `draw` in the format of the file name's suffix, and returns it.

    If the figure cannot be drawn, gives a warning and returns None, so that the run does not fail. Raises as
    `new_file`.
    """
    try:
        figure = draw()
        image = rendered(figure, path.suffix[1:], dots_per_inch)
    except Exception as error:  # Matplotlib may raise any type of error
        warnings.warn(f"{path}: not drawn: {type(error).__name__}: {first_line(error)}", stacklevel=2)
        return None
    with new_file(path) as file:
        file.write(image)
    return figure


def rendered(figure: Any, kind: str, dots_per_inch: float | str) -> bytes:
    """A Matplotlib figure as the content of a file of this kind; "figure" uses the figure's dots per inch.

    Text is never rendered with TeX, whatever Matplotlib's settings are. Characters that the font of the figure does not
    have are taken from other installed fonts.
    """
    with extra("plots", "figure"):
        import matplotlib as mpl  # imported late, because the import is slow

    for text in figure.findobj(lambda artist: hasattr(artist, "set_usetex")):
        text.set_usetex(False)
    file = io.BytesIO()
    with mpl.rc_context({"text.usetex": False}), further_fonts(figure):
        figure.savefig(file, format=kind, dpi=dots_per_inch)
    return file.getvalue()


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """A descriptor of the folder, which stays valid if the folder's name is given to something else meanwhile."""
    check_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _create(name: str, folder: int) -> BufferedWriter:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return os.fdopen(os.open(name, flags, 0o666, dir_fd=folder), "wb")
