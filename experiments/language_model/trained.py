"""A language model's run folder, read back, and scored on texts."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from experiments.language_model.config import Language
from experiments.language_model.data import encoded, read_corpus, read_source
from experiments.language_model.scores import in_words
from experiments.language_model.train import features_of, unknown_share
from experiments.sentiment.config import param_shapes
from rnnjax import LanguageModel
from rnnjax.commands import printable
from rnnjax.data import TokenVocabulary
from rnnjax.fields import check_fields
from rnnjax.runs import RunFolder, load_best
from rnnjax.runs.folder import CHECKPOINTS, CONFIG, VOCABULARY
from rnnjax.runs.report import table
from rnnjax.runs.run_files import read_config
from rnnjax.training import batch_mesh, eval_step, evaluate_stream, initial_carry, next_in_stream


class Record(NamedTuple):
    """What a run folder's config.json tells."""

    experiment: str
    config: Language
    fingerprint: str


class Trained(NamedTuple):
    """A trained language model."""

    record: Record
    vocabulary: TokenVocabulary
    model: LanguageModel
    params: Any


def load_record(path: Path) -> Record:
    """The config of a run folder. Raises as `open_run`, and computes nothing."""
    fields = {field.name for field in dataclasses.fields(Language)} - {"execution"}
    values = read_config(path, "language model's run", fields | {"experiment", "fingerprint"})
    try:
        config = Language(**{name: values[name] for name in fields})
    except ValueError as error:
        raise ValueError(f"{path / CONFIG}: {error}") from error
    return Record(str(values["experiment"]), config, str(values["fingerprint"]))


def open_run(path: Path) -> Trained:
    """The trained model of a run folder.

    Raises FileNotFoundError for a path that is not a run folder, ValueError for one whose files do not fit.
    """
    record = load_record(path)
    vocabulary = TokenVocabulary.load(path / VOCABULARY)
    if vocabulary.level != record.config.level:
        raise ValueError(f"{path / VOCABULARY}: expected {record.config.level}s, got {vocabulary.level}s")
    model = record.config.network(len(vocabulary))
    params = load_best(path / CHECKPOINTS, param_shapes(model), RunFolder(path).seals())
    return Trained(record, vocabulary, model, params)


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Print what a run's best epoch scores on its validation and test parts, or on another source."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    source: str | None = None
    """As for training, but that of a text file all is scored; the run's own source, unless given."""
    text_column: str = "text"
    """Column of the texts, in files that have columns."""
    batch_size: int | None = None
    """Pieces of the text that are read side by side, the run's own number unless given; scores do not depend on it."""
    steps: int | None = None
    """Tokens of a window; nor on this."""
    devices: int | None = None
    """Devices that share a batch; all of them unless given."""
    cell: str | None = None
    """The cell of a run with a cell of your own, as module:Name."""

    def __post_init__(self):
        check_fields(self, at_least_one=("batch_size", "steps", "devices"))


def evaluate(options: Evaluate) -> None:
    """The command `evaluate`."""
    trained = open_run(options.run)
    config, vocabulary = trained.record.config, trained.vocabulary
    if options.source is None:
        corpus = read_corpus(config)
        if corpus.fingerprint != trained.record.fingerprint:
            raise ValueError(f"{config.source}: expected the text of the run, got another: it has changed")
        parts = {name: part for name, part in corpus.parts.items() if name != "train"}
    else:
        texts = read_source(options.source, config.level, options.text_column)
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
                # What is called a training part is all of a text that has no parts.
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
