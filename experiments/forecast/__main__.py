"""Forecasts a series with a recurrent network, and compares it with naive, linear and statistical baselines.

Data: monthly prices of five stocks (where no network should be expected to win) and hourly temperatures of two cities,
from vega-datasets; yearly sunspots, from statsmodels; any CSV file. Command: `python -m experiments.forecast`.
"""

import sys

from experiments.forecast.config import Forecast
from experiments.forecast.options import Adaptation, Evaluate, Predict
from rnnjax.commands import Experiment, run, study_command
from rnnjax.lazy import deferred

PROGRAM = "experiments.forecast"
PREFIX = "forecast-"
EXPERIMENT = Experiment(
    question="Does a recurrent network forecast better than simple rules?",
    command=f"python -m {PROGRAM} [stocks | sunspots | temperatures | file --source FILE | smoke | predict | evaluate]",
    time="15 seconds (smoke) to 3 minutes (temperatures) on two cores",
)
PRESETS: dict[str, tuple[str, Forecast]] = {
    "stocks": (
        "Monthly prices of five stocks: the network should not be expected to win.",
        Forecast(context=12, horizon=3, relative="last", log=True),
    ),
    "temperatures": (
        "One day of hourly temperatures of two cities, from the three days before.",
        Forecast(
            source="temperatures",
            fill=True,
            context=72,
            horizon=24,
            relative="last",
            calendar=("day",),
            linear=True,
            hidden=48,
            batch_size=64,
            epochs=12,
            patience=4,
            learning_rate=1e-3,
            schedule="cosine",
        ),
    ),
    "sunspots": (
        "Six years of sunspots, from the two cycles before.",
        Forecast(
            source="sunspots",
            validation=0.15,
            test=0.35,
            context=22,
            horizon=6,
            season=11,
            relative="none",
            linear=True,
            hidden=16,
            epochs=200,
            patience=30,
            seeds=8,
        ),
    ),
    "file": ("Your own file, by --source, --date and --value.", Forecast(source="")),
    "smoke": (
        "Seconds: shows that everything runs.",
        Forecast(
            source="generated",
            context=4,
            horizon=2,
            relative="none",
            calendar=(),
            hidden=16,
            recurrence="scan",
            learning_rate=0.01,
            statistical=False,
            seeds=2,
        ),
    ),
}
COMMANDS = {
    Predict: deferred("experiments.forecast.scoring", "predict"),
    Evaluate: deferred("experiments.forecast.scoring", "evaluate_run"),
    Adaptation: deferred("experiments.forecast.adaptation", "compare_steps"),
}
study = deferred("experiments.forecast.study", "study")
main = study_command(PRESETS, "stocks", PROGRAM, PREFIX, study, COMMANDS)

if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
