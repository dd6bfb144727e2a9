"""Measured rows as JSON Lines. Each row is written at once, so that a stopped run loses nothing."""

import json
from collections.abc import Iterable, Iterator
from io import BufferedWriter
from pathlib import Path
from typing import Any

from rnnjax.files import append_to


def check_writable(path: Path) -> None:
    """Makes the file if it is missing. Raises ValueError if it cannot be written, or holds something else than rows."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _open(path).close()
    except (OSError, ValueError) as error:
        raise ValueError(f"rows: expected a file that can be written: {error}") from error
    if path.stat().st_size and not list(read(path)):
        raise ValueError(f"{path}: expected a new file or one of rows, got neither")


def append(path: Path, row: dict[str, Any]) -> None:
    """Appends the row as a line, and removes an incomplete last line, which a killed run left."""
    with _open(path) as file:
        file.truncate(path.read_bytes().rfind(b"\n") + 1)
        file.write(json.dumps(row, allow_nan=False).encode() + b"\n")


def keep(rows: Iterable[dict[str, Any]], path: Path | None) -> list[dict[str, Any]]:
    """All rows, each appended to the file as soon as it is measured. Raises as `check_writable`."""
    if path is not None:
        check_writable(path)
    kept = []
    for row in rows:
        kept.append(row)
        if path is not None:
            append(path, row)
    return kept


def _open(path: Path) -> BufferedWriter:
    # Links among the folders are allowed: they are the user's own.
    return append_to(path.parent.resolve() / path.name)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """All rows but an incomplete last line, which a killed run left. Raises ValueError for any other bad line."""
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
