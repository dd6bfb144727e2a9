"""What came of a study of forecasts on its test part, and what is said of it in tables."""

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
    "none": "the training part's mean",
    "last": "the last one known",
    "season": "those a season before",
    "window": "the mean of their window, in its standard deviation",
}


class Outcome(NamedTuple):
    """Everything about the test part."""

    actual: np.ndarray  # (N, H)
    quantiles: np.ndarray  # (S, N, H, Q), the network's
    baselines: dict[str, np.ndarray]  # (N, H)
    scores: dict[str, Scores]  # of the baselines
    seeds: list[Scores]
    together: Scores  # of the mean of the seeds' forecasts
    naive: np.ndarray  # (N,), what MASE divides by
    comparison: Comparison  # of one seed, on average
    all_seeds: Comparison  # of the mean of their forecasts


def evaluate(config: Forecast, parts: Parts, linear: Linear, params: Any) -> Outcome:
    """The baselines, and every seed's parameters `(S, ...)`, on the test part."""
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
    """Quantiles `(S, N, H, Q)` of windows, as numbers of the series, from every seed's parameters `(S, ...)`."""
    return np.stack([undone(own, windows, parts.windowing.log) for own in forecasts(config, params, windows)])


def facts(config: Forecast, parts: Parts) -> str:
    """What the series are, and how they are parted."""
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
        f"numbers count from {FROM[config.relative]}{logarithms}"
    )


def day(date: np.datetime64) -> str:
    """A date, its time left out at midnight."""
    return str(date.astype("datetime64[s]")).removesuffix("T00:00:00").replace("T", " ")


def result_table(config: Forecast, outcome: Outcome) -> str:
    """Every baseline, every seed, the seeds' mean and spread, and the mean of their forecasts."""
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
    """MASE by steps ahead."""
    medians = {f"{config.name}, mean of the seeds": outcome.quantiles[..., MEDIAN]}
    steps = np.unique(np.linspace(1, config.horizon, min(config.horizon, 6)).round().astype(int))
    rows = []
    for name, forecast in (outcome.baselines | medians).items():
        errors = np.abs(forecast - outcome.actual) / outcome.naive[:, None]
        by_step = errors.reshape(-1, config.horizon).mean(axis=0)
        rows.append([name, *(f"{by_step[step - 1]:.3f}" for step in steps)])
    return table(("MASE, steps ahead", *map(str, steps)), rows)


def linear_words(linear: Linear) -> str:
    """What the validation part has chosen for the linear autoregression."""
    model = linear.model
    of = "for each series its own" if model.per_series else "one for all series"
    return (
        f"linear autoregression, as the validation part would have it: {of}, order {model.order}, "
        f"penalty {model.penalty:g}, numbers counted from {FROM[model.relative]}"
    )


def verdict(config: Forecast, outcome: Outcome) -> str:
    """Plainly, of one seed and of all together."""
    words = outcome.comparison.words(f"{config.name} (one seed, on average)")
    if config.seeds == 1:
        return words
    return f"{words}\n{outcome.all_seeds.words(f'the mean forecast of {config.seeds} seeds')}"


def score_lines(config: Forecast, outcome: Outcome) -> list[dict[str, Any]]:
    """All scores for JSON."""
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
