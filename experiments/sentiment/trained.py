"""A run folder of a text classifier, read back."""

import reprlib
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import numpy as np
from tokenizers import Tokenizer

from experiments.sentiment.config import TextClassification, build_model
from experiments.sentiment.evidence import FOLDS, LinearModels, load_models
from rnnjax.data import load_vocabulary
from rnnjax.runs import load_record
from rnnjax.runs.folder import CONFIG, VOCABULARY
from rnnjax.training import param_shapes

FACTS = {"classes": list, "held_out": str, "fingerprint": str}
# Limits, since a run folder may be untrusted: each class is printed and has a score.
MOST_CLASSES, LONGEST_NAME = 65_536, 1_000


class Trained(NamedTuple):
    """A trained text classifier."""

    config: TextClassification
    classes: tuple[str, ...]
    held_out: str
    tokenizer: Tokenizer
    model: nn.Module
    params: Any
    linear: LinearModels | None

    def inputs(self, tokens: np.ndarray, lengths: np.ndarray) -> Any:
        """The inputs of the network for tokens `(B, T)`: with their evidence, if the run has linear models."""
        return tokens if self.linear is None else self.linear.inputs(tokens, lengths, np.full(len(tokens), FOLDS))


def open_run(path: Path) -> Trained:
    """The trained model of a run folder.

    Raises FileNotFoundError for a path that is not a run folder, ValueError if its files do not fit together.
    """
    record = load_record(path, TextClassification, FACTS, (VOCABULARY,))
    classes = check_classes(path / CONFIG, record.facts["classes"])
    tokenizer = load_vocabulary(path / VOCABULARY)
    linear = None
    if record.config.ngrams:
        sizes = tokenizer.get_vocab_size(), len(classes), record.config.ngrams
        linear = load_models(record.folder, sizes)
    model = build_model(record.config, tokenizer.get_vocab_size(), len(classes))
    params = record.best_params(param_shapes(model))
    return Trained(record.config, classes, record.facts["held_out"], tokenizer, model, params, linear)


def check_classes(file: Path, classes: list[Any]) -> tuple[str, ...]:
    """The class names of a config file. Raises ValueError for other values, duplicates, and too many of them."""
    named = all(isinstance(name, str) for name in classes)
    if not named or len(set(classes)) != len(classes) or len(classes) < 2:
        raise ValueError(f"{file}: expected at least two different classes, got {reprlib.repr(classes)}")
    if len(classes) > MOST_CLASSES or max(map(len, classes)) > LONGEST_NAME:
        raise ValueError(
            f"{file}: expected at most {MOST_CLASSES:,} classes of at most {LONGEST_NAME:,} characters, "
            f"got {len(classes):,} of up to {max(map(len, classes)):,}"
        )
    return tuple(classes)
