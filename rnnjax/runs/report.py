"""The output of studies: aligned tables and a progress bar."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import flax.traverse_util
import numpy as np

from rnnjax.tables import table as table
from rnnjax.terminal import printable
from rnnjax.training import EpochReport, Scores, StepReport

# A confusion matrix of more classes is no longer read; instead, this number of pairs is shown.
MOST_COLUMNS, MOST_PAIRS = 30, 20


def model_table(params: Any) -> str:
    """A table of the layers with their arrays, shapes and numbers of parameters, and the total."""
    layers: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    flat: dict[tuple[str, ...], Any] = dict(flax.traverse_util.flatten_dict(params))
    for path, leaf in flat.items():
        layers.setdefault("/".join(path[:-1]), []).append((path[-1], leaf.shape))
    counts = {layer: sum(int(np.prod(shape)) for _, shape in arrays) for layer, arrays in layers.items()}
    rows = [
        (layer, ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in arrays), f"{counts[layer]:,}")
        for layer, arrays in layers.items()
    ]
    return table(("layer", "arrays", "parameters"), [*rows, ("total", "", f"{sum(counts.values()):,}")])


def confusion_table(counts: np.ndarray, classes: Sequence[str]) -> str:
    """A table of the confusion matrix (rows: true classes, columns: predicted classes).

    For more than `MOST_COLUMNS` classes, a table of the pairs of a true and a wrongly predicted class with most rows.
    """
    if len(classes) <= MOST_COLUMNS:
        headers = ("true \\ predicted", *classes)
        return table(headers, [(name, *map(int, row)) for name, row in zip(classes, counts, strict=True)])
    wrong, of_class = counts * ~np.eye(len(classes), dtype=bool), counts.sum(axis=1)
    rows = []
    for place in np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]:
        true, predicted = divmod(int(place), len(classes))
        if count := int(wrong[true, predicted]):
            share = f"{count / of_class[true]:.1%}"
            rows.append((classes[true], classes[predicted], f"{count:,}", share))
    right = f"{int(np.trace(counts)):,} of {int(counts.sum()):,} rows right"
    if not rows:
        return right
    headers = ("true", "predicted", "rows", "share of the true class")
    return f"{right}; the most frequent confusions\n{table(headers, rows, words=('predicted',))}"


class _NoBar:
    """Replaces the bar of tqdm if tqdm is not installed: prints lines, but draws no bar."""

    def set_postfix_str(self, words: str, refresh: bool) -> None: ...

    def update(self) -> None: ...

    def close(self) -> None: ...

    def write(self, line: str) -> None:
        print(line)


def epoch_table(report: EpochReport) -> str:
    """The row of an epoch under its headers: all training and validation metrics; "*" marks the best epoch so far."""
    headers, row = ["epoch"], [f"{report.epoch}{'*' if report.best else ''}"]
    for part, scores in (("train", report.train), ("valid", report.validation)):
        for name, value in scores.metrics.items():
            headers.append(f"{part} {name.replace('_', ' ')}")
            row.append(f"{value:.4f}" if abs(value) < 1e4 else f"{value:.2e}")
    headers += [f"{report.train.unit}/s", "seconds"]
    row += [f"{report.train.speed:,.0f}", f"{report.train.seconds:.1f}"]
    # Aligned with the headers, which are printed for the first epoch only.
    return table(headers, [[cell.rjust(len(header)) for cell, header in zip(row, headers, strict=True)]])


def score_table(scores: Mapping[str, Scores]) -> str:
    """A table of the metrics of each part of the data, the loss last."""
    names = [*(name for name in next(iter(scores.values())).metrics if name != "loss"), "loss"]
    rows = [(part, *(f"{score[name]:.4f}" for name in names)) for part, score in scores.items()]
    return table(("part", *(name.replace("_", " ") for name in names)), rows)


def outcome_table(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """A row for each model, with its name first; all rows have the same names of scores."""

    def cell(name: str, value: str | float) -> str:
        return value if isinstance(value, str) else f"{value:.{1 if name == 'seconds' else 4}f}"

    headers = [name.replace("_", " ") for name in outcomes[0]]
    return table(headers, [[cell(name, value) for name, value in row.items()] for row in outcomes])


class Progress:
    """A progress bar over all steps of a run, with recent metrics, tokens or rows per second, and the time left.

    `done` is the number of steps already done. No bar is drawn if standard error is not a terminal or if tqdm (extra
    `experiments`) is not installed. With `hidden`, no lines are printed either.
    """

    def __init__(self, steps: int, done: int = 0, hidden: bool = False):
        try:
            from tqdm import tqdm
        except ModuleNotFoundError:
            self._bar = _NoBar()
        else:
            self._bar = tqdm(total=steps, initial=done, unit="step", disable=hidden or None, dynamic_ncols=True)
        self._hidden, self._headed = hidden, False
        self._means: dict[str, float] = {}
        self._read, self._since = 0, time.perf_counter()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *stopped: object) -> None:
        self._bar.close()

    def step(self, report: StepReport) -> None:
        """Advances the bar by one step; it shows running means of the metrics."""
        self._read += report.read
        if not report.skipped:  # otherwise numbers that are not finite would stay in the running means
            for name, value in report.metrics.items():
                self._means[name] = 0.95 * self._means[name] + 0.05 * value if name in self._means else value
            rate = self._read / (time.perf_counter() - self._since)
            words = ", ".join(f"{name} {value:.3f}" for name, value in self._means.items())
            self._bar.set_postfix_str(f"{words}, {rate:,.0f} {report.unit}/s", refresh=False)
        self._bar.update()

    def epoch(self, report: EpochReport) -> None:
        """Prints the row of an epoch above the bar; the first one with headers."""
        lines = epoch_table(report).splitlines()
        self.say("\n".join(lines[-1:] if self._headed else lines))
        self._headed = True

    def say(self, line: str) -> None:
        """Prints lines above the bar."""
        if not self._hidden:
            self._bar.write("\n".join(map(printable, line.split("\n"))))
