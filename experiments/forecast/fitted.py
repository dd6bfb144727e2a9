"""What a forecast needs besides the parameters of the network: computed from the training part, stored with a run."""

import dataclasses
import re
import reprlib
from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import numpy as np

from experiments.forecast.baselines import Autoregression, Linear, Remainder, Ridge, network_parts
from experiments.forecast.config import Forecast
from experiments.forecast.data import Parts, check_rows, windowing_of
from rnnjax.conformal import Calibration
from rnnjax.data.frequency import DAY, Frequency
from rnnjax.data.series import SeriesTable
from rnnjax.data.static import StaticColumn
from rnnjax.data.windows import Cuts, Relative, Scaled, Scaling, Windowing
from rnnjax.fields import check_range, check_type
from rnnjax.forecasting import LEVELS

# Limits, since a run folder may be untrusted.
MOST_SERIES, MOST_SECONDS = 100_000, 10**9


class Fitted(NamedTuple):
    """What was computed from the training part; the parts of the series are those of the run."""

    frequency: Frequency
    cuts: Cuts
    season: int
    static: tuple[StaticColumn, ...]
    names: tuple[str, ...]  # of the series
    dropped: tuple[str, ...]  # names of series of the file that were left out
    scalings: tuple[Scaling, ...]
    linear: Autoregression
    linear_scales: np.ndarray  # of the windows of the autoregression, for each series
    residuals: np.ndarray | None  # scales of what the autoregression leaves over; None without `--linear`
    calibration: Calibration | None  # None for the intervals of the network

    @classmethod
    def of(cls, parts: Parts, linear: Linear, remainder: Remainder | None, calibration: Calibration | None) -> "Fitted":
        return cls(
            parts.table.frequency,
            parts.cuts,
            parts.windowing.season,
            parts.windowing.static,
            tuple(one.series.name for one in parts.scaled),
            parts.table.dropped,
            tuple(one.scaling for one in parts.scaled),
            linear.model,
            np.array([one.scaling.scale for one in linear.parts.scaled]),
            None if remainder is None else remainder.spread,
            calibration,
        )

    def features(self, config: Forecast) -> int:
        """The number of inputs of the network at each step."""
        known = _known(self.frequency, windowing_of(config, self.season, self.static))
        return 1 + known + (config.relative == "season") + len(config.extra) + config.steps * len(config.known)

    def applied(
        self, config: Forecast, table: SeriesTable, where: str, since: np.datetime64 | None = None
    ) -> tuple[Parts, Linear]:
        """The series of another table, scaled for the network of the run, and the autoregression.

        Series that were left out in the run are left out. A single series fits that of a run with a single one,
        whatever their names. The test part begins at the date `since`, or at that of the run, and may be empty. Raises
        ValueError for a series that the run does not have, and for another frequency; also as `check_rows` and
        `Scaled`.
        """
        if table.frequency != self.frequency:
            raise ValueError(f"{where}: expected dates {self.frequency} apart, as in the run, got {table.frequency}")
        left = tuple(series for series in table.series if series.name not in self.dropped)
        if left and len(left) < len(table.series):
            gone = [series.name for series in table.series if series.name in self.dropped]
            note = f"{where}: series left out, as in the run: {reprlib.repr(gone)}"
            table = table._replace(series=left, notes=(*table.notes, note))
        names = [series.name for series in table.series]
        if len(names) == len(self.names) == 1:
            names = list(self.names)
        for name in names:
            if name not in self.names:
                raise ValueError(f"{where}: expected series of the run, {reprlib.repr(list(self.names))}, got {name!r}")
        own = windowing_of(config, self.season, self.static)
        check_rows(config, table, own)
        cuts = self.cuts if since is None else Cuts(min(self.cuts.validation, since), since)
        rows = [self.names.index(name) for name in names]
        model = self.linear
        if model.per_series:
            model = model._replace(models=[model.models[row] for row in rows])
        scalings = [self.scalings[row] for row in rows]
        parts = _parts(table, cuts, own, scalings)
        scales = self.linear_scales[rows]
        scalings = [scaling._replace(scale=float(scale)) for scaling, scale in zip(scalings, scales, strict=True)]
        relative = dataclasses.replace(own, relative=model.relative)
        linear = Linear(model, _parts(table, cuts, relative, scalings))
        remainder = None if self.residuals is None else Remainder(linear, self.residuals[rows])
        return network_parts(parts, remainder), linear

    def to_json(self) -> dict[str, Any]:
        """The JSON values from which `from_json` makes an equal object."""
        scalings = [
            {name: np.asarray(value).tolist() for name, value in scaling._asdict().items()} for scaling in self.scalings
        ]
        models = [{name: value.tolist() for name, value in model._asdict().items()} for model in self.linear.models]
        calibration = self.calibration
        return {
            "frequency": dataclasses.asdict(self.frequency),
            "cuts": [str(date) for date in self.cuts],
            "season": self.season,
            "static": [{**column._asdict(), "values": list(column.values)} for column in self.static],
            "names": list(self.names),
            "dropped": list(self.dropped),
            "scalings": scalings,
            "linear": {**self.linear._asdict(), "models": models},
            "linear_scales": self.linear_scales.tolist(),
            "residuals": None if self.residuals is None else self.residuals.tolist(),
            "calibration": calibration and {name: value.tolist() for name, value in calibration._asdict().items()},
        }

    @classmethod
    def from_json(cls, config: Forecast, values: Any) -> "Fitted":
        """The object from JSON values. Raises ValueError for anything that does not fit together or to the config."""
        frequency = _frequency(_fields(values, "values", cls._fields)["frequency"])
        season, names = values["season"], values["names"]
        check_range("season", season, 1, MOST_SECONDS)
        static = _static(values["static"], config.static)
        if not isinstance(names, list) or not 1 <= len(names) <= MOST_SERIES or len({*map(str, names)}) < len(names):
            raise ValueError(f"names: expected 1 to {MOST_SERIES:,} different names, got {reprlib.repr(names)}")
        for name in names:
            check_type("names", name, str)
        dropped = values["dropped"]
        if not isinstance(dropped, list) or len(dropped) > MOST_SERIES:
            raise ValueError(f"dropped: expected at most {MOST_SERIES:,} names, got {reprlib.repr(dropped)}")
        for name in dropped:
            check_type("dropped", name, str)
        scalings = tuple(
            _scaling(scaling, config) for scaling in _list(values["scalings"], "scalings", len(names), len(names))
        )
        if (values["residuals"] is not None) != config.linear:
            raise ValueError(f"residuals: expected scales with the option linear only, got {values['residuals']!r:.60}")
        return cls(
            frequency,
            _cuts(values["cuts"]),
            season,
            static,
            tuple(names),
            tuple(dropped),
            scalings,
            _autoregression(values["linear"], config, windowing_of(config, season, static), frequency, len(names)),
            _numbers(values["linear_scales"], "linear_scales", (len(names),), positive=True),
            _numbers(values["residuals"], "residuals", (len(names),), positive=True) if config.linear else None,
            _calibration(values["calibration"], config),
        )


def _known(frequency: Frequency, windowing: Windowing) -> int:
    """The number of calendar and static features."""
    calendar = frequency.calendar(np.zeros(1, "datetime64[s]"), windowing.cycles).shape[1]
    return calendar + sum(column.features for column in windowing.static)


def _parts(table: SeriesTable, cuts: Cuts, windowing: Windowing, scalings: Sequence[Scaling]) -> Parts:
    pairs = zip(table.series, scalings, strict=True)
    scaled = tuple(Scaled(series, windowing, cuts, table.frequency, scaling) for series, scaling in pairs)
    return Parts.of(table, cuts, windowing, scaled)


def _fields(value: Any, name: str, fields: Sequence[str]) -> dict[str, Any]:
    """The object, if it has these fields and no other."""
    if not isinstance(value, dict) or set(value) != set(fields):
        got = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise ValueError(f"{name}: expected the fields {sorted(fields)}, got {reprlib.repr(got)}")
    return value


def _list(value: Any, name: str, *lengths: int) -> list[Any]:
    """The list, if it has one of these lengths."""
    if not isinstance(value, list) or len(value) not in lengths:
        raise ValueError(f"{name}: expected a list of {lengths[0]}, got {reprlib.repr(value)}")
    return value


def _numbers(value: Any, name: str, shape: tuple[int, ...], positive: bool = False) -> np.ndarray:
    """The finite numbers of nested lists of this shape."""
    try:
        found = np.array(value, float)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name}: expected numbers, got {reprlib.repr(value)}") from error
    if found.shape != shape:
        raise ValueError(f"{name}: expected the shape {list(shape)}, got {list(found.shape)}")
    if not np.isfinite(found).all() or (positive and (found <= 0).any()):
        words = "numbers above 0" if positive else "finite numbers"
        raise ValueError(f"{name}: expected {words}, got {reprlib.repr(value)}")
    return found


def _frequency(value: Any) -> Frequency:
    frequency = Frequency(**_fields(value, "frequency", [field.name for field in dataclasses.fields(Frequency)]))
    if frequency.unit not in ("month", "working day", "second"):
        raise ValueError(f"frequency: expected month, working day or second, got {frequency.unit!r:.60}")
    check_range("frequency", frequency.step, 1, MOST_SECONDS)
    for name in ("month_end", "working_end"):
        check_type(name, getattr(frequency, name), bool)
    check_type("week", frequency.week, str)
    if frequency.week and not re.fullmatch("(?=.*1)[01]{7}", frequency.week):
        raise ValueError(f"week: expected a 1 or 0 for each of seven days, got {frequency.week!r:.60}")
    check_range("opens", frequency.opens, 0, DAY - 1)
    check_range("slots", frequency.slots, 0, DAY)
    if frequency.slots and (
        frequency.unit != "second" or frequency.opens + (frequency.slots - 1) * frequency.step >= DAY
    ):
        raise ValueError(f"frequency: expected steps of seconds within a day, got {reprlib.repr(value)}")
    return frequency


def _cuts(value: Any) -> Cuts:
    try:
        cuts = Cuts(*(np.datetime64(date, "s") for date in _list(value, "cuts", 2)))
    except (ValueError, TypeError):
        cuts = None
    if cuts is None or not cuts.validation <= cuts.test:  # also not a date
        raise ValueError(f"cuts: expected two dates in order, got {reprlib.repr(value)}")
    return cuts


def _calibration(value: Any, config: Forecast) -> Calibration | None:
    if (value is None) != (config.intervals == "network"):
        raise ValueError(f"calibration: expected offsets unless intervals is network, got {reprlib.repr(value)}")
    if value is None:
        return None
    _fields(value, "calibration", Calibration._fields)
    shape = config.seeds + 1, config.horizon  # of all seeds and their mean forecast
    return Calibration(
        _numbers(value["offsets"], "offsets", (*shape, len(LEVELS) // 2)), _numbers(value["units"], "units", shape)
    )


def _scaling(value: Any, config: Forecast) -> Scaling:
    _fields(value, "scalings", Scaling._fields)
    extra, known = (_column_scales(value[name], name, len(getattr(config, name))) for name in ("extra", "known"))
    numbers = {
        name: float(_numbers(value[name], name, (), positive=name in ("spread", "scale")))
        for name in ("mean", "spread", "scale", "naive")
    }
    return Scaling(extra=extra, known=known, **numbers)


def _column_scales(value: Any, name: str, columns: int) -> np.ndarray:
    """Mean and standard deviation of each column."""
    found = _numbers(value, name, (2, columns))
    _numbers(value[1], name, (columns,), positive=True)
    return found


def _static(value: Any, names: Sequence[str]) -> tuple[StaticColumn, ...]:
    found = []
    for name, column in zip(names, _list(value, "static", len(names)), strict=True):
        _fields(column, "static", StaticColumn._fields)
        values = column["values"]
        if column["name"] != name:
            raise ValueError(f"static: expected the column {name!r:.60}, got {column['name']!r:.60}")
        check_type("static", values, tuple[str, ...])
        if len({*values}) < len(values):
            raise ValueError(f"static: expected different texts, got {reprlib.repr(values)}")
        mean, spread = (float(_numbers(column[key], key, (), positive=key == "spread")) for key in ("mean", "spread"))
        found.append(StaticColumn(name, tuple(values), mean, spread))
    return tuple(found)


def _autoregression(
    value: Any, config: Forecast, windowing: Windowing, frequency: Frequency, series: int
) -> Autoregression:
    _fields(value, "linear", Autoregression._fields)
    relative, order = value["relative"], value["order"]
    if relative not in get_args(Relative):
        raise ValueError(f"relative: expected one of {list(get_args(Relative))}, got {relative!r:.60}")
    check_range("order", order, 1, windowing.context)
    # The lags, the calendar and static features and the extra columns; the season and the known columns (see `lags`).
    features = (
        order * (1 + len(config.extra))
        + _known(frequency, windowing)
        + (windowing.horizon if relative == "season" else 0)
        + len(config.known) * (windowing.horizon + min(order, windowing.context - 1))
    )
    models = []
    for model in _list(value["models"], "models", 1, series):
        _fields(model, "models", Ridge._fields)
        models.append(
            Ridge(
                _numbers(model["mean"], "mean", (features,)),
                _numbers(model["spread"], "spread", (features,), positive=True),
                _numbers(model["weights"], "weights", (features, windowing.horizon)),
                _numbers(model["constant"], "constant", (windowing.horizon,)),
            )
        )
    penalty = float(_numbers(value["penalty"], "penalty", ()))
    return Autoregression(relative, order, penalty, models)
