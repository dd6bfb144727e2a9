"""The surprisal of every token of a text, as a coloured line and as figures."""

import math
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from matplotlib.colors import to_hex

from experiments.language_model.data import Part, Text, encoded, tokens_of
from experiments.language_model.generation import warn_of_unknown
from experiments.language_model.options import Surprisal as Surprisal
from experiments.language_model.scores import in_words
from experiments.language_model.trained import WINDOW, Trained, open_run
from rnnjax.analysis import surprisal_figure, trace_steps
from rnnjax.analysis.text_plots import SURPRISALS
from rnnjax.commands import printable
from rnnjax.commands.texts import draw_steps, given_texts, new_figures, print_coloured
from rnnjax.data.byte_pairs import bytes_of
from rnnjax.data.tokens import LINE_END
from rnnjax.files import save_figure
from rnnjax.training import token_losses

# Characters that figures cannot show otherwise: the font has no control pictures.
SIGNS = {" ": "␣", "\n": "↵"}


class Surprisals(NamedTuple):
    """The tokens of a text, and the surprisal `(N,)` of each in bits: NaN for a first token that nothing comes before.

    `part` is what the network reads: the text, with the end of a line before it if there is such a token.
    """

    words: list[str]
    bits: np.ndarray
    part: Part


def surprisals(trained: Trained, text: str, where: str = "text") -> Surprisals:
    """The surprisals of a text that starts a line. Raises ValueError for too few tokens, and as the vocabulary."""
    config, vocabulary = trained.config, trained.vocabulary
    before = [] if vocabulary.line_end is None else [LINE_END[config.level]]
    part = encoded(Text([*before, *tokens_of(text, config)]), vocabulary, config.documents, where)
    losses = token_losses(trained.features, trained.params, part.stream(1, WINDOW))
    bits = np.append(np.nan, losses / math.log(2))[len(before) :]
    return Surprisals(words_of(trained, part.tokens[len(before) :]), bits, part)


def words_of(trained: Trained, tokens: np.ndarray) -> list[str]:
    """The tokens as strings, with a visible sign for a space and for a line end."""
    words = [trained.vocabulary.tokens[token] for token in tokens]
    if trained.vocabulary.level == "subword":
        spelt = (bytes_of(word).decode(errors="replace") for word in words)
        return ["".join(SIGNS.get(letter, printable(letter)) for letter in word) for word in spelt]
    return [SIGNS.get(word, printable(word)) for word in words]


def surprisal(options: Surprisal) -> None:
    """The command `surprisal`."""
    trained = open_run(options.run)
    texts = given_texts(options.texts)
    if options.figures is not None:
        new_figures(options.figures)
    for number, text in enumerate(texts, start=1):
        warn_of_unknown(trained, text, "the text")
        found = surprisals(trained, text, f"text {number}")
        print_surprisals(trained, found)
        if options.figures is not None:
            draw_surprisals(trained, found, options.figures, f"text_{number}")


def chance(trained: Trained) -> float:
    """The surprisal of every token under equal probabilities, in bits."""
    return math.log2(len(trained.vocabulary))


def print_surprisals(trained: Trained, found: Surprisals) -> None:
    """Prints the text with its surprisals, and their sum and mean."""
    level, most = trained.config.level, chance(trained)
    between = " " if level == "word" else ""
    ends = np.cumsum([len(word) + len(between) for word in found.words]) - len(between)
    spans = [(end - len(word), end) for word, end in zip(found.words, ends.tolist(), strict=True)]
    text, bits = between.join(found.words), found.bits
    coloured = print_coloured(text, spans, bits.tolist(), lambda value: to_hex(SURPRISALS(value / most)))
    mean, number = float(np.nanmean(bits)), int(np.isfinite(bits).sum())
    perplexity = f", {in_words(mean * math.log(2), level)}" if level != "character" else ""
    key = f" (white 0 bits, orange {most:.1f} and more)" if coloured else ""
    print(f"{number} {level}s predicted, {np.nansum(bits):.2f} bits: {mean:.3f} bits per {level}{perplexity}{key}")


def draw_surprisals(trained: Trained, found: Surprisals, folder: Path, name: str) -> None:
    """Writes PNG files: the surprisals, and the gates and states of each recurrent layer at each token read."""
    unit, part = trained.config.level, found.part
    drawn = found.words, found.bits, chance(trained), unit
    save_figure(folder / f"{name}_surprisal.png", lambda: surprisal_figure(*drawn))
    resets = None if part.resets is None else jnp.asarray(part.resets[None])
    traces = trace_steps(trained.model, {"params": trained.params}, jnp.asarray(part.tokens[None]), resets=resets)
    draw_steps(traces, words_of(trained, part.tokens), folder, name, unit)
