"""The command line of studies: those that are shipped, or one's own."""

import contextlib
import dataclasses
import functools
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import datasets
import jax
import tyro

from experiments.ablations.report import write_report
from experiments.ablations.rows import ROWS, environment_at_start, others, read_rows
from experiments.ablations.runner import check_place, one_by_one, open_tasks, plan, run_tasks
from experiments.ablations.study import Study
from rnnjax.commands import parse, run
from rnnjax.compat import forget_compilation_cache
from rnnjax.fields import check_fields
from rnnjax.files import make_folder
from rnnjax.runs import RunFolder
from rnnjax.runs.report import table
from rnnjax.training import Interrupted, StopSignals, use_cpu_cores

PROGRAM = "experiments.ablations"


@dataclasses.dataclass(frozen=True)
class Ablations:
    """Run a study: what of it has been run before is not run again. Without one, list them."""

    study: tyro.conf.Positional[str | None] = None
    """The study's name."""
    variants: tuple[str, ...] = ()
    """Only these variants, and those that they are compared with; the report is of all that have been run."""
    seeds: int | None = None
    """Seeds 0, 1, ... of each variant; the study's own number unless given."""
    dry_run: bool = False
    """Say what would be run, and how long it would take, and no more."""
    report: bool = False
    """Run nothing, and write the report of what has been run."""
    executor: Literal["local", "ray"] = "local"
    """local: variant after variant in this process, its seeds spread over the devices. ray: a task a variant on the
    machines of a Ray cluster (that of RAY_ADDRESS, or one started here)."""
    folder: Path | None = None
    """Where rows, report and figures are written: runs/ablations/STUDY, unless given."""

    def __post_init__(self):
        check_fields(self, at_least_one=("seeds",))
        of_what_is_run = self.variants or self.seeds or self.dry_run or self.executor != "local"
        if self.report and of_what_is_run:
            raise ValueError("report: expected none of variants, seeds, dry_run and executor, which are of what is run")
        if self.study is None and (of_what_is_run or self.report or self.folder):
            raise ValueError("study: expected the name of one with other options, got none")


def command(studies: Mapping[str, Study]) -> None:
    """The whole command for one's own studies, by name: options from the command line, errors in one line."""
    run(PROGRAM, functools.partial(run_studies, studies, sys.argv[1:]))


def run_studies(studies: Mapping[str, Study], arguments: list[str]) -> None:
    """Runs the study that the arguments name, or lists them."""
    options = parse(Ablations, PROGRAM, arguments)
    if options.study is None:
        rows = [(name, len(study.variants), study.question) for name, study in studies.items()]
        print(table(("study", "variants", "question"), rows, words=("question",)))
        return
    if options.study not in studies:
        raise ValueError(f"study: expected one of {', '.join(studies)}, got {options.study!r}")
    use_cpu_cores()
    with StopSignals() as stop:
        try:
            _run(options.study, studies[options.study], options, stop)
        except Interrupted as stopped:
            stopped.add_note("what is finished is kept: the same command goes on")
            raise


def _run(name: str, study: Study, options: Ablations, stop: StopSignals) -> None:
    variants = study.chosen(options.variants)
    folder = options.folder or Path("runs") / "ablations" / name
    execute = one_by_one
    if options.executor == "ray":
        from experiments.ablations.on_ray import on_ray as execute
    datasets.disable_progress_bars()
    check_place(folder)
    if options.dry_run:
        with compiled_once():
            plan(variants, open_tasks(variants, options.seeds or study.seeds, folder))
        return
    if not options.report:
        make_folder(folder / ROWS)
    elif not folder.is_dir():
        raise ValueError(f"report: expected rows in {folder}, got none")
    with RunFolder(folder).lock(), compiled_once():
        environment_at_start()
        for variant in study.variants:  # the report will be of all: damaged rows are refused now, not at the end
            read_rows(folder, variant)
        if not options.report:
            tasks = open_tasks(variants, options.seeds or study.seeds, folder)
            run_tasks(tasks, plan(variants, tasks), folder, execute)
        with stop.noted():
            _report(name, study, folder)


def _report(name: str, study: Study, folder: Path) -> None:
    """Writes and prints what all rows that are there say. Raises ValueError where there are none."""
    rows = {variant.name: read_rows(folder, variant) for variant in study.variants}
    found = [name for name, known in rows.items() if known]
    if not found:
        raise ValueError(f"report: expected rows in {folder}, got none")
    if left := others(folder, study.variants):
        print(f"\nleft out, of no variant of {name}: {', '.join(left)}")
    print(f"\n{write_report(name, study, study.chosen(found), rows, folder)}\n\nreport {folder / 'report.md'}")


@contextlib.contextmanager
def compiled_once() -> Iterator[None]:
    """What is compiled for the plan is not compiled again for the runs."""
    name = "jax_compilation_cache_dir"
    if getattr(jax.config, name) or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        jax.config.update(name, folder)
        try:
            yield
        finally:
            jax.config.update(name, None)
            forget_compilation_cache()
