"""The rows of `benchmarks.epoch` as Markdown, from memory or from a file of them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.tables import grouped, markdown, quartiles
from benchmarks.timing import Spread

BASELINE = "rnnjax"
HEADERS = (
    "contestant",
    "batches",
    "devices",
    "epoch s (quartiles)",
    "ratio of rnnjax (quartiles)",
    "tokens/s",
    "padding",
    "device waits",
    "compile s (shapes)",
    "largest deviation",
)


def report(rows: Iterable[dict[str, Any]]) -> str:
    """Every run's header and table; rows of one run have the same settings and environment."""
    runs = grouped(rows, lambda row: json.dumps([row["settings"], row["environment"]], sort_keys=True))
    return "\n\n".join(f"{header(run[0])}\n\n{table(run)}" for run in runs)


def header(row: dict[str, Any]) -> str:
    """What was trained, on what."""
    settings, environment = row["settings"], row["environment"]
    versions = ", ".join(f"{name} {environment['versions'][name]}" for name in ("jax", "flax", "keras"))
    return (
        f"One epoch of {settings['source']}, LSTM {settings['hidden']}, embedding {settings['embedding']}, last "
        f"{settings['longest']} words, batch {settings['batch_size']}, {settings['share']:.0%} of the epoch's batches; "
        f"{len(environment['devices'])} devices {environment['devices'][0]}, {environment['cores']} cores; {versions}, "
        f"Python {environment['python']}"
    )


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A line a contestant: medians over the rounds, and the ratio of rnnjax's seconds to its own in each round."""
    seconds = {name: _by_round(rows, name) for name in dict.fromkeys(row["contestant"] for row in rows)}
    body = []
    for name, own in seconds.items():
        row = next(row for row in rows if row["contestant"] == name)
        absent = [f"`{name}`", row.get("reason"), *[None] * (len(HEADERS) - 2)]
        body.append(absent if "reason" in row else _cells(row, rows, own, seconds.get(BASELINE, {})))
    return markdown(HEADERS, body)


def _by_round(rows: Iterable[dict[str, Any]], name: str) -> dict[int, float]:
    return {row["round"]: row["seconds"] for row in rows if row["contestant"] == name and "reason" not in row}


def _cells(
    row: dict[str, Any], rows: Sequence[dict[str, Any]], own: dict[int, float], baseline: dict[int, float]
) -> list[Any]:
    spread = Spread.of(np.array([*own.values()]))
    ratios = np.array([baseline[round] / seconds for round, seconds in own.items() if round in baseline])
    waits = [other["device_wait"] for other in rows if other["contestant"] == row["contestant"]]
    return [
        f"`{row['contestant']}`",
        row["batches"],
        row["devices"],
        quartiles(spread),
        quartiles(Spread.of(ratios) if ratios.size else None),
        f"{row['tokens'] / spread.middle:,.0f}",
        f"{row['padding']:.1%}",
        None if None in waits else f"{np.median(waits):.1%}",
        f"{row['compile_seconds']:.1f} ({row['shapes']})",
        f"{row['deviation']:.0e}",
    ]
