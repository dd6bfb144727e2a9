"""Files of Arrow record batches in the cache folder of `datasets`: written once, and known by what they follow from."""

import os
import uuid
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import datasets.config
import pyarrow as pa

CHECKSUM_BYTES = 4


def cached_arrow(name: str, schema: pa.Schema, batches: Callable[[], Iterable[pa.RecordBatch]]) -> Path:
    """The file of these batches, which are made only where there is no file of this name or it is broken.

    `name` holds a hash of everything that the batches follow from. The file is an Arrow stream, which `datasets`
    reads too, and then its CRC-32. It appears whole or not at all, so that processes may share it. Raises OSError
    that names the file where it cannot be written.
    """
    path = Path(datasets.config.HF_DATASETS_CACHE) / "rnnjax" / f"{name}.arrow"
    if not path.is_file() or not _is_whole(path):
        try:
            _write(path, schema, batches())
        except OSError as error:
            raise OSError(f"{path}: expected a place to keep data prepared for training, got: {error}") from error
    return path


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own: another process may be writing the same.
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            with pa.ipc.new_stream(file, schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            file.flush()
            file.write(_checksum(part, file.tell()))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    size = path.stat().st_size - CHECKSUM_BYTES
    if size < 0:
        return False
    with path.open("rb") as file:
        file.seek(size)
        return file.read() == _checksum(path, size)


def _checksum(path: Path, size: int) -> bytes:
    """Of the first `size` bytes."""
    checksum = 0
    with path.open("rb") as file:
        while size and (block := file.read(min(size, 1 << 20))):
            checksum = zlib.crc32(block, checksum)
            size -= len(block)
    return checksum.to_bytes(CHECKSUM_BYTES, "little")
