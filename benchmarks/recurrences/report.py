"""The rows of the throughput benchmark as Markdown tables and figures."""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import lasting
from benchmarks.recurrences.cases import BENCHMARK, Case, Outcome, from_row
from benchmarks.recurrences.figures import place, throughput_figure
from benchmarks.recurrences.tables import speed_table
from benchmarks.tables import grouped
from rnnjax.files import save_figure

NOTE = (
    "deviation: the largest deviation of the last outputs and of the gradients from `Scan` in float64, relative to the "
    "largest number of each array. GFLOP/s: useful ones, recomputation does not count; share of peak: of a matrix "
    "product in the same rounds. temp MB: temporary memory of all devices. Ratios are per round."
)


def render(rows: Sequence[dict[str, Any]], folder: Path) -> str:
    """The Markdown of all rows; their figures are written into the folder.

    Rows with the same settings, machine and software form a run. If a run has a case more than once, the last row
    counts. Raises ValueError for any other row.
    """
    outcomes: dict[str, dict[Case, Outcome]] = {}
    headers: dict[str, dict[str, None]] = {}  # the different lines, in order: a resumed run has two commands
    for row in rows:
        outcome, settings, environment = from_row(row)
        run = json.dumps([settings, lasting(environment)], sort_keys=True)
        headers.setdefault(run, {}).update(dict.fromkeys(header(settings, environment)))
        outcomes.setdefault(run, {})[outcome.case] = outcome
    parts = [f"# Throughput\n\n{NOTE}"]
    for number, (run, measured) in enumerate(outcomes.items(), start=1):
        prefix = "" if len(outcomes) == 1 else f"run-{number}-"
        parts.append("\n".join([f"## Run {number}", "", *headers[run]]))
        panels = grouped(measured.values(), lambda outcome: title(outcome.case))
        parts += [section(panel, folder, prefix) for panel in panels]
    return "\n\n".join(parts) + "\n"


def header(settings: dict[str, int], environment: dict[str, Any]) -> list[str]:
    """The machine, the software and the command of a run. Raises ValueError for any other environment."""
    try:
        versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items() if version)
        command = shlex.join(["python", "-m", f"benchmarks.{BENCHMARK}", *environment["command"][1:]])
        return [
            f"- machine: {environment['processor']}, {environment['cores']} cores, {environment['system']}",
            f"- devices: {settings['devices']} of {', '.join(environment['devices'])}; {settings['rounds']} rounds",
            f"- versions: Python {environment['python']}, {versions}",
            f"- commit: {environment['commit']}",
            f"- command: `{command}`, {environment['time']}",
        ]
    except (KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"expected the environment of a benchmark, got one with another: {error}") from error


def title(case: Case) -> str:
    """What the outcomes of a panel have in common."""
    return f"{case.cell}, {case.task}, {case.dtype}, B={case.batch} I={case.input} H={case.hidden}"


def section(panel: Sequence[Outcome], folder: Path, prefix: str) -> str:
    """A table, in order of time and recurrence, and, if anything was compiled, its figure."""
    panel = sorted(panel, key=lambda outcome: (outcome.case.time, place(outcome.case.recurrence)))
    name = title(panel[0].case)
    parts = [f"### {name}", speed_table(panel, without=("cell", "task", "dtype", "B", "I", "H"))]
    if any(outcome.compile_seconds is not None for outcome in panel):
        file = f"{prefix}{re.sub(r'[^a-zA-Z0-9]+', '-', name)}.png"
        save_figure(folder / file, lambda: throughput_figure(name, panel), 130)
        parts.append(f"![{name}]({file})")
    return "\n\n".join(parts)
