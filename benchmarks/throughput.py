"""How fast is each recurrence, and is it right? `python -m benchmarks.throughput [quick | standard | full]`.

Recurrences that do the same work on the same numbers are a group. Each one's values and gradients are compared with
those of `Scan` in float64 first, and a wrong one is not timed. Then all of a group are timed in turn, round after
round, with a matrix product among them, so that drift of the machine hits all alike. Every case ends as a row of a
JSON Lines file, be it a speed or the reason why there is none; `python -m benchmarks.report` draws them. `--cell NAME`
takes any cell of the library, or your own as `package.module:Name`; from Python, `benchmarks.compare` takes any cells
and recurrences.
"""

import collections
import functools
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from tqdm import tqdm

from benchmarks import rows
from benchmarks.machine import difference, environment, lasting
from benchmarks.recurrences.cases import Case
from benchmarks.recurrences.measurement import measure
from benchmarks.recurrences.options import DEFAULT, PRESETS, Throughput, subject
from benchmarks.recurrences.outcome import Outcome, Settings, from_row, to_row
from benchmarks.recurrences.tables import speed_table
from benchmarks.tables import grouped
from rnnjax.commands import parse_presets, run
from rnnjax.files import create_file
from rnnjax.runs import RunFolder
from rnnjax.training import batch_mesh, use_cpu_cores

PROGRAM = "benchmarks.throughput"


def held(path: Path, settings: Settings, here: dict[str, Any]) -> dict[Case, Outcome]:
    """The outcomes in a file of rows; of a case that was measured again, the last.

    Raises ValueError where a row is of another benchmark, of other settings, or of another machine or software.
    """
    outcomes = {}
    for number, row in enumerate(rows.read(path), start=1):
        try:
            outcome, theirs, there = from_row(row)
        except ValueError as error:
            raise ValueError(f"{path}, row {number}: {error}") from error
        other = difference(vars(theirs), vars(settings)) or difference(lasting(there), lasting(here))
        if other:
            raise ValueError(f"{path}: measured otherwise than now, {other}; use a new file")
        outcomes[outcome.case] = outcome
    return outcomes


def remaining(cases: Sequence[Case], known: dict[Case, Outcome], left_out: Callable[[Case], str | None]) -> list[Case]:
    """The cases without an outcome; a case that was not compiled is taken up again where the limit is no more."""

    def done(case: Case) -> bool:
        return case in known and (known[case].status != "not compiled" or left_out(case) is not None)

    return [case for case in cases if not done(case)]


def start_file(options: Throughput, name: str) -> Path:
    """The file for the rows, made or found. Raises OSError where it cannot be written, or is not what was expected."""
    path = options.rows or Path("runs") / f"{PROGRAM.split('.')[-1]}-{name}-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    if options.resume:
        if not path.is_file():
            raise FileNotFoundError(f"rows: expected a file to go on with, got {path}")
        if not os.access(path, os.W_OK):
            raise PermissionError(f"rows: expected a file that can be written, got {path}")
        return path
    RunFolder.check_new(path, "rows")
    path.parent.mkdir(parents=True, exist_ok=True)
    create_file(path.parent.resolve() / path.name).close()
    return path


def measure_all(options: Throughput, missing: Sequence[Case], mesh: Mesh, keep: Callable[[Outcome], None]) -> None:
    """Measures the cases group by group and hands each outcome to `keep`, with a progress bar and the time left.

    The baseline of a group is measured again where only others of the group are missing: a ratio is one of rounds.
    """
    wanted, everything = set(missing), set(options.cases())
    layout = "{percentage:3.0f}%|{bar}| {elapsed} gone, {remaining} left, {desc}"
    with tqdm(total=len(missing), bar_format=layout, disable=None, dynamic_ncols=True) as bar:
        for group in grouped(missing, lambda case: case.group):
            baseline = group[0].group
            cases = group if baseline in group or baseline not in everything else [baseline, *group]

            # Half of a case's share of the bar is its check and compilation, half its rounds.
            def prepared(case: Case) -> None:
                bar.set_description_str(str(case), refresh=False)
                if case in wanted:
                    bar.update(0.5)

            def round_done(done: int, share: float = 0.5 * len(group) / options.rounds) -> None:
                bar.update(share)

            subjects = [subject(case) for case in cases]
            for outcome in measure(subjects, mesh, options.rounds, options.left_out, prepared, round_done):
                if outcome.case in wanted:
                    keep(outcome)


def listing(options: Throughput, mesh: Mesh) -> str:
    """The cases, and how much they are."""
    cases = options.cases()
    reasons = [options.left_out(case) for case in cases]
    lines = [f"{case}{f'  ({reason})' if reason else ''}" for case, reason in zip(cases, reasons, strict=True)]
    run_cases = [case for case, reason in zip(cases, reasons, strict=True) if reason is None]
    flop = sum(subject(case).flop for case in run_cases) * (options.rounds + 1)
    return "\n".join(
        [
            *lines,
            f"{len(cases)} cases in {len({case.group for case in cases})} groups, "
            f"{len(cases) - len(run_cases)} not compiled; "
            f"{options.rounds} rounds on {mesh.size} {jax.default_backend()} devices, "
            f"{flop / 1e12:.3g} useful TFLOP to time",
        ]
    )


def benchmark(options: Throughput, name: str) -> Path | None:
    """Measures what is missing, prints the table, and returns the file of rows (None where it is a dry run).

    Raises ValueError before anything is measured where the options do not fit the devices or the file, and in the
    end where numbers were wrong.
    """
    mesh = batch_mesh(options.devices)
    for batch in options.batches:
        if batch % mesh.size:
            raise ValueError(f"batches: expected multiples of {mesh.size} devices, got {batch}")
    if options.dry_run:
        print(listing(options, mesh))
        return None
    settings, here = Settings(mesh.size, options.rounds), environment()
    path = start_file(options, name)
    outcomes = held(path, settings, here)
    cases = options.cases()
    missing = remaining(cases, outcomes, options.left_out)
    print(f"{len(cases)} cases, {len(cases) - len(missing)} of them in {path} already")

    def keep(outcome: Outcome) -> None:
        outcomes[outcome.case] = outcome
        rows.append(path, to_row(outcome, settings, here))

    measure_all(options, missing, mesh, keep)
    print(f"\n{speed_table([outcomes[case] for case in cases])}\n")
    print(f"rows {path}\nfigures: python -m benchmarks.report {path}")
    counts = collections.Counter(outcomes[case].status for case in cases)
    if counts["failed"]:
        print(f"{counts['failed']} of {len(cases)} cases failed, for the reasons in the table")
    if counts["wrong"]:
        raise ValueError(f"{counts['wrong']} of {len(cases)} cases gave wrong numbers, and were not timed")
    return path


def main(arguments: list[str]) -> None:
    """Measures the preset and axes that the arguments give."""
    name, options = parse_presets(PRESETS, DEFAULT, PROGRAM, arguments)
    jax.config.update("jax_enable_compilation_cache", False)  # a compilation read from a disk is not one
    use_cpu_cores(options.devices)
    benchmark(options, name)


if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
