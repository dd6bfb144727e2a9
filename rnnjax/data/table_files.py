"""One data file as a checked table on disk: CSV, TSV, JSON, JSON Lines, Parquet, Arrow, or lines `text<TAB>label`."""

import re
from collections.abc import Sequence
from pathlib import Path

from rnnjax.data.arrow_cache import cache_folder
from rnnjax.data.column_checks import check_column
from rnnjax.data.datasets_loader import load_by_datasets
from rnnjax.data.encodings import check_encoding, encoding_of
from rnnjax.data.file_checks import check_file, check_lines
from rnnjax.data.json_files import read_json
from rnnjax.data.layouts import check_names
from rnnjax.data.packed_files import PACKED, suffixes
from rnnjax.data.plain_files import decoded, plain_copy, unpacked
from rnnjax.data.separated_files import read_separated
from rnnjax.data.text_format import DEFAULT, TextFormat
from rnnjax.extras import extra

with extra("text"):
    import datasets

LOADERS = {
    **{".csv": "csv", ".tsv": "csv", ".tab": "csv", ".txt": "tab_lines"},
    **{".json": "json", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet", ".arrow": "arrow"},
}


def is_data_file(path: Path) -> bool:
    """Whether the name of a file is that of a data file, which may be compressed."""
    suffix, packed = suffixes(path)
    return suffix in LOADERS or (packed == ".zip" and suffix == "")


def read_table(
    path: Path,
    text_column: str,
    label_column: str | None = None,
    given: TextFormat = DEFAULT,
    *,
    optional: Sequence[str] = (),
    whole: bool = False,
) -> datasets.Dataset:
    """The rows of a file, in a cache folder. Texts and labels of a CSV file are strings, all its columns if `whole`.

    The `optional` of the two columns may be missing. Raises FileNotFoundError for a path without a file,
    ValueError for a bad file, and for a missing column.
    """
    given.check()
    columns = [column for column in (text_column, label_column) if column is not None]
    needed = [column for column in columns if column not in optional]
    try:
        rows = _read(path, columns, needed, given, whole)
    except ValueError as error:  # of a copy of the file
        copy = re.escape(str(cache_folder())) + r"/plain-[0-9a-f]{64}(\.\w+)?"
        raise ValueError(re.sub(copy, lambda _: str(path), str(error))) from error
    check_columns(rows, needed, str(path))
    for column in rows.column_names if whole else [name for name in columns if name in rows.column_names]:
        check_column(rows, column, str(path))
    return rows


def check_columns(rows: datasets.Dataset, columns: Sequence[str], where: str) -> None:
    """Raises ValueError for no rows, and for a missing column."""
    if len(rows) == 0:
        raise ValueError(f"{where}: expected at least one row, got none")
    check_names(rows.column_names, columns, where)


def _read(
    path: Path, columns: Sequence[str], needed: Sequence[str], given: TextFormat, whole: bool
) -> datasets.Dataset:
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected a file, found none")
    suffix, packed = suffixes(path)
    if not packed and suffix not in LOADERS:
        raise ValueError(f"{path}: expected a file of type {', '.join(LOADERS)}, got {suffix or 'no suffix'!r}")
    if not path.is_file():
        raise ValueError(f"{path}: expected a file, got a folder, pipe or device")
    plain = path
    if packed:
        check_file(path, packed=True)
        plain, suffix = unpacked(path)
        if suffix not in LOADERS:
            kinds = f"{', '.join(LOADERS)} in {', '.join(PACKED)}"
            raise ValueError(f"{path}: expected a file of type {kinds}, got {suffix or 'no suffix'!r}")
    kind = LOADERS[suffix]
    given.check_suffix(suffix, str(path))
    check_file(plain)
    if plain.stat().st_size == 0:
        raise ValueError(f"{path}: expected at least one row, got an empty file")
    if kind in ("parquet", "arrow"):
        return load_by_datasets(plain, kind, columns, {})
    check_lines(plain)
    plain = _as_utf8(plain, path, suffix, given.encoding)
    if kind == "json":
        return read_json(plain, columns[0], columns, whole)
    return read_separated(plain, path, suffix, columns, needed, given, whole)


def _as_utf8(plain: Path, path: Path, suffix: str, given: str | None) -> Path:
    """The file, or a copy of it in UTF-8. Raises ValueError for bytes that are not text."""
    encoding = encoding_of(plain, given, path)
    if encoding == "utf-8":
        if given is not None:
            check_encoding(plain, encoding)
        return plain
    try:
        copy = plain_copy(decoded(plain, encoding), suffix)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    check_lines(copy)
    return copy
