"""Measured rows as JSON Lines: appended as they come, so that a run that is stopped has lost nothing."""

import json
from collections.abc import Iterable, Iterator
from io import BufferedWriter
from pathlib import Path
from typing import Any

from rnnjax.files import append_to


def check_writable(path: Path) -> None:
    """Makes the file where there is none, before there is anything to lose.

    Raises ValueError where no rows can be written, or where the file holds something else than rows.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _open(path).close()
    except OSError as error:
        raise ValueError(f"rows: expected a file that can be written, got {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"rows: {error}") from error
    if path.stat().st_size and not list(read(path)):
        raise ValueError(f"{path}: expected a new file or one of rows, got neither")


def append(path: Path, row: dict[str, Any]) -> None:
    """The row as one line more, in the place of a last line that a kill cut off."""
    with _open(path) as file:
        file.truncate(path.read_bytes().rfind(b"\n") + 1)
        file.write(json.dumps(row, allow_nan=False).encode() + b"\n")


def keep(rows: Iterable[dict[str, Any]], path: Path | None) -> list[dict[str, Any]]:
    """All rows, each appended to the file as it comes. Raises ValueError first where the file cannot hold them."""
    if path is not None:
        check_writable(path)
    kept = []
    for row in rows:
        kept.append(row)
        if path is not None:
            append(path, row)
    return kept


def _open(path: Path) -> BufferedWriter:
    # Links of folders before it are the user's own.
    return append_to(path.parent.resolve() / path.name)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Every whole row; a last line that a kill cut off is left out. Raises ValueError for any other bad line."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), start=1):
        if not line.endswith("\n"):
            return
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: expected JSON, got: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{path}, line {number}: expected a JSON object, got {type(row).__name__}")
        yield row
