"""A trained language model, read from its run folder, and evaluated on texts."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import datasets

from experiments.language_model.config import Language
from experiments.language_model.data import encoded, read_corpus, read_source
from experiments.language_model.scores import in_words
from experiments.language_model.train import features_of, unknown_share
from rnnjax import LanguageModel
from rnnjax.commands import TrainedRun, printable
from rnnjax.data import TokenVocabulary
from rnnjax.fields import check_fields
from rnnjax.runs import load_record
from rnnjax.runs.folder import VOCABULARY
from rnnjax.runs.report import table
from rnnjax.training import (
    batch_mesh,
    eval_step,
    evaluate_stream,
    initial_carry,
    next_in_stream,
    param_shapes,
    use_cpu_cores,
)


class Trained(NamedTuple):
    """A trained language model, and the fingerprint of its text."""

    config: Language
    fingerprint: str
    vocabulary: TokenVocabulary
    model: LanguageModel
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
    return Trained(record.config, record.facts["fingerprint"], vocabulary, model, params)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(TrainedRun):
    """Evaluate the best epoch of a run on its validation and test parts, or on another source."""

    source: str | None = None
    """Another source, as for training, but with nothing held out; default: the source of the run."""
    text_column: str = "text"
    """Name of the column with the texts."""
    batch_size: int | None = None
    """Number of pieces that are read in parallel; default: that of the run. The scores do not depend on it."""
    steps: int | None = None
    """Window length in tokens; default: that of the run. The scores do not depend on it."""
    devices: int | None = None
    """Number of devices that share a batch; default: all."""

    def __post_init__(self):
        check_fields(self, at_least_one=("batch_size", "steps", "devices"))


def evaluate(options: Evaluate) -> None:
    """The command `evaluate`."""
    use_cpu_cores(options.devices)
    datasets.disable_progress_bars()
    trained = open_run(options.run)
    config, vocabulary = trained.config, trained.vocabulary
    if options.source is None:
        corpus = read_corpus(config)
        if corpus.fingerprint != trained.fingerprint:
            raise ValueError(f"{config.source}: expected the text of the run, got another: it has changed")
        parts = {name: part for name, part in corpus.parts.items() if name != "train"}
    else:
        texts = read_source(options.source, options.text_column, config)
        parts = {
            name: encoded(text, vocabulary, config.documents, f"{options.source} ({name})")
            for name, text in texts.items()
        }
    mesh, features = batch_mesh(options.devices), features_of(trained.model)
    step = eval_step(next_in_stream(features), mesh)
    params = step.replicate(trained.params)
    rows = []
    for name, part in parts.items():
        stream = part.stream(options.batch_size or config.batch_size, options.steps or config.steps, mesh.size)
        score = evaluate_stream(params, step, stream, carry=initial_carry(features, trained.params, stream.filled))
        rows.append(
            (
                # A text without parts is read as a training part.
                "text" if len(parts) == 1 and name == "train" else name,
                f"{len(part.tokens):,}",
                unknown_share(part.tokens, vocabulary),
                in_words(score.loss, config.level),
                f"{score.loss:.4f}",
                f"{score['accuracy']:.4f}",
            )
        )
    print(printable(str(options.source or config.source)))
    print(table(("part", f"{config.level}s", "<unk>", "score", "loss", "accuracy"), rows))
