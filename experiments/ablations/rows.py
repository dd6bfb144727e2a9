"""The rows of a study: one a run (a seed of a variant), a Parquet file a variant, written whole or not at all."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from experiments.ablations.study import Variant, computed
from experiments.ablations.trials import Outcome
from rnnjax.errors import first_line
from rnnjax.training.run_folder import environment
from rnnjax.untrusted import check_plain

ROWS = "rows"
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
Row = dict[str, Any]


def make_rows(variant: Variant, outcomes: Sequence[Outcome]) -> list[Row]:
    """The rows of seeds that were trained together, with what made them."""
    shared = {
        "variant": variant.name,
        "together": len(outcomes),
        "config": as_json(variant),
        "environment": json.dumps(environment()),
    }
    return [{**outcome._asdict(), **shared} for outcome in outcomes]


def as_json(variant: Variant) -> str:
    """The computation of a variant, as it is compared with that of its rows."""
    return json.dumps(computed(variant.config), sort_keys=True, default=str)


def write_rows(folder: Path, variant: Variant, rows: Sequence[Row]) -> None:
    """Adds rows to those of the variant."""
    file = _file(folder, variant)
    every = sorted([*read_rows(folder, variant), *rows], key=lambda row: row["seed"])
    new = file.with_name(f".{file.name}.new")
    pyarrow.parquet.write_table(pa.Table.from_pylist(every, schema=SCHEMA), new)
    with new.open("rb") as written:
        os.fsync(written.fileno())
    os.replace(new, file)


def read_rows(folder: Path, variant: Variant) -> list[Row]:
    """The variant's rows; none where there is no file.

    Raises ValueError for a file that is damaged, or of a variant of that name that computed something else.
    """
    file = _file(folder, variant)
    if not os.path.lexists(file):
        return []
    check_plain(file)
    try:
        table = pyarrow.parquet.read_table(file, schema=SCHEMA)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{file}: expected the rows of a variant, got: {first_line(error)}") from error
    rows = table.to_pylist()
    if any(row["config"] != as_json(variant) for row in rows):
        raise ValueError(
            f"{file}: expected rows of {variant.name!r} as the study has it now, got rows of another config; choose "
            "another folder"
        )
    return rows


def _file(folder: Path, variant: Variant) -> Path:
    return folder / ROWS / f"{variant.name}.parquet"
