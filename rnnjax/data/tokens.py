"""Word and character tokens for language models, without normalisation."""

import collections
import dataclasses
import functools
import json
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from rnnjax.untrusted import read_json

Level = Literal["word", "character"]
UNKNOWN = "<unk>"
# Limits on a vocabulary file.
MOST_WORDS, MOST_BYTES = 10_000_000, 256 * 2**20
# The token at the end of a line.
LINE_END: dict[Level, str] = {"word": "<eos>", "character": "\n"}


def split_text(text: str, level: Level) -> list[str]:
    """The tokens of a text: its characters, or its words, split at white space and otherwise unchanged.

    At word level every line ends with `<eos>`, as in the Penn Treebank of Mikolov et al. 2010.
    """
    if level == "character":
        return list(text)
    lines = text.split("\n")
    if not lines[-1].strip():  # a text that ends with a newline has no further line
        lines.pop()
    return [word for line in lines for word in (*line.split(), LINE_END[level])]


@dataclasses.dataclass(frozen=True)
class TokenVocabulary:
    """The known tokens, in the order of their indices.

    Raises ValueError for duplicate tokens, and for tokens that do not fit the level (except `<unk>`).
    """

    level: Level
    tokens: tuple[str, ...]

    def __post_init__(self):
        if self.level not in get_args(Level):
            raise ValueError(f"level: expected one of {list(get_args(Level))}, got {reprlib.repr(self.level)}")
        if not 0 < len(self.tokens) <= MOST_WORDS:
            raise ValueError(f"tokens: expected 1 to {MOST_WORDS:,}, got {len(self.tokens):,}")
        for token in self.tokens:
            fits = isinstance(token, str) and (self.level == "word" or len(token) == 1 or token == UNKNOWN)
            if not fits or not token:
                raise ValueError(f"tokens: expected {self.level}s, got {reprlib.repr(token)}")
        if len(self._index) < len(self.tokens):
            raise ValueError("tokens: expected unique tokens, got a duplicate")

    @classmethod
    def learn(cls, tokens: Iterable[str], level: Level, size: int | None = None) -> "TokenVocabulary":
        """The `size` most frequent tokens (None: all), ties alphabetically.

        If some tokens are left out, `<unk>` is part of the vocabulary and stands for them; it also is if the text
        contains it. Raises ValueError for no tokens, or a size below 2.
        """
        if size is not None and size < 2:
            raise ValueError(f"vocabulary: expected at least 2 ({UNKNOWN} and one more), got {size}")
        counts = collections.Counter(tokens)
        known = sorted(counts, key=lambda token: (-counts[token], token))
        if size is not None and len(known) > size:
            known = [*[token for token in known if token != UNKNOWN][: size - 1], UNKNOWN]
        return cls(level, tuple(known))

    @functools.cached_property
    def _index(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

    @property
    def unknown(self) -> int | None:
        """The index of `<unk>`, if it is known."""
        return self._index.get(UNKNOWN)

    @property
    def line_end(self) -> int | None:
        """The index of the line end token, if it is known."""
        return self._index.get(LINE_END[self.level])

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Sequence[str], where: str) -> np.ndarray:
        """The indices of the tokens, int32; unknown tokens become `<unk>`.

        Raises ValueError, with `where` as its start, for unknown tokens if there is no `<unk>`.
        """
        indices = np.fromiter((self._index.get(token, -1) for token in tokens), np.int32, len(tokens))
        missing = np.flatnonzero(indices < 0)
        if len(missing) and self.unknown is None:
            names = list(dict.fromkeys(tokens[place] for place in missing.tolist()))
            more = f" and {len(names) - 1:,} others" if len(names) > 1 else ""
            raise ValueError(
                f"{where}: expected {self.level}s of the training part, which has no {UNKNOWN}, got "
                f"{reprlib.repr(names[0])}{more}; with a vocabulary below {len(self):,}, rare ones become {UNKNOWN}"
            )
        indices[missing] = self.unknown or 0
        return indices

    def to_str(self, pretty: bool = False) -> str:
        """The vocabulary as JSON, for `load`."""
        return json.dumps(dataclasses.asdict(self), indent=0 if pretty else None)

    @classmethod
    def load(cls, path: Path) -> "TokenVocabulary":
        """The vocabulary from a file written with `to_str`.

        Raises FileNotFoundError if there is no file, ValueError if its content is invalid.
        """
        if not path.exists():
            raise FileNotFoundError(f"vocabulary: expected a file, got {path}")
        values = read_json(path, MOST_BYTES)
        if not isinstance(values, dict) or set(values) != {"level", "tokens"} or not isinstance(values["tokens"], list):
            raise ValueError(f"{path}: expected a level and a list of tokens, got {reprlib.repr(values)}")
        try:
            return cls(values["level"], tuple(values["tokens"]))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: {error}") from error
