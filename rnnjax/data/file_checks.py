"""What a stranger's data file could do to the libraries that read it, looked for before they do."""

import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import datasets
import numpy as np

# By what a compressed file begins with `datasets` knows it, whatever its name, and unpacks it.
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"7z\xbc\xaf", b"Rar!")
# Arrow's own limit of nested columns; far beyond it, its reader of JSON runs out of stack and takes the process along.
DEEPEST = 64
BLOCK = 1 << 20

# What of JSON has structure: a newline ends whatever string was not closed before it.
NEWLINE, QUOTE, OPEN, CLOSE = 1, 2, 3, 4
_KINDS = np.zeros(256, np.uint8)
for _bytes, _kind in ((b"\n", NEWLINE), (b'"', QUOTE), (b"[{", OPEN), (b"]}", CLOSE)):
    _KINDS[list(_bytes)] = _kind


def check_unpacked(path: Path) -> None:
    """Raises ValueError for an archive or a compressed file, which could hold anything under any name and size."""
    with path.open("rb") as file:
        packed = file.read(8).startswith(COMPRESSED)
    if packed or zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
        raise ValueError(f"{path}: expected the data itself, got an archive or a compressed file; unpack it first")


def check_depth(path: Path) -> None:
    """Raises ValueError for a JSON file whose lists and objects are nested more than `DEEPEST` deep."""
    depth, quoted, rest = 0, False, b""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            block = rest + block
            # An escape that the block's end cuts in two waits for the next one.
            cut = len(block) - (len(block) - len(block.rstrip(b"\\"))) % 2
            block, rest = block[:cut], block[cut:]
            kinds = _KINDS[np.frombuffer(re.sub(rb"\\[^\n]", b"  ", block) if b"\\" in block else block, np.uint8)]
            kinds = kinds[kinds > 0]
            inside = _inside_strings(kinds, quoted)
            quoted = bool(inside[-1]) if len(inside) else quoted
            steps = ((kinds == OPEN) & ~inside).astype(np.int64) - ((kinds == CLOSE) & ~inside)
            # A sum that never falls below zero: what closes nothing does not hide what follows.
            total = depth + np.cumsum(steps)
            depths = total - np.minimum(np.minimum.accumulate(total), 0)
            if len(depths) and depths.max() > DEEPEST:
                raise ValueError(f"{path}: expected lists and objects nested at most {DEEPEST} deep, got more")
            depth = int(depths[-1]) if len(depths) else depth


def _inside_strings(kinds: np.ndarray, quoted: bool) -> np.ndarray:
    """Whether each place, once it is read, is inside a string: quotes since the last newline, odd or even."""
    quotes = np.cumsum(kinds == QUOTE) + quoted
    before = np.maximum.accumulate(np.where(kinds == NEWLINE, quotes, 0))
    return (quotes - before) % 2 == 1


def check_column(rows: datasets.Dataset, column: str, path: Path) -> None:
    """Raises ValueError for a column that `datasets` would decode, or that is damaged: UTF-8 that is none, say.

    An image may name any file or address, which would be opened.
    """
    if _decoded(rows.features[column]):
        kind = type(rows.features[column]).__name__
        raise ValueError(f"{path}: expected texts, names or integers in column {column!r}, got {kind}")
    try:
        rows.data.column(column).validate(full=True)
    except ValueError as error:
        raise ValueError(f"{path}: expected a whole column {column!r}, got: {error}") from error


def _decoded(feature: Any) -> bool:
    if isinstance(feature, dict):
        return any(map(_decoded, feature.values()))
    inner = getattr(feature, "feature", None)
    return _decoded(inner) if inner is not None else hasattr(feature, "decode_example")
