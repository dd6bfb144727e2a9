"""Lists runs with their status, and compares them.

Commands: `python -m experiments.runs [FOLDER ...]`, `python -m experiments.runs compare RUN RUN --figure out.png`.
"""

import dataclasses
import fnmatch
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rnnjax.commands import Experiment, parse, printable, run
from rnnjax.files import save_figure
from rnnjax.lazy import deferred
from rnnjax.runs.comparing import MARKS, curves, difference_table, differing_fields, panels, score_table
from rnnjax.runs.listing import run_table, sort_runs
from rnnjax.runs.reading import find_runs, read_run

PROGRAM = "experiments.runs"
EXPERIMENT = Experiment(
    question="Which runs are there, what is their status, and how do they compare?",
    command=f"python -m {PROGRAM} [FOLDER ... | compare RUN RUN ... --figure FILE]",
    time="seconds",
)
DEFAULT = "list"
comparison_figure = deferred("rnnjax.analysis", "comparison_figure")
FORMATS = (".png", ".pdf", ".svg")


@dataclasses.dataclass(frozen=True)
class List:
    """List the runs in folders, newest first."""

    folders: tyro.conf.Positional[tuple[Path, ...]] = (Path("runs"),)
    """Folders to search at any depth, or run folders."""
    status: Literal["running", "finished", "stopped", "diverged", "failed", "killed", "unknown"] | None = None
    """Only runs with this status. killed: the run is marked running, but no process holds its lock."""
    config: str | None = None
    """Only runs with a config name that matches this pattern, such as 'sentiment-*'."""
    sort: Literal["newest", "name", "best", "time", "speed"] = "newest"
    """Order of the runs."""


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare up to 8 runs: differences of their configs, scores, and one figure with all curves."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    figure: Path = Path("comparison.png")
    """File of the figure (.png, .pdf or .svg); an existing file is overwritten."""

    def __post_init__(self):
        if not 1 <= len(self.runs) <= len(MARKS):
            raise ValueError(f"runs: expected 1 to {len(MARKS)}, got {len(self.runs)}")
        if self.figure.suffix not in FORMATS:
            raise ValueError(f"figure: expected a name that ends in {', '.join(FORMATS)}, got {self.figure}")


def list_runs(options: List) -> None:
    """Prints the table of runs."""
    found = [read_run(path) for path in find_runs(options.folders)]
    chosen = [
        run
        for run in found
        if options.status in (None, run.status.status) and fnmatch.fnmatchcase(run.experiment, options.config or "*")
    ]
    folders = ", ".join(map(str, options.folders))
    if not chosen:
        print(f"no such runs in {folders}; {len(found)} others" if found else f"no runs in {folders}")
        return
    print(run_table(sort_runs(chosen, options.sort), _names([run.path for run in chosen], options.folders)))


def _names(paths: list[Path], folders: tuple[Path, ...]) -> dict[Path, str]:
    """The path of each run, relative to the common parent of all folders."""
    places = [Path(os.path.abspath(folder)) for folder in folders]
    base = os.path.commonpath(
        [place.parent if folder in paths else place for place, folder in zip(places, folders, strict=True)]
    )
    return {path: os.path.relpath(path, base) for path in paths}


def compare(options: Compare) -> None:
    """Prints the differences and scores of runs, and draws their curves."""
    file = options.figure
    if not file.resolve().parent.is_dir():
        raise FileNotFoundError(f"figure: expected an existing folder, got {file.parent}")
    resolved = [path.resolve() for path in options.runs]
    for path in options.runs:
        if resolved.count(path.resolve()) > 1:
            raise ValueError(f"runs: expected different runs, got {path} more than once")
    runs = [read_run(path) for path in options.runs]
    drawn = comparison_figure(curves(runs), panels(runs))  # raises before anything is printed
    if len(runs) > 1:
        print(difference_table(runs) if differing_fields(runs) else "the configs do not differ")
        print()
    print(score_table(runs))
    for read in runs:
        for problem in read.problems:
            print(printable(f"{read.path}: {problem}"))
    save_figure(file.parent.resolve() / file.name, lambda: drawn)
    print(f"figure {file}")


def main(arguments: list[str]) -> None:
    """Runs the command `list` or `compare` in the arguments; `list` if there is none."""
    if not arguments or (arguments[0] not in ("list", "compare") and arguments not in (["-h"], ["--help"])):
        arguments = [DEFAULT, *arguments]
    commands = Annotated[List, tyro.conf.subcommand("list")] | Annotated[Compare, tyro.conf.subcommand("compare")]
    options = parse(commands, PROGRAM, arguments)
    if isinstance(options, List):
        list_runs(options)
    else:
        compare(options)


if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
