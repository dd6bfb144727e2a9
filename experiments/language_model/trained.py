"""A trained language model, read from its run folder."""

from pathlib import Path
from typing import Any, NamedTuple

from experiments.language_model.config import Language
from experiments.language_model.setup import features_of
from rnnjax import LanguageModel
from rnnjax.data import TokenVocabulary
from rnnjax.runs import load_record
from rnnjax.runs.folder import VOCABULARY
from rnnjax.training import param_shapes

# Tokens of a window where results do not depend on it.
WINDOW = 64


class Trained(NamedTuple):
    """A trained language model, and the fingerprint of its text.

    `features` is one object for all calls (`features_of`), so that what is compiled for it is compiled once.
    """

    config: Language
    fingerprint: str
    vocabulary: TokenVocabulary
    model: LanguageModel
    features: Any
    params: Any


def open_run(path: Path) -> Trained:
    """The trained model of a run folder.

    Raises FileNotFoundError for a path that is not a run folder, ValueError if its files do not fit together.
    """
    record = load_record(path, Language, {"fingerprint": str}, (VOCABULARY,))
    vocabulary = TokenVocabulary.load(path / VOCABULARY)
    if vocabulary.level != record.config.level:
        raise ValueError(f"{path / VOCABULARY}: expected {record.config.level}s, got {vocabulary.level}s")
    model = record.config.network(len(vocabulary))
    params = record.best_params(param_shapes(model))
    return Trained(record.config, record.facts["fingerprint"], vocabulary, model, features_of(model), params)
