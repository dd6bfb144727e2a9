"""Ablation studies: variants of a config with several seeds each, in a table with intervals.

Commands: `python -m experiments.ablations` lists the studies, `python -m experiments.ablations STUDY` runs one.
"""

import functools

from experiments.ablations.command import PROGRAM, command, run_studies
from experiments.ablations.studies import STUDIES
from rnnjax.commands import Experiment

__all__ = ["EXPERIMENT", "PROGRAM", "main"]

EXPERIMENT = Experiment(
    question="What does each choice change: cells, gates, initialisation, recurrences?",
    command="python -m experiments.ablations [STUDY] [--seeds N] [--dry-run]",
    time="a minute (smoke) to hours (cells-memory); --dry-run prints an estimate",
)

main = functools.partial(run_studies, STUDIES)

if __name__ == "__main__":
    command(STUDIES)
