"""Speed and correctness of each recurrence: `python -m benchmarks.throughput [quick | standard | full]`.

Cases that differ in the recurrence only form a group. Their values and gradients are compared with those of `Scan` in
float64. Only correct ones are timed, in interleaved rounds with a matrix product. Each case becomes a row of a JSON
Lines file, with its speed or the reason why there is none; `python -m benchmarks.report` makes tables and figures.
"""

import collections
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from tqdm import tqdm

from benchmarks import rows
from benchmarks.machine import difference, environment, lasting
from benchmarks.options import mesh_for
from benchmarks.recurrences.cases import Case, Outcome, from_row, to_row
from benchmarks.recurrences.measurement import measure
from benchmarks.recurrences.options import PRESETS, Throughput, subject
from benchmarks.recurrences.tables import speed_table
from benchmarks.tables import grouped
from rnnjax.commands import parse_presets, run
from rnnjax.runs import RunFolder
from rnnjax.training import use_cpu_cores

PROGRAM = "benchmarks.throughput"


def held(path: Path, settings: dict[str, int], here: dict[str, Any]) -> dict[Case, Outcome]:
    """The outcomes in a file of rows; the last one of each case.

    Raises ValueError for a row of another benchmark, other settings, or another machine or software.
    """
    outcomes = {}
    for number, row in enumerate(rows.read(path), start=1):
        try:
            outcome, theirs, there = from_row(row)
        except ValueError as error:
            raise ValueError(f"{path}, row {number}: {error}") from error
        other = difference(theirs, settings) or difference(lasting(there), lasting(here))
        if other:
            raise ValueError(f"{path}: measured differently, {other}; use a new file")
        outcomes[outcome.case] = outcome
    return outcomes


def start_file(options: Throughput, name: str) -> Path:
    """The file for the rows. Raises OSError if it exists already, or is missing in a resumed run."""
    path = options.rows or Path("runs") / f"throughput-{name}-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    if not options.resume:
        RunFolder.check_new(path, "rows")
    elif not path.is_file():
        raise FileNotFoundError(f"rows: expected a file to continue, got {path}")
    rows.check_writable(path)
    return path


def measure_all(options: Throughput, missing: Sequence[Case], mesh: Mesh) -> Iterator[Outcome]:
    """The outcomes of the cases, measured in groups, with a progress bar.

    The baseline of a group is measured again if other cases are missing: ratios are within a round.
    """
    wanted, everything = set(missing), set(options.cases())
    with tqdm(total=len(missing), unit="case", disable=None, dynamic_ncols=True) as bar:
        for group in grouped(missing, lambda case: case.group):
            baseline = group[0].group
            cases = group if baseline in group or baseline not in everything else [baseline, *group]
            subjects = [subject(case) for case in cases]
            for outcome in measure(subjects, mesh, options.rounds, options.left_out, bar.set_description):
                if outcome.case in wanted:
                    yield outcome
                    bar.update()


def listing(options: Throughput, mesh: Mesh) -> str:
    """All cases, and their number and total work."""
    reasons = {case: options.left_out(case) for case in options.cases()}
    timed = [case for case, reason in reasons.items() if reason is None]
    flop = sum(subject(case).flop for case in timed) * (options.rounds + 1)
    lines = [f"{case}{f'  ({reason})' if reason else ''}" for case, reason in reasons.items()]
    lines.append(
        f"{len(reasons)} cases in {len({case.group for case in reasons})} groups, {len(reasons) - len(timed)} not "
        f"compiled; {options.rounds} rounds on {mesh.size} {jax.default_backend()} devices, "
        f"{flop / 1e12:.3g} useful TFLOP to time"
    )
    return "\n".join(lines)


def benchmark(options: Throughput, name: str) -> None:
    """Measures the missing cases and prints the table, or lists the cases in a dry run.

    Raises ValueError if the options do not fit the devices or the file, and at the end if numbers were wrong.
    """
    mesh = mesh_for("batches", options.batches, options.devices)
    if options.dry_run:
        print(listing(options, mesh))
        return
    settings, here, cases = {"devices": mesh.size, "rounds": options.rounds}, environment(), options.cases()
    path = start_file(options, name)
    outcomes = held(path, settings, here)

    def is_done(case: Case) -> bool:
        """Whether there is an outcome; one that was not compiled counts only under the same limit."""
        return case in outcomes and (outcomes[case].status != "not compiled" or options.left_out(case) is not None)

    missing = [case for case in cases if not is_done(case)]
    print(f"{len(cases)} cases, {len(cases) - len(missing)} of them in {path} already")
    for outcome in measure_all(options, missing, mesh):
        outcomes[outcome.case] = outcome
        rows.append(path, to_row(outcome, settings, here))
    print(f"\n{speed_table([outcomes[case] for case in cases])}\n")
    print(f"rows {path}\nfigures: python -m benchmarks.report {path}")
    counts = collections.Counter(outcomes[case].status for case in cases)
    if counts["failed"]:
        print(f"{counts['failed']} of {len(cases)} cases failed; the table has the reasons")
    if counts["wrong"]:
        raise ValueError(f"{counts['wrong']} of {len(cases)} cases gave wrong numbers and were not timed")


def main(arguments: list[str]) -> None:
    """Measures the cases of a preset and of flags."""
    name, options = parse_presets(PRESETS, "quick", PROGRAM, arguments)
    jax.config.update("jax_enable_compilation_cache", False)  # compile times are measured
    use_cpu_cores(options.devices)
    benchmark(options, name)


if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
