"""Compressed files: gzip, bzip2, xz, Zstandard, and zip archives of one file."""

import bz2
import contextlib
import gzip
import lzma
import reprlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rnnjax.data.file_checks import most_bytes
from rnnjax.errors import first_line
from rnnjax.extras import extra

BLOCK = 1 << 20
# What a system adds to the archives that it makes.
NO_MEMBERS = ("__MACOSX/", ".DS_Store", "Thumbs.db")


def _zstandard(path: Path) -> Any:
    with extra("text", ".zst"):
        import pyarrow as pa
    return pa.input_stream(str(path), compression="zstd")


OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _zstandard,
}
PACKED = (*OPENERS, ".zip")


def suffixes(path: Path) -> tuple[str, str]:
    """The suffix of the data and that of the compression ("" if there is none), in lower case: (".csv", ".gz")."""
    packed = path.suffix.lower() if path.suffix.lower() in PACKED else ""
    inner = path.with_suffix("") if packed else path
    return inner.suffix.lower(), packed


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[Iterator[bytes], str]]:
    """The content of a compressed file in blocks, and the suffix of the data.

    A .zip archive must have one member. Its suffix is that of the data, or without one, that before .zip. Raises
    ValueError for any other archive, for a damaged file, and for a content that is far larger than the file.
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
            yield blocks(file), suffix
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: not readable as {packed}: {first_line(error)}") from error
    except OSError as error:
        if error.errno is not None:  # from the operating system, such as a full disk
            raise
        raise ValueError(f"{path}: not readable as {packed}: {first_line(error)}") from error


def _is_extra(name: str) -> bool:
    file = Path(name).name
    return name.endswith("/") or name.startswith(NO_MEMBERS) or file in NO_MEMBERS or file.startswith("._")
