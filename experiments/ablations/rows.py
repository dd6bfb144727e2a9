"""The rows of a study: one a run (a seed of a variant), a Parquet file a variant, written whole or not at all."""

import functools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from experiments.ablations.study import Variant
from experiments.ablations.trainers import Outcome, described
from rnnjax.errors import first_line
from rnnjax.files import new_file
from rnnjax.runs.folder import environment
from rnnjax.untrusted import kind_of, open_plain

ROWS = "rows"
MOST_ROWS = 2**28  # bytes; those of the largest study take less than one in ten
SCHEMA = pa.schema(
    [
        ("variant", pa.string()),
        ("seed", pa.int64()),
        ("score", pa.float64()),
        ("loss", pa.float64()),
        ("steps", pa.int64()),
        ("solved", pa.int64()),
        ("diverged", pa.int64()),
        ("curve_steps", pa.list_(pa.int64())),
        ("curve_scores", pa.list_(pa.float64())),
        ("parameters", pa.int64()),
        ("seconds", pa.float64()),
        ("tokens_per_second", pa.float64()),
        ("together", pa.int64()),
        ("config", pa.string()),
        ("environment", pa.string()),
    ]
)
MAY_BE_NONE = ("score", "loss", "solved", "diverged", "seconds", "tokens_per_second")
FIELDS = {"command": list, "versions": dict, "python": str, "system": str, "cores": int, "devices": list}
Row = dict[str, Any]


@functools.cache
def environment_at_start() -> dict[str, Any]:
    """This process's environment when first asked for: the code that runs does not change with the checkout."""
    return environment()


def make_rows(variant: Variant, outcomes: Sequence[Outcome], command: Sequence[str]) -> list[Row]:
    """The rows of seeds that were trained together, with what made them; the command is the study's."""
    shared = {
        "variant": variant.name,
        "together": len(outcomes),
        "config": as_json(variant),
        "environment": json.dumps({**environment_at_start(), "command": list(command)}),
    }
    return [{**outcome._asdict(), **shared} for outcome in outcomes]


def as_json(variant: Variant) -> str:
    """The computation of a variant, as it is compared with that of its rows."""
    return json.dumps(described(variant.config), sort_keys=True)


def write_rows(folder: Path, variant: Variant, rows: Sequence[Row]) -> None:
    """Adds rows to those of the variant."""
    file = _file(folder, variant)
    every = sorted([*read_rows(folder, variant), *rows], key=lambda row: row["seed"])
    with new_file(file) as new:
        pyarrow.parquet.write_table(pa.Table.from_pylist(every, schema=SCHEMA), new)


def read_rows(folder: Path, variant: Variant) -> list[Row]:
    """The variant's rows; none where there is no file.

    Raises ValueError for a file that is damaged, or of a variant of that name that computed something else.
    """
    file = _file(folder, variant)
    if kind_of(file) is None:
        return []
    try:
        with open_plain(file, MOST_ROWS) as opened:
            rows = pyarrow.parquet.read_table(opened, schema=SCHEMA).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{file}: expected the rows of a variant, got: {first_line(error)}") from error
    if any(row["config"] != as_json(variant) for row in rows):
        raise ValueError(
            f"{file}: expected rows of {variant.name!r} as the study has it now, got rows of another config; choose "
            "another folder"
        )
    seeds = [row["seed"] for row in rows]
    if wrong := next(filter(None, (_wrong(row, variant, seeds) for row in rows)), None):
        raise ValueError(f"{file}: expected the rows of a variant, got one {wrong}")
    return rows


def others(folder: Path, variants: Sequence[Variant]) -> list[str]:
    """The files of rows there that are of none of the variants."""
    known = {_file(folder, variant).name for variant in variants}
    return sorted(file.name for file in (folder / ROWS).glob("*.parquet") if file.name not in known)


def _wrong(row: Row, variant: Variant, seeds: Sequence[int]) -> str | None:
    """What is wrong with a row, in words; None where it is as this module writes it."""
    if missing := [name for name, value in row.items() if value is None and name not in MAY_BE_NONE]:
        return f"without {missing[0]}"
    if row["variant"] != variant.name:
        return f"of {row['variant']!r}"
    if seeds.count(row["seed"]) > 1:
        return f"of seed {row['seed']} beside another"
    if len(row["curve_steps"]) != len(row["curve_scores"]) or None in [*row["curve_steps"], *row["curve_scores"]]:
        return "whose curve has not a score a step"
    numbers = ("score", "loss", "seconds", "tokens_per_second")
    if not all(math.isfinite(row[name]) for name in numbers if row[name] is not None) or row["together"] < 1:
        return "whose numbers are none"
    if row["score"] is None and row["diverged"] is None:
        return "without a score that did not diverge"
    try:
        found = json.loads(row["environment"])
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(found.get(name), kind) for name, kind in FIELDS.items()):
        return "without the environment that made it"
    return None


def _file(folder: Path, variant: Variant) -> Path:
    return folder / ROWS / f"{variant.name}.parquet"
