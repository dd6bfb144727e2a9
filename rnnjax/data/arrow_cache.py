"""Files in the cache folder of `datasets`, written once and named by the hash of the content they depend on."""

import contextlib
import hashlib
import os
import shutil
import stat
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rnnjax.extras import extra
from rnnjax.untrusted import check_tree

with extra("text"):
    import datasets.config
    import pyarrow as pa

CHECKSUM_BYTES = 4


def cached_arrow(name: str, schema: pa.Schema, batches: Callable[[], Iterable[pa.RecordBatch]]) -> Path:
    """The file of these batches; they are only computed if the file does not exist or is damaged.

    `name` must contain a hash of everything that the batches depend on. The file is an Arrow stream, which `datasets`
    can also read, followed by its CRC-32. It is written atomically, so that processes can share it. Raises OSError with
    the name of the file if it cannot be written.
    """
    path = cache_folder() / f"{name}.arrow"
    if not _is_whole(path):
        try:
            _write(path, schema, batches())
        except OSError as error:
            raise OSError(f"{path}: expected to write prepared data here, got: {error}") from error
    return path


def cache_folder() -> Path:
    """The folder of this user's prepared data. Raises ValueError if it is a link, or others may write to it."""
    path = Path(datasets.config.HF_DATASETS_CACHE) / "rnnjax"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
    except OSError as error:
        raise OSError(f"{path}: expected to write prepared data here, got: {error}") from error
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ValueError(
            f"{path}: expected a folder of user {os.geteuid()} that only this user may write to, got "
            f"{stat.filemode(found.st_mode)} of user {found.st_uid}; set HF_DATASETS_CACHE to a different folder"
        )
    return path


@contextlib.contextmanager
def prepared_folder(kind: str, path: Path) -> Iterator[Path]:
    """A cache folder for libraries, named by the content of a file, because they only check its path and time.

    Raises ValueError if the file changes meanwhile, and for a folder that contains links.
    """
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        folder = cache_folder() / f"{kind}-{hashlib.file_digest(file, 'sha256').hexdigest()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    check_tree(folder)
    yield folder
    after = path.stat()
    if any(
        getattr(before, name) != getattr(after, name) for name in ("st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
    ):
        shutil.rmtree(folder, ignore_errors=True)  # it may contain the changed content
        raise ValueError(f"{path}: expected a file that does not change while it is read, got a change")


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    # A unique name, because another process may be writing the same file.
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
    """Whether it is a regular file (not a link) with a correct checksum."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    size = found.st_size - CHECKSUM_BYTES
    if not stat.S_ISREG(found.st_mode) or size < 0:
        return False
    with path.open("rb") as file:
        file.seek(size)
        return file.read() == _checksum(path, size)


def _checksum(path: Path, size: int) -> bytes:
    """The checksum of the first `size` bytes."""
    checksum = 0
    with path.open("rb") as file:
        while size and (block := file.read(min(size, 1 << 20))):
            checksum = zlib.crc32(block, checksum)
            size -= len(block)
    return checksum.to_bytes(CHECKSUM_BYTES, "little")
