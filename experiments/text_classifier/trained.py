"""A run folder of a text study, read back."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
from tokenizers import Tokenizer

from experiments.run_files import read_config
from experiments.text_classifier.config import TextClassification, build_model, init_params
from rnnjax import SequenceClassifier
from rnnjax.data import load_vocabulary
from rnnjax.training import load_params
from rnnjax.training.run_folder import CHECKPOINT, CONFIG, VOCABULARY

# Fields that runs of earlier versions have not, with what those versions did.
ADDED_SINCE: dict[str, Any] = {"dense": ()}


class Trained(NamedTuple):
    """A run folder, read."""

    config: TextClassification
    classes: tuple[str, ...]
    held_out: str
    tokenizer: Tokenizer
    model: SequenceClassifier
    params: Any


def open_run(path: Path) -> Trained:
    """The trained model of a run folder.

    Raises FileNotFoundError for a path that is not a run folder, ValueError for one whose files do not fit.
    """
    fields = {field.name for field in dataclasses.fields(TextClassification)}
    values = read_config(path, "text study", fields | {"experiment", "classes", "held_out"}, ADDED_SINCE)
    file = path / CONFIG
    classes = values["classes"]
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    if not named or len(set(classes)) != len(classes) or len(classes) < 2:
        raise ValueError(f"{file}: expected at least two different classes, got {classes!r}")
    config = TextClassification(**{name: values[name] for name in fields - {"run_folder"}})
    tokenizer = load_vocabulary(path / VOCABULARY)
    model = build_model(config, tokenizer.get_vocab_size(), len(classes))
    template = jax.eval_shape(lambda: init_params(model, jax.random.key(0)))
    params = load_params(path / CHECKPOINT, template)
    return Trained(config, tuple(classes), values["held_out"], tokenizer, model, params)
