"""The next word in a text: a preset of the language model, and its most probable words after a prompt."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import tyro

from experiments.language_model.config import Language
from experiments.language_model.data import Corpus
from experiments.language_model.generation import prompt_tokens
from experiments.language_model.train import train
from experiments.language_model.trained import Trained, open_run
from rnnjax.commands import TrainedRun, printable
from rnnjax.data import TokenVocabulary
from rnnjax.fields import check_fields
from rnnjax.runs.report import table
from rnnjax.sampling import read
from rnnjax.training.processes import is_first

PROGRAM = "experiments.next_word text"
PROMPT_WORDS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text(Language):
    """Train a language model on a text, and print the most probable next words after a prompt."""

    source: tyro.conf.Positional[str | None] = None
    """A text file (UTF-8), or any other source of the language model study."""
    prompt: str | None = None
    """The words before the predicted one; default: the end of the training part."""
    top: int = 5
    """Number of next words to print."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(self, at_least_one=("top",))


PRESET = Text(
    plain=True,
    hold_out=0.05,
    cell="gru",
    embedding=64,
    hidden=128,
    layers=1,
    tied=False,
    dropout=0.2,
    batch_size=32,
    learning_rate=3e-3,
    epochs=5,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predict(TrainedRun):
    """Print the most probable next words after a prompt, with a trained run."""

    prompt: tyro.conf.Positional[str]
    """The words before the predicted one."""
    top: int = 5
    """Number of next words to print."""

    def __post_init__(self):
        check_fields(self, at_least_one=("top",))


def train_text(options: Text) -> Path:
    """Trains, prints the next words after the prompt, and returns the path of the run folder.

    Raises ValueError for a text with too few words, or a prompt without known words.
    """
    config = Language(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Language)})
    prompts = []

    def check(corpus: Corpus) -> None:
        last = [corpus.vocabulary.tokens[token] for token in corpus.parts["train"].tokens[-PROMPT_WORDS:]]
        prompts.append(" ".join(last) if options.prompt is None else options.prompt)
        known_prompt(config, corpus.vocabulary, prompts[0])

    path = train(config, "next-word", PROGRAM, check)
    if is_first():
        print_next(open_run(path), prompts[0], options.top)
    return path


def known_prompt(config: Language, vocabulary: TokenVocabulary, prompt: str) -> np.ndarray:
    """The tokens of the prompt. Raises ValueError if none of them is known."""
    tokens = prompt_tokens(config, vocabulary, prompt)
    if (tokens == vocabulary.unknown).all():
        raise ValueError(f"prompt: expected at least one word of the text, got {prompt!r}")
    return tokens


def print_next(trained: Trained, prompt: str, top: int) -> None:
    """Prints a table of the most probable next words; `<unk>` is not among them."""
    tokens = known_prompt(trained.config, trained.vocabulary, prompt)
    probabilities = np.asarray(jax.nn.softmax(read(trained.model, trained.params, tokens[None]).logits[0]))
    order = [index for index in np.argsort(-probabilities) if index != trained.vocabulary.unknown]
    rows = [(printable(trained.vocabulary.tokens[index]), f"{probabilities[index]:.4f}") for index in order[:top]]
    print(f"after {printable(repr(prompt))}")
    print(table(("next word", "probability"), rows))
