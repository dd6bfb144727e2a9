"""Plain copies of compressed files and of text in other encodings, for libraries that read UTF-8."""

import codecs
import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from rnnjax.data.arrow_cache import cache_folder
from rnnjax.data.encodings import HINT
from rnnjax.data.packed_files import BLOCK, opened


def unpacked(path: Path) -> tuple[Path, str]:
    """A copy of what a compressed file contains, and the suffix of the data. Raises as `opened`."""
    with opened(path) as (blocks, suffix):
        return plain_copy(blocks, suffix), suffix


def decoded(path: Path, encoding: str) -> Iterator[bytes]:
    """The text of a file as UTF-8, without a byte order mark. Raises ValueError for bytes that are not text."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK)
            try:
                yield decoder.decode(block, final=not block).encode()
            except UnicodeError as error:
                raise ValueError(f"expected {encoding}, got: {error}; {HINT}") from error
            if not block:
                return


def without_lines(path: Path, start: str, first: int | None) -> Iterator[bytes]:
    """A file with the lines that begin with `start` emptied, so that all lines keep their numbers.

    Only among the `first` lines, or None: all lines. A line within quote marks is part of a text, and stays.
    """
    quoted = False
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if line.startswith(start.encode()) and not quoted and (first is None or number < first):
                yield b"\n"
            else:
                quoted ^= line.count(b'"') % 2 == 1
                yield line


def plain_copy(blocks: Iterable[bytes], suffix: str) -> Path:
    """A file of this content in the cache folder, named by a SHA-256 of it, written only if it is not there yet.

    `datasets` recognises what it has prepared by path and time.
    """
    folder, value = cache_folder(), hashlib.sha256()
    part = folder / f"plain-{uuid.uuid4().hex}.part"
    try:
        with part.open("xb") as file:
            for block in blocks:
                value.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"plain-{value.hexdigest()}{suffix}"
        if not _has(path, value.hexdigest()):
            part.replace(path)
        return path
    finally:
        part.unlink(missing_ok=True)


def _has(path: Path, digest: str) -> bool:
    """Whether it is a regular file of this content."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == digest
