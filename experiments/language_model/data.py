"""The text of a language model: its parts as integers, and where documents begin."""

import hashlib
import importlib
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.language_model.config import PYTHON, Documents, Language
from rnnjax.data import SOURCES, Stream, TokenVocabulary, load_texts, split_text
from rnnjax.data.file_checks import check_file
from rnnjax.data.sources import LOADERS
from rnnjax.data.tokens import LINE_END, Level
from rnnjax.training.capacity import check_capacity

# train.txt, ptb.valid.txt, wiki.test.tokens
PART_OF_TEXT = re.compile(r"(?:.+\.)?(train|valid|validation|test)\.(?:txt|tokens)")
PARTS = ("train", "validation", "test")


class Part(NamedTuple):
    """A part of a text as integers; `resets` are where the state is put back, None where it never is."""

    tokens: np.ndarray
    resets: np.ndarray | None

    def stream(self, rows: int, steps: int, multiple: int = 1, share: tuple[int, int] = (0, 1)) -> Stream:
        """As rows side by side."""
        return Stream(self.tokens, rows, steps, self.resets, multiple, share)


class Corpus(NamedTuple):
    """A text, learnt and encoded; `unique` are the different tokens of its training part."""

    vocabulary: TokenVocabulary
    parts: dict[str, Part]
    unique: int

    @property
    def fingerprint(self) -> str:
        """A SHA-256 of all that is read."""
        value = hashlib.sha256()
        for name, part in self.parts.items():
            resets = b"" if part.resets is None else np.packbits(part.resets).tobytes()
            value.update(b"%b %d %d " % (name.encode(), len(part.tokens), len(resets)))
            value.update(part.tokens.astype("<i4").tobytes() + resets)
        return value.hexdigest()


class Text(NamedTuple):
    """Tokens as strings; `ends` are the places of documents' last tokens, None where nobody said where they end."""

    tokens: list[str]
    ends: np.ndarray | None = None

    def cut(self, start: int, end: int | None = None) -> "Text":
        """A piece of it."""
        ends = self.ends
        if ends is not None:
            last = len(self.tokens) if end is None else end
            ends = ends[(ends >= start) & (ends < last)] - start
        return Text(self.tokens[start:end], ends)


def read_text(file: Path) -> str:
    """A file's text. Raises FileNotFoundError where there is none, ValueError where it is not UTF-8."""
    if not file.is_file():
        raise FileNotFoundError(f"text: expected a file, got {file}")
    check_file(file)
    check_capacity(str(file), file.stat().st_size)
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: expected UTF-8, got an invalid byte at offset {error.start}") from error


def read_corpus(config: Language) -> Corpus:
    """The config's source, its vocabulary learnt from the training part alone.

    Raises ValueError for a text of too few tokens, or with tokens outside the vocabulary and no `<unk>`.
    """
    if config.source is None:
        raise ValueError("source: expected --source PATH, got none")
    texts = read_source(config.source, config.level, config.text_column)
    if config.limit is not None:
        texts["train"] = texts["train"].cut(0, config.limit)
    texts = with_held_out(texts, config)
    train = texts["train"]
    if len(set(train.tokens)) < 2:
        raise ValueError(f"{config.source}: expected different {config.level}s to train on, got one throughout")
    vocabulary = TokenVocabulary.learn(train.tokens, config.level, config.vocabulary)
    parts = {
        name: encoded(text, vocabulary, config.documents, f"{config.source} ({name})") for name, text in texts.items()
    }
    return Corpus(vocabulary, parts, len(set(train.tokens)))


def encoded(text: Text, vocabulary: TokenVocabulary, documents: Documents, where: str) -> Part:
    """A text as integers. Raises ValueError for fewer than two tokens, and as the vocabulary does."""
    if len(text.tokens) < 2:
        raise ValueError(f"{where}: expected at least 2 {vocabulary.level}s, got {len(text.tokens)}")
    tokens = vocabulary.encode(text.tokens, where)
    return Part(tokens, resets_of(text, documents, vocabulary.level))


def resets_of(text: Text, documents: Documents, level: Level) -> np.ndarray | None:
    """Before which tokens the state is put back: the last ones of documents, after which the next one begins.

    A document is thus predicted from the end of a line and its own tokens, and from nothing else.
    """
    if text.ends is not None:
        resets = np.zeros(len(text.tokens), bool)
        resets[text.ends] = True
        return resets
    if documents == "none":
        return None
    resets = np.fromiter((token == LINE_END[level] for token in text.tokens), bool, len(text.tokens))
    return resets if documents == "line" else resets & np.append(False, resets[:-1])


def read_source(source: str, level: Level, text_column: str) -> dict[str, Text]:
    """The parts that a source has, a training part among them.

    Raises FileNotFoundError for a path that is not there, and as `load_texts`.
    """
    if source == PYTHON:
        # What `help("...")` shows of the language: a real text that is wherever Python is.
        topics = importlib.import_module("pydoc_data.topics").topics
        return {"train": Text(split_text("\n".join(topics[name] for name in sorted(topics)), level))}
    path = Path(source).expanduser() if source not in SOURCES else Path()
    found = text_parts(path) if source not in SOURCES and path.is_dir() else {}
    if found:
        return {part: Text(split_text(read_text(file), level)) for part, file in found.items()}
    if source in SOURCES or path.is_dir() or path.suffix.lower() in LOADERS.keys() - {".txt"}:
        return {part: of_documents(texts, level) for part, texts in load_texts(source, text_column).items()}
    return {"train": Text(split_text(read_text(path), level))}


def text_parts(folder: Path) -> dict[str, Path]:
    """The parts of a folder of plain texts; none where it is another folder.

    Raises ValueError for two files of one part, FileNotFoundError for parts without one to train on.
    """
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if match := PART_OF_TEXT.fullmatch(file.name):
            part = "validation" if match[1] == "valid" else match[1]
            if part in found:
                raise ValueError(f"{folder}: expected one file of the {part} part, got {found[part].name}, {file.name}")
            found[part] = file
    if found and "train" not in found:
        raise FileNotFoundError(f"{folder}: expected a file train.txt, got {[file.name for file in found.values()]}")
    return found


def of_documents(texts: Iterable[str], level: Level) -> Text:
    """Texts one after the other, each of which ends a line."""
    pieces: Sequence[list[str]] = [split_text(text if text.endswith("\n") else f"{text}\n", level) for text in texts]
    ends = np.cumsum([len(piece) for piece in pieces]) - 1
    return Text(list(itertools.chain.from_iterable(pieces)), ends)


def with_held_out(texts: dict[str, Text], config: Language) -> dict[str, Text]:
    """The parts, and where there is no validation part, the last shares of the training part in its place.

    Raises ValueError where that has too few tokens.
    """
    if "validation" in texts:
        return {part: texts[part] for part in PARTS if part in texts}
    whole, count = texts["train"], len(texts["train"].tokens)
    # Each part must have a token and one after it.
    fewest = math.ceil(2 / config.hold_out)
    if count < fewest:
        raise ValueError(f"{config.source}: expected at least {fewest} {config.level}s, got {count}")
    second = count if "test" in texts else round(count * (1 - config.hold_out))
    first = second - round(count * config.hold_out)
    cut = {"train": whole.cut(0, first), "validation": whole.cut(first, second)}
    return {**cut, "test": texts.get("test") or whole.cut(second)}
