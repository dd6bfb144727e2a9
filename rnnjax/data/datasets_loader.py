"""Tables by the `datasets` library: one file, prepared in a cache folder, and the values of its rows."""

import glob
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.compat import RAGGED_ROW, is_empty_table
from rnnjax.data.arrow_cache import prepared_folder
from rnnjax.data.column_checks import check_arrow, check_parquet
from rnnjax.data.stored_texts import BATCH_ROWS
from rnnjax.errors import first_line
from rnnjax.extras import extra

with extra("text"):
    import datasets


SHORT = ("float16", "float32")


def load_by_datasets(path: Path, kind: str, columns: Sequence[str], options: dict[str, Any]) -> datasets.Dataset:
    """The rows of a file. Raises ValueError for a damaged file, and for one without rows."""
    try:
        if kind == "arrow":
            check_arrow(path)
            return datasets.Dataset.from_file(str(path))
        if kind == "parquet":
            check_parquet(path, columns)
            options = {"batch_size": BATCH_ROWS, **options}  # a row group may have any size
        with prepared_folder(kind, path) as folder, warnings.catch_warnings():
            warnings.filterwarnings("error", message=RAGGED_ROW)
            # Escaped, so that no character in the file name acts as a wildcard.
            name = glob.escape(str(path))
            return getattr(datasets.Dataset, f"from_{kind}")(name, cache_dir=str(folder), **options)
    except Exception as error:  # for a damaged file, the libraries raise errors of any type
        if isinstance(error, OSError) and error.errno is not None:  # from the operating system, such as a full disk
            raise
        if is_empty_table(error):
            raise ValueError(f"{path}: expected at least one row, got none") from error
        cause = error.__cause__ or error
        raise ValueError(f"{path}: not readable as {kind}: {first_line(cause)}") from error


def values_of(rows: datasets.Dataset, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The values of the columns row by row. Those of a ClassLabel are names, as files may number names differently.

    Numbers of half or single precision are those that are written so: 0.1, not 0.10000000149011612.
    """
    names, short = {}, set[str]()
    for column in columns:
        feature = rows.features[column]
        if isinstance(feature, datasets.Value) and feature.dtype in SHORT:
            short.add(column)
        names[column] = dict(enumerate(feature.names)) if isinstance(feature, datasets.ClassLabel) else {}
    for batch in rows.select_columns(list(dict.fromkeys(columns))).iter(BATCH_ROWS):
        values: Mapping[str, list[Any]] = dict(batch)
        yield from zip(
            *(_as_written(values[column], names[column], column in short) for column in columns), strict=True
        )


def _as_written(values: list[Any], names: dict[int, str], short: bool) -> list[Any]:
    if short:
        return [None if value is None else float(str(np.float32(value))) for value in values]
    return [names.get(value, value) for value in values] if names else values
