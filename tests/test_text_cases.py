"""Texts, text files and class names as users have them: the table `text_cases.json`, case by case.

A case has a kind, the public report (repository and number) that shows such an input, if one is known, the input, and
what must happen. The table is in ASCII, so that no editor changes its characters.
"""

import itertools
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.language_model.config import Language
from experiments.language_model.data import read_corpus
from experiments.sentiment.data import without_known
from rnnjax.analysis import confusion_matrix
from rnnjax.analysis.labels import label
from rnnjax.data import encode, learn_vocabulary, split_text
from rnnjax.data.text_files import read_text, text_parts
from rnnjax.files import rendered

CASES = json.loads((Path(__file__).parent / "text_cases.json").read_text())


def words(text: str, folder: Path, lowercase: bool = True) -> list[str]:
    tokenizer, _ = learn_vocabulary([text], lowercase=lowercase)
    known = {index: word for word, index in tokenizer.get_vocab().items()}
    return [known[index] for index in encode(tokenizer, [text])[0].tolist()]


def spelt(text: str, folder: Path) -> str:
    """The text that its sub-words spell, which were learnt from another text."""
    tokenizer, _ = learn_vocabulary(["a good film", "a bad film"], 262, kind="bpe")
    tokens = encode(tokenizer, [text])[0]
    assert (tokens > 1).all()
    characters = {character: byte for byte, character in byte_characters().items()}
    known = {index: word for word, index in tokenizer.get_vocab().items()}
    return bytes(characters[c] for token in tokens.tolist() for c in known[token]).decode()


def byte_characters() -> dict[int, str]:
    """The character of each byte in GPT-2: itself if it is printed, else the next one from 256 upwards."""
    shown = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = itertools.count(256)
    return {byte: chr(byte if byte in shown else next(others)) for byte in range(256)}


def unknown(texts: list[str], folder: Path) -> list[int]:
    tokenizer, _ = learn_vocabulary(["a film", "the film"])
    return without_known(encode(tokenizer, texts)).tolist()


def drawn(name: str, folder: Path) -> None:
    figure = Figure(figsize=(2, 2))
    figure.subplots().set_title(label(name))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rendered(figure, "png", 40)


def confusion(classes: int, folder: Path) -> list[int]:
    """The number of texts in the cells, and a bound of the size in inches."""
    figure = confusion_matrix(np.eye(classes, dtype=int), [f"c{n}" for n in range(classes)])
    axes: Any = figure.axes[0]
    return [len(axes.texts), 13 if max(figure.get_size_inches()) < 13 else 10**6]


def parts(names: list[str], folder: Path) -> dict[str, str]:
    for name in names:
        (folder / name).write_text("a\n")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = {part: file.name for part, file in text_parts(folder).items()}
    unread = [str(warning.message).split(": not read: ")[1].replace(",", "") for warning in said]
    return found | ({"unread": unread[0]} if unread else {})


def lines(text: str, folder: Path) -> list[list[str]]:
    (folder / "text").write_bytes(text.encode())
    found: list[list[str]] = [[]]
    for word in split_text(read_text(folder / "text"), "word"):
        found[-1].append(word)
        if word == "<eos>":
            found.append([])
    return found[:-1]


def one_line(text: str, folder: Path) -> str:
    (folder / "text").write_text(text * 10)
    corpus = read_corpus(Language(source=str(folder / "text")))
    tokens = [corpus.vocabulary.tokens[token] for part in corpus.parts.values() for token in part.tokens]
    assert " ".join(tokens) == (text * 10).strip()
    return text


CHECKS: dict[str, Any] = {
    "words": words,
    "words as they are": lambda text, folder: words(text, folder, lowercase=False),
    "bytes": spelt,
    "unknown texts": unknown,
    "figure": drawn,
    "confusion": confusion,
    "parts": parts,
    "line ends": lines,
    "one line": one_line,
}


@pytest.mark.parametrize("case", CASES, ids=[f"{n}-{case['kind']}" for n, case in enumerate(CASES)])
def test_a_case_of_the_table(case, tmp_path):
    assert case.keys() == {"kind", "report", "input", "expected"}
    assert CHECKS[case["kind"]](case["input"], tmp_path) == case["expected"]


def test_every_kind_has_a_case():
    assert {case["kind"] for case in CASES} == CHECKS.keys()
