"""The data of a language model: the parts of a text as token indices, and where documents begin."""

import hashlib
import importlib
import itertools
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.language_model.config import PYTHON, Documents, Language
from rnnjax.data import SOURCES, Stream, TextFormat, TokenVocabulary, load_texts, split_text
from rnnjax.data.hub import PREFIX
from rnnjax.data.packed_files import suffixes
from rnnjax.data.sources import LOADERS
from rnnjax.data.splitting import in_one_form
from rnnjax.data.text_files import read_text, text_parts
from rnnjax.data.tokens import LINE_END, UNKNOWN, Level

PLAIN_WORD = re.compile(r"[\w']+")
PARTS = ("train", "validation", "test")


class Part(NamedTuple):
    """The token indices of a part, and where the state is reset (None: never)."""

    tokens: np.ndarray
    resets: np.ndarray | None

    def stream(self, rows: int, steps: int, multiple: int = 1, share: tuple[int, int] = (0, 1)) -> Stream:
        """The part as rows that are read in parallel."""
        return Stream(self.tokens, rows, steps, self.resets, multiple, share)


class Corpus(NamedTuple):
    """An encoded text; `unique` is the number of different tokens in the training part."""

    vocabulary: TokenVocabulary
    parts: dict[str, Part]
    unique: int

    @property
    def fingerprint(self) -> str:
        """A SHA-256 of all parts."""
        value = hashlib.sha256()
        for name, part in self.parts.items():
            resets = b"" if part.resets is None else np.packbits(part.resets).tobytes()
            value.update(b"%b %d %d " % (name.encode(), len(part.tokens), len(resets)))
            value.update(part.tokens.astype("<i4").tobytes() + resets)
        return value.hexdigest()


class Text(NamedTuple):
    """Tokens as strings, and the positions of the last tokens of documents (None: not known)."""

    tokens: list[str]
    ends: np.ndarray | None = None

    def cut(self, start: int, end: int | None = None) -> "Text":
        """A slice of the text."""
        ends = self.ends
        if ends is not None:
            last = range(len(self.tokens))[start:end].stop
            ends = ends[(ends >= start) & (ends < last)] - start
        return Text(self.tokens[start:end], ends)

    def without(self, token: str) -> "Text":
        """The text without a token; a document that ended with it ends before the token that follows."""
        kept = np.fromiter((own != token for own in self.tokens), bool, len(self.tokens))
        if kept.all():
            return self
        ends = self.ends
        if ends is not None:
            ends = np.unique(np.cumsum(kept)[ends] - kept[ends])
            ends = ends[ends < kept.sum()]
        return Text([own for own in self.tokens if own != token], ends)


def read_corpus(config: Language) -> Corpus:
    """The encoded source of a config, with a vocabulary learnt from the training part only.

    Raises ValueError for a text with too few tokens, or with unknown tokens and no `<unk>`.
    """
    if config.source is None:
        raise ValueError("source: expected --source PATH, got none")
    texts = read_source(config.source, config.text_column, config, config)
    if config.limit is not None:
        texts["train"] = texts["train"].cut(0, config.limit)
    texts = with_held_out(texts, config)
    train = texts["train"]
    if len(set(train.tokens)) < 2:
        raise ValueError(f"{config.source}: expected different {config.level}s to train on, got one throughout")
    vocabulary = TokenVocabulary.learn(train.tokens, config.level, config.vocabulary)
    if config.plain and vocabulary.unknown is None:  # any text and prompt can be read
        vocabulary = TokenVocabulary(config.level, (*vocabulary.tokens[: config.vocabulary - 1], UNKNOWN))
    parts = {
        name: encoded(text, vocabulary, config.documents, f"{config.source} ({name})") for name, text in texts.items()
    }
    return Corpus(vocabulary, parts, len(set(train.tokens)))


def encoded(text: Text, vocabulary: TokenVocabulary, documents: Documents, where: str) -> Part:
    """The token indices of a text. Raises ValueError for fewer than two tokens, and as `TokenVocabulary.encode`."""
    resets = resets_of(text, documents, vocabulary.level)
    text = known_lines(Text(text.tokens, None if resets is None else np.flatnonzero(resets)), vocabulary)
    if vocabulary.level == "subword":
        part = in_sub_words(text, vocabulary)
    else:
        part = Part(vocabulary.encode(text.tokens, where), resets_of(text, documents, vocabulary.level))
    if len(part.tokens) < 2:
        raise ValueError(f"{where}: expected at least 2 {vocabulary.level}s, got {len(part.tokens)}")
    return part


def in_sub_words(text: Text, vocabulary: TokenVocabulary) -> Part:
    """The sub-words of a text in characters; the last of a document is that of its last character."""
    if text.ends is None:
        return Part(vocabulary.encode(text.tokens, ""), None)
    bounds = [0, *(text.ends + 1).tolist(), len(text.tokens)]
    pieces = [vocabulary.encode(text.tokens[start:end], "") for start, end in itertools.pairwise(bounds)]
    resets = np.zeros(sum(map(len, pieces)), bool)
    resets[np.cumsum([len(piece) for piece in pieces[:-1]], dtype=int) - 1] = True
    return Part(np.concatenate(pieces), resets)


def known_lines(text: Text, vocabulary: TokenVocabulary) -> Text:
    """The text without line ends if the vocabulary has none, because the training part is a single line.

    Of characters, only the line end at the end of the text is left out: without those between two lines, words would
    run together.
    """
    end = LINE_END[vocabulary.level]
    if vocabulary.line_end is not None:
        return text
    if vocabulary.level == "word":
        return text.without(end)
    return text.cut(0, -1) if text.tokens[-1:] == [end] and end not in text.tokens[:-1] else text


def resets_of(text: Text, documents: Documents, level: Level) -> np.ndarray | None:
    """The tokens before which the state is reset: the last token of each document.

    A document is thus predicted from the end of a line and its own tokens only.
    """
    if text.ends is not None:
        resets = np.zeros(len(text.tokens), bool)
        resets[text.ends] = True
        return resets
    if documents == "none":
        return None
    resets = np.fromiter((token == LINE_END[level] for token in text.tokens), bool, len(text.tokens))
    return resets if documents == "line" else resets & np.append(False, resets[:-1])


def tokens_of(text: str, config: Language) -> list[str]:
    """The tokens of a text, as the config defines them."""
    return PLAIN_WORD.findall(in_one_form(text).lower()) if config.plain else split_text(text, config.level)


def read_source(source: str, text_column: str, config: Language, given: TextFormat) -> dict[str, Text]:
    """The parts of a source, including a training part, in the tokens of the config. `given` is how files are read.

    Raises FileNotFoundError if the path does not exist, and as `load_texts`.
    """
    if source == PYTHON:
        # The help texts of `help("...")`: a real text that is installed with every Python.
        topics = importlib.import_module("pydoc_data.topics").topics
        return {"train": Text(tokens_of("\n".join(topics[name] for name in sorted(topics)), config))}
    path = Path(source).expanduser() if source not in SOURCES else Path()
    if source not in SOURCES and path.is_dir() and (found := text_parts(path)):
        return {part: Text(tokens_of(read_text(file, given.encoding), config)) for part, file in found.items()}
    is_table = source in SOURCES or source.startswith(PREFIX) or path.is_dir()
    if is_table or suffixes(path)[0] in LOADERS.keys() - {".txt"}:
        return {part: of_documents(texts, config) for part, texts in load_texts(source, text_column, given).items()}
    return {"train": Text(tokens_of(read_text(path, given.encoding), config))}


def of_documents(texts: Iterable[str], config: Language) -> Text:
    """The texts in a row, each with the end of a line after it."""
    pieces = [
        [*tokens_of(text, config), LINE_END[config.level]]
        if config.plain
        else tokens_of(text if text.endswith("\n") else f"{text}\n", config)
        for text in texts
    ]
    ends = np.cumsum([len(piece) for piece in pieces]) - 1
    return Text(list(itertools.chain.from_iterable(pieces)), ends)


def with_held_out(texts: dict[str, Text], config: Language) -> dict[str, Text]:
    """The parts; if there is no validation part, the end of the training part is held out.

    Raises ValueError if the training part has too few tokens.
    """
    if "validation" in texts:
        return {part: texts[part] for part in PARTS if part in texts}
    whole, count = texts["train"], len(texts["train"].tokens)
    # Each part needs at least two tokens.
    fewest = math.ceil(2 / config.hold_out)
    if count < fewest:
        raise ValueError(f"{config.source}: expected at least {fewest} {config.level}s, got {count}")
    second = count if "test" in texts else round(count * (1 - config.hold_out))
    first = second - round(count * config.hold_out)
    cut = {"train": whole.cut(0, first), "validation": whole.cut(first, second)}
    return {**cut, "test": texts.get("test") or whole.cut(second)}
