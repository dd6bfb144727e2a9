"""Rows of the comparison as Markdown."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks import tables
from benchmarks.peers.catalogue import PEERS, is_ours
from benchmarks.peers.rnnjax import OURS
from benchmarks.tables import grouped, quartiles, shown, table, three_digits

Row = dict[str, Any]

# A row with a reason has no measurements.
COLUMNS: dict[str, Callable[[Row], object]] = {
    "peer": lambda row: row["title"],
    "inputs": lambda row: row["layout"],
    "ms": lambda row: quartiles(row.get("seconds"), 1e3),
    "rnnjax / this": lambda row: quartiles(row.get("ours_to_this")),
    "GFLOP/s": lambda row: shown(row.get("flop_per_second"), ".1f", 1e-9),
    "of peak": lambda row: shown(row.get("peak_share"), ".0%"),
    "compile s": lambda row: shown(row.get("compile_seconds"), ".1f"),
    "temp MB": lambda row: shown(row.get("temp_bytes"), ",.1f", 1e-6),
    "deviation or reason": lambda row: row.get("reason") or f"{row['deviation']:.1e}",
}
# How these grow with the steps of a sequence.
GROWING: dict[str, Callable[[Row], str]] = {
    "microseconds a step": lambda row: f"{1e6 * row['seconds'][1] / row['time']:.1f}",
    "temporary MB": lambda row: shown(row["temp_bytes"], ",.1f", 1e-6),
}
NOTE = (
    "ms: a call's median (quartiles). rnnjax / this: the time of rnnjax over that of this peer in the same round; "
    "below 1 rnnjax is faster. GFLOP/s: useful ones, recomputation does not count; of peak: as a share of those of a "
    "matrix product in the same rounds. compile s: tracing included. temp MB: temporary memory of the compiled "
    "function, on all its devices. deviation: the largest one from the float64 reference, relative to the largest "
    "number of each array. Every library has its own default layout of inputs, and returns its last output in its "
    "cheapest way."
)


def markdown(rows: Iterable[Row]) -> str:
    """A table for every cell, shape and task, and for several lengths also tables of time and memory by length."""
    rows = list(rows)
    contests = _grouped(rows, "cell", "batch", "time", "input", "hidden", "task")
    parts = [_contest(group) for group in contests]
    if len(contests) > 1 and any(row["peer"] == OURS and "reason" not in row for row in rows):
        parts.insert(0, _overview(contests))
    for group in _grouped(rows, "cell", "batch", "input", "hidden", "task"):
        if len({row["time"] for row in group}) > 1:
            parts += [_growth(group, quantity) for quantity in GROWING]
    return "\n\n".join([*parts, NOTE])


def _grouped(rows: Iterable[Row], *names: str) -> list[list[Row]]:
    """Groups of rows that agree in these fields."""
    return grouped(rows, lambda row: tuple(row[name] for name in names))


def _overview(contests: Sequence[Sequence[Row]]) -> str:
    """One line for each contest: rnnjax, and the median ratio of its time to that of each peer."""
    present = {row["peer"] for rows in contests for row in rows}
    peers = [name for name in PEERS if name in present and not is_ours(name)]
    body = []
    for rows in contests:
        by_peer = {row["peer"]: row for row in rows if "reason" not in row}
        if ours := by_peer.get(OURS):
            sizes = " x ".join(str(ours[name]) for name in ("batch", "time", "input", "hidden"))
            facts = (three_digits(1e3 * ours["seconds"][1]), f"{ours['peak_share']:.0%}")
            ratios = [f"{by_peer[name]['ours_to_this'][1]:.2f}" if name in by_peer else "" for name in peers]
            fastest = f"{ours['this_to_fastest'][1]:.2f} ({ours['fastest_peer']})" if ours["fastest_peer"] else ""
            body.append([ours["cell"], ours["task"], sizes, *facts, *ratios, fastest])
    headers = ("cell", "task", "B x T x I x H", "rnnjax ms", "of peak", *(f"/ {name}" for name in peers), "/ fastest")
    return f"**Time of rnnjax over that of each peer, medians**\n\n{tables.markdown(headers, body)}"


def _contest(rows: Sequence[Row]) -> str:
    # Rows with a reason were written before the timed ones.
    rows = sorted(rows, key=lambda row: list(PEERS).index(row["peer"]))
    measured = [row for row in rows if "reason" not in row]
    title = "{cell}, {task}, B={batch} T={time} I={input} H={hidden}".format(**rows[0])
    if measured:
        peak = measured[0]["peak_flop_per_second"] / 1e9
        title += f": {rows[0]['rounds']} rounds, matrix product {peak:.0f} GFLOP/s"
    verdicts = [
        f"- {row['title']}: {quartiles(row['this_to_fastest'])} of the time of the fastest peer, "
        f"`{row['fastest_peer']}`."
        for row in measured
        if is_ours(row["peer"]) and row["fastest_peer"]
    ]
    return "\n\n".join([f"**{title}**", table(COLUMNS, rows), *(["\n".join(verdicts)] if verdicts else [])])


def _growth(rows: Sequence[Row], quantity: str) -> str:
    """A quantity by peer (down) and length (across); instead of a missing measurement, the kind of reason."""
    times = sorted({row["time"] for row in rows})
    body = []
    for group in _grouped(rows, "peer"):
        cells = {
            row["time"]: row["reason"].partition(":")[0] if "reason" in row else GROWING[quantity](row) for row in group
        }
        body.append([group[0]["title"], *map(cells.get, times)])
    title = "{cell}, {task}, B={batch} I={input} H={hidden}".format(**rows[0])
    return f"**{title}: {quantity}**\n\n{tables.markdown(['peer', *(f'T={time:,}' for time in times)], body)}"
