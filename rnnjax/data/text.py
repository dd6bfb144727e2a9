"""Texts to sequences of integers: a word-level vocabulary, learnt from training texts only."""

import dataclasses
import json
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from rnnjax.untrusted import read_json

PAD = "<PAD>"
OOV = "<OOV>"
NO_CAP = 2**31 - 1
# A file of more is no vocabulary of words.
MOST_WORDS, MOST_BYTES = 10_000_000, 256 * 2**20


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Integer sequences of any length, end to end in one array.

    Sequence n is `tokens[offsets[n] : offsets[n + 1]]`.
    """

    tokens: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, sequences: Iterable[Sequence[int] | np.ndarray]) -> "Sequences":
        """From separate sequences."""
        arrays = [np.asarray(sequence, np.int32) for sequence in sequences]
        offsets = np.cumsum([0, *map(len, arrays)])
        return cls(np.concatenate([np.empty(0, np.int32), *arrays]), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, n: int) -> np.ndarray:
        if not 0 <= n < len(self):
            raise IndexError(f"sequence: expected 0 to {len(self) - 1}, got {n}")
        return self.tokens[self.offsets[n] : self.offsets[n + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each sequence."""
        return np.diff(self.offsets)

    def truncated(self, longest: int, cut: Literal["start", "end"]) -> "Sequences":
        """At most `longest` steps of each, the rest cut off at its start or end. Raises ValueError below 1."""
        if longest < 1:
            raise ValueError(f"longest: expected at least 1, got {longest}")
        if cut not in ("start", "end"):
            raise ValueError(f"cut: expected 'start' or 'end', got {cut!r}")
        kept = slice(-longest, None) if cut == "start" else slice(longest)
        return Sequences.of(self[n][kept] for n in range(len(self)))


def learn_vocabulary(
    texts: Iterable[str], size: int | None = None, special: Sequence[str] = (PAD, OOV)
) -> tuple[Tokenizer, int]:
    """A word-level tokenizer of the most frequent words, and how many different words the texts hold.

    Lower-cased; `<br />` is a space; a word is a run of letters, digits, `_` and apostrophes. Index 0 is padding,
    1 stands for any word outside the vocabulary, and from 2 on words go by falling frequency (ties by
    alphabet). With `special` of PAD alone they go from 1 on, as in the classics, and an unknown word is 0 too.
    `size` caps the vocabulary, special tokens included; None keeps every word. Raises ValueError for
    a size with no room for a word, or where there is not one word.
    """
    if size is not None and size <= len(special):
        raise ValueError(f"vocabulary size: expected at least {len(special) + 1} ({_room(special)}), got {size}")
    everything = _tokenizer(models.WordLevel(unk_token=special[-1]))
    trainer = trainers.WordLevelTrainer(vocab_size=NO_CAP, special_tokens=list(special), show_progress=False)
    everything.train_from_iterator(texts, trainer)
    words = everything.get_vocab()
    if len(words) <= len(special):
        raise ValueError("vocabulary: expected at least one word in the texts, got none")
    capped = {word: index for word, index in words.items() if size is None or index < size}
    return _tokenizer(models.WordLevel(capped, unk_token=special[-1])), len(words) - len(special)


def _room(special: Sequence[str]) -> str:
    return ", ".join(["padding", "unknown", "one word"] if OOV in special else ["padding", "one word"])


def _tokenizer(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(r"(?i)<br\s*/?>"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[^\w']+"), behavior="removed")
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> Sequences:
    """Each text as its words' indices; a text without a word is a sequence of length 0."""
    return Sequences.of(encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts)))


def load_vocabulary(path: Path) -> Tokenizer:
    """The tokenizer of `learn_vocabulary` from the JSON file that its `save` wrote.

    Only the words are taken from the file: it must name the same parts around them, and no others, since those of a
    stranger could be made to run for ever. Raises FileNotFoundError where there is no file, ValueError for one that is
    not such a tokenizer's or too large.
    """
    if not path.exists():
        raise FileNotFoundError(f"vocabulary: expected a file, got {path}")
    got = read_json(path, MOST_BYTES)
    if not isinstance(got, dict) or not isinstance(got.get("model"), dict):
        raise ValueError(f"{path}: expected a tokenizer's JSON, got: {reprlib.repr(got)}")
    words = got["model"].get("vocab")
    whole = isinstance(words, dict) and all(type(index) is int for index in words.values())
    if not isinstance(words, dict) or not whole:
        raise ValueError(f"{path}: expected words and their whole numbers as vocab, got {reprlib.repr(words)}")
    if len(words) > MOST_WORDS:
        raise ValueError(f"{path}: expected at most {MOST_WORDS:,} words, got {len(words):,}")
    if (words.get(PAD), words.get(OOV)) != (0, 1) or set(words.values()) != set(range(len(words))):
        raise ValueError(f"{path}: expected {PAD} and {OOV} as 0 and 1 and every index up to {len(words) - 1} once")
    _check_parts(path, got, json.loads(_tokenizer(models.WordLevel({PAD: 0, OOV: 1}, unk_token=OOV)).to_str()))
    return _tokenizer(models.WordLevel(words, unk_token=OOV))


def _check_parts(path: Path, got: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raises ValueError where a file has another part than a tokenizer of ours, whatever the words."""
    for tree, ours, where in ((got, expected, ""), (got["model"], expected["model"], "model ")):
        for part in sorted(tree.keys() | ours.keys()):
            # What is left out, or there and empty, is no part.
            if part not in ("model", "vocab") and (tree.get(part) or None) != (ours.get(part) or None):
                raise ValueError(
                    f"{path}: expected the {where}{part[:100]!r} that learn_vocabulary writes, {ours.get(part)}, "
                    f"got {reprlib.repr(tree.get(part))}"
                )
