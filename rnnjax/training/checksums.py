"""Checksums of a folder's files: whatever is missing, cut short, changed or added is found."""

import hashlib
import json
import os
from pathlib import Path

from rnnjax.untrusted import check_tree, read_json

CHECKSUMS = "checksums.json"
LARGEST_LIST = 1 << 20  # bytes; a checkpoint of many arrays has a list of kilobytes


def seal(folder: Path) -> None:
    """Writes the SHA-256 of every file in the folder, and has the disk keep all of it before it returns."""
    sums = {}
    for name, file in _files(folder).items():
        with file.open("rb") as opened:
            sums[name] = hashlib.file_digest(opened, "sha256").hexdigest()
            os.fsync(opened.fileno())
    with (folder / CHECKSUMS).open("w", encoding="utf-8") as opened:
        json.dump(sums, opened, indent=1)
        opened.flush()
        os.fsync(opened.fileno())
    for directory, _, _ in os.walk(folder):
        sync_directory(Path(directory))


def check_seal(folder: Path) -> None:
    """Raises ValueError that names the first file that is not as `seal` found it."""
    list_file = folder / CHECKSUMS
    check_tree(folder)
    if not list_file.is_file():
        raise ValueError(f"{list_file}: expected the checksums of a whole checkpoint, found none")
    sums = read_json(list_file, LARGEST_LIST)
    if not isinstance(sums, dict):
        raise ValueError(f"{list_file}: expected names and checksums, got {type(sums).__name__}")
    found = _files(folder)
    for name in sorted(found.keys() | sums.keys()):
        if name not in found:
            raise ValueError(f"{folder / name}: expected a file of the checkpoint, found none")
        if name not in sums:
            raise ValueError(f"{folder / name}: expected no such file in the checkpoint, found one")
        with found[name].open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != sums[name]:
                raise ValueError(f"{folder / name}: expected the bytes that were written, got others (wrong checksum)")


def _files(folder: Path) -> dict[str, Path]:
    """Every file in the folder and below, the checksums' own left out."""
    files = [path for path in folder.rglob("*") if path.is_file() and path != folder / CHECKSUMS]
    return {path.relative_to(folder).as_posix(): path for path in sorted(files)}


def sync_directory(path: Path) -> None:
    """Has the disk keep which files a folder holds; where folders cannot be opened (Windows), nothing."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
