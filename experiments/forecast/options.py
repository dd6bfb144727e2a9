"""The options of the commands for trained forecasters: predict and evaluate."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

from experiments.forecast.file_options import FileOptions
from rnnjax.commands.cells import TrainedRun

if TYPE_CHECKING:
    from experiments.forecast.baselines import Linear
    from experiments.forecast.data import Parts
    from experiments.forecast.trained import Trained


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source(FileOptions, TrainedRun):
    """The series to which a run is applied."""

    source: str | None = None
    """A file or other source, as for training; default: that of the run. Each series is scaled as the series of that
    name in the run (a single one whatever its name)."""
    date: tuple[str, ...] | None = None
    """Files: columns of the dates; default for this and the other options of files: that of the run."""
    value: tuple[str, ...] | None = None
    """Files: columns of the values."""
    series: tuple[str, ...] | None = None
    """Files: columns with the names of the series."""

    def opened(self, since: np.datetime64 | None = None) -> "tuple[Trained, Parts, Linear]":
        """The trained run, and the series in its scaling."""
        from experiments.forecast.sources import load
        from experiments.forecast.trained import open_run

        trained = open_run(self.run)
        names = ("source", "date", "value", "series", *(field.name for field in dataclasses.fields(FileOptions)))
        given: dict[str, Any] = {name: value for name in names if (value := getattr(self, name)) is not None}
        # The other dates of another source are all used.
        config = dataclasses.replace(trained.config, **given, **({"until": None} if "source" in given else {}))
        trained = trained._replace(config=config)
        return trained, *trained.fitted.applied(config, load(config), config.source, since)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predict(Source):
    """Print the forecasts after the last date of each series, as CSV (the columns of forecasts.csv)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(Source):
    """Score a run, and the baselines of its training part, on the dates of its test part and later ones."""

    since: str | None = None
    """First date to score (2001-01-31); default: that of the test part. Earlier dates of the source of the run were
    used to train it."""


@dataclasses.dataclass(frozen=True)
class Adaptation:
    """Compare step sizes of adaptive intervals in the validation part of trained runs."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""

    def __post_init__(self):
        if not self.runs:
            raise ValueError("runs: expected at least one run folder, got none")
