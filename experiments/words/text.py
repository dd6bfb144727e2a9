"""The next word of any text: a language model trained on one file, and its most probable words after a prompt."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import tyro
from tokenizers import Tokenizer

from experiments.report import Progress, model_table, table
from experiments.run_files import new_path, read_config, record
from experiments.text_classifier.config import CELLS, init_params, logits_of
from rnnjax import RNN, LanguageModel, StackedRNN
from rnnjax.commands import check_fields
from rnnjax.data import Batch, Sequences, collate, encode, learn_vocabulary, load_vocabulary, plan_epoch
from rnnjax.data.text import OOV, PAD
from rnnjax.training import (
    EpochReport,
    RunFolder,
    TrainState,
    adam,
    batch_mesh,
    eval_step,
    fit,
    load_params,
    next_token,
    save_params,
    train_step,
)
from rnnjax.training.run_folder import CHECKPOINT, VOCABULARY

HELD_OUT = 0.1
# The tenth that is held out must have a word and one after it.
FEWEST_WORDS = 20


@dataclasses.dataclass(frozen=True)
class Text:
    """Train on a text file, and predict the next word after a prompt."""

    file: tyro.conf.Positional[Path]
    """A text file, UTF-8; its last tenth is held out."""
    prompt: str | None = None
    """Words to predict the next one after: the end of the training part, unless given."""
    top: int = 5
    """Words shown."""
    vocabulary: int = 10_000
    """Words known, padding and the unknown word included."""
    cell: Literal["elman", "lstm", "gru"] = "gru"
    """What happens at one step."""
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
    batch_size: int = 32
    """Windows a step."""
    learning_rate: float = 3e-3
    """Adam's step size at first; it falls to 0 linearly."""
    clip: float = 1.0
    """Largest global norm of the gradient."""
    seed: int = 0
    """Seeds the parameters, the order of windows and dropout."""
    devices: int | None = None
    """Devices that share a batch; all of them (CPU cores included) unless given."""
    run_folder: Path | None = None
    """Where the run is written: runs/ and its name and time, unless given."""

    def __post_init__(self):
        check_fields(
            self,
            at_least_one=("top", "embedding", "hidden", "layers", "steps", "epochs", "batch_size", "devices"),
            shares=("dropout",),
            above_zero=("learning_rate", "clip"),
        )


@dataclasses.dataclass(frozen=True)
class Predict:
    """Predict the next word after a prompt, from a run folder."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    prompt: tyro.conf.Positional[str]
    """Words to predict the next one after."""
    top: int = 5
    """Words shown."""

    def __post_init__(self):
        check_fields(self, at_least_one=("top",))


class Trained(NamedTuple):
    """A trained next-word model."""

    tokenizer: Tokenizer
    model: LanguageModel
    params: Any


def build(config: Text, vocabulary: int) -> LanguageModel:
    """The network of a config."""
    layers = [RNN(CELLS[config.cell], config.hidden) for _ in range(config.layers)]
    return LanguageModel(vocabulary, config.embedding, StackedRNN(layers), dropout=config.dropout)


def words_of(file: Path) -> str:
    """The file's text. Raises FileNotFoundError where there is none, ValueError where it is not UTF-8."""
    if not file.is_file():
        raise FileNotFoundError(f"text: expected a file, got {file}")
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: expected UTF-8, got an invalid byte at offset {error.start}") from error


def windows(tokens: np.ndarray, steps: int) -> Sequences:
    """Windows of `steps` words and the one after them; each begins with the word that ended the one before."""
    return Sequences.of(tokens[start : start + steps + 1] for start in range(0, len(tokens) - 1, steps))


def batches(data: Sequences, config: Text, filled: int, seed: int | None = None, epoch: int = 0) -> Iterator[Batch]:
    """One epoch's batches."""
    plans = plan_epoch(data.lengths, config.batch_size, [int(data.lengths.max())], seed, epoch)
    return (collate(data, np.zeros(len(data), np.int32), plan, filled) for plan in plans)


def unigram_perplexity(train: np.ndarray, validation: np.ndarray, vocabulary: int) -> float:
    """The perplexity of word frequencies alone, each count one higher: what a network without memory has to beat."""
    counts = np.bincount(train, minlength=vocabulary) + 1
    return float(np.exp(-np.log(counts / counts.sum())[validation].mean()))


def train_text(config: Text) -> Path:
    """Trains, prints, and leaves a run folder, whose path it returns: the epoch of the least validation loss.

    Raises ValueError for a text of too few words, or a prompt of unknown words only.
    """
    path = config.run_folder or new_path("next-word")
    RunFolder.check_new(path)
    text = words_of(config.file)
    try:
        everything, _ = learn_vocabulary([text])
    except ValueError as error:
        raise ValueError(f"{config.file}: {error}") from error
    offsets = everything.encode(text).offsets
    words = len(offsets)
    if words < FEWEST_WORDS:
        raise ValueError(f"{config.file}: expected at least {FEWEST_WORDS} words, got {words}")
    # Cut at a word: the vocabulary is learnt from the training part alone.
    train_text, held_text = text[: offsets[-int(HELD_OUT * words)][0]], text[offsets[-int(HELD_OUT * words)][0] :]
    tokenizer, unique = learn_vocabulary([train_text], config.vocabulary)
    train, validation = encode(tokenizer, [train_text, held_text])
    prompt = config.prompt if config.prompt is not None else " ".join(train_text.split()[-8:])
    prompt_tokens(tokenizer, prompt)  # before there is any work to lose
    size = tokenizer.get_vocab_size()
    print(f"{len(train):,} words to train on, {len(validation):,} held out; {unique:,} different, {size:,} known")

    mesh = batch_mesh(config.devices)
    model = build(config, size)
    key, state_key = jax.random.split(jax.random.key(config.seed))
    params = init_params(model, key)
    print(f"\n{model_table(params)}\n")
    parts = windows(train, config.steps), windows(validation, config.steps)
    filled = -(-config.batch_size // mesh.size) * mesh.size
    updates = -(-len(parts[0]) // config.batch_size) * config.epochs
    optimizer = adam(config.learning_rate, steps=updates, schedule="linear", clip=config.clip)
    objective = next_token(logits_of(model))
    folder = RunFolder.create(
        path, {"experiment": "next-word", **dataclasses.asdict(config), "file": str(config.file.resolve())}
    )
    tokenizer.save(str(path / VOCABULARY))
    reports: list[EpochReport] = []
    with folder.metrics() as log, Progress(updates) as progress:
        for state, report in fit(
            TrainState.create(params, optimizer, state_key),
            train_step(objective, optimizer, mesh),
            eval_step(objective, mesh),
            lambda epoch: batches(parts[0], config, filled, config.seed, epoch),
            lambda: batches(parts[1], config, filled),
            config.epochs,
            progress.step,
        ):
            if report.validation.loss < min((earlier.validation.loss for earlier in reports), default=math.inf):
                params = jax.device_get(state.params)
                save_params(path / CHECKPOINT, params)
            reports.append(report)
            scores = {"perplexity": math.exp(report.validation.loss), "accuracy": report.validation.accuracy}
            record(log, "epoch", {"epoch": report.epoch, "train_loss": report.train.loss, **scores})
            progress.say(
                f"epoch {report.epoch}: perplexity {math.exp(report.train.loss):.1f} in training, "
                f"{scores['perplexity']:.1f} held out; {report.validation.accuracy:.1%} of held-out words first; "
                f"{report.train.seconds:.1f} s"
            )
    alone = unigram_perplexity(train, validation, size)
    best = min(math.exp(report.validation.loss) for report in reports)
    print(f"held-out perplexity {best:.1f}; of word frequencies alone {alone:.1f}\n")
    print_next(Trained(tokenizer, model, jax.device_put(params)), prompt, config.top)
    print(f"run folder {path}")
    return path


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
    print(f"after {prompt!r}")
    print(table(("next word", "probability"), rows))


def predict(options: Predict) -> None:
    """The command `predict`."""
    fields = {field.name for field in dataclasses.fields(Text)}
    values = read_config(options.run, "next-word run", fields | {"experiment"})
    paths = {"file": Path(str(values["file"])), "run_folder": None}
    config = Text(**{name: values[name] for name in fields} | paths)
    tokenizer = load_vocabulary(options.run / VOCABULARY)
    model = build(config, tokenizer.get_vocab_size())
    params = load_params(options.run / CHECKPOINT, jax.eval_shape(lambda: init_params(model, jax.random.key(0))))
    print_next(Trained(tokenizer, model, params), options.prompt, options.top)
