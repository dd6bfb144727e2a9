"""What a study says of itself."""

from typing import NamedTuple


class Experiment(NamedTuple):
    """The line of a study in a list of studies (`python -m experiments`): question, command and usual time."""

    question: str
    command: str
    time: str
