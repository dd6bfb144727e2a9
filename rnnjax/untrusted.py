"""Files that may come from strangers: looked at before they are read, and bounded."""

import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

# Entries of a folder that is walked: far more than any checkpoint has.
MOST_ENTRIES = 100_000
DEPTH = 32


def kind_of(path: Path) -> str | None:
    """What has this name, in words; None where nothing has. No link is followed, and nothing is opened."""
    try:
        return _kind(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def check_plain(path: Path) -> None:
    """Raises FileNotFoundError where there is nothing, ValueError for what is no file or folder itself.

    A link may lead to any file of this machine; a pipe or a device may never end.
    """
    _check(path, path.lstat(), "a file or folder", ("a file", "a folder"))


def check_folder(path: Path) -> None:
    """As `check_plain`, ValueError for a file, too."""
    _check(path, path.lstat(), "a folder", ("a folder",))


def check_file(path: Path, most_bytes: int | None = None) -> None:
    """As `check_plain`, ValueError for a folder, too, and for more bytes than that."""
    _check_file(path, path.lstat(), most_bytes)


def check_own(path: Path, status: os.stat_result) -> None:
    """Raises ValueError for what is no file, or has other names: whoever writes to it writes to those, too."""
    _check_file(path, status, None)
    if status.st_nlink > 1:
        raise ValueError(f"{path}: expected a file of one name, got a hard link")


def open_plain(path: Path, most_bytes: int) -> BufferedReader:
    """A file, open to be read, and never waited for. Raises as `check_file`."""
    check_file(path, most_bytes)  # before it is opened: a device may act on that
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    try:
        _check_file(path, os.fstat(file.fileno()), most_bytes)
    except ValueError:
        file.close()
        raise
    return file


def _check_file(path: Path, status: os.stat_result, most_bytes: int | None) -> None:
    _check(path, status, "a file", ("a file",))
    if most_bytes is not None and status.st_size > most_bytes:
        raise ValueError(f"{path}: expected at most {most_bytes:,} bytes, got {status.st_size:,}")


def _check(path: Path, status: os.stat_result, expected: str, kinds: tuple[str, ...]) -> None:
    if (kind := _kind(status.st_mode)) not in kinds:
        raise ValueError(f"{path}: expected {expected}, got {kind}")


def _kind(mode: int) -> str:
    kinds = (
        *((stat.S_ISREG, "a file"), (stat.S_ISDIR, "a folder"), (stat.S_ISLNK, "a symbolic link")),
        *((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket")),
    )
    return next((words for is_kind, words in kinds if is_kind(mode)), "a device")


def check_tree(path: Path, depth: int = DEPTH) -> None:
    """As `check_plain`, for a folder and everything in it; ValueError, too, for more or deeper than it can be."""
    check_plain(path)
    if not path.is_dir():
        return
    if not depth:
        raise ValueError(f"{path}: expected folders at most {DEPTH} deep, got more")
    with os.scandir(path) as entries:
        for number, entry in enumerate(entries, start=1):
            if number > MOST_ENTRIES:
                raise ValueError(f"{path}: expected at most {MOST_ENTRIES:,} entries, got more")
            check_tree(path / entry.name, depth - 1)


def read_json(path: Path, most_bytes: int) -> Any:
    """What a JSON file holds, read strictly.

    Raises FileNotFoundError where there is none, ValueError for what is no file of at most `most_bytes`, and for
    what JSON does not have or says twice: NaN and infinities, a name that an object has already.
    """
    with open_plain(path, most_bytes) as file:
        read = file.read(most_bytes + 1)
    try:
        return json.loads(read.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError(f"{path}: expected JSON, got lists or objects nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, got: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = set()
        twice = next(name for name, _ in pairs if name in names or names.add(name))
        raise ValueError(f"the name {twice[:100]!r} twice")
    return values


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant}, which is no number of JSON")
