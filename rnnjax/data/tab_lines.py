"""Labelled sentences as plain lines `text<TAB>label`, without header or quoting."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from rnnjax.data.arrow_cache import cached_arrow
from rnnjax.extras import extra

with extra("text"):
    import datasets
    import pyarrow as pa

# The version of the cached files: increase it if the same lines would give different rows.
LINES_FORMAT = "1"
# The approximate size of a row group.
BATCH_BYTES = 1 << 20


def read_tab_lines(path: Path, text_column: str, label_column: str) -> datasets.Dataset:
    """The lines of a file as rows of two columns, stored in the cache folder of `datasets` and memory-mapped.

    A line ends only at a newline, and is split at its last tab: quotes, further tabs and other separators (such as
    U+0085) are part of the text. A first line with the names of the two columns is skipped. Raises ValueError that
    names the first line without a tab.
    """
    columns = [text_column, label_column]
    schema = pa.schema([(column, pa.large_string()) for column in columns])
    fingerprint = hashlib.sha256(repr([LINES_FORMAT, *columns]).encode())
    with path.open("rb") as file:
        while block := file.read(BATCH_BYTES):
            fingerprint.update(block)

    def batches() -> Iterator[pa.RecordBatch]:
        with path.open("rb") as file:
            number = 0
            while lines := file.readlines(BATCH_BYTES):
                rows = [_row(line, n, path) for n, line in enumerate(lines, start=number + 1)]
                if number == 0 and rows[0] == (text_column, label_column):
                    rows = rows[1:]
                number += len(lines)
                yield pa.record_batch([[row[i] for row in rows] for i in range(2)], schema=schema)

    return datasets.Dataset.from_file(str(cached_arrow(f"lines-{fingerprint.hexdigest()}", schema, batches)))


def _row(line: bytes, number: int, path: Path) -> tuple[str, str]:
    """(text, label)"""
    # A byte order mark is not part of the first line.
    decoded = line.decode("utf-8-sig" if number == 1 else "utf-8")
    text, tab, label = decoded.removesuffix("\n").removesuffix("\r").rpartition("\t")
    if not tab:
        raise ValueError(f"{path}, line {number}: expected a text, a tab and a label, got {label!r}")
    return text, label
