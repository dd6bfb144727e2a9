"""The command line of ablation studies: the shipped ones, or your own."""

import dataclasses
import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from rnnjax.commands import parse, run
from rnnjax.fields import check_fields
from rnnjax.tables import table

if TYPE_CHECKING:
    from rnnjax.ablations import Study, Variant

PROGRAM = "experiments.ablations"


@dataclasses.dataclass(frozen=True)
class Ablations:
    """Run the seeds of a study that have no row yet. Without a study, list them."""

    study: tyro.conf.Positional[str | None] = None
    """The name of the study."""
    variants: tuple[str, ...] = ()
    """Run only these variants and those that they are compared with; the report covers all existing rows."""
    seeds: int | None = None
    """Number of seeds (0, 1, ...) of each variant. Default: that of the study."""
    source: str | None = None
    """The data of all variants, for a study on texts. Default: those of the study."""
    dry_run: bool = False
    """Run nothing: print what would be run, and the estimated time."""
    report: bool = False
    """Run nothing: write the report of the existing rows."""
    executor: Literal["local", "ray"] = "local"
    """local: one variant after another in this process, its seeds spread over the devices. ray: one task for each
    variant on a Ray cluster (that of RAY_ADDRESS, or one started here)."""
    folder: Path | None = None
    """Folder for rows, report and figures. Default: runs/ablations/STUDY."""

    def __post_init__(self):
        check_fields(self, at_least_one=("seeds",))
        of_runs = self.variants or self.seeds or self.dry_run or self.executor != "local"
        if self.report and of_runs:
            raise ValueError("report: expected none of variants, seeds, dry_run and executor, which belong to runs")
        if self.study is None and (of_runs or self.report or self.folder):
            raise ValueError("study: expected the name of one with other options, got none")


def command(studies: "Mapping[str, Study] | Callable[[], Mapping[str, Study]]") -> None:
    """The command for studies by name: reads options from the command line, and reports errors in one line.

    A function that returns the studies is called after the options are read.
    """
    run(PROGRAM, functools.partial(run_studies, studies, sys.argv[1:]))


def run_studies(studies: "Mapping[str, Study] | Callable[[], Mapping[str, Study]]", arguments: list[str]) -> None:
    """Runs the study given in the arguments, or lists all studies."""
    options = parse(Ablations, PROGRAM, arguments)
    if callable(studies):
        studies = studies()
    if options.study is None:
        rows = [(name, len(study.variants), study.question) for name, study in studies.items()]
        print(table(("study", "variants", "question"), rows, words=("question",)))
        return
    if options.study not in studies:
        raise ValueError(f"study: expected one of {', '.join(studies)}, got {options.study!r}")
    import datasets

    from rnnjax.ablations import ablate, plan, report
    from rnnjax.training import use_cpu_cores

    use_cpu_cores()
    datasets.disable_progress_bars()
    study = of_source(studies[options.study], options.source)
    folder = options.folder or Path("runs") / "ablations" / options.study
    if options.report:
        report(study, folder)
    elif options.dry_run:
        plan(study, folder, variants=options.variants, seeds=options.seeds)
    else:
        ablate(study, folder, variants=options.variants, seeds=options.seeds, executor=options.executor)


def of_source(study: "Study", source: str | None) -> "Study":
    """The study with other data; None changes nothing. Raises ValueError for a study whose configs have no source."""
    if source is None:
        return study
    if not all(hasattr(variant.config, "source") for variant in study.variants):
        raise ValueError(f"source: expected none for a study without texts, got {source!r}")
    from rnnjax.data.sources import resolved

    def changed(variant: "Variant") -> "Variant":
        return dataclasses.replace(variant, config=dataclasses.replace(variant.config, source=resolved(source)))

    return dataclasses.replace(study, variants=[changed(variant) for variant in study.variants])
