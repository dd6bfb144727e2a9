"""Forecasts and scores of a trained run."""

import dataclasses
import sys
from typing import Any

import numpy as np

from experiments.forecast.baselines import Linear
from experiments.forecast.config import date_of
from experiments.forecast.data import Parts, lacking_known
from experiments.forecast.file_options import FileOptions
from experiments.forecast.files import future
from experiments.forecast.results import day, evaluate, report
from experiments.forecast.sources import load
from experiments.forecast.statistical import can_be_fitted
from experiments.forecast.trained import Trained, open_run
from rnnjax.commands import TrainedRun, printable


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

    def opened(self, since: np.datetime64 | None = None) -> tuple[Trained, Parts, Linear]:
        """The trained run, and the series in its scaling."""
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


def predict(options: Predict) -> None:
    """The command `predict`."""
    trained, parts, _ = options.opened()
    if lacking := lacking_known(trained.config, parts):
        raise ValueError(lacking)
    for note in parts.table.notes:
        print(printable(note), file=sys.stderr)
    text = future(parts, trained.forecasts(parts))
    # The names of series in an untrusted file must not control the terminal.
    sys.stdout.write("".join(f"{printable(line)}\n" for line in text.split("\r\n")[:-1]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(Source):
    """Score a run, and the baselines of its training part, on the dates of its test part and later ones."""

    since: str | None = None
    """First date to score (2001-01-31); default: that of the test part. Earlier dates of the source of the run were
    used to train it."""


def evaluate_run(options: Evaluate) -> None:
    """The command `evaluate`."""
    since = None if options.since is None else date_of("since", options.since)
    trained, parts, linear = options.opened(since)
    config = trained.config
    ends = [one for one in parts.scaled if not len(one.origins(2))]
    for one in ends:
        if len(ends) == len(parts.scaled) or config.unfit == "error":
            raise ValueError(
                f"{config.source}: expected at least {config.horizon} dates of {one.series.name!r} from "
                f"{day(parts.cuts.test)} on (--since), after {parts.windowing.first} earlier ones, got "
                f"{one.ends[2] - one.ends[1]} after {one.ends[1]}"
            )
    if config.statistical and not can_be_fitted(parts):
        config = dataclasses.replace(config, statistical=False)
        print("no exponential smoothing, ARIMA and Theta method: they are fitted to dates before those of validation")
    for note in parts.table.notes:
        print(printable(note))
    for one in ends:
        print(printable(f"{config.source}, {one.series.name!r}: not scored, it has no whole horizon in these dates"))
    outcome = evaluate(config, parts, linear, trained.forecasts(parts))
    print(printable(f"{config.source}, from {day(parts.cuts.test)} on, {len(parts.test.origins):,} windows"))
    print(report(config, parts, outcome))
