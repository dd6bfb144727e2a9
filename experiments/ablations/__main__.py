"""What does each choice change? Variants of one config with several seeds each, in a table with intervals.

Commands: `python -m experiments.ablations` lists the studies, `python -m experiments.ablations STUDY` runs one.
"""

import contextlib
import dataclasses
import functools
import os
import sys
import tempfile
from pathlib import Path
from typing import Literal

import datasets
import jax
import tyro
from jax.experimental.compilation_cache import compilation_cache

from experiments.ablations.report import write_report
from experiments.ablations.rows import read_rows
from experiments.ablations.runner import check_place, one_by_one, open_tasks, plan, run_tasks
from experiments.ablations.studies import STUDIES
from experiments.report import table
from rnnjax.commands import check_fields, parse, run
from rnnjax.training import RunFolder, use_cpu_cores

PROGRAM = "experiments.ablations"


@dataclasses.dataclass(frozen=True)
class Ablations:
    """Run a study: what of it has been run before is not run again. Without one, list them."""

    study: tyro.conf.Positional[str | None] = None
    """The study's name."""
    variants: tuple[str, ...] = ()
    """Only these variants, and those that they are compared with."""
    seeds: int | None = None
    """Seeds 0, 1, ... of each variant; the study's own number unless given."""
    dry_run: bool = False
    """Say what would be run, and how long it would take, and no more."""
    executor: Literal["local", "ray"] = "local"
    """local: variant after variant in this process, its seeds spread over the devices. ray: a task a variant on the
    machines of a Ray cluster (that of RAY_ADDRESS, or one started here)."""
    folder: Path | None = None
    """Where rows, report and figures are written: runs/ablations/STUDY, unless given."""

    def __post_init__(self):
        check_fields(self, at_least_one=("seeds",))


def main(arguments: list[str]) -> None:
    """Runs a study, or lists them."""
    options = parse(Ablations, PROGRAM, arguments)
    if options.study is None:
        rows = [(name, len(study.variants), study.question) for name, study in STUDIES.items()]
        print(table(("study", "variants", "question"), rows, words=("question",)))
        return
    if options.study not in STUDIES:
        raise ValueError(f"study: expected one of {', '.join(STUDIES)}, got {options.study!r}")
    study = STUDIES[options.study]
    variants = study.chosen(options.variants)
    folder = options.folder or Path("runs") / "ablations" / options.study
    execute = one_by_one
    if options.executor == "ray":
        from experiments.ablations.on_ray import on_ray as execute
    check_place(folder)
    use_cpu_cores()
    datasets.disable_progress_bars()
    with RunFolder(folder).lock(), compiled_once():
        tasks = open_tasks(variants, options.seeds or study.seeds, folder)
        seconds = plan(variants, tasks)
        if options.dry_run:
            return
        run_tasks(tasks, seconds, folder, execute)
        rows = {variant.name: read_rows(folder, variant) for variant in variants}
        print(f"\n{write_report(options.study, study, variants, rows, folder)}\n\nreport {folder / 'report.md'}")


@contextlib.contextmanager
def compiled_once():
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
            compilation_cache.reset_cache()  # which would go on writing there


if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
