"""Rows of the comparison as Markdown."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.peers.catalogue import OURS, PEERS, is_ours
from benchmarks.tables import grouped, quartiles, shown, three_digits
from benchmarks.tables import markdown as table

Row = dict[str, Any]

CONTEST = ("cell", "batch", "time", "input", "hidden", "task")
HEADERS = ("peer", "inputs", "ms", "rnnjax / this", "GFLOP/s", "of peak", "compile s", "temp MB", "deviation or reason")
NOTE = (
    "ms: a call's median (quartiles). rnnjax / this: rnnjax's time over this one's in the same round; below 1 rnnjax "
    "is the faster. GFLOP/s: useful arithmetic, nothing that is computed again; of peak: its share of what a matrix "
    "product reached in the same rounds. compile s: tracing included. temp MB: temporary memory of the compiled "
    "function, on all its devices. deviation: the largest one from the float64 reference, relative to each array's "
    "largest number. Every library has its inputs in its own default layout, and hands out its last output in the "
    "cheapest way it has."
)


def markdown(rows: Iterable[Row]) -> str:
    """A table for every cell, shape and task, and where there are several times, tables of what grows with time."""
    rows = list(rows)
    contests = _grouped(rows, CONTEST)
    parts = [_contest(group) for group in contests]
    if len(contests) > 1 and any(row["peer"] == OURS and "reason" not in row for row in rows):
        parts.insert(0, _overview(contests))
    for group in _grouped(rows, ("cell", "batch", "input", "hidden", "task")):
        if len({row["time"] for row in group}) > 1:
            parts.append(_growth(group))
    return "\n\n".join([*parts, NOTE])


def _grouped(rows: Iterable[Row], names: Sequence[str]) -> list[list[Row]]:
    """Rows that are alike in these fields."""
    return grouped(rows, lambda row: tuple(row[name] for name in names))


def _overview(contests: Sequence[Sequence[Row]]) -> str:
    """A line a contest: this library, and the median of its time over that of each peer."""
    present = {row["peer"] for rows in contests for row in rows}
    peers = [name for name in PEERS if name in present and not is_ours(name)]
    headers = ("cell", "task", "B x T x I x H", "rnnjax ms", "of peak", *(f"/ {name}" for name in peers), "/ fastest")
    body = []
    for rows in contests:
        by_peer = {row["peer"]: row for row in rows if "reason" not in row}
        if OURS not in by_peer:
            continue
        ours = by_peer[OURS]
        ratios = [f"{by_peer[name]['ours_to_this'][1]:.2f}" if name in by_peer else "" for name in peers]
        fastest = f"{ours['this_to_fastest'][1]:.2f} ({ours['fastest_peer']})" if ours["fastest_peer"] else ""
        sizes = " x ".join(str(ours[name]) for name in ("batch", "time", "input", "hidden"))
        milliseconds, share = three_digits(1e3 * ours["seconds"][1]), f"{ours['peak_share']:.0%}"
        body.append([ours["cell"], ours["task"], sizes, milliseconds, share, *ratios, fastest])
    return f"**rnnjax's time over each peer's, medians**\n\n{table(headers, body)}"


def _contest(rows: Sequence[Row]) -> str:
    # Rows with a reason came before those that had to be timed.
    rows = sorted(rows, key=lambda row: list(PEERS).index(row["peer"]))
    first = rows[0]
    measured = [row for row in rows if "reason" not in row]
    facts = (
        f"{first['cell']}, {first['task']}, B={first['batch']} T={first['time']} I={first['input']} H={first['hidden']}"
    )
    if measured:
        facts += f": {first['rounds']} rounds, matrix product {measured[0]['peak_flop_per_second'] / 1e9:.0f} GFLOP/s"
    lines = [f"**{facts}**", "", table(HEADERS, map(_cells, rows))]
    verdicts = [
        f"- {row['title']}: {quartiles(row['this_to_fastest'])} of the time of the fastest peer, "
        f"`{row['fastest_peer']}`."
        for row in measured
        if is_ours(row["peer"]) and row["fastest_peer"]
    ]
    return "\n".join([*lines, *([""] if verdicts else []), *verdicts])


def _cells(row: Row) -> list[str]:
    if "reason" in row:
        return [row["title"], row["layout"], *[""] * (len(HEADERS) - 3), row["reason"]]
    return [
        row["title"],
        row["layout"],
        quartiles(row["seconds"], 1e3),
        quartiles(row["ours_to_this"]),
        f"{row['flop_per_second'] / 1e9:.1f}",
        f"{row['peak_share']:.0%}",
        shown(row["compile_seconds"], ".1f"),
        shown(row["temp_bytes"], ",.1f", 1e-6),
        f"{row['deviation']:.1e}",
    ]


def _growth(rows: Sequence[Row]) -> str:
    """How the time of one step and the temporary memory grow with the steps of a sequence."""
    first, times = rows[0], sorted({row["time"] for row in rows})
    parts = []
    quantities: dict[str, Callable[[Row], str]] = {
        "microseconds a step": lambda row: f"{1e6 * row['seconds'][1] / row['time']:.1f}",
        "temporary MB": lambda row: shown(row["temp_bytes"], ",.1f", 1e-6),
    }
    for quantity, of in quantities.items():
        facts = (
            f"{first['cell']}, {first['task']}, B={first['batch']} I={first['input']} H={first['hidden']}: {quantity}"
        )
        body = []
        for group in _grouped(rows, ("peer",)):
            cells = {row["time"]: row["reason"].partition(":")[0] if "reason" in row else of(row) for row in group}
            body.append([group[0]["title"], *(cells.get(time, "") for time in times)])
        parts.append(f"**{facts}**\n\n{table(['peer', *(f'T={time:,}' for time in times)], body)}")
    return "\n\n".join(parts)
