"""Texts to sequences of integers: a word-level vocabulary, learnt from training texts only."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

PAD = "<PAD>"
OOV = "<OOV>"
NO_CAP = 2**31 - 1


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
    """A tokenizer from the JSON file that its `save` wrote.

    Raises FileNotFoundError where there is none, ValueError for a file that is not a tokenizer's.
    """
    if not path.is_file():
        raise FileNotFoundError(f"vocabulary: expected a file, got {path}")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ValueError(f"{path}: expected a tokenizer's JSON, got: {error}") from error
    words = tokenizer.get_vocab()
    if (words.get(PAD), words.get(OOV)) != (0, 1) or set(words.values()) != set(range(len(words))):
        raise ValueError(f"{path}: expected {PAD} and {OOV} as 0 and 1 and every index up to {len(words) - 1} once")
    return tokenizer
