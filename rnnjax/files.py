"""Files that are written where a stranger may have been before: no link is followed, and no pipe is waited for."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from io import BufferedWriter
from pathlib import Path
from typing import Any

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


def save_figure(path: Path, figure: Any, dots_per_inch: int = 150) -> None:
    """A Matplotlib figure in the format that the name ends in. Raises as `new_file`."""
    with new_file(path) as file:
        figure.savefig(file, format=path.suffix[1:], dpi=dots_per_inch)


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
