"""The log of a run: lines of metrics.jsonl, and event files for TensorBoard."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

from rnnjax.errors import first_line
from rnnjax.files import make_folder, save_figure
from rnnjax.runs.folder import FIGURES, METRICS, TENSORBOARD, RunFolder
from rnnjax.runs.run_files import record
from rnnjax.runs.seals import START, Mark
from rnnjax.runs.tensorboard import TensorBoard
from rnnjax.training import StepReport

# Values of an epoch, besides its validation metrics, that are written for TensorBoard, and their tags.
EPOCH_TAGS = {
    "tokens_per_second": "speed/tokens_per_second",
    "rows_per_second": "speed/rows_per_second",
    "clip_share": "train/clip_share",
    "skipped": "train/skipped",
}
VALIDATION = "validation_"


def _json_number(value: Any) -> Any:
    """The value, or None for a number that is not finite, which JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _by_seed(scalars: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The scalars that have a value; a list with the values of several seeds is split into one tag for each."""
    for tag, value in scalars.items():
        if not isinstance(value, list):
            yield tag, value
            continue
        yield from ((f"{tag}/{row}", own) for row, own in enumerate(value) if own is not None)


class Log:
    """The log of a run folder. Without a folder (in all processes except process 0) it writes nothing.

    Lines are written immediately, and are on disk after `flush`. If the disk is full, raises OSError with the name of
    the file.
    """

    def __init__(self, folder: RunFolder | None, resumed_at: int | None, tensorboard: bool, mark: Mark = START):
        self._folder, self._board = folder, None
        if folder is not None:
            with self._writing():
                self._metrics = folder.metrics(mark)
                self._board = TensorBoard(folder.path / TENSORBOARD, resumed_at) if tensorboard else None

    def step(self, report: StepReport) -> None:
        """Writes the line of a step."""
        shown = (*report.metrics, "gradient_norm", "learning_rate")
        self._line("step", report.record(), report.step, {name: f"train/{name}" for name in shown})
        histograms = report.histograms
        if histograms and self._board is not None:
            with self._writing():
                self._board.histograms(report.step, {f"gradients/{name}": h for name, h in histograms.items()})

    def epoch(self, step: int, values: dict[str, Any]) -> None:
        """Writes the line of an epoch; the values of several seeds are lists."""
        tags = {name: f"validation/{name.removeprefix(VALIDATION)}" for name in values if name.startswith(VALIDATION)}
        self._line("epoch", values, step, tags | EPOCH_TAGS)

    def line(self, kind: str, values: dict[str, Any]) -> None:
        """Writes a line of another kind."""
        self._line(kind, values, 0, {})

    def final(self, **values: Any) -> None:
        """Writes a line with final results."""
        self._line("final", values, 0, {})

    def figure(self, step: int, name: str, draw: Callable[[], Figure]) -> None:
        """Writes a figure as a PNG file; if it cannot be drawn or written, only warns."""
        if self._folder is None:
            return
        try:
            make_folder(self._folder.path / FIGURES)  # some copy programs drop empty folders
            figure = save_figure(self._folder.path / FIGURES / f"{name}.png", draw)
            if self._board is not None and figure is not None:
                self._board.figure(step, name, figure)
        except (OSError, ValueError) as error:  # a figure must not end the run
            warnings.warn(f"{self._folder.path}: figure {name} not written: {first_line(error)}", stacklevel=2)

    @property
    def mark(self) -> Mark | None:
        """The end of the lines; None without a folder."""
        return None if self._folder is None else self._metrics.mark

    def flush(self) -> Mark:
        """Writes everything so far to disk; returns the mark of the last line."""
        if self._folder is not None:
            with self._writing():
                self._metrics.flush()
                os.fsync(self._metrics.fileno())
                if self._board is not None:
                    self._board.flush()
        return self.mark or START

    def close(self) -> None:
        """Flushes, and closes the files."""
        if self._folder is not None:
            with self._writing(), self._metrics:
                if self._board is not None:
                    self._board.close()

    def _line(self, kind: str, values: dict[str, Any], step: int, tags: dict[str, str]) -> None:
        if self._folder is not None:
            with self._writing():
                record(self._metrics, kind, {name: _json_number(value) for name, value in values.items()})
                if self._board is not None:
                    shown = {tag: values[name] for name, tag in tags.items() if name in values}
                    self._board.scalars(step, dict(_by_seed(shown)))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            path = Path() if self._folder is None else self._folder.path
            raise OSError(
                error.errno,
                f"{path}: {METRICS}, event files or figures could not be written ({error.strerror or error}); "
                "the checkpoints written before are complete",
            ) from error
