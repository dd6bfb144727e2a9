"""Ablations: named variants of one config, each with several seeds, and an honest table of what they reach."""

from experiments.catalogue import Experiment

EXPERIMENT = Experiment(
    question="What does each choice change: cells, gates, starts, recurrences?",
    command="python -m experiments.ablations [STUDY] [--seeds N] [--dry-run]",
    time="a minute (smoke) to hours (cells-memory); --dry-run says how long",
)
