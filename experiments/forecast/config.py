"""What a study of forecasts can be told, and the network that follows from it."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from rnnjax import RNN, Chunked, Scan, StackedRNN
from rnnjax.cells.names import known_cell
from rnnjax.commands.cells import CellOption
from rnnjax.data.frequency import Cycle
from rnnjax.data.windows import Relative
from rnnjax.fields import check_fields
from rnnjax.forecasting import Forecaster, Gaussian, Head, Point, Quantile
from rnnjax.runs import SeedsConfig
from rnnjax.training.capacity import check_layers

RECURRENCES = {"scan": Scan(), "chunked": Chunked()}
HEADS: Mapping[str, Head] = {"point": Point(), "gaussian": Gaussian(), "quantile": Quantile()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forecast(SeedsConfig):
    """Train a recurrent net to forecast series, several seeds at once."""

    source: str = "stocks"
    """ "stocks" (monthly prices) or "temperatures" (hourly) of vega-datasets, "sunspots" (yearly) of statsmodels,
    "generated", or a CSV or TSV file."""
    date: str = "date"
    """Column of the dates, in files."""
    date_format: str | None = None
    """How the dates are written, in files, as in strptime ("%d/%m/%Y"); ISO 8601, or another form that is beyond doubt,
    unless given."""
    value: tuple[str, ...] = ("value",)
    """Column of the numbers, in files; each one is a series."""
    series: str | None = None
    """Column that says which series a row is of, in files with several."""
    extra: tuple[str, ...] = ()
    """Columns of other numbers, in files, which are read up to the origin."""
    fill: bool = False
    """A missing number is the one before it; without this, it is an error."""
    validation: float = 0.2
    """Share of the dates by which the best epoch is chosen."""
    test: float = 0.2
    """Share of the dates, the last ones, that are forecast for the table."""
    context: int = 24
    """Steps that are read before an origin."""
    horizon: int = 6
    """Steps that are forecast after it."""
    season: int | None = None
    """Steps of a season; that of the dates' frequency (hours 24, days 7, months 12, ...) unless given."""
    relative: Relative = "window"
    """What a window's numbers are counted from: the training part's mean, the last number, that a season before, or the
    window's own mean, in its own standard deviation."""
    log: bool = False
    """Take the logarithm of all numbers first."""
    calendar: tuple[Cycle, ...] = ("day", "week", "year")
    """Where in these cycles a step is, as sine and cosine; those of up to two steps are left out."""
    strategy: Literal["direct", "recursive"] = "direct"
    """All steps at once, or step by step, forecasts fed back."""
    head: Literal["point", "gaussian", "quantile"] = "quantile"
    """What is said of each number: the median alone, a mean and a scale, or seven quantiles."""
    paths: int = 100
    """Paths that a recursive Gaussian forecast draws."""
    cell: CellOption = "gru"
    """What happens at one step: a cell of the library, or your own."""
    hidden: int = 32
    """Hidden features of each layer."""
    layers: int = 1
    """Recurrent layers."""
    linear: bool = False
    """Forecast what the linear autoregression, learnt before, leaves over, and add the two (direct only)."""
    projection: int | None = None
    """Features that a dense layer makes of a step's inputs; none unless given."""
    recurrence: Literal["scan", "chunked"] = "chunked"
    """How steps are run over time: the same forecasts at another cost."""
    epochs: int = 30
    """Times that the training windows are read, at most."""
    patience: int = 5
    """A seed's training ends after so many epochs without a better validation loss; it keeps its best epoch."""
    batch: int = 32
    """Windows of an update."""
    learning_rate: float = 3e-3
    """Step size at first."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(
            self,
            at_least_one=(
                *("context", "horizon", "season", "paths", "hidden", "layers", "projection", "epochs", "patience"),
                "batch",
            ),
            shares=("validation", "test"),
            above_zero=("validation", "test"),
        )
        known_cell(self.cell)
        if not self.value:
            raise ValueError("value: expected at least one column, got none")
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
                    f"extra: expected no such columns with a recursive strategy, whose next steps would need them, got "
                    f"{', '.join(self.extra)}"
                )

    def network(self) -> Forecaster:
        """The network. Raises ValueError for one that this machine has no memory for."""
        check_layers(self.layers, self.hidden)
        layers = [RNN(known_cell(self.cell), self.hidden, RECURRENCES[self.recurrence]) for _ in range(self.layers)]
        steps = self.horizon if self.strategy == "direct" else 1
        return Forecaster(StackedRNN(layers), HEADS[self.head], steps, self.projection)

    @property
    def name(self) -> str:
        """What tables call the network."""
        return f"{'linear + ' if self.linear else ''}{self.layers} x {self.cell}-{self.hidden}"
