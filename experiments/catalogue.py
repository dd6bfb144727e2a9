"""What `python -m experiments` lists."""

from typing import NamedTuple


class Experiment(NamedTuple):
    """What `python -m experiments` says of a study."""

    question: str
    command: str
    time: str
