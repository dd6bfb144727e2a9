"""The results of a study of forecasts on its test part, and their tables."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from experiments.forecast.baselines import Linear, baseline_forecasts
from experiments.forecast.config import Forecast
from experiments.forecast.data import Parts, actual
from experiments.forecast.scores import INTERVALS, Comparison, Scores, compare, naive_errors, score
from experiments.forecast.train import forecasts
from rnnjax.data.windows import Relative, Windows, undone
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
    baselines: dict[str, np.ndarray]  # (N, H)
    scores: dict[str, Scores]  # of the baselines
    seeds: list[Scores]
    together: Scores  # of the mean forecast of all seeds
    naive: np.ndarray  # (N,), the divisor of MASE
    comparison: Comparison  # of one seed, on average
    all_seeds: Comparison  # of the mean forecast of all seeds


def evaluate(config: Forecast, parts: Parts, linear: Linear, params: Any) -> Outcome:
    """Evaluates the baselines and the parameters `(S, ...)` of all seeds on the test part."""
    test = parts.test
    truth, naive = actual(parts, test), naive_errors(parts)[test.series]
    baselines = baseline_forecasts(parts, linear, test)
    quantiles = network_quantiles(config, parts, params, test)
    together = quantiles.mean(axis=0)
    dates = np.array([parts.table.series[k].dates[origin] for k, origin in zip(test.series, test.origins, strict=True)])

    def scored(own: np.ndarray) -> Scores:
        return score(own[..., MEDIAN], truth, naive, None if config.head == "point" else own)

    def errors(forecast: np.ndarray) -> np.ndarray:
        return np.abs(truth - forecast).mean(axis=-1) / naive

    others = {name: errors(forecast) for name, forecast in baselines.items()}
    one = np.mean([errors(own) for own in quantiles[..., MEDIAN]], axis=0)
    return Outcome(
        truth,
        quantiles,
        baselines,
        {name: score(forecast, truth, naive) for name, forecast in baselines.items()},
        [scored(own) for own in quantiles],
        scored(together),
        naive,
        compare(one, others, dates, config.horizon),
        compare(errors(together[..., MEDIAN]), others, dates, config.horizon),
    )


def network_quantiles(config: Forecast, parts: Parts, params: Any, windows: Windows) -> np.ndarray:
    """Quantiles `(S, N, H, Q)` of windows in the units of the series, from the parameters `(S, ...)` of all seeds."""
    return np.stack([undone(own, windows, parts.windowing.log) for own in forecasts(config, params, windows)])


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
        f"{config.context} steps are read, {config.horizon} forecast ({config.strategy}, {config.head}); "
        f"values are relative to {FROM[config.relative]}{logarithms}"
    )


def day(date: np.datetime64) -> str:
    """A date as text, without the time if it is midnight."""
    return str(date.astype("datetime64[s]")).removesuffix("T00:00:00").replace("T", " ")


def result_table(config: Forecast, outcome: Outcome) -> str:
    """A table of all baselines and seeds, the mean and standard deviation of the seeds, and their mean forecast."""
    rows = [_row(name, scores) for name, scores in outcome.scores.items()]
    rows += [_row(f"{config.name}, seed {config.seed + i}", scores) for i, scores in enumerate(outcome.seeds)]
    if len(outcome.seeds) > 1:
        numbers = np.array([[own.mae, own.rmse, own.mase, *(own.coverage or ())] for own in outcome.seeds])
        for name, (mae, rmse, mase, *coverage) in (
            ("mean of the seeds", numbers.mean(axis=0)),
            ("standard deviation", numbers.std(axis=0, ddof=1)),
        ):
            rows.append(_row(f"  {name}", Scores(mae, rmse, mase, tuple(coverage) or None)))
        rows.append(_row("  their mean forecast", outcome.together))
    return table(("forecast", "MAE", "RMSE", "MASE", *(f"{nominal:.0%} covers" for nominal in INTERVALS)), rows)


def _row(name: str, scores: Scores) -> list[str]:
    coverage = ["" for _ in INTERVALS] if scores.coverage is None else [f"{share:.1%}" for share in scores.coverage]
    return [name, f"{scores.mae:.4g}", f"{scores.rmse:.4g}", f"{scores.mase:.3f}", *coverage]


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
    named.append(("mean forecast of the seeds", outcome.together))
    return [
        {
            "forecast": name,
            **scores._asdict(),
            "coverage": scores.coverage and dict(zip(map(str, INTERVALS), scores.coverage, strict=True)),
        }
        for name, scores in named
    ]
