"""The options of a study of forecasts, and the network that they describe."""

import dataclasses
from typing import TYPE_CHECKING, Literal

import numpy as np

from experiments.forecast.file_options import FileOptions
from rnnjax.cell_names import check_cell
from rnnjax.commands.cells import CellOption
from rnnjax.data.frequency import Cycle
from rnnjax.data.windows import Relative
from rnnjax.fields import check_fields
from rnnjax.runs import SeedsConfig

if TYPE_CHECKING:
    from rnnjax.forecasting import Forecaster


def date_of(name: str, text: str) -> np.datetime64:
    """The date of an option. Raises ValueError for anything else."""
    try:
        date = np.datetime64(text, "s")
    except ValueError:
        date = np.datetime64("NaT")
    if np.isnat(date):
        raise ValueError(f"{name}: expected a date like 2001-01-31, got {text!r:.60}")
    return date


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forecast(FileOptions, SeedsConfig):
    """Train a recurrent network to forecast time series, several seeds at once."""

    source: str = "stocks"
    """ "stocks" (monthly prices) or "temperatures" (hourly) of vega-datasets, "sunspots" (yearly) of statsmodels,
    "generated" (a chaotic series), or a CSV or TSV file."""
    date: tuple[str, ...] = ("date",)
    """Files: column of the dates, or several columns (year month day), joined by spaces."""
    value: tuple[str, ...] = ("value",)
    """Files: columns of the values; each column is a series."""
    series: tuple[str, ...] = ()
    """Files with several series in one column: columns with the names of the series."""
    extra: tuple[str, ...] = ()
    """Files: columns of further inputs, which are known up to the origin of a forecast."""
    known: tuple[str, ...] = ()
    """Files: columns of known future inputs (future covariates), which are read for the steps that are forecast, too.
    Rows after the last value hold those of the future."""
    static: tuple[str, ...] = ()
    """Files: columns of static covariates, with one text or number for each series."""
    fill: bool = False
    """Fill a missing value between others with the one before it; otherwise it is an error. Rows without a value at the
    end of a series are to be forecast, and those at its beginning are left out."""
    fill_limit: int | None = None
    """With fill: the largest number of dates in a row that are filled. Default: a season, and at least 3; and at least
    half of the dates must have all numbers."""
    missing: tuple[str, ...] | None = None
    """Files: words for a missing number, besides an empty cell, instead of the default: NA, NaN, N/A, null, none, ?, -,
    --, ., *, and errors of spreadsheets. A number stands for all that are equal to it (-999 for -999.0)."""
    sort: bool = False
    """Files: sort the rows of each series by date. Default: only if the newest date is first."""
    unfit: Literal["drop", "keep", "error"] = "drop"
    """Series that are constant in the training part, or have no windows in a part. drop: leave them out, by name. keep:
    train on what they have and forecast them, with scores where there are any; series without a window in training are
    left out. error: end with an error."""
    strict: bool = False
    """Files: nothing is assumed: whatever would be said about a file is an error."""
    validation: float = 0.2
    """Share of the dates for validation, which chooses the best epoch."""
    test: float = 0.2
    """Share of the dates for the test part, the last ones."""
    until: str | None = None
    """Use the dates before this one only (2001-01-31). Default: all."""
    backtest: int | None = None
    """Divide the test part into this number of parts, and train for each of them on the dates before: one run each."""
    context: int = 24
    """Window length: steps read before the origin of a forecast."""
    horizon: int = 6
    """Steps forecast after the origin."""
    season: int | None = None
    """Steps of a season. Default: that of the frequency of the dates (hours 24, days 7, months 12, ...)."""
    relative: Relative = "window"
    """Normalisation of a window: its values minus the mean of the training part (none), the last value before the
    origin (last), the value one season earlier (season) or the mean of the window (window), divided by a standard
    deviation (window: that of the window; otherwise that of the training part)."""
    log: bool = False
    """Use the logarithms of all values."""
    calendar: tuple[Cycle, ...] = ("day", "week", "year")
    """Calendar inputs: the position of a step in these cycles, as sine and cosine. Cycles of at most two steps are left
    out."""
    strategy: Literal["direct", "recursive"] = "direct"
    """direct: forecast all steps at once. recursive: forecast one step at a time, and feed it back as an input."""
    head: Literal["point", "gaussian", "quantile"] = "quantile"
    """Output for each value. point: the median. gaussian: mean and standard deviation. quantile: seven quantiles."""
    intervals: Literal["network", "split", "adaptive"] = "adaptive"
    """Intervals of the forecasts. network: as the head gives them. split: moved so that they cover the right share of
    the validation part. adaptive: also moved after each date, by whether earlier forecasts contained it."""
    adaptation: float = 0.2
    """Intervals adaptive: step size, in units of the mean absolute error in the validation part."""
    paths: int = 100
    """Sample paths of a recursive Gaussian forecast."""
    cell: CellOption = "gru"
    """Cell: one of the library, or your own as module:Name."""
    hidden: int = 32
    """Number of hidden units of each layer."""
    layers: int = 1
    """Number of recurrent layers."""
    linear: bool = False
    """Forecast the residuals of the linear autoregression, which is fitted first (direct only)."""
    statistical: bool = True
    """Compare with exponential smoothing, ARIMA and the Theta method of statsmodels, too."""
    projection: int | None = None
    """Units of a dense layer between the inputs and the recurrent layers. Default: no such layer."""
    recurrence: Literal["scan", "chunked"] = "chunked"
    """How the cell is run over time: affects speed and memory, not the forecasts."""
    epochs: int = 30
    """Largest number of epochs."""
    patience: int = 5
    """Early stopping: a seed stops after this number of epochs without a better validation loss, and keeps its best
    epoch."""
    batch_size: int = 32
    """Batch size: windows in each update."""
    learning_rate: float = 3e-3
    """Initial learning rate; with warmup, its peak."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(
            self,
            at_least_one=(
                *("context", "horizon", "season", "paths", "hidden", "layers", "projection", "epochs", "patience"),
                *("batch_size", "backtest", "century", "fill_limit"),
            ),
            shares=("validation", "test"),
            above_zero=("validation", "test", "adaptation"),
        )
        check_cell(self.cell)
        if self.fill_limit is not None and not self.fill:
            raise ValueError(f"fill_limit: expected it with --fill, got {self.fill_limit} without")
        if self.until is not None:
            date_of("until", self.until)
        if self.backtest is not None and self.execution.resume is not None:
            raise ValueError("backtest: expected none with --resume; the run of each part can be resumed")
        for name in ("date", "value"):
            if not getattr(self, name):
                raise ValueError(f"{name}: expected at least one column, got none")
        for name in sorted({*self.known} & {*self.value, *self.extra}):
            raise ValueError(f"known: expected other columns than those of value and extra, got {name!r:.60}")
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation, test: expected shares that leave some dates to train on, got {self.validation} and "
                f"{self.test}"
            )
        if self.strategy == "recursive":
            if self.linear:
                raise ValueError("linear: expected a direct strategy, got recursive")
            if self.head == "quantile":
                raise ValueError("head: expected point or gaussian with a recursive strategy, got quantile")
            if self.extra and self.horizon > 1:
                raise ValueError(
                    "extra: expected no such columns with a recursive strategy and a horizon above 1, got "
                    f"{', '.join(self.extra)}"
                )

    def network(self) -> "Forecaster":
        """The network. Raises ValueError if it does not fit into memory."""
        # Not at the top: `--help` reads the options without JAX.
        from rnnjax import StackedRNN
        from rnnjax.cells.names import known_cell
        from rnnjax.forecasting import Forecaster, Gaussian, Point, Quantile
        from rnnjax.layers import layer_of
        from rnnjax.recurrences.names import RECURRENCES
        from rnnjax.training.capacity import check_layers

        check_layers(self.layers, self.hidden)
        recurrence = RECURRENCES[self.recurrence]
        layers = [layer_of(known_cell(self.cell), self.hidden, recurrence) for _ in range(self.layers)]
        head = {"point": Point(), "gaussian": Gaussian(), "quantile": Quantile()}[self.head]
        return Forecaster(StackedRNN(layers), head, self.steps, self.projection)

    @property
    def steps(self) -> int:
        """The number of steps that the network forecasts at once."""
        return self.horizon if self.strategy == "direct" else 1

    @property
    def name(self) -> str:
        """The name of the network in tables."""
        return f"{'linear + ' if self.linear else ''}{self.layers} x {self.cell}-{self.hidden}"
