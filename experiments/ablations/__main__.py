"""Ablation studies: variants of a config with several seeds each, in a table with intervals.

Commands: `python -m experiments.ablations` lists the studies, `python -m experiments.ablations STUDY` runs one.
"""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from experiments.ablations.command import PROGRAM, command, run_studies
from rnnjax.commands import Experiment

if TYPE_CHECKING:
    from rnnjax.ablations import Study

__all__ = ["EXPERIMENT", "PROGRAM", "main"]

EXPERIMENT = Experiment(
    question="What does each choice change: cells, gates, initialisation, recurrences?",
    command="python -m experiments.ablations [STUDY] [--seeds N] [--dry-run]",
    time="a minute (smoke) to hours (cells-memory); --dry-run prints an estimate",
)


def studies() -> "Mapping[str, Study]":
    """The shipped studies."""
    from experiments.ablations.studies import STUDIES

    return STUDIES


main = functools.partial(run_studies, studies)

if __name__ == "__main__":
    command(studies)
