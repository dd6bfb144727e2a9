"""Labelled sentences as plain lines `text<TAB>label`, without quoting."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnjax.data.arrow_cache import cached_arrow
from rnnjax.data.text_format import DEFAULT, TextFormat
from rnnjax.extras import extra

with extra("text"):
    import datasets
    import pyarrow as pa

# The version of the cached files: increase it if the same lines would give different rows.
LINES_FORMAT = "3"
# The approximate size of a row group.
BATCH_BYTES = 1 << 20


def read_tab_lines(
    path: Path, columns: Sequence[str], text_column: str, given: TextFormat = DEFAULT, *, header: bool = False
) -> datasets.Dataset:
    """The lines of a file as rows of one or two columns, stored in the cache folder of `datasets` and memory-mapped.

    A line ends only at a newline. Of two columns, the text may have separators: a line is split at its last one, or at
    its first one if the text comes last. Quotes and other separators (such as U+0085) are part of the text. The first
    line is skipped if it is a header, and so are lines that begin with a given comment. Raises ValueError that names
    the first line without a separator; if bad rows are skipped, such a line is a row without a text.
    """
    separator, comment, skip = given.character or "\t", (given.comment or "").encode(), given.skip_bad
    schema = pa.schema([(column, pa.large_string()) for column in columns])
    fingerprint = hashlib.sha256(repr([LINES_FORMAT, *columns, text_column, separator, comment, skip, header]).encode())
    with path.open("rb") as file:
        while block := file.read(BATCH_BYTES):
            fingerprint.update(block)

    def row(line: bytes, number: int) -> tuple[str, ...]:
        # A byte order mark is not part of the first line.
        decoded = line.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\n").removesuffix("\r")
        if len(columns) == 1:
            return (decoded,)
        split = decoded.partition if columns[-1] == text_column else decoded.rpartition
        first, found, last = split(separator)
        if not found and not skip:
            words = "a label, a tab and a text" if columns[-1] == text_column else "a text, a tab and a label"
            words = words if separator == "\t" else words.replace("a tab", repr(separator))
            raise ValueError(f"{path}, line {number}: expected {words}, got {decoded!r}")
        return (first, last) if found else ("", "")

    def batches() -> Iterator[pa.RecordBatch]:
        with path.open("rb") as file:
            number, skipped = 0, not header
            while lines := file.readlines(BATCH_BYTES):
                read = [
                    row(line, n)
                    for n, line in enumerate(lines, start=number + 1)
                    if not comment or not line.startswith(comment)
                ]
                if read and not skipped:
                    read, skipped = read[1:], True
                number += len(lines)
                yield pa.record_batch([[values[i] for values in read] for i in range(len(columns))], schema=schema)

    return datasets.Dataset.from_file(str(cached_arrow(f"lines-{fingerprint.hexdigest()}", schema, batches)))
