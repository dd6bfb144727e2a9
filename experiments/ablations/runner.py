"""Runs what of a study has not been run yet, variant by variant, and keeps every row as soon as it is known."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from experiments.ablations.report import CURVES, REPORT, SCORES
from experiments.ablations.rows import ROWS, Row, environment_at_start, make_rows, read_rows, write_rows
from experiments.ablations.statistics import summary
from experiments.ablations.study import Variant
from rnnjax.runs.listing import duration
from rnnjax.runs.report import table
from rnnjax.untrusted import check_folder, kind_of

# Rows and figures of the largest study take less.
SPARE = 64 * 2**20  # bytes
BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"


class Task(NamedTuple):
    """A variant, those of its seeds that have no row yet, and the command that asked for them."""

    variant: Variant
    seeds: tuple[int, ...]
    command: tuple[str, ...]


Done = tuple[Task, list[Row]]


def open_tasks(variants: Sequence[Variant], seeds: int, folder: Path) -> list[Task]:
    """What is left to run. Raises as `read_rows`."""
    tasks = []
    for variant in variants:
        known = {row["seed"] for row in read_rows(folder, variant)}
        missing = tuple(seed for seed in range(seeds) if seed not in known)
        if missing:
            tasks.append(Task(variant, missing, tuple(sys.argv)))
    return tasks


def check_place(folder: Path) -> None:
    """Raises OSError where rows or the report could not be written, ValueError where they are in a link.

    Nothing is left behind.
    """
    for place in (folder, folder / ROWS):
        if kind_of(place) == "a symbolic link":
            check_folder(place)
    there = next(place for place in (folder / ROWS, folder, *folder.absolute().parents) if os.path.lexists(place))
    try:
        tempfile.TemporaryDirectory(dir=there).cleanup()
    except OSError as error:
        raise OSError(error.errno, f"folder: expected a place to write to, got {folder} ({error.strerror})") from error
    for name in (REPORT, CURVES, SCORES):
        if (folder / name).is_dir():
            raise IsADirectoryError(f"folder: expected to write a file {name}, got a folder of that name: {folder}")
    if (free := shutil.disk_usage(there).free) < SPARE:
        raise OSError(f"folder: expected {SPARE:,} bytes of free disk for {folder}, got {free:,}")


def plan(variants: Sequence[Variant], tasks: Sequence[Task]) -> list[float]:
    """Prints what will be done, and gives the estimated seconds of every task, from steps that are measured here.

    To be measured they must be compiled; the programs are those that will train.
    """
    left = {task.variant.name: task for task in tasks}
    seconds = []
    rows = []
    if tasks and not sys.stderr.isatty():  # else a bar shows it
        print(f"measuring the steps of {len(tasks)} variants, each of which is compiled for that", flush=True)
    for variant in tqdm(variants, desc="measuring steps", disable=None, leave=False):
        task = left.get(variant.name)
        if task is None:
            rows.append((variant.name, variant.question, "done", ""))
        else:
            try:
                seconds.append(variant.trained_by.estimate(variant.config, task.seeds))
            except ValueError as error:
                raise ValueError(f"{variant.name}: {error}") from error
            rows.append((variant.name, variant.question, ", ".join(map(str, task.seeds)), duration(seconds[-1])))
    print(table(("variant", "question", "seeds", "about"), rows, words=("question",)))
    print(
        f"{len(tasks)} of {len(variants)} variants to run, about {duration(sum(seconds))} of steps; "
        "less where seeds stop early\n",
        flush=True,
    )
    return seconds


def train_task(task: Task, progress: Callable[[float], None] = lambda share: None) -> list[Row]:
    """The rows of a task."""
    environment_at_start()
    return make_rows(task.variant, task.variant.trained_by.run(task.variant.config, task.seeds, progress), task.command)


def one_by_one(tasks: Sequence[Task], seconds: Sequence[float]) -> Iterator[Done]:
    """Every task with its rows, in this process; a bar shows the share of all, and the time left."""
    total = sum(seconds) or 1.0
    with tqdm(total=100, unit="%", disable=None, dynamic_ncols=True, bar_format=BAR) as bar:
        before = 0.0
        for task, expected in zip(tasks, seconds, strict=True):
            bar.set_description_str(task.variant.name)

            def progress(share: float, before: float = before, expected: float = expected) -> None:
                bar.update(100 * (before + share * expected) / total - bar.n)

            rows = train_task(task, progress)
            before += expected
            progress(0.0, before)
            yield task, rows


def run_tasks(
    tasks: Sequence[Task],
    seconds: Sequence[float],
    folder: Path,
    execute: Callable[[Sequence[Task], Sequence[float]], Iterator[Done]] = one_by_one,
) -> None:
    """Runs them, and writes each variant's rows as soon as they are known."""
    start, left = time.perf_counter(), dict(zip((task.variant.name for task in tasks), seconds, strict=True))
    for number, (task, rows) in enumerate(execute(tasks, seconds), start=1):
        try:
            write_rows(folder, task.variant, rows)
        except OSError as error:
            raise OSError(
                error.errno, f"{folder / ROWS}: {error.strerror or error}; rows of before are kept"
            ) from error
        del left[task.variant.name]
        past, share = time.perf_counter() - start, 1 - sum(left.values()) / (sum(seconds) or 1.0)
        words = f"; {duration(past)} so far" + (
            f", about {duration(past / share - past)} left" if sum(left.values()) else ""
        )
        tqdm.write(f"{number}/{len(tasks)} {task.variant.name}: {summary_line(rows)}{words}")


def summary_line(rows: Sequence[Row]) -> str:
    """A variant's rows in a few words."""
    found = summary([row["score"] for row in rows if row["score"] is not None])
    diverged = sum(row["diverged"] is not None for row in rows)
    words = (
        []
        if found is None
        else [f"{found.mean:.4f}" + ("" if found.deviation is None else f" sd {found.deviation:.4f}")]
    )
    if diverged:
        words.append(f"{diverged} of {len(rows)} diverged")
    return ", ".join(words)
