"""The frequency of the dates of a series, the dates that follow, and calendar features."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

DAY = 86_400
YEAR = 365.2425 * DAY
# Monday to Friday, as `numpy.busday_count` counts.
WEEKDAYS = "1111100"
Cycle = Literal["day", "week", "year"]
CYCLES: dict[str, float] = {"day": DAY, "week": 7 * DAY, "year": YEAR}
NAMES = {1: "1 second", 60: "1 minute", 3600: "1 hour", DAY: "1 day", 7 * DAY: "1 week"}
# Opening hours are at most this share of a day, on at least this number of days.
MOST_OPEN, LEAST_DAYS = 0.75, 3
MONTH_NAMES = {1: "1 month", 3: "1 quarter", 12: "1 year"}


@dataclasses.dataclass(frozen=True)
class Frequency:
    """The step between dates: a number of months, working days or seconds.

    With `month_end`, each date is the last day of its month, with `working_end` the last working day. With `slots`,
    there are that many steps of `step` seconds on each day, from the second `opens` of the day on; with `working` only
    on working days.
    """

    unit: Literal["month", "working day", "second"]
    step: int
    month_end: bool = False
    working_end: bool = False
    opens: int = 0
    slots: int = 0
    working: bool = False

    def __str__(self) -> str:
        if self.unit == "second":
            name = NAMES.get(self.step, f"{self.step / DAY:g} days" if self.step > DAY else f"{self.step:,} seconds")
            if not self.slots:
                return name
            first, last = (_clock(self.opens + slot * self.step) for slot in (0, self.slots - 1))
            return f"{name} from {first} to {last} on {'working ' if self.working else ''}days"
        if self.unit == "month":
            return MONTH_NAMES.get(self.step, f"{self.step} months")
        return f"{self.step} working day{'s'[: self.step > 1]}"

    @property
    def seconds(self) -> float:
        """The mean length of a step."""
        if self.slots:
            return (7 / 5 if self.working else 1) * DAY / self.slots
        return self.step * {"month": YEAR / 12, "working day": 7 * DAY / 5, "second": 1}[self.unit]

    @property
    def season(self) -> int:
        """Steps of the usual season (at least 1): a day for steps below a day, a week for days, otherwise a year."""
        if self.slots:
            return self.slots
        if self.seconds < DAY:
            length = DAY / self.seconds
        else:
            length = (7 * DAY if self.seconds < 2 * DAY else YEAR) / self.seconds
        return max(1, round(length))

    def after(self, date: np.datetime64, steps: np.ndarray) -> np.ndarray:
        """The dates that are `steps` steps after a date."""
        date = date.astype("datetime64[s]")
        count = self.step * np.asarray(steps)
        if self.slots:
            return self._after_in_slots(date, np.asarray(steps))
        if self.unit == "second":
            return date + count.astype("timedelta64[s]")
        day = date.astype("datetime64[D]")
        time = date - day
        if self.unit == "working day":
            return np.busday_offset(day, count, weekmask=WEEKDAYS).astype("datetime64[s]") + time
        month = day.astype("datetime64[M]")
        months = month + count.astype("timedelta64[M]")
        if self.month_end:
            days = (months + 1).astype("datetime64[D]") - 1
        elif self.working_end:
            days = _last_working_days(months)
        else:
            days = months.astype("datetime64[D]") + (day - month.astype("datetime64[D]"))
        return days.astype("datetime64[s]") + time

    def _after_in_slots(self, date: np.datetime64, steps: np.ndarray) -> np.ndarray:
        day = date.astype("datetime64[D]")
        slot = (int((date - day).astype(int)) - self.opens) // self.step
        days, slots = np.divmod(slot + steps, self.slots)
        days = np.busday_offset(day, days, weekmask=WEEKDAYS) if self.working else day + days
        return days.astype("datetime64[s]") + (self.opens + self.step * slots).astype("timedelta64[s]")

    def calendar(self, dates: np.ndarray, cycles: Sequence[Cycle]) -> np.ndarray:
        """Sine and cosine of the position of the dates in each cycle longer than two steps, `(T, 2C)`."""
        seconds = dates.astype("datetime64[s]")
        starts = {
            "day": seconds.astype("datetime64[D]"),
            # 1970 began on a Thursday.
            "week": (seconds.astype("datetime64[D]") + 3).astype("datetime64[W]").astype("datetime64[D]") - 3,
            "year": seconds.astype("datetime64[Y]"),
        }
        columns = []
        for cycle in cycles:
            if CYCLES[cycle] > 2 * self.seconds:
                into = (seconds - starts[cycle].astype("datetime64[s]")).astype(float)
                angle = 2 * np.pi * into / CYCLES[cycle]
                columns += [np.sin(angle), np.cos(angle)]
        return np.stack(columns, axis=1) if columns else np.empty((len(dates), 0))


def infer_frequency(dates: np.ndarray) -> Frequency:
    """The frequency of increasing dates; some may be missing. Raises ValueError for fewer than three."""
    if len(dates) < 3:
        raise ValueError(f"expected at least 3 dates to infer their frequency, got {len(dates)}")
    seconds = dates.astype("datetime64[s]")
    days = seconds.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    starts = months.astype("datetime64[D]")
    one_time = len(np.unique(seconds - days)) == 1
    ends = bool(np.all((days + 1).astype("datetime64[M]") > months))
    working_ends = bool(np.all(days == _last_working_days(months))) and not ends
    same_day = len(np.unique(days - starts)) == 1
    if one_time and (ends or working_ends or same_day) and np.diff(months.astype(int)).min() >= 1:
        step = _usual(np.diff(months.astype(int)))
        return Frequency("month", step, month_end=ends, working_end=working_ends and not same_day)
    step = _usual(np.diff(seconds.astype(int)))
    weekend = (days.astype(int) + 3) % 7 >= 5
    # A step from Friday to Monday.
    over_weekend = bool(np.any(np.diff(days) == np.timedelta64(3, "D")))
    if one_time and step == DAY and over_weekend and not weekend.any():
        return Frequency("working day", 1)
    return _in_slots(seconds, step, bool(weekend.any())) or Frequency("second", step)


def _in_slots(dates: np.ndarray, step: int, weekend: bool) -> Frequency | None:
    """The frequency of dates that are at the same hours of each day only; None if there are none at night."""
    days, counts = np.unique(dates.astype("datetime64[D]"), return_counts=True)
    times = (dates - dates.astype("datetime64[D]")).astype(int)
    opens, closes = int(times.min()), int(times.max())
    slots = (closes - opens) // step + 1
    working = not weekend and bool(np.any(np.diff(days) >= np.timedelta64(3, "D")))
    if step >= DAY or slots < 2 or slots * step > MOST_OPEN * DAY or len(days) < LEAST_DAYS:
        return None
    if ((times - opens) % step).any() or np.median(counts) < slots:
        return None
    return Frequency("second", step, opens=opens, slots=slots, working=working)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"


def _last_working_days(months: np.ndarray) -> np.ndarray:
    """The last day of each month that is not on a weekend."""
    return np.busday_offset((months + 1).astype("datetime64[D]"), -1, roll="forward", weekmask=WEEKDAYS)


def _usual(steps: np.ndarray) -> int:
    """The most frequent step; the smallest one if there are several."""
    values, counts = np.unique(steps, return_counts=True)
    return int(values[np.argmax(counts)])
