"""Runs the seeds that have no row yet, variant by variant, and writes the rows of each variant when it ends."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rnnjax.ablations.reports import CURVES, REPORT, SCORES, known, mean_words, scores
from rnnjax.ablations.rows import ROWS, Row, environment_at_start, make_rows, read_rows, write_rows
from rnnjax.ablations.statistics import summary
from rnnjax.ablations.study import Study, Variant
from rnnjax.ablations.trainers import Progress, Trainer
from rnnjax.extras import extra
from rnnjax.runs.listing import duration
from rnnjax.tables import table
from rnnjax.untrusted import check_folder, kind_of

with extra("ablations"):
    from tqdm import tqdm

# More than the rows and figures of the largest study of this project.
SPARE = 64 * 2**20  # bytes
BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"


class Task(NamedTuple):
    """A variant, its seeds without a row, the trainer, the estimated seconds, and the command of the study."""

    variant: Variant
    seeds: tuple[int, ...]
    trainer: Trainer
    seconds: float
    command: tuple[str, ...]


Done = tuple[Task, list[Row]]


def command_line() -> tuple[str, ...]:
    """The command line of this process; of the path of a script only the file name."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = (Path(sys.argv[0]).name,) if spec is None else ("-m", spec.name.removesuffix(".__main__"))
    return ("python", *program, *sys.argv[1:])


def check_place(folder: Path) -> None:
    """Raises OSError if rows or the report cannot be written to the folder, ValueError for a link. Creates nothing."""
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


def planned(study: Study, variants: Sequence[Variant], folder: Path) -> list[Task]:
    """Prints the plan of the variants, and returns the tasks that are left to run.

    A trainer that measures its steps compiles the programs that will train. Raises as the trainer and `read_rows` do.
    """
    done = {variant.name: {row["seed"] for row in read_rows(folder, variant)} for variant in variants}
    open_seeds = {name: tuple(seed for seed in range(study.seeds) if seed not in seeds) for name, seeds in done.items()}
    count = sum(map(bool, open_seeds.values()))
    if count and not sys.stderr.isatty():  # else a bar shows it
        print(f"measuring the steps of {count} variants, which compiles each of them", flush=True)
    tasks, rows = [], []
    for variant in tqdm(variants, desc="measuring steps", disable=None, leave=False):
        words = ("done", "")
        if seeds := open_seeds[variant.name]:
            try:
                seconds = study.trainer.estimate(variant.config, seeds)
            except ValueError as error:
                raise ValueError(f"{variant.name}: {error}") from error
            tasks.append(Task(variant, seeds, study.trainer, seconds, command_line()))
            words = (", ".join(map(str, seeds)), duration(seconds) if seconds else "?")
        rows.append((variant.name, variant.question, *words))
    print(table(("variant", "question", "seeds", "about"), rows, words=("question",)))
    total = sum(task.seconds for task in tasks)
    about = f", about {duration(total)} of steps; less if seeds stop early" if total else ""
    print(f"{count} of {len(variants)} variants to run{about}\n", flush=True)
    return tasks


def train_task(task: Task, progress: Progress = lambda share: None) -> list[Row]:
    """The rows of a task."""
    environment_at_start()
    return make_rows(task.variant, task.trainer.run(task.variant.config, task.seeds, progress), task.command)


def one_by_one(tasks: Sequence[Task]) -> Iterator[Done]:
    """Runs the tasks in this process, and yields each with its rows; a bar shows the progress and the time left."""
    total, before = sum(task.seconds for task in tasks) or 1.0, 0.0
    with tqdm(total=100, unit="%", disable=None, dynamic_ncols=True, bar_format=BAR) as bar:
        for task in tasks:
            bar.set_description_str(task.variant.name)

            def progress(share: float, before: float = before, seconds: float = task.seconds) -> None:
                bar.update(100 * (before + share * seconds) / total - bar.n)

            rows = train_task(task, progress)
            progress(1.0)
            before += task.seconds
            yield task, rows


def run_tasks(tasks: Sequence[Task], folder: Path, execute: Callable[[Sequence[Task]], Iterator[Done]]) -> None:
    """Runs the tasks, and writes the rows of each of them when it ends."""
    start, total, done = time.perf_counter(), sum(task.seconds for task in tasks), 0.0
    for number, (task, rows) in enumerate(execute(tasks), start=1):
        try:
            write_rows(folder, task.variant, rows)
        except OSError as error:
            words = f"{folder / ROWS}: {error.strerror or error}; the rows before it are kept"
            raise OSError(error.errno, words) from error
        past, done = time.perf_counter() - start, done + task.seconds
        left = f", about {duration(past * (total / done - 1))} left" if done and number < len(tasks) else ""
        tqdm.write(f"{number}/{len(tasks)} {task.variant.name}: {summary_line(rows)}; {duration(past)} so far{left}")


def summary_line(rows: Sequence[Row]) -> str:
    """A short summary of the rows of a variant."""
    mean, deviation, _ = mean_words(summary(list(scores(rows).values())), "")
    words = [mean + (f" sd {deviation}" if deviation else "")] if mean else []
    if diverged := len(known(rows, "diverged")):
        words.append(f"{diverged} of {len(rows)} diverged")
    return ", ".join(words)
