"""The entry of a study in the list of `python -m experiments`."""

from typing import NamedTuple


class Experiment(NamedTuple):
    """The description of a study that `python -m experiments` prints."""

    question: str
    command: str
    time: str
