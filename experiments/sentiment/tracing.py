"""The prediction after each word of a text, as a coloured line and as figures."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.colors import to_hex

from experiments.sentiment.predictions import prefix_logs
from experiments.sentiment.trained import Trained, TrainedEnsemble
from rnnjax.analysis import trace_steps, turning_words, verdict_figure
from rnnjax.analysis.text_plots import VERDICTS
from rnnjax.commands import printable
from rnnjax.commands.texts import draw_steps, print_coloured
from rnnjax.data import Plan, Sequences, collate
from rnnjax.data.splitting import unescaped
from rnnjax.files import save_figure

SHOWN_TURNS = 3


class Verdicts(NamedTuple):
    """The words of a text, and the probability `(T,)` of one class after each of them."""

    text: str
    spans: list[tuple[int, int]]
    shown_class: str
    values: np.ndarray

    @property
    def words(self) -> list[str]:
        return [self.text[start:end] for start, end in self.spans]


def look_inside(
    trained: Trained | TrainedEnsemble, text: str, on_terminal: bool, figures: Path | None, name: str
) -> None:
    """Prints the predictions after each word, draws them into a folder, or both; with the gates and states of a run."""
    verdicts = trace_verdicts(trained, text)
    if on_terminal:
        print_verdicts(verdicts)
    if figures is not None:
        draw_verdicts(verdicts, figures, name)
        if isinstance(trained, Trained) and verdicts.spans:
            draw_traces(trained, verdicts, figures, name)


def check_order(trained: Trained | TrainedEnsemble) -> None:
    """Raises ValueError if the texts of a run cannot be traced."""
    runs = trained.runs if isinstance(trained, TrainedEnsemble) else [trained]
    for run in runs:
        if (order := run.config.word_order) != "true":
            raise ValueError(f"trace: expected a run that reads words in their true order, got {order}")
    kinds = [run.config.tokens for run in runs]
    if len(set(kinds)) > 1 or (len(runs) > 1 and "bpe" in kinds):
        raise ValueError(f"trace: expected runs that read the same words, got tokens {', '.join(kinds)}")


def trace_verdicts(trained: Trained | TrainedEnsemble, text: str) -> Verdicts:
    """The probability after each word of the second of two classes, or of the predicted class of more."""
    check_order(trained)
    text = unescaped(text)
    spans, logs = prefix_logs(trained, text)
    two = len(trained.classes) == 2 or not spans
    shown = len(trained.classes) - 1 if two else int(logs[-1].argmax())
    return Verdicts(text, spans, trained.classes[shown], np.exp(logs[:, shown]))


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
    """Writes a PNG file for each recurrent layer, with its gates and states at each word; there must be words."""
    config = trained.config
    encoded = np.asarray(trained.tokenizer.encode(verdicts.text).ids, np.int32)
    kept = slice(-config.longest, None) if config.cut == "start" else slice(config.longest)
    tokens, words = encoded[kept], verdicts.words[kept]
    width = config.longest if config.pad == "start" else len(tokens)
    batch = collate(Sequences.of([tokens]), np.zeros(1, np.int32), Plan(np.zeros(1, int), width), 1, config.pad)
    read = trained.inputs(batch.inputs, batch.lengths), batch.lengths
    traces = trace_steps(trained.model, {"params": trained.params}, *jax.tree.map(jnp.asarray, read))
    draw_steps(traces, words, folder, name)
