"""Texts on the command line: reading them, colouring their words, and drawing the network at work on them."""

import functools
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.analysis import step_figure
from rnnjax.extras import extra
from rnnjax.files import make_folder, save_figure
from rnnjax.runs import RunFolder
from rnnjax.terminal import printable

with extra("experiments"):
    from rich.console import Console
    from rich.style import Style
    from rich.text import Text

# The maximum number of steps in a figure of gates.
MOST_STEPS = 40


def given_texts(texts: Sequence[str]) -> list[str]:
    """The texts of a command, or the lines of standard input if there are none.

    Raises ValueError for no text, and for a text that is not UTF-8.
    """
    texts = list(texts)
    if not texts and sys.stdin is not None:
        try:
            # Only newlines end a line: other separators, such as U+0085, are text.
            texts = [line.decode("utf-8").rstrip("\r\n") for line in sys.stdin.buffer]
        except UnicodeDecodeError as error:
            raise ValueError(f"standard input: expected UTF-8, got: {error}") from error
    if not texts:
        raise ValueError("texts: expected at least one, got none")
    for number, text in enumerate(texts, start=1):
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise ValueError(f"text {number}: expected UTF-8, got {text!r}")
    return texts


def print_coloured(
    text: str, spans: Sequence[tuple[int, int]], values: Sequence[float], colour: Callable[[float], str]
) -> bool:
    """Prints a text with the words at `spans` on the colours of their values; returns whether it did.

    On a terminal without colours, prints each word with its value. A NaN is neither coloured nor printed.
    """
    console = Console(soft_wrap=True, highlight=False)
    coloured = console.is_terminal and console.color_system in ("256", "truecolor") and not console.no_color
    valued = list(zip(spans, map(float, values), strict=True))
    if coloured:
        line = Text(printable(text))
        for (start, end), value in valued:
            if not math.isnan(value):
                line.stylize(Style(color="black", bgcolor=colour(value)), start, end)
    else:
        words = [(printable(text[start:end]), value) for (start, end), value in valued]
        line = Text(" ".join(word if math.isnan(value) else f"{word} {value:.2f}" for word, value in words))
    console.print(line)
    return coloured


def new_figures(path: Path) -> None:
    """Makes a folder for figures. Raises FileExistsError if there is something with this name."""
    RunFolder.check_new(path, "figures")
    make_folder(path)


def draw_steps(
    traces: Mapping[str, Mapping[str, Any]], words: Sequence[str], folder: Path, name: str, unit: str = "word"
) -> None:
    """Writes a PNG file for each layer of `trace_steps` with one row: its gates and states at the last words."""
    shown = words[-MOST_STEPS:]
    part = f", the last {len(shown)} of {len(words)} {unit}s" if len(shown) < len(words) else ""
    for path, trace in traces.items():
        steps: dict[str, np.ndarray] = {gate: values[0, -len(shown) :] for gate, values in trace.items()}
        draw = functools.partial(step_figure, shown, steps, title=f"{path}{part}", unit=unit)
        save_figure(folder / f"{name}_{path.replace('/', '_')}.png", draw)
