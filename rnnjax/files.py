"""Files that are written where a stranger may have been before: no link is followed, and no pipe is waited for."""

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
from rnnjax.untrusted import check_file, check_folder, check_own, kind_of


def make_folder(path: Path) -> None:
    """A folder, made where there is nothing of that name. Raises ValueError for anything else there, a link too."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(parents=True, exist_ok=True)
    check_folder(path)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BufferedWriter]:
    """A file that gets its name once the disk has all of it: there is always the whole old one or the whole new one.

    What has the name is replaced, be it a link, of which only the link is. Raises ValueError where the folder is a
    link, IsADirectoryError where the name is a folder's.
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
    """A file of a name that nothing has. Raises FileExistsError for one that is there, ValueError as `new_file`."""
    with _opened(path.parent) as folder:
        return _create(path.name, folder)


def append_to(path: Path) -> BufferedWriter:
    """A file, open at its end, and made where there is none.

    Raises ValueError for what is no file, or one that has another name too, which would be written to as well.
    """
    with _opened(path.parent) as folder:
        if kind_of(path) is not None:
            check_file(path)  # before it is opened: a device may act on that
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.fdopen(os.open(path.name, flags, 0o666, dir_fd=folder), "ab")
    try:
        check_own(path, os.fstat(file.fileno()))
    except ValueError:
        file.close()
        raise
    return file


def remove(path: Path) -> None:
    """Takes away a folder and all that is in it, or whatever else has this name; no link is followed."""
    if kind_of(path) == "a folder":
        shutil.rmtree(path)
    else:
        path.unlink()


def write_text(path: Path, text: str) -> None:
    """A file's new text, as UTF-8. Raises as `new_file`."""
    with new_file(path) as file:
        file.write(text.encode())


def save_figure(path: Path, draw: Callable[[], Any], dots_per_inch: int = 150) -> Any:
    """The Matplotlib figure that `draw` gives, in the format that the name ends in, and given back.

    A figure that cannot be drawn is a warning, and None: the numbers of a run must not end with it. Raises as
    `new_file`.
    """
    try:
        figure = draw()
        image = rendered(figure, path.suffix[1:], dots_per_inch)
    except Exception as error:  # Matplotlib raises what comes, from any of its parts
        warnings.warn(f"{path}: not drawn: {type(error).__name__}: {first_line(error)}", stacklevel=2)
        return None
    with new_file(path) as file:
        file.write(image)
    return figure


def rendered(figure: Any, kind: str, dots_per_inch: float | str) -> bytes:
    """A Matplotlib figure as a file of this kind, with "figure" at its own dots per inch.

    No text is handed to TeX, whatever Matplotlib's settings say.
    """
    with extra("plots", "figure"):
        import matplotlib as mpl  # which whoever writes no figure need not wait for

    for text in figure.findobj(lambda artist: hasattr(artist, "set_usetex")):
        text.set_usetex(False)
    file = io.BytesIO()
    with mpl.rc_context({"text.usetex": False}):
        figure.savefig(file, format=kind, dpi=dots_per_inch)
    return file.getvalue()


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """The folder itself, whatever takes its name in the meantime."""
    check_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _create(name: str, folder: int) -> BufferedWriter:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return os.fdopen(os.open(name, flags, 0o666, dir_fd=folder), "wb")
