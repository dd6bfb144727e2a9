"""Plans, runs and reports a study."""

import contextlib
import dataclasses
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import jax

from rnnjax.ablations.reports import REPORT, scores, write_report
from rnnjax.ablations.rows import ROWS, environment_at_start, others, read_rows
from rnnjax.ablations.runner import check_place, one_by_one, planned, run_tasks
from rnnjax.ablations.study import Study
from rnnjax.compat import forget_compilation_cache
from rnnjax.files import make_folder
from rnnjax.runs.endings import tell_end
from rnnjax.runs.folder import CONFIG, RunFolder, read_object, write_json
from rnnjax.training import Interrupted, StopSignals
from rnnjax.untrusted import kind_of

Executor = Literal["local", "ray"]
# The start of the name by which lists of runs show a study.
EXPERIMENT = "ablation-"


def plan(study: Study, folder: str | Path, *, variants: Sequence[str] = (), seeds: int | None = None) -> float:
    """Prints the seeds that `ablate` would run for each variant, and returns the estimated seconds of all of them.

    The arguments are those of `ablate`, and it raises the same errors. Nothing is written.
    """
    study, chosen, folder = _with(study, seeds), study.chosen(variants), Path(folder)
    check_place(folder)
    with _compiled_once():
        return sum(task.seconds for task in planned(study, chosen, folder))


def ablate(
    study: Study,
    folder: str | Path,
    *,
    variants: Sequence[str] = (),
    seeds: int | None = None,
    executor: Executor = "local",
) -> str:
    """Runs the seeds of a study that have no row in the folder yet, and returns the report's table in Markdown.

    The same call resumes a study that was stopped or killed. `variants` are the names of those to run, together with
    the variants that they are compared with (all of them unless given), and `seeds` is the number of seeds of each
    (that of the study unless given). The executor "local" runs one variant after another in this process; "ray" runs
    one task for each variant on the Ray cluster of RAY_ADDRESS, or on one that it starts here. The folder holds
    rows/VARIANT.parquet, report.md, curves.png and scores.png; the report covers all rows there. Lists of runs show the
    folder by its config.json and status.json.

    Must be called in the main thread. Raises ValueError for an unknown variant, fewer than one seed, and rows that are
    damaged or of another config; OSError for a folder that cannot be written to; FileExistsError for the folder of
    another run; BlockingIOError while another process uses it; ModuleNotFoundError without Ray; Interrupted on SIGTERM
    or Ctrl-C; and what the training raises.
    """
    study, chosen, folder = _with(study, seeds), study.chosen(variants), Path(folder)
    execute = one_by_one
    if executor not in get_args(Executor):
        raise ValueError(f"executor: expected one of {', '.join(get_args(Executor))}, got {executor!r}")
    if executor == "ray":
        from rnnjax.ablations.on_ray import on_ray as execute
    check_place(folder)
    make_folder(folder / ROWS)
    with _at_work(study, folder) as stop, _listed(study, folder):
        run_tasks(planned(study, chosen, folder), folder, execute)
        with stop.noted():
            return _report(study, folder)


def report(study: Study, folder: str | Path) -> str:
    """Writes and prints the report of the rows in the folder, and returns its table in Markdown. Runs nothing.

    Raises ValueError if there are no rows, and otherwise as `ablate`.
    """
    folder = Path(folder)
    check_place(folder)
    if not folder.is_dir():
        raise ValueError(f"report: expected rows in {folder}, got none")
    with _at_work(study, folder) as stop, stop.noted():
        return _report(study, folder)


def _with(study: Study, seeds: int | None) -> Study:
    return study if seeds is None else dataclasses.replace(study, seeds=seeds)


@contextlib.contextmanager
def _at_work(study: Study, folder: Path) -> Iterator[StopSignals]:
    """A context in which the folder is locked, its rows have been checked, and signals raise Interrupted."""
    with StopSignals() as stop:
        try:
            with RunFolder(folder).lock(), _compiled_once():
                environment_at_start()
                for variant in study.variants:  # damaged rows of any variant are refused now, not in the report
                    read_rows(folder, variant)
                yield stop
        except Interrupted as stopped:
            stopped.add_note("finished rows are kept; the same command resumes")
            raise


@contextlib.contextmanager
def _listed(study: Study, folder: Path) -> Iterator[None]:
    """A context in which lists of runs show the study in the folder, with its status."""
    config, experiment = folder / CONFIG, f"{EXPERIMENT}{folder.name}"
    if kind_of(config) is not None and not str(read_object(config).get("experiment")).startswith(EXPERIMENT):
        raise FileExistsError(f"folder: expected a new one or that of a study, got that of a run: {folder}")
    names = [variant.name for variant in study.variants]
    words = {"question": study.question, "score": study.score, "seeds": study.seeds, "variants": names}
    write_json(config, {"experiment": experiment, **words})

    def write_status(status: str, message: str = "") -> None:
        RunFolder(folder).write_status(status, None, message or _so_far(study, folder))

    write_status("running")
    try:
        yield
    except BaseException as error:
        tell_end(error, None, folder, None, write_status)
        raise
    tell_end(None, None, folder, None, write_status)


def _so_far(study: Study, folder: Path) -> str:
    """How many variants have rows, and the lowest and the highest mean score."""
    rows = [found for variant in study.variants if (found := read_rows(folder, variant))]
    means = [statistics.mean(known.values()) for found in rows if (known := scores(found))]
    ends = f"; {study.score} {min(means):.4g} to {max(means):.4g}" if means else ""
    return f"{len(rows)} of {len(study.variants)} variants{ends}"


def _report(study: Study, folder: Path) -> str:
    rows = {variant.name: read_rows(folder, variant) for variant in study.variants}
    found = [name for name, known in rows.items() if known]
    if not found:
        raise ValueError(f"report: expected rows in {folder}, got none")
    if left := others(folder, study.variants):
        print(f"\nignored, because no variant of this study has this name: {', '.join(left)}")
    table = write_report(study, study.chosen(found), rows, folder)
    print(f"\n{table}\n\nreport {folder / REPORT}")
    return table


@contextlib.contextmanager
def _compiled_once() -> Iterator[None]:
    """A context with a compilation cache, so that the runs reuse the programs that the plan compiled."""
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
