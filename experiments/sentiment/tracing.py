"""The prediction after each word of a text, as a coloured line and as figures."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.colors import to_hex

from experiments.sentiment.config import TextClassification
from experiments.sentiment.trained import Trained
from rnnjax.analysis import trace_steps, turning_words, verdict_figure, verdict_trace
from rnnjax.analysis.text_plots import VERDICTS
from rnnjax.commands import printable
from rnnjax.commands.texts import draw_steps, print_coloured
from rnnjax.data import Plan, Sequences, collate
from rnnjax.files import save_figure
from rnnjax.models import logits_of

SHOWN_TURNS = 3


class Verdicts(NamedTuple):
    """The words of a text, and the probability `(T,)` of one class after each of them."""

    text: str
    tokens: np.ndarray
    spans: list[tuple[int, int]]
    shown_class: str
    values: np.ndarray

    @property
    def words(self) -> list[str]:
        return [self.text[start:end] for start, end in self.spans]


def look_inside(trained: Trained, text: str, on_terminal: bool, figures: Path | None, name: str) -> None:
    """Prints the predictions after each word, draws them with the gates and states into a folder, or both."""
    verdicts = trace_verdicts(trained, text)
    if on_terminal:
        print_verdicts(verdicts)
    if figures is not None:
        draw_traces(trained, verdicts, figures, name)


@functools.partial(jax.jit, static_argnums=0)
def compiled_logits(model: nn.Module, params: Any, inputs: Any, lengths: jax.Array) -> jax.Array:
    """The logits, by one compiled function for all texts, so that each shape is compiled only once."""
    return logits_of(model)(params, inputs, lengths)


def check_order(config: TextClassification) -> None:
    """Raises ValueError if the texts of a run cannot be traced."""
    if config.word_order != "true":
        raise ValueError(f"trace: expected a run that reads words in their true order, got {config.word_order}")


def trace_verdicts(trained: Trained, text: str) -> Verdicts:
    """The probability after each word of the second of two classes, or of the predicted class of more."""
    config = trained.config
    check_order(config)
    encoding = trained.tokenizer.encode(text)
    tokens = np.asarray(encoding.ids, np.int32)

    def logits(tokens: np.ndarray, lengths: np.ndarray) -> jax.Array:
        return compiled_logits(trained.model, trained.params, trained.inputs(tokens, lengths), lengths)

    verdicts = verdict_trace(
        logits,
        tokens,
        longest=config.longest,
        cut=config.cut,
        pad=config.pad,
    )
    two = len(trained.classes) == 2 or not len(tokens)
    shown = len(trained.classes) - 1 if two else int(verdicts[-1].argmax())
    return Verdicts(text, tokens, list(encoding.offsets), trained.classes[shown], verdicts[:, shown])


def print_verdicts(verdicts: Verdicts) -> None:
    """Prints the text with each word coloured by the prediction after it, or with the probability after it."""
    if not verdicts.spans:
        print("no words: the prediction is that of the bias")
        return
    coloured = print_coloured(
        verdicts.text, verdicts.spans, verdicts.values.tolist(), lambda value: to_hex(VERDICTS(value))
    )
    before = np.concatenate([[0.5], verdicts.values])
    turns = [
        f"{printable(verdicts.words[step])} ({before[step]:.2f} to {before[step + 1]:.2f})"
        for step in turning_words(verdicts.values, SHOWN_TURNS)
    ]
    key = " (blue high, orange low)" if coloured else ""
    print(f"probability of {printable(verdicts.shown_class)}{key}; changed by {', '.join(turns)}")


def draw_verdicts(verdicts: Verdicts, folder: Path, name: str) -> None:
    """Writes a PNG file with the prediction after each word, if there are words."""
    if verdicts.spans:
        drawn = verdicts.words, verdicts.values, verdicts.shown_class
        save_figure(folder / f"{name}_verdict.png", lambda: verdict_figure(*drawn))


def draw_traces(trained: Trained, verdicts: Verdicts, folder: Path, name: str) -> None:
    """Writes PNG files: the prediction after each word, and the gates and states of each recurrent layer."""
    if not verdicts.spans:
        return
    draw_verdicts(verdicts, folder, name)
    config = trained.config
    kept = slice(-config.longest, None) if config.cut == "start" else slice(config.longest)
    tokens, words = verdicts.tokens[kept], verdicts.words[kept]
    width = config.longest if config.pad == "start" else len(tokens)
    batch = collate(Sequences.of([tokens]), np.zeros(1, np.int32), Plan(np.zeros(1, int), width), 1, config.pad)
    read = trained.inputs(batch.inputs, batch.lengths), batch.lengths
    traces = trace_steps(trained.model, {"params": trained.params}, *jax.tree.map(jnp.asarray, read))
    draw_steps(traces, words, folder, name)
