"""The rows of `benchmarks.epoch` as Markdown."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import tables
from benchmarks.tables import grouped, quartiles, shown
from benchmarks.timing import Spread

BASELINE = "rnnjax"
# The cells of a `summary`; a contestant with a reason has no more than its first two.
COLUMNS: dict[str, Callable[[dict[str, Any]], object]] = {
    "contestant": lambda row: f"`{row['contestant']}`",
    "batches": lambda row: row.get("reason") or row["batches"],
    "devices": lambda row: row.get("devices"),
    "epoch s (quartiles)": lambda row: quartiles(row.get("epoch")),
    "ratio of rnnjax (quartiles)": lambda row: quartiles(row.get("ratio")),
    "tokens/s": lambda row: shown(row.get("speed"), ",.0f"),
    "padding": lambda row: shown(row.get("padding"), ".1%"),
    "device waits": lambda row: shown(row.get("wait"), ".1%"),
    "compile s (shapes)": lambda row: row.get("compiling"),
    "largest deviation": lambda row: shown(row.get("deviation"), ".0e"),
}


def report(rows: Iterable[dict[str, Any]]) -> str:
    """The header and the table of every run: of rows with the same settings and environment."""
    runs = grouped(rows, lambda row: json.dumps([row["settings"], row["environment"]], sort_keys=True))
    return "\n\n".join(f"{header(run[0])}\n\n{table(run)}" for run in runs)


def header(row: dict[str, Any]) -> str:
    """The training and the machine."""
    settings, environment = row["settings"], row["environment"]
    versions = ", ".join(f"{name} {environment['versions'][name]}" for name in ("jax", "flax", "keras"))
    return (
        f"One epoch of {settings['source']}, LSTM {settings['hidden']}, embedding {settings['embedding']}, last "
        f"{settings['longest']} words, batch {settings['batch_size']}, {settings['share']:.0%} of the epoch's batches; "
        f"{len(environment['devices'])} devices {environment['devices'][0]}, {environment['cores']} cores; {versions}, "
        f"Python {environment['python']}"
    )


def table(rows: Sequence[dict[str, Any]]) -> str:
    """One line for each contestant: medians over rounds, and the ratio of rnnjax's seconds to its own per round."""
    measured = [row for row in rows if row["contestant"] == BASELINE and "reason" not in row]
    baseline = {row["round"]: row["seconds"] for row in measured}
    return tables.table(COLUMNS, [summary(own, baseline) for own in grouped(rows, lambda row: row["contestant"])])


def summary(rows: Sequence[dict[str, Any]], baseline: Mapping[int, float]) -> dict[str, Any]:
    """The figures of one contestant."""
    first = rows[0]
    if "reason" in first:
        return {"contestant": first["contestant"], "reason": first["reason"]}
    seconds = Spread.of(np.array([row["seconds"] for row in rows]))
    ratios = np.array([baseline[row["round"]] / row["seconds"] for row in rows if row["round"] in baseline])
    waits = [row["device_wait"] for row in rows]
    return {
        **first,
        "epoch": seconds,
        "ratio": Spread.of(ratios) if ratios.size else None,
        "speed": first["tokens"] / seconds.middle,
        "wait": None if None in waits else np.median(waits),
        "compiling": f"{first['compile_seconds']:.1f} ({first['shapes']})",
    }
