"""Reading files that may be untrusted: they are checked before they are read, and their size is limited."""

import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

# Limit on the entries of a folder: far more than any checkpoint has.
MOST_ENTRIES = 100_000
DEPTH = 32


def kind_of(path: Path) -> str | None:
    """The kind of file with this name, in words; None if there is none. Links are not followed, nothing is opened."""
    try:
        return _kind(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def check_plain(path: Path) -> None:
    """Raises FileNotFoundError if nothing has this name, ValueError unless it is a regular file or a folder.

    A link may point to any file of this machine; reading a pipe or a device may never end.
    """
    _check(path, path.lstat(), "a file or folder", ("a file", "a folder"))


def check_folder(path: Path) -> None:
    """As `check_plain`, and ValueError for a file."""
    _check(path, path.lstat(), "a folder", ("a folder",))


def check_file(path: Path, most_bytes: int | None = None) -> None:
    """As `check_plain`, and ValueError for a folder or more than `most_bytes`."""
    _check_file(path, path.lstat(), most_bytes)


def check_own(path: Path, status: os.stat_result) -> None:
    """Raises ValueError unless it is a regular file with one hard link: writing to it would change the others, too."""
    _check_file(path, status, None)
    if status.st_nlink > 1:
        raise ValueError(f"{path}: expected a file without other hard links, got {status.st_nlink} links")


def open_plain(path: Path, most_bytes: int) -> BufferedReader:
    """A file opened for reading, without blocking. Raises as `check_file`."""
    check_file(path, most_bytes)  # before opening it, because opening a device may have side effects
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
    """As `check_plain`, for a folder and everything in it; also ValueError for too many entries or too deep folders."""
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
    """The content of a JSON file, parsed strictly.

    Raises FileNotFoundError if there is no file, ValueError unless it is a regular file of at most `most_bytes`, and
    for invalid JSON, including NaN, infinities and duplicate names in an object.
    """
    with open_plain(path, most_bytes) as file:
        read = file.read(most_bytes + 1)
    try:
        return json.loads(read.decode("utf-8"), object_pairs_hook=distinct_names, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError(f"{path}: expected JSON, got lists or objects nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, got: {error}") from error


def distinct_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError for two values of one name."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = set()
        twice = next(name for name, _ in pairs if name in names or names.add(name))
        raise ValueError(f"duplicate name {twice[:100]!r}")
    return values


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant}, which is not a JSON number")
