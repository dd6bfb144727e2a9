"""The rows of a study: one row for each seed of a variant, one Parquet file for each variant, replaced atomically."""

import functools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnjax.ablations.study import Variant
from rnnjax.ablations.trainers import Outcome, described
from rnnjax.errors import first_line
from rnnjax.extras import extra
from rnnjax.files import new_file
from rnnjax.runs.folder import environment
from rnnjax.untrusted import kind_of, open_plain

with extra("ablations"):
    import pyarrow as pa
    import pyarrow.parquet

ROWS = "rows"
MOST_ROWS = 2**28  # bytes; the largest study of this project needs less than a tenth
COLUMNS = {
    pa.string(): ("variant", "config", "environment"),
    pa.int64(): ("seed", "steps", "solved", "diverged", "parameters", "together"),
    pa.float64(): ("score", "loss", "seconds", "tokens_per_second"),
    pa.list_(pa.int64()): ("curve_steps",),
    pa.list_(pa.float64()): ("curve_scores",),
}
SCHEMA = pa.schema([(name, kind) for kind, names in COLUMNS.items() for name in names])
MAY_BE_NONE = ("score", "loss", "solved", "diverged", "seconds", "tokens_per_second")
FIELDS = {"command": list, "versions": dict, "python": str, "system": str, "cores": int, "devices": list}
Row = dict[str, Any]


@functools.cache
def environment_at_start() -> dict[str, Any]:
    """The environment at the first call: later changes of the checkout do not affect the running code."""
    return environment()


def make_rows(variant: Variant, outcomes: Sequence[Outcome], command: Sequence[str]) -> list[Row]:
    """The rows of seeds that were trained together, with config, environment and the command that started the study."""
    shared = {
        "variant": variant.name,
        "together": len(outcomes),
        "config": config_of(variant),
        "environment": json.dumps({**environment_at_start(), "command": list(command)}),
    }
    return [{**outcome._asdict(), **shared} for outcome in outcomes]


def config_of(variant: Variant) -> str:
    """The config of a variant as JSON, which is compared with that of its rows."""
    training = {} if variant.training is None else {"training": variant.training}
    return json.dumps(described(variant.config) | training, sort_keys=True)


def write_rows(folder: Path, variant: Variant, rows: Sequence[Row]) -> None:
    """Adds rows to the file of the variant."""
    file = _file(folder, variant)
    every = sorted([*read_rows(folder, variant), *rows], key=lambda row: row["seed"])
    with new_file(file) as new:
        pyarrow.parquet.write_table(pa.Table.from_pylist(every, schema=SCHEMA), new)


def read_rows(folder: Path, variant: Variant) -> list[Row]:
    """The rows of a variant; none without a file.

    Raises ValueError for a damaged file, and for rows of a variant of this name that had another config.
    """
    file = _file(folder, variant)
    if kind_of(file) is None:
        return []
    try:
        with open_plain(file, MOST_ROWS) as opened:
            rows = pyarrow.parquet.read_table(opened, schema=SCHEMA).to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: expected the rows of a variant, got: {first_line(error)}") from error
    if any(row["config"] != config_of(variant) for row in rows):
        raise ValueError(
            f"{file}: expected rows of {variant.name!r} with its current config, got rows with another config or "
            "training; choose another folder"
        )
    seeds = [row["seed"] for row in rows]
    if wrong := next(filter(None, (_wrong(row, variant, seeds) for row in rows)), None):
        raise ValueError(f"{file}: expected the rows of a variant, got one {wrong}")
    return rows


def others(folder: Path, variants: Sequence[Variant]) -> list[str]:
    """The names of row files in the folder that belong to none of the variants."""
    known = {_file(folder, variant).name for variant in variants}
    return sorted(file.name for file in (folder / ROWS).glob("*.parquet") if file.name not in known)


def _wrong(row: Row, variant: Variant, seeds: Sequence[int]) -> str | None:
    """A message on what is wrong with a row; None if it is valid."""
    if missing := [name for name, value in row.items() if value is None and name not in MAY_BE_NONE]:
        return f"without {missing[0]}"
    if row["variant"] != variant.name:
        return f"of {row['variant']!r}"
    if seeds.count(row["seed"]) > 1:
        return f"of seed {row['seed']}, which occurs twice"
    if len(row["curve_steps"]) != len(row["curve_scores"]) or None in [*row["curve_steps"], *row["curve_scores"]]:
        return "with a curve that lacks a score or a step"
    if (
        not all(math.isfinite(row[name]) for name in COLUMNS[pa.float64()] if row[name] is not None)
        or row["together"] < 1
    ):
        return "with numbers that are not finite"
    if row["score"] is None and row["diverged"] is None:
        return "without a score, although it did not diverge"
    try:
        found = json.loads(row["environment"])
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(found.get(name), kind) for name, kind in FIELDS.items()):
        return "without its environment"
    return None


def _file(folder: Path, variant: Variant) -> Path:
    return folder / ROWS / f"{variant.name}.parquet"
