"""Checksums of the files of a folder, which detect files that are missing, truncated, changed or added."""

import hashlib
import json
import os
from pathlib import Path

from rnnjax.files import write_text
from rnnjax.training.capacity import check_capacity
from rnnjax.untrusted import check_tree, open_plain, read_json

CHECKSUMS = "checksums.json"
LARGEST_LIST = 1 << 20  # bytes; a checkpoint of many arrays has a list of kilobytes


def seal(folder: Path) -> None:
    """Writes the size and SHA-256 of every file in the folder. Everything is on disk when it returns."""
    sums = {}
    for name, file in _files(folder).items():
        with file.open("rb") as opened:
            sums[name] = [file.stat().st_size, hashlib.file_digest(opened, "sha256").hexdigest()]
            os.fsync(opened.fileno())
    write_text(folder / CHECKSUMS, json.dumps(sums, indent=1))
    for directory, _, _ in os.walk(folder):
        sync_directory(Path(directory))


def check_seal(folder: Path) -> None:
    """Raises ValueError, with the name of the file, for the first file that has changed since `seal`."""
    list_file = folder / CHECKSUMS
    check_tree(folder)
    if not list_file.is_file():
        raise ValueError(f"{list_file}: expected the checksums of a checkpoint, found none")
    sums = read_json(list_file, LARGEST_LIST)
    if not isinstance(sums, dict):
        raise ValueError(f"{list_file}: expected names and checksums, got {type(sums).__name__}")
    found = _files(folder)
    sizes = {name: file.lstat().st_size for name, file in found.items()}
    check_capacity(str(folder), sum(sizes.values()))
    for name in sorted(found.keys() | sums.keys()):
        if name not in found:
            raise ValueError(f"{folder / name}: expected a file of the checkpoint, found none")
        if name not in sums:
            raise ValueError(f"{folder / name}: expected no such file in the checkpoint, found one")
        was = sums[name] if isinstance(sums[name], list) and len(sums[name]) == 2 else (None, None)
        # The size first: a sparse file may be huge without using disk space.
        if was[0] != sizes[name]:
            raise ValueError(f"{folder / name}: expected the bytes that were written, got others (wrong size)")
        with open_plain(found[name], sizes[name]) as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != was[1]:
                raise ValueError(f"{folder / name}: expected the bytes that were written, got others (wrong checksum)")


def _files(folder: Path) -> dict[str, Path]:
    """Every file in the folder and below, except the file of checksums."""
    files = [path for path in folder.rglob("*") if path.is_file() and path != folder / CHECKSUMS]
    return {path.relative_to(folder).as_posix(): path for path in sorted(files)}


def sync_directory(path: Path) -> None:
    """Writes the entries of a folder to disk; does nothing on Windows, where folders cannot be opened."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
