"""Word, sub-word and character tokens for language models, without normalisation."""

import collections
import dataclasses
import functools
import itertools
import json
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from rnnjax.data.byte_pairs import NEWLINE, all_tokens, encode_text, learn_merges, tokenizer_of
from rnnjax.untrusted import read_json

Level = Literal["word", "subword", "character"]
UNKNOWN = "<unk>"
# Limits on a vocabulary file.
MOST_WORDS, MOST_BYTES = 10_000_000, 256 * 2**20
# The token at the end of a line; of sub-words, the character.
LINE_END: dict[Level, str] = {"word": "<eos>", "subword": "\n", "character": "\n"}


def split_text(text: str, level: Level) -> list[str]:
    """The tokens of a text: its characters, or its words, split at white space and otherwise unchanged.

    Sub-words are learnt from a text, so at their level these are the characters, too, which `TokenVocabulary.encode`
    joins. At word level every line ends with `<eos>`, as in the Penn Treebank of Mikolov et al. 2010.
    """
    if level != "word":
        return list(text)
    lines = text.split("\n")
    if not lines[-1].strip():  # a text that ends with a newline has no further line
        lines.pop()
    return [word for line in lines for word in (*line.split(), LINE_END[level])]


@dataclasses.dataclass(frozen=True)
class TokenVocabulary:
    """The known tokens, in the order of their indices; of sub-words also the pairs that are joined (`byte_pairs`).

    Raises ValueError for duplicate tokens, and for tokens that do not fit the level (except `<unk>`) or the pairs.
    """

    level: Level
    tokens: tuple[str, ...]
    merges: tuple[tuple[str, str], ...] = ()

    def __post_init__(self):
        if self.level not in get_args(Level):
            raise ValueError(f"level: expected one of {list(get_args(Level))}, got {reprlib.repr(self.level)}")
        if not 0 < len(self.tokens) <= MOST_WORDS:
            raise ValueError(f"tokens: expected 1 to {MOST_WORDS:,}, got {len(self.tokens):,}")
        for token in self.tokens:
            fits = isinstance(token, str) and (self.level != "character" or len(token) == 1 or token == UNKNOWN)
            if not fits or not token:
                raise ValueError(f"tokens: expected {self.level}s, got {reprlib.repr(token)}")
        if len(self._index) < len(self.tokens):
            raise ValueError("tokens: expected unique tokens, got a duplicate")
        if self.level == "subword":
            for part in itertools.chain.from_iterable(self.merges):
                if part not in self._index:
                    raise ValueError(f"merges: expected pairs of tokens, got {reprlib.repr(part)}")
            if self.tokens != all_tokens(self.merges):
                raise ValueError("tokens: expected the 256 bytes and each of the merges, got others")
        elif self.merges:
            raise ValueError(f"merges: expected none of {self.level}s, got {len(self.merges):,}")

    @classmethod
    def learn(cls, tokens: Iterable[str], level: Level, size: int | None = None) -> "TokenVocabulary":
        """The `size` most frequent tokens (None: all), ties alphabetically.

        Of sub-words, whose `tokens` are characters: the bytes, and the pairs that `learn_merges` finds.

        If some tokens are left out, `<unk>` is part of the vocabulary and stands for them; it also is if the text
        contains it. Raises ValueError for no tokens, or a size below 2 (of sub-words: 256).
        """
        if size is not None and size < 2:
            raise ValueError(f"vocabulary: expected at least 2 ({UNKNOWN} and one more), got {size}")
        if level == "subword":
            merges = learn_merges("".join(tokens), MOST_WORDS if size is None else size)
            return cls(level, all_tokens(merges), merges)
        counts = collections.Counter(tokens)
        known = sorted(counts, key=lambda token: (-counts[token], token))
        if size is not None and len(known) > size:
            known = [*[token for token in known if token != UNKNOWN][: size - 1], UNKNOWN]
        return cls(level, tuple(known))

    @functools.cached_property
    def _index(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

    @functools.cached_property
    def _tokenizer(self) -> Any:
        return tokenizer_of(self.merges)

    @property
    def unknown(self) -> int | None:
        """The index of `<unk>`, if it is known."""
        return self._index.get(UNKNOWN)

    @property
    def line_end(self) -> int | None:
        """The index of the line end token, if it is known."""
        return self._index.get(NEWLINE if self.level == "subword" else LINE_END[self.level])

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Sequence[str], where: str) -> np.ndarray:
        """The indices of the tokens, int32; unknown tokens become `<unk>`. Characters are joined to sub-words.

        Raises ValueError, with `where` as its start, for unknown tokens if there is no `<unk>`.
        """
        if self.level == "subword":
            return encode_text(self._tokenizer, "".join(tokens))
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
        lists = isinstance(values, dict) and set(values) == {"level", "tokens", "merges"}
        if not lists or not all(isinstance(values[name], list) for name in ("tokens", "merges")):
            raise ValueError(f"{path}: expected a level, and lists of tokens and merges, got {reprlib.repr(values)}")
        pairs: list[tuple[str, str]] = []
        for pair in values["merges"]:
            if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
                raise ValueError(f"{path}: expected pairs of tokens as merges, got {reprlib.repr(pair)}")
            pairs.append((pair[0], pair[1]))
        try:
            return cls(values["level"], tuple(values["tokens"]), tuple(pairs))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: {error}") from error
