"""Checks of the columns of untrusted tables, before libraries read them."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnjax.data.file_checks import MOST_COLUMNS, most_bytes
from rnnjax.errors import MOST_NAMED
from rnnjax.extras import extra

with extra("text"):
    import datasets
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.parquet

# The number of rows unpacked at once to measure their size.
BATCH_ROWS = 1_000
DICTIONARY_BATCH = 2  # the header type of an Arrow message; a record batch is 3
ARROW_FILE = b"ARROW1"  # what such a file begins with; a stream has no mark
_compute: Any = pyarrow.compute  # Any, because it creates its functions on import


def check_parquet(path: Path, columns: Sequence[str]) -> None:
    """Raises ValueError for a Parquet file with too many columns, with two columns of one name, or with an unpacked
    size far above its file size.

    The metadata of the file is checked first. Then texts are measured batch by batch, as dictionary indices, because a
    file may store a few texts for millions of rows.
    """
    most = most_bytes(path.stat().st_size)
    with pyarrow.parquet.ParquetFile(path) as file:
        found, schema = file.metadata, file.schema_arrow
        if found.num_columns > MOST_COLUMNS:
            raise ValueError(f"{path}: expected at most {MOST_COLUMNS:,} columns, got {found.num_columns:,}")
        if len(set(schema.names)) < len(schema.names):
            raise ValueError(f"{path}: expected different column names, got {schema.names[:MOST_NAMED]}")
        # At least the size of its row groups, and of one number per row and column.
        groups = sum(found.row_group(row).total_byte_size for row in range(found.num_row_groups))
        _check_unpacked(path, max(groups, 8 * found.num_rows * found.num_columns), most)
    texts = [name for name in columns if name in schema.names and _is_text(schema.field(name).type)]
    if not texts:
        return
    unpacked = 0
    with pyarrow.parquet.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=texts):
            unpacked += sum(map(_text_bytes, batch.columns))
            _check_unpacked(path, unpacked, most)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _text_bytes(column: Any) -> int:
    if pa.types.is_dictionary(column.type):
        lengths = _compute.binary_length(column.dictionary).take(column.indices)
    else:
        lengths = _compute.binary_length(column)
    return _compute.sum(_compute.cast(lengths, pa.int64())).as_py() or 0


def _check_unpacked(path: Path, unpacked: int, most: int) -> None:
    if unpacked > most:
        raise ValueError(f"{path}: expected at most {most:,} bytes of such a file, unpacked, got {unpacked:,}")


def check_arrow(path: Path) -> None:
    """Raises ValueError for an Arrow stream with too many columns, or with compressed buffers, and for an Arrow file.

    What is not compressed stays on disk, and is no larger than its file.
    """
    with path.open("rb") as file:
        if file.read(len(ARROW_FILE)) == ARROW_FILE:
            raise ValueError(f"{path}: expected an Arrow stream, as `datasets` writes it, got an Arrow file (Feather)")
    with pa.memory_map(str(path)) as file:
        messages = pa.ipc.MessageReader.open_stream(file)
        try:
            columns = len(pa.ipc.read_schema(messages.read_next_message()))
            if columns > MOST_COLUMNS:
                raise ValueError(f"{path}: expected at most {MOST_COLUMNS:,} columns, got {columns:,}")
            while True:
                if _is_compressed(messages.read_next_message().metadata.to_pybytes()):
                    raise ValueError(f"{path}: expected an Arrow stream without compression")
        except StopIteration:
            return


def _is_compressed(metadata: bytes) -> bool:
    """Whether the metadata of an Arrow message, a FlatBuffer that Arrow has verified, name a compression.

    Message: version, header type, header; dictionary batch: id, batch; record batch: length, nodes, buffers,
    compression (Message.fbs of the Arrow format).
    """

    def field(table: int, number: int) -> int:
        """The place of a field of a table; 0 if the table lacks it."""
        entries = table - struct.unpack_from("<i", metadata, table)[0]
        if 4 + 2 * number >= struct.unpack_from("<H", metadata, entries)[0]:
            return 0
        offset = struct.unpack_from("<H", metadata, entries + 4 + 2 * number)[0]
        return table + offset if offset else 0

    def at(place: int) -> int:
        return place + struct.unpack_from("<I", metadata, place)[0]

    message = at(0)
    kind, header = field(message, 1), at(field(message, 2))
    if kind and metadata[kind] == DICTIONARY_BATCH:
        header = at(field(header, 1))
    return field(header, 3) > 0


def check_column(rows: datasets.Dataset, column: str, where: str) -> None:
    """Raises ValueError for a column that `datasets` would decode, or that is damaged (invalid UTF-8, for example).

    Decoding an image could open any file or address that it names.
    """
    if _decoded(rows.features[column]):
        kind = type(rows.features[column]).__name__
        raise ValueError(f"{where}: expected texts, names or numbers in column {column!r}, got {kind}")
    try:
        rows.data.column(column).validate(full=True)
    except ValueError as error:
        raise ValueError(f"{where}: expected a valid column {column!r}, got: {error}") from error


def _decoded(feature: Any) -> bool:
    if isinstance(feature, dict):
        return any(map(_decoded, feature.values()))
    inner = getattr(feature, "feature", None)
    return _decoded(inner) if inner is not None else hasattr(feature, "decode_example")
