"""The rows of `benchmarks.epoch` as Markdown, from memory or from a file of them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

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
    runs: list[list[dict[str, Any]]] = []
    for row in rows:
        if not runs or any(runs[-1][0][key] != row[key] for key in ("settings", "environment")):
            runs.append([])
        runs[-1].append(row)
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
    lines = ["| " + " | ".join(HEADERS) + " |", "|" + "---|" * len(HEADERS)]
    for name, own in seconds.items():
        row = next(row for row in rows if row["contestant"] == name)
        if "reason" in row:
            cells = [f"`{name}`", row["reason"], *[""] * (len(HEADERS) - 2)]
        else:
            cells = _cells(row, rows, own, seconds.get(BASELINE, {}))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _by_round(rows: Iterable[dict[str, Any]], name: str) -> dict[int, float]:
    return {row["round"]: row["seconds"] for row in rows if row["contestant"] == name and "reason" not in row}


def _cells(
    row: dict[str, Any], rows: Sequence[dict[str, Any]], own: dict[int, float], baseline: dict[int, float]
) -> list[str]:
    spread = Spread.of(np.array([*own.values()]))
    ratios = [baseline[round] / seconds for round, seconds in own.items() if round in baseline]
    ratio = ""
    if ratios:
        low, middle, high = Spread.of(np.array(ratios))
        ratio = f"{middle:.2f} ({low:.2f} to {high:.2f})"
    waits = [other["device_wait"] for other in rows if other["contestant"] == row["contestant"]]
    return [
        f"`{row['contestant']}`",
        row["batches"],
        str(row["devices"]),
        f"{spread.middle:.2f} ({spread.low:.2f} to {spread.high:.2f})",
        ratio,
        f"{row['tokens'] / spread.middle:,.0f}",
        f"{row['padding']:.1%}",
        "" if None in waits else f"{np.median(waits):.1%}",
        f"{row['compile_seconds']:.1f} ({row['shapes']})",
        f"{row['deviation']:.0e}",
    ]
