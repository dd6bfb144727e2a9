"""Byte pair encoding of a text as it is, for language models: every text can be encoded, and the tokens spell it.

Source: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units"; of bytes, Radford et al.
2019, "Language Models are Unsupervised Multitask Learners".
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnjax.data.stored_texts import batches
from rnnjax.extras import extra

if TYPE_CHECKING:
    from tokenizers import Tokenizer, models

_PRINTED = {*range(33, 127), *range(161, 173), *range(174, 256)}
_NEXT = itertools.count(256)
# The character that stands for each byte in a token: itself if it is printed, else one from 256 upwards.
BYTES = tuple(chr(byte if byte in _PRINTED else next(_NEXT)) for byte in range(256))
NEWLINE = BYTES[10]
_BYTE_OF = {character: byte for byte, character in enumerate(BYTES)}


def bytes_of(token: str) -> bytes:
    """The bytes that a token stands for."""
    return bytes(_BYTE_OF[character] for character in token)


def all_tokens(merges: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The tokens of byte pair encoding: the bytes, and each pair as one."""
    return (*BYTES, *(first + second for first, second in merges))


def learn_merges(text: str, size: int) -> tuple[tuple[str, str], ...]:
    """The pairs of tokens that are joined, the most frequent first, for at most `size` tokens.

    Raises ValueError for a size below 256.
    """
    if size < len(BYTES):
        raise ValueError(f"vocabulary: expected at least {len(BYTES)} tokens, one for each byte, got {size}")
    with extra("text"):
        from tokenizers import models
    model = trained_pairs(_tokenizer(models.BPE()), _lines(text), size)
    return tuple((first, second) for first, second in model["merges"])


def trained_pairs(
    tokenizer: "Tokenizer", texts: Iterable[str], size: int, special: Sequence[str] = ()
) -> dict[str, Any]:
    """The model that a tokenizer of bytes learns, as JSON: its `vocab`, and its `merges` in their order."""
    with extra("text"):
        from tokenizers import trainers
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=list(BYTES),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(batches(texts), trainer)
    return json.loads(tokenizer.to_str())["model"]


def tokenizer_of(merges: Sequence[tuple[str, str]]) -> "Tokenizer":
    """The tokenizer that joins these pairs; its indices are those of `all_tokens`."""
    with extra("text"):
        from tokenizers import models
    vocabulary = {token: index for index, token in enumerate(all_tokens(merges))}
    return _tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))


def encode_text(tokenizer: "Tokenizer", text: str) -> np.ndarray:
    """The indices of the tokens of a text, int32."""
    encodings = (tokenizer.encode_batch_fast(lines) for lines in batches(_lines(text)))
    ids = (encoding.ids for batch in encodings for encoding in batch)
    return np.fromiter(itertools.chain.from_iterable(ids), np.int32)


def _tokenizer(model: "models.BPE") -> "Tokenizer":
    """A newline is a token of its own, so that a line has the same tokens in any text."""
    from tokenizers import Tokenizer, pre_tokenizers

    tokenizer = Tokenizer(model)
    lines = pre_tokenizers.Split("\n", behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([lines, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return tokenizer


def _lines(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end
