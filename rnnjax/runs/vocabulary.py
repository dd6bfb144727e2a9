"""The vocabulary that a run on texts keeps, whatever makes its tokens."""

from pathlib import Path
from typing import Protocol


class Vocabulary(Protocol):
    """What makes tokens of texts, and says itself as text."""

    def to_str(self, pretty: bool = False) -> str: ...


def load_vocabulary(path: Path) -> Vocabulary:
    """`rnnjax.data.load_vocabulary`, which needs the extra `text`: runs of other data do without."""
    from rnnjax.data.text import load_vocabulary

    return load_vocabulary(path)
