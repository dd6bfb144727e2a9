"""Files that may come from strangers: looked at before they are read, and bounded."""

import json
import os
import stat
from pathlib import Path
from typing import Any

# Entries of a folder that is walked: far more than any checkpoint has.
MOST_ENTRIES = 100_000
DEPTH = 32


def check_plain(path: Path) -> None:
    """Raises FileNotFoundError where there is nothing, ValueError for what is no file or folder itself.

    A link may lead to any file of this machine; a pipe or a device may never end.
    """
    mode = path.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError(f"{path}: expected a file or folder, got {_kind(mode)}")


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


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((words for is_kind, words in kinds if is_kind(mode)), "a device")


def read_json(path: Path, most_bytes: int) -> Any:
    """What a JSON file holds, read strictly.

    Raises FileNotFoundError where there is none, ValueError for what is no file of at most `most_bytes`, and for
    what JSON does not have or says twice: NaN and infinities, a name that an object has already.
    """
    check_plain(path)
    if (size := path.stat().st_size) > most_bytes:
        raise ValueError(f"{path}: expected at most {most_bytes:,} bytes, got {size:,}")
    try:
        return json.loads(path.read_bytes().decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number)
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
