"""JSON and JSON Lines files, with columns that Arrow would convert read as they are written."""

import codecs
import collections
import json
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rnnjax.data.datasets_loader import load_by_datasets
from rnnjax.data.file_checks import check_structure
from rnnjax.extras import extra
from rnnjax.untrusted import distinct_names

with extra("text"):
    import datasets


def read_json(path: Path, text_column: str, columns: Sequence[str], whole: bool) -> datasets.Dataset:
    """The rows of a file. A string is never a date, and 1 beside "1" in the `columns`, or all if `whole`, is "1".

    Arrow reads dates, and has one type for a column. Raises ValueError for a bad file, and a text of another type.
    """
    check_structure(path)
    rows = load_by_datasets(path, "json", columns, {})
    if _is_list(path):  # of two values of one name, `datasets` takes the last
        collections.deque(_objects(path), maxlen=0)
    names = [name for name in rows.column_names if (whole or name in columns) and _converted(rows.features[name])]
    if not names:
        return rows
    written: dict[str, list[Any]] = {name: [] for name in names}
    for number, row in enumerate(_objects(path), start=1):
        for name in names:
            value = row.get(name)
            mixed = "Json" in str(rows.features[name])
            if name == text_column and mixed and not isinstance(value, str | None):
                raise ValueError(f"{path}, row {number}: expected a text in column {name!r}, got {reprlib.repr(value)}")
            written[name].append(value if value is None or isinstance(value, str) or not mixed else json.dumps(value))
    if any(len(values) != len(rows) for values in written.values()):
        raise ValueError(f"{path}: expected {len(rows):,} objects, got {len(written[names[0]]):,}")
    others = rows.remove_columns(names)
    own = datasets.Dataset.from_dict(written)
    joined = datasets.concatenate_datasets([others, own], axis=1) if others.column_names else own
    return joined.select_columns(rows.column_names)


def _converted(feature: Any) -> bool:
    return "timestamp" in str(feature) or "Json" in str(feature)


def _is_list(path: Path) -> bool:
    """Whether a file has a list of objects, not one on each line."""
    with path.open("rb") as file:
        return file.read(4096).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a list, or of lines. Raises ValueError for anything else, and for two values of one name."""
    is_list, place = _is_list(path), 0
    with path.open(encoding="utf-8-sig") as file:
        try:
            values = json.load(file, object_pairs_hook=distinct_names) if is_list else file
            for value in values:
                place += 1
                if not is_list and not value.strip():
                    continue
                found = value if is_list else json.loads(value, object_pairs_hook=distinct_names)
                if not isinstance(found, dict):
                    raise ValueError(f"got {reprlib.repr(found)}")
                yield found
        except (ValueError, TypeError, RecursionError) as error:
            where = "" if place == 0 else f", row {place}" if is_list else f", line {place}"
            raise ValueError(f"{path}{where}: expected a list of objects, or one object a line: {error}") from error
