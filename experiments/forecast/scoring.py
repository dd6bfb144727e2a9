"""Forecasts and scores of a trained run."""

import dataclasses
import sys

from experiments.forecast.config import date_of
from experiments.forecast.data import lacking_known
from experiments.forecast.files import future
from experiments.forecast.options import Evaluate as Evaluate
from experiments.forecast.options import Predict as Predict
from experiments.forecast.results import day, evaluate, report
from experiments.forecast.statistical import can_be_fitted
from rnnjax.commands import printable


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
