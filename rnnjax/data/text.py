"""Texts as sequences of integers, with a word-level vocabulary learnt from the training texts only."""

import hashlib
import itertools
import json
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.data.arrow_cache import cached_arrow
from rnnjax.data.sequences import Sequences
from rnnjax.data.stored_texts import StoredTexts, batches, in_file_order
from rnnjax.data.tokens import MOST_BYTES, MOST_WORDS
from rnnjax.extras import extra
from rnnjax.untrusted import read_json

with extra("text"):
    import pyarrow as pa
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

PAD = "<PAD>"
OOV = "<OOV>"
NO_CAP = 2**31 - 1
# The version of the cached words and tokens: increase it if the same texts would give others, or the layout changes.
FORMAT = b"1"
WORDS = pa.schema({"words": pa.large_string()})
TOKENS = pa.schema({"tokens": pa.list_(pa.int32())})
# The approximate number of characters encoded at once; the results of the tokenizer are 20 times as large.
BATCH_CHARACTERS = 1 << 19


def learn_vocabulary(
    texts: Iterable[str], size: int | None = None, special: Sequence[str] = (PAD, OOV)
) -> tuple[Tokenizer, int]:
    """A word-level tokenizer with the most frequent words, and the number of different words in the texts.

    Texts are lower-cased; `<br />` is a space; a word is a run of letters, digits, `_` and apostrophes. Index 0 is
    padding, 1 is any word outside the vocabulary, and words from 2 upwards are sorted by decreasing frequency (ties
    alphabetically). If `special` is only PAD, words start at 1, as in older work, and unknown words are 0 like padding.
    `size` limits the vocabulary, including special tokens; None keeps every word. The words of stored texts are cached
    in the cache folder of `datasets`. Raises ValueError for a size without room for a word, or texts without words.
    """
    if size is not None and size <= len(special):
        raise ValueError(f"vocabulary size: expected at least {len(special) + 1} ({_room(special)}), got {size}")
    words = _words_once(texts, special) if isinstance(texts, StoredTexts) else _words(texts, special)
    if len(words) <= len(special):
        raise ValueError("vocabulary: expected at least one word in the texts, got none")
    capped = {word: index for index, word in enumerate(words[:size])}
    return _tokenizer(models.WordLevel(capped, unk_token=special[-1])), len(words) - len(special)


def _words(texts: Iterable[str], special: Sequence[str]) -> list[str]:
    """All words of the texts, in the order of their indices."""
    everything = _tokenizer(models.WordLevel(unk_token=special[-1]))
    trainer = trainers.WordLevelTrainer(vocab_size=NO_CAP, special_tokens=list(special), show_progress=False)
    everything.train_from_iterator(batches(texts), trainer)
    words = everything.get_vocab()
    return sorted(words, key=words.__getitem__)


def _words_once(texts: StoredTexts, special: Sequence[str]) -> list[str]:
    """The same, cached in the cache folder of `datasets` for the same texts."""
    stored, _ = in_file_order(texts)
    reading = _tokenizer(models.WordLevel(unk_token=special[-1])).to_str()
    name = f"words-{_fingerprint([reading, *special], stored)}"
    path = cached_arrow(name, WORDS, lambda: [pa.record_batch([_words(stored, special)], schema=WORDS)])
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_stream(file).read_all()["words"].to_pylist()


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
    """The word indices of each text; a text without a word is a sequence of length 0.

    The tokens of stored texts are stored in the cache folder of `datasets` and memory-mapped, so that the same texts
    are only encoded once by the same tokenizer. Raises OSError with the name of the file if it cannot be written.
    """
    if not isinstance(texts, StoredTexts):
        return Sequences.of(ids for batch in _encoded(tokenizer, texts) for ids in batch)
    stored, places = in_file_order(texts)
    name = f"tokens-{_fingerprint([tokenizer.to_str()], stored)}"
    sequences = _mapped(cached_arrow(name, TOKENS, lambda: map(_record_batch, _encoded(tokenizer, stored))))
    starts, ends = np.empty_like(sequences.starts), np.empty_like(sequences.ends)
    starts[places], ends[places] = sequences.starts, sequences.ends
    return Sequences(sequences.tokens, starts, ends)


def _encoded(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[list[list[int]]]:
    """The indices of each text, batch by batch; the tokenizer uses all cores for a batch."""
    for rows in batches(texts):
        ends = np.cumsum([len(text) for text in rows]) // BATCH_CHARACTERS
        for batch in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(ends)) + 1):
            yield [encoding.ids for encoding in tokenizer.encode_batch_fast([rows[row] for row in batch])]


def _fingerprint(reading: list[str], texts: Sequence[str]) -> str:
    """A SHA-256 of texts and of the settings for reading them."""
    fingerprint = hashlib.sha256(FORMAT)
    for strings in itertools.chain([reading], batches(texts)):
        encoded = [string.encode() for string in strings]
        fingerprint.update(np.array([len(strings), *map(len, encoded)]).tobytes())
        fingerprint.update(b"".join(encoded))
    return fingerprint.hexdigest()


def _record_batch(ids: list[list[int]]) -> pa.RecordBatch:
    sequences = Sequences.of(ids)
    offsets = np.append(sequences.starts, len(sequences.tokens)).astype(np.int32)
    return pa.record_batch([pa.ListArray.from_arrays(offsets, sequences.tokens)], schema=TOKENS)


def _mapped(path: Path) -> Sequences:
    """The sequences of a file of record batches, as views into the memory-mapped file."""
    file = pa.memory_map(str(path)).read_buffer()
    starts, ends = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for batch in pa.ipc.open_stream(file):
        column = batch.column("tokens")
        # Arrow aligns the content of a file, so the offset of a batch is a multiple of 4 bytes.
        first = (column.values.buffers()[1].address - file.address) // 4 if len(column.values) else 0
        offsets = first + column.offsets.to_numpy().astype(np.int64)
        starts.append(offsets[:-1])
        ends.append(offsets[1:])
    return Sequences(np.frombuffer(file, np.int32, file.size // 4), np.concatenate(starts), np.concatenate(ends))


def load_vocabulary(path: Path) -> Tokenizer:
    """The tokenizer of `learn_vocabulary`, from the JSON file written by its `save`.

    Only the words are taken from the file. All other parts must be those of `learn_vocabulary`, since other parts in an
    untrusted file could run forever. Raises FileNotFoundError if there is no file, ValueError if it is not the file of
    such a tokenizer, or is too large.
    """
    if not path.exists():
        raise FileNotFoundError(f"vocabulary: expected a file, got {path}")
    got = read_json(path, MOST_BYTES)
    if not isinstance(got, dict) or not isinstance(got.get("model"), dict):
        raise ValueError(f"{path}: expected a tokenizer's JSON, got: {reprlib.repr(got)}")
    words = got["model"].get("vocab")
    whole = isinstance(words, dict) and all(type(index) is int for index in words.values())
    if not isinstance(words, dict) or not whole:
        raise ValueError(f"{path}: expected a mapping of words to integers as vocab, got {reprlib.repr(words)}")
    if len(words) > MOST_WORDS:
        raise ValueError(f"{path}: expected at most {MOST_WORDS:,} words, got {len(words):,}")
    if (words.get(PAD), words.get(OOV)) != (0, 1) or set(words.values()) != set(range(len(words))):
        raise ValueError(f"{path}: expected {PAD} and {OOV} as 0 and 1 and every index up to {len(words) - 1} once")
    _check_parts(path, got, json.loads(_tokenizer(models.WordLevel({PAD: 0, OOV: 1}, unk_token=OOV)).to_str()))
    return _tokenizer(models.WordLevel(words, unk_token=OOV))


def _check_parts(path: Path, got: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raises ValueError if a file has different parts, apart from the words, than a tokenizer of rnnjax."""
    for tree, ours, where in ((got, expected, ""), (got["model"], expected["model"], "model ")):
        for part in sorted(tree.keys() | ours.keys()):
            # A missing part is equivalent to an empty one.
            if part not in ("model", "vocab") and (tree.get(part) or None) != (ours.get(part) or None):
                raise ValueError(
                    f"{path}: expected the {where}{part[:100]!r} of learn_vocabulary, {ours.get(part)}, "
                    f"got {reprlib.repr(tree.get(part))}"
                )
