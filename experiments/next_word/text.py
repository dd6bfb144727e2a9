"""The next word in a text: training, and the most probable words after a prompt."""

import dataclasses
from pathlib import Path

import jax
import numpy as np

from experiments.language_model.config import Language
from experiments.language_model.data import Corpus
from experiments.language_model.generation import prompt_tokens
from experiments.language_model.train import train
from experiments.language_model.trained import Trained, open_run
from experiments.next_word.options import PRESET as PRESET
from experiments.next_word.options import Predict as Predict
from experiments.next_word.options import Text as Text
from rnnjax.commands import printable
from rnnjax.data import TokenVocabulary
from rnnjax.runs.report import table
from rnnjax.sampling import read
from rnnjax.training.processes import is_first

PROGRAM = "experiments.next_word text"
PROMPT_WORDS = 8


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
