"""Plain copies of compressed files and of text in other encodings, for libraries that read UTF-8."""

import bz2
import codecs
import contextlib
import gzip
import hashlib
import lzma
import os
import reprlib
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from rnnjax.data.arrow_cache import cache_folder
from rnnjax.data.encodings import HINT
from rnnjax.data.file_checks import most_bytes
from rnnjax.errors import first_line
from rnnjax.extras import extra

with extra("text"):
    import pyarrow as pa

BLOCK = 1 << 20
# What a system adds to the archives that it makes.
NO_MEMBERS = ("__MACOSX/", ".DS_Store", "Thumbs.db")
OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": lambda path: pa.input_stream(str(path), compression="zstd"),
}
PACKED = (*OPENERS, ".zip")


def suffixes(path: Path) -> tuple[str, str]:
    """The suffix of the data and that of the compression ("" if there is none), in lower case: (".csv", ".gz")."""
    packed = path.suffix.lower() if path.suffix.lower() in PACKED else ""
    inner = path.with_suffix("") if packed else path
    return inner.suffix.lower(), packed


def unpacked(path: Path) -> tuple[Path, str]:
    """A copy of what a compressed file contains, and the suffix of the data.

    A .zip archive must have one member. Its suffix is that of the data, or without one, that before .zip. Raises
    ValueError for any other archive, for a damaged file, and for a copy that would be far larger than the file.
    """
    suffix, packed = suffixes(path)
    most, size = most_bytes(path.stat().st_size), 0

    def blocks(file: Any) -> Iterator[bytes]:
        nonlocal size
        while block := file.read(BLOCK):
            size += len(block)
            if size > most:
                raise ValueError(f"expected at most {most:,} bytes of such a file, unpacked, got more")
            yield block

    try:
        with contextlib.ExitStack() as stack:
            if packed == ".zip":
                archive = stack.enter_context(zipfile.ZipFile(path))
                names = [name for name in archive.namelist() if not _is_extra(name)]
                if len(names) != 1:
                    raise ValueError(f"expected an archive of one file, got {len(names)}: {reprlib.repr(names)}")
                suffix = Path(names[0]).suffix.lower() or suffix
                file = stack.enter_context(archive.open(names[0]))
            else:
                file = stack.enter_context(OPENERS[packed](path))
            return plain_copy(blocks(file), suffix), suffix
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: not readable as {packed}: {first_line(error)}") from error
    except OSError as error:
        if error.errno is not None:  # from the operating system, such as a full disk
            raise
        raise ValueError(f"{path}: not readable as {packed}: {first_line(error)}") from error


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


def _is_extra(name: str) -> bool:
    file = Path(name).name
    return name.endswith("/") or name.startswith(NO_MEMBERS) or file in NO_MEMBERS or file.startswith("._")
