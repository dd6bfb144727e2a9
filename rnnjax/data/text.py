"""Texts as sequences of integers, with a vocabulary of words or sub-words learnt from the training texts only."""

import hashlib
import itertools
import json
import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from rnnjax.data.arrow_cache import cached_arrow
from rnnjax.data.byte_pairs import BYTES, trained_pairs
from rnnjax.data.sequences import Sequences
from rnnjax.data.splitting import APOSTROPHE, SHAPING, WORD, Kind, unescaped
from rnnjax.data.stored_texts import StoredTexts, batches, in_file_order
from rnnjax.data.tokens import MOST_BYTES, MOST_WORDS
from rnnjax.extras import extra
from rnnjax.untrusted import read_json

with extra("text"):
    import pyarrow as pa
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

PAD = "<PAD>"
OOV = "<OOV>"
NO_CAP = 2**31 - 1
# The version of the cached words and tokens: increase it if the same texts would give others, or the layout changes.
FORMAT = b"2"
WORDS = pa.schema({"words": pa.large_string()})
TOKENS = pa.schema({"tokens": pa.list_(pa.int32())})
# The approximate number of characters encoded at once; the results of the tokenizer are 20 times as large.
BATCH_CHARACTERS = 1 << 19


def learn_vocabulary(
    texts: Iterable[str],
    size: int | None = None,
    special: Sequence[str] = (PAD, OOV),
    kind: Kind = "words",
    lowercase: bool = True,
) -> tuple[Tokenizer, int]:
    """A tokenizer with the most frequent words or sub-words, and the number of different ones in the texts.

    HTML entities are replaced, `<br />` is a space, letters and their marks are composed (NFC), apostrophes of
    typesetting become `'`, what is not seen is removed (soft hyphens, joiners, spaces without width, marks of the
    writing direction), and texts are lower-cased unless `lowercase` is false. Index 0 is padding, 1 is any word outside
    the vocabulary. `size` limits the vocabulary, including special tokens; None keeps every word. What was learnt from
    stored texts is cached in the cache folder of `datasets`.

    "words": a word is a run of letters, digits, `_` and apostrophes, one emoji, or one letter of a script without
    spaces (`rnnjax.data.splitting`). Words from index 2 upwards are sorted by decreasing frequency (ties
    alphabetically). If `special` is only PAD, words start at 1, as in older work, and unknown words are 0 like padding.

    "bpe": sub-words of the bytes of a text by byte pair encoding, so that nothing is unknown: first the 256 bytes, then
    pairs of sub-words in the order in which they were joined, the most frequent pair first. Source: Sennrich et al.
    2016, "Neural Machine Translation of Rare Words with Subword Units"; Radford et al. 2019, "Language Models are
    Unsupervised Multitask Learners" (bytes).

    Raises ValueError for a size without room for a word, texts without words, or an unknown kind.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind: expected one of {', '.join(get_args(Kind))}, got {kind!r}")
    fewest = len(special) + (1 if kind == "words" else len(BYTES))
    if size is not None and size < fewest:
        raise ValueError(f"vocabulary size: expected at least {fewest} ({_room(special, kind)}), got {size}")
    if kind == "bpe":
        reading = [_tokenizer(models.BPE(), lowercase).to_str(), str(size), *special]
        (learnt,) = _once(texts, reading, lambda texts: [_sub_words(texts, size, special, lowercase)])
        tokenizer = Tokenizer.from_str(learnt)
        return tokenizer, tokenizer.get_vocab_size() - len(special)
    reading = [_tokenizer(models.WordLevel(unk_token=special[-1]), lowercase).to_str(), *special]
    words = _once(texts, reading, lambda texts: _words(texts, special, lowercase))
    if len(words) <= len(special):
        raise ValueError("vocabulary: expected at least one word in the texts, got none")
    capped = {word: index for index, word in enumerate(words[:size])}
    return _tokenizer(models.WordLevel(capped, unk_token=special[-1]), lowercase), len(words) - len(special)


def _words(texts: Iterable[str], special: Sequence[str], lowercase: bool) -> list[str]:
    """All words of the texts, in the order of their indices."""
    everything = _tokenizer(models.WordLevel(unk_token=special[-1]), lowercase)
    trainer = trainers.WordLevelTrainer(vocab_size=NO_CAP, special_tokens=list(special), show_progress=False)
    everything.train_from_iterator(batches(map(unescaped, texts)), trainer)
    words = everything.get_vocab()
    return sorted(words, key=words.__getitem__)


def _sub_words(texts: Iterable[str], size: int | None, special: Sequence[str], lowercase: bool) -> str:
    """The tokenizer of sub-words, as JSON."""
    model = trained_pairs(_tokenizer(models.BPE(), lowercase), map(unescaped, texts), size or NO_CAP, special)
    # Without the special tokens as such: a text that spells one of them is a text.
    return _tokenizer(_bpe(model["vocab"], model["merges"]), lowercase).to_str()


def _bpe(vocabulary: dict[str, int], merges: list[list[str]]) -> models.BPE:
    return models.BPE(vocab=vocabulary, merges=[(first, second) for first, second in merges])


def _once(texts: Iterable[str], reading: list[str], learn: Callable[[Iterable[str]], list[str]]) -> list[str]:
    """What is learnt from the texts; for stored texts, cached in the cache folder of `datasets`.

    `reading` are the settings that it depends on.
    """
    if not isinstance(texts, StoredTexts):
        return learn(texts)
    stored, _ = in_file_order(texts)
    name = f"words-{_fingerprint(reading, stored)}"
    path = cached_arrow(name, WORDS, lambda: [pa.record_batch([learn(stored)], schema=WORDS)])
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_stream(file).read_all()["words"].to_pylist()


def _room(special: Sequence[str], kind: Kind) -> str:
    names = ["padding", "unknown"] if OOV in special else ["padding"]
    return ", ".join([*names, "one word" if kind == "words" else f"{len(BYTES)} bytes"])


def _tokenizer(model: models.Model, lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(r"(?i)<br\s*/?>"), " "),
            normalizers.Replace(Regex(SHAPING), ""),
            normalizers.NFC(),
            normalizers.Replace(Regex(APOSTROPHE), "'"),
            *([normalizers.Lowercase()] if lowercase else []),
        ]
    )
    if isinstance(model, models.BPE):
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        # The place of a sub-word is without the space before it.
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> Sequences:
    """The indices of the words or sub-words of each text; a text without any is a sequence of length 0.

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
            yield [encoding.ids for encoding in tokenizer.encode_batch_fast([unescaped(rows[row]) for row in batch])]


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


def load_vocabulary(path: Path, kind: Kind = "words", lowercase: bool = True) -> Tokenizer:
    """The tokenizer of `learn_vocabulary`, from the JSON file written by its `save`.

    Only the words, and of sub-words what was joined, are taken from the file. All other parts must be those of
    `learn_vocabulary`, since other parts in an untrusted file could run forever. Raises FileNotFoundError if there is
    no file, ValueError if it is not the file of such a tokenizer, or is too large.
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
    empty = models.BPE() if kind == "bpe" else models.WordLevel({PAD: 0, OOV: 1}, unk_token=OOV)
    _check_parts(path, got, json.loads(_tokenizer(empty, lowercase).to_str()))
    if kind == "bpe":
        return _tokenizer(_bpe(words, _checked_merges(path, got["model"].get("merges"), words)), lowercase)
    return _tokenizer(models.WordLevel(words, unk_token=OOV), lowercase)


def _checked_merges(path: Path, merges: Any, words: dict[str, int]) -> list[list[str]]:
    """The pairs of sub-words. Raises ValueError unless they and the bytes make up all sub-words of the vocabulary."""
    pairs = isinstance(merges, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) and part in words for part in pair)
        for pair in merges
    )
    if not pairs:
        raise ValueError(f"{path}: expected pairs of sub-words of the vocabulary as merges, got {reprlib.repr(merges)}")
    joined = [first + second for first, second in merges]
    # A byte that is missing would be skipped silently.
    if not {PAD, OOV}.isdisjoint(joined) or {PAD, OOV, *BYTES, *joined} != words.keys():
        raise ValueError(
            f"{path}: expected {PAD}, {OOV}, the {len(BYTES)} bytes and what is merged as vocabulary, got "
            f"{len(words):,} words"
        )
    return merges


def _check_parts(path: Path, got: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raises ValueError if a file has different parts, apart from words and merges, than a tokenizer of rnnjax."""
    for tree, ours, where in ((got, expected, ""), (got["model"], expected["model"], "model ")):
        for part in sorted(tree.keys() | ours.keys()):
            # A missing part is equivalent to an empty one.
            if part not in ("model", "vocab", "merges") and (tree.get(part) or None) != (ours.get(part) or None):
                raise ValueError(
                    f"{path}: expected the {where}{part[:100]!r} of learn_vocabulary, {ours.get(part)}, "
                    f"got {reprlib.repr(tree.get(part))}"
                )
