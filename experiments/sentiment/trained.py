"""A run folder of a text study, read back."""

import dataclasses
import reprlib
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from experiments.sentiment.config import TextClassification, build_model, param_shapes
from rnnjax import SequenceClassifier
from rnnjax.data import load_vocabulary
from rnnjax.fields import check_type
from rnnjax.runs import RunFolder, load_best
from rnnjax.runs.folder import CHECKPOINTS, CONFIG, VOCABULARY
from rnnjax.runs.run_files import read_config

# Beyond any study; they are printed and each has a score.
MOST_CLASSES, LONGEST_NAME = 65_536, 1_000


class Trained(NamedTuple):
    """A run folder, read."""

    config: TextClassification
    classes: tuple[str, ...]
    held_out: str
    tokenizer: Tokenizer
    model: SequenceClassifier
    params: Any


class Record(NamedTuple):
    """What a run folder's config.json tells."""

    experiment: str
    config: TextClassification
    classes: tuple[str, ...]
    held_out: str


def load_record(path: Path) -> Record:
    """The config of a run folder. Raises as `open_run`, and computes nothing."""
    fields = {field.name for field in dataclasses.fields(TextClassification)} - {"execution"}
    values = read_config(path, "text study", fields | {"experiment", "classes", "held_out", "fingerprint"})
    classes = values["classes"]
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    file = path / CONFIG
    if not named or len(set(classes)) != len(classes) or len(classes) < 2:
        raise ValueError(f"{file}: expected at least two different classes, got {reprlib.repr(classes)}")
    if len(classes) > MOST_CLASSES or max(map(len, classes)) > LONGEST_NAME:
        raise ValueError(
            f"{file}: expected at most {MOST_CLASSES:,} classes of at most {LONGEST_NAME:,} characters, "
            f"got {len(classes):,} of up to {max(map(len, classes)):,}"
        )
    for name in ("experiment", "held_out"):
        check_type(name, values[name], str)
    try:
        config = TextClassification(**{name: values[name] for name in fields})
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    lists = {name: tuple(getattr(config, name)) for name in ("dense", "class_weights")}  # JSON knows lists only
    config = dataclasses.replace(config, **lists)
    return Record(values["experiment"], config, tuple(classes), values["held_out"])


def open_run(path: Path) -> Trained:
    """The trained model of a run folder.

    Raises FileNotFoundError for a path that is not a run folder, ValueError for one whose files do not fit.
    """
    record = load_record(path)
    tokenizer = load_vocabulary(path / VOCABULARY)
    model = build_model(record.config, tokenizer.get_vocab_size(), len(record.classes))
    params = load_best(path / CHECKPOINTS, param_shapes(model), RunFolder(path).seals())
    return Trained(record.config, record.classes, record.held_out, tokenizer, model, params)
