"""The next word of any text: a language model trained on one file, and its most probable words after a prompt."""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro
from jax.sharding import Mesh
from tokenizers import Tokenizer

from experiments.language_model.data import read_text
from experiments.language_model.scores import epoch_line, in_words, unigram_loss
from experiments.sentiment.config import init_params, logits_of, param_shapes
from rnnjax import RNN, LanguageModel, StackedRNN
from rnnjax.cells.names import known_cell
from rnnjax.commands import printable
from rnnjax.commands.cells import CellOption
from rnnjax.data import Batch, Sequences, collate, encode, learn_vocabulary, load_vocabulary, plan_epoch, share_of
from rnnjax.data.text import OOV, PAD
from rnnjax.fields import check_fields
from rnnjax.runs import RunConfig, RunFolder, load_best
from rnnjax.runs.folder import CHECKPOINTS, CONFIG, VOCABULARY
from rnnjax.runs.report import model_table, table
from rnnjax.runs.run_files import read_config
from rnnjax.runs.session import Session
from rnnjax.training import TrainState, batch_mesh, eval_step, evaluate, next_token
from rnnjax.training.capacity import check_layers
from rnnjax.training.optimizers import Schedule
from rnnjax.training.processes import is_first, say

PROGRAM = "experiments.next_word text"
HELD_OUT = 0.1
# The tenth that is held out must have a word and one after it.
FEWEST_WORDS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text(RunConfig):
    """Train on a text file, and predict the next word after a prompt."""

    file: tyro.conf.Positional[Path]
    """A text file, UTF-8; its last tenth is held out."""
    prompt: str | None = None
    """Words to predict the next one after: the end of the training part, unless given."""
    top: int = 5
    """Words shown."""
    vocabulary: int = 10_000
    """Words known, padding and the unknown word included."""
    cell: CellOption = "gru"
    """What happens at one step: a cell of the library, or your own."""
    embedding: int = 64
    """Features of a word."""
    hidden: int = 128
    """Hidden features of each layer."""
    layers: int = 1
    """Recurrent layers, one on the other."""
    dropout: float = 0.2
    """Share of features dropped, the same ones at every step of a window."""
    steps: int = 20
    """Words of a window, through which gradients go back."""
    epochs: int = 5
    """Times that the training part is read."""
    learning_rate: float = 3e-3
    """Step size at first."""
    schedule: Schedule = "linear"
    """How the learning rate falls: linear and cosine down to 0 at the last update, step from epoch to epoch."""
    clip: float | None = 1.0
    """Largest global norm of the gradient."""
    seed: int = 0
    """Seeds the parameters, the order of windows and dropout."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(
            self,
            at_least_one=("top", "embedding", "hidden", "layers", "steps"),
            shares=("dropout",),
        )
        known_cell(self.cell)


@dataclasses.dataclass(frozen=True)
class Predict:
    """Predict the next word after a prompt, from a run folder."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    prompt: tyro.conf.Positional[str]
    """Words to predict the next one after."""
    top: int = 5
    """Words shown."""
    cell: str | None = None
    """The cell of a run with a cell of your own, as module:Name."""

    def __post_init__(self):
        check_fields(self, at_least_one=("top",))


class Corpus(NamedTuple):
    """A text as integers: the part to train on, and the one held out."""

    tokenizer: Tokenizer
    train: np.ndarray
    validation: np.ndarray
    unique: int
    last_words: str


class Trained(NamedTuple):
    """A trained next-word model."""

    tokenizer: Tokenizer
    model: LanguageModel
    params: Any


def build(config: Text, vocabulary: int) -> LanguageModel:
    """The network of a config."""
    check_layers(config.layers, config.hidden)
    layers = [RNN(known_cell(config.cell), config.hidden) for _ in range(config.layers)]
    return LanguageModel(vocabulary, config.embedding, StackedRNN(layers), dropout=config.dropout)


def windows(tokens: np.ndarray, steps: int) -> Sequences:
    """Windows of `steps` words and the one after them; each begins with the word that ended the one before."""
    return Sequences.of(tokens[start : start + steps + 1] for start in range(0, len(tokens) - 1, steps))


def batches(
    data: Sequences, config: Text, mesh: Mesh, seed: int | None = None, epoch: int = 0, first: int = 0
) -> Iterator[Batch]:
    """One epoch's batches, from the first one asked for on."""
    filled = -(-config.batch_size // mesh.size) * mesh.size
    labels = np.zeros(len(data), np.int32)  # a language model has none
    part = share_of(filled, jax.process_index(), jax.process_count())
    plans = plan_epoch(data.lengths, config.batch_size, [int(data.lengths.max())], seed, epoch)
    return (collate(data, labels, plan, filled, part=part) for plan in plans[first:])


def train_text(config: Text) -> Path:
    """Trains, prints, and leaves a run folder, whose path it returns: the epoch of the least validation loss.

    Raises ValueError for a text of too few words, or a prompt of unknown words only.
    """
    mesh = batch_mesh(config.execution.devices)
    if config.file.exists():  # a run must be traced to its text from wherever it is read
        config = dataclasses.replace(config, file=config.file.resolve())
    with Session(PROGRAM, "next-word", config) as session:
        corpus = read_corpus(config)
        size = corpus.tokenizer.get_vocab_size()
        prompt = config.prompt if config.prompt is not None else corpus.last_words
        prompt_tokens(corpus.tokenizer, prompt)  # before there is any work to lose
        counts = len(corpus.train), len(corpus.validation), corpus.unique, size
        say("{:,} words to train on, {:,} held out; {:,} different, {:,} known".format(*counts))
        model = build(config, size)
        key, state_key = jax.random.split(jax.random.key(config.seed))
        params = init_params(model, key)
        say(f"\n{model_table(params)}\n")
        parts = windows(corpus.train, config.steps), windows(corpus.validation, config.steps)
        updates = -(-len(parts[0]) // config.batch_size) * config.epochs
        optimizer = config.transformation(updates, updates // config.epochs)
        objective = next_token(logits_of(model))
        step, evaluation = session.train_step(objective, optimizer, mesh), eval_step(objective, mesh)
        facts_of_data = {"text": hashlib.sha256(config.file.read_bytes()).hexdigest()}
        session.begin(objective, facts_of_data, {VOCABULARY: corpus.tokenizer.to_str(pretty=True)})
        params = session.train(
            TrainState.create(params, optimizer, state_key, averaged=config.averaging > 0),
            updates,
            lambda report, progress: progress.say(epoch_line(report, "word")),
            step=step,
            evaluation=evaluation,
            train_batches=lambda epoch, first: batches(parts[0], config, mesh, config.seed, epoch, first),
            validation_batches=lambda: batches(parts[1], config, mesh),
        )
        scores = evaluate(evaluation.replicate(params), evaluation, batches(parts[1], config, mesh))
        if is_first():
            alone = unigram_loss(corpus.train, corpus.validation, size)
            print(f"held-out {in_words(scores.loss, 'word')}; of word frequencies alone {in_words(alone, 'word')}\n")
            session.log.final(part="validation", epoch=session.best_epoch, **scores.metrics, unigram_loss=alone)
            print_next(Trained(corpus.tokenizer, model, jax.device_put(params)), prompt, config.top)
            print(f"run folder {session.path}")
    return session.path


def read_corpus(config: Text) -> Corpus:
    """The file's words, its vocabulary learnt from the training part alone. Raises ValueError for too few words."""
    text = read_text(config.file)
    try:
        everything, _ = learn_vocabulary([text])
    except ValueError as error:
        raise ValueError(f"{config.file}: {error}") from error
    offsets = everything.encode(text).offsets
    words = len(offsets)
    if words < FEWEST_WORDS:
        raise ValueError(f"{config.file}: expected at least {FEWEST_WORDS} words, got {words}")
    cut = offsets[-int(HELD_OUT * words)][0]  # at a word
    tokenizer, unique = learn_vocabulary([text[:cut]], config.vocabulary)
    train, validation = encode(tokenizer, [text[:cut], text[cut:]])
    return Corpus(tokenizer, train, validation, unique, " ".join(text[:cut].split()[-8:]))


def prompt_tokens(tokenizer: Tokenizer, prompt: str) -> np.ndarray:
    """The prompt's words as integers. Raises ValueError where none of them is known."""
    tokens = encode(tokenizer, [prompt])[0]
    if not (tokens > 1).any():
        raise ValueError(f"prompt: expected at least one word that the text has, got {prompt!r}")
    return tokens


def next_words(trained: Trained, prompt: str, top: int) -> list[tuple[str, float]]:
    """The most probable words after a prompt, with their probabilities; neither padding nor the unknown word."""
    logits, _ = logits_of(trained.model)(trained.params, prompt_tokens(trained.tokenizer, prompt)[None])
    probabilities = np.asarray(jax.nn.softmax(logits[0, -1]))
    words = {index: word for word, index in trained.tokenizer.get_vocab().items()}
    order = [int(index) for index in np.argsort(-probabilities) if words[int(index)] not in (PAD, OOV)]
    return [(words[index], float(probabilities[index])) for index in order[:top]]


def print_next(trained: Trained, prompt: str, top: int) -> None:
    """The most probable next words as a table."""
    rows = [(word, f"{share:.4f}") for word, share in next_words(trained, prompt, top)]
    print(f"after {printable(repr(prompt))}")
    print(table(("next word", "probability"), rows))


def read_text_config(run: Path) -> Text:
    """The config of a run folder. Raises as `read_config`."""
    fields = {field.name for field in dataclasses.fields(Text)} - {"execution"}
    values = read_config(run, "next-word run", fields | {"experiment", "text"})
    values["file"] = Path(str(values["file"]))
    try:
        return Text(**{name: values[name] for name in fields})
    except ValueError as error:
        raise ValueError(f"{run / CONFIG}: {error}") from error


def predict(options: Predict) -> None:
    """The command `predict`."""
    config = read_text_config(options.run)
    tokenizer = load_vocabulary(options.run / VOCABULARY)
    model = build(config, tokenizer.get_vocab_size())
    params = load_best(options.run / CHECKPOINTS, param_shapes(model), RunFolder(options.run).seals())
    print_next(Trained(tokenizer, model, params), options.prompt, options.top)
