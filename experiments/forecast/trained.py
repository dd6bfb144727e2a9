"""A trained forecaster, written to its run folder and read from it."""

from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments.forecast.config import Forecast
from experiments.forecast.data import Parts
from experiments.forecast.fitted import Fitted
from experiments.forecast.network import Network, network_forecasts
from experiments.forecast.train import FORECAST_BATCH, initial_state
from rnnjax.runs import RunFolder, load_record, load_result_arrays, load_values, save_result
from rnnjax.runs.results import VALUES
from rnnjax.training.capacity import check_capacity

FORECASTER = "forecaster"


class Trained(NamedTuple):
    """A trained forecaster."""

    config: Forecast
    fitted: Fitted
    params: Any  # of all seeds, (S, ...)

    def forecasts(self, parts: Parts) -> Network:
        """The forecasts of series (`Fitted.applied`)."""
        return network_forecasts(self.config, parts, self.params, self.fitted.calibration)


def save(folder: RunFolder, fitted: Fitted, params: Any) -> None:
    """Writes what `open_run` reads to a run folder."""
    save_result(folder, FORECASTER, fitted.to_json(), params)


def open_run(path: Path) -> Trained:
    """The trained forecaster of a run folder.

    Raises FileNotFoundError for a path that is not the folder of a finished run, ValueError if its files do not fit
    together.
    """
    folder, _, config, _ = load_record(path, Forecast, {"fingerprint": str})
    values = load_values(folder, FORECASTER)
    try:
        fitted = Fitted.from_json(config, values)
    except ValueError as error:
        raise ValueError(f"{path / FORECASTER / VALUES}: {error}") from error
    if config.strategy == "recursive":
        size = 4 * FORECAST_BATCH * config.paths * config.hidden * config.layers
        check_capacity(f"{config.paths:,} paths of {FORECAST_BATCH} windows", size)
    template = jax.eval_shape(lambda: initial_state(config, fitted.features(config), 1, 0).params)
    template = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((config.seeds, *leaf.shape), leaf.dtype), template)
    return Trained(config, fitted, load_result_arrays(folder, FORECASTER, template))
