"""The results of a study of forecasts on its test part, and their tables."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.forecast.baselines import Linear, baseline_forecasts
from experiments.forecast.config import Forecast
from experiments.forecast.data import Parts, actual
from experiments.forecast.network import Network
from experiments.forecast.scores import INTERVALS, Comparison, Scores, compare, naive_errors, score
from experiments.forecast.statistical import Fit, fit_words, statistical_forecasts
from rnnjax.data.windows import Relative
from rnnjax.forecasting import MEDIAN
from rnnjax.runs.report import table

FROM: Mapping[Relative, str] = {
    "none": "the mean of the training part",
    "last": "the last known value",
    "season": "the values one season earlier",
    "window": "the mean of the window, in units of its standard deviation",
}


class Outcome(NamedTuple):
    """All results on the test part."""

    actual: np.ndarray  # (N, H)
    quantiles: np.ndarray  # (S, N, H, Q), the network's
    mean: np.ndarray  # (N, H, Q), the mean forecast of all seeds
    baselines: dict[str, np.ndarray]  # (N, H)
    fits: list[Fit]  # of the statistical ones
    scores: dict[str, Scores]  # of the baselines
    seeds: list[Scores]
    together: Scores  # of the mean forecast of all seeds
    plain: Scores  # the same without calibration
    naive: np.ndarray  # (N,), the divisor of MASE
    comparison: Comparison  # of one seed, on average
    all_seeds: Comparison  # of the mean forecast of all seeds


def evaluate(config: Forecast, parts: Parts, linear: Linear, network: Network) -> Outcome:
    """Evaluates the baselines and the network on the test part."""
    test = parts.test
    truth, naive = actual(parts, test), naive_errors(parts, test)
    baselines, fits = baseline_forecasts(parts, linear, test), list[Fit]()
    if config.statistical:
        others, fits = statistical_forecasts(parts, test)
        baselines |= others
    quantiles, together = network.test[:-1], network.test[-1]
    dates = np.array([parts.table.series[k].dates[origin] for k, origin in zip(test.series, test.origins, strict=True)])

    def scored(own: np.ndarray, intervals: bool) -> Scores:
        return score(own[..., MEDIAN], truth, naive, own if intervals else None)

    def errors(forecast: np.ndarray) -> np.ndarray:
        return np.abs(truth - forecast).mean(axis=-1) / naive

    plain = config.head != "point"
    calibrated = plain or config.intervals != "network"
    others = {name: errors(forecast) for name, forecast in baselines.items()}
    one = np.mean([errors(own) for own in quantiles[..., MEDIAN]], axis=0)
    return Outcome(
        truth,
        quantiles,
        together,
        baselines,
        fits,
        {name: score(forecast, truth, naive) for name, forecast in baselines.items()},
        [scored(own, calibrated) for own in quantiles],
        scored(together, calibrated),
        scored(network.plain[-1], plain),
        naive,
        compare(one, others, dates, config.horizon),
        compare(errors(together[..., MEDIAN]), others, dates, config.horizon),
    )


def facts(config: Forecast, parts: Parts) -> str:
    """The description of the series, of the parts, and of the forecasts."""
    rows = []
    for one in parts.scaled:
        series = one.series
        windows = [f"{len(one.origins(part)):,}" for part in range(3)]
        rows.append(
            (
                series.name,
                f"{len(series.dates):,}",
                day(series.dates[0]),
                day(series.dates[-1]),
                series.filled,
                *windows,
            )
        )
    headers = ("series", "dates", "first", "last", "filled in", "training windows", "validation", "test")
    logarithms = ", as logarithms" if config.log else ""
    return (
        f"{table(headers, rows)}\n{parts.table.frequency} from date to date, season {parts.windowing.season}; "
        f"validation from {day(parts.cuts.validation)}, test from {day(parts.cuts.test)}\n"
        f"{config.context} steps are read, {config.horizon} forecast ({config.strategy}, {config.head}; intervals "
        f"{config.intervals}); "
        f"values are relative to {FROM[config.relative]}{logarithms}"
    )


def day(date: np.datetime64) -> str:
    """A date as text, without the time if it is midnight."""
    return str(date.astype("datetime64[s]")).removesuffix("T00:00:00").replace("T", " ")


def result_table(config: Forecast, outcome: Outcome) -> str:
    """A table of all baselines and seeds, the mean and standard deviation of the seeds, and their mean forecast."""
    headers = ("forecast", "MAE", "RMSE", "MASE", "sMAPE", "CRPS", "pinball")
    return table(headers, [[name, *_errors(scores)] for name, scores in _rows(config, outcome)])


def interval_table(config: Forecast, outcome: Outcome) -> str:
    """A table of how often the intervals contained the value, and of their width; empty without intervals."""
    headers = [words for nominal in INTERVALS for words in (f"{nominal:.0%} covers", "width")]
    rows = [*_rows(config, outcome), ("  without calibration", outcome.plain)]
    rows = [[name, *_intervals(scores)] for name, scores in rows if scores.coverage is not None]
    return table(("forecast", *headers), rows) if rows else ""


def _rows(config: Forecast, outcome: Outcome) -> list[tuple[str, Scores]]:
    rows = [*outcome.scores.items()]
    rows += [(f"{config.name}, seed {config.seed + i}", scores) for i, scores in enumerate(outcome.seeds)]
    if len(outcome.seeds) > 1:
        rows.append(("  mean of the seeds", over_seeds(outcome.seeds, np.mean)))
        rows.append(("  standard deviation", over_seeds(outcome.seeds, functools.partial(np.std, ddof=1))))
        rows.append(("  their mean forecast", outcome.together))
    return rows


def over_seeds(seeds: Sequence[Scores], statistic: Callable[..., Any]) -> Scores:
    """A statistic of each score over the seeds."""
    return jax.tree.map(lambda *numbers: float(statistic(numbers)), *seeds)


def _errors(scores: Scores) -> list[str]:
    return [
        *(f"{scores.mae:.4g}", f"{scores.rmse:.4g}", f"{scores.mase:.3f}", f"{scores.smape:.2%}"),
        *(f"{scores.crps:.3f}", f"{scores.pinball:.3f}"),
    ]


def _intervals(scores: Scores) -> list[str]:
    pairs = zip(scores.coverage or (), scores.width or (), strict=True)
    return [words for coverage, width in pairs for words in (f"{coverage:.1%}", f"{width:.3f}")]


def report(config: Forecast, parts: Parts, outcome: Outcome) -> str:
    """The tables and the verdict."""
    divided = (
        "MASE, CRPS, pinball and widths are divided by the mean absolute error of the seasonal naive forecast (season "
        f"{parts.windowing.season}) in the training part; without intervals CRPS is MASE"
    )
    tables = (
        f"{result_table(config, outcome)}\n{divided}",
        interval_table(config, outcome),
        step_table(config, outcome),
    )
    words = fit_words(outcome.fits), verdict(config, outcome)
    return "\n\n".join(part for part in (*tables, *words) if part)


def step_table(config: Forecast, outcome: Outcome) -> str:
    """A table of MASE by steps ahead."""
    medians = {f"{config.name}, mean of the seeds": outcome.quantiles[..., MEDIAN]}
    steps = np.unique(np.linspace(1, config.horizon, min(config.horizon, 6)).round().astype(int))
    rows = []
    for name, forecast in (outcome.baselines | medians).items():
        errors = np.abs(forecast - outcome.actual) / outcome.naive[:, None]
        by_step = errors.reshape(-1, config.horizon).mean(axis=0)
        rows.append([name, *(f"{by_step[step - 1]:.3f}" for step in steps)])
    return table(("MASE, steps ahead", *map(str, steps)), rows)


def linear_words(linear: Linear) -> str:
    """The options of the linear autoregression, which the validation part has chosen."""
    model = linear.model
    of = "one for each series" if model.per_series else "one for all series"
    return (
        f"linear autoregression, chosen by the validation part: {of}, order {model.order}, "
        f"penalty {model.penalty:g}, values relative to {FROM[model.relative]}"
    )


def verdict(config: Forecast, outcome: Outcome) -> str:
    """The verdict in words, for one seed and for all seeds together."""
    words = outcome.comparison.words(f"{config.name} (one seed, on average)")
    if config.seeds == 1:
        return words
    return f"{words}\n{outcome.all_seeds.words(f'the mean forecast of {config.seeds} seeds')}"


def score_lines(config: Forecast, outcome: Outcome) -> list[dict[str, Any]]:
    """All scores as JSON values."""
    named = [*outcome.scores.items()]
    named += [(f"seed {config.seed + i}", scores) for i, scores in enumerate(outcome.seeds)]
    named += [("mean forecast of the seeds", outcome.together), ("without calibration", outcome.plain)]
    return [
        {
            "forecast": name,
            **scores._asdict(),
            "coverage": scores.coverage and dict(zip(map(str, INTERVALS), scores.coverage, strict=True)),
            "width": scores.width and dict(zip(map(str, INTERVALS), scores.width, strict=True)),
        }
        for name, scores in named
    ]
