"""The frequency of the dates of a series, the dates that follow, and calendar features."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

DAY = 86_400
YEAR = 365.2425 * DAY
# Monday to Friday, and all days, as `numpy.busday_count` counts.
WEEKDAYS, ALL_DAYS = "1111100", "1111111"
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
Cycle = Literal["day", "week", "year"]
CYCLES: dict[str, float] = {"day": DAY, "week": 7 * DAY, "year": YEAR}
NAMES = {1: "1 second", 60: "1 minute", 3600: "1 hour", DAY: "1 day", 7 * DAY: "1 week"}
# Opening hours are at most this share of a day, on at least this number of days.
MOST_OPEN, LEAST_DAYS = 0.75, 3
# A day of the week has no steps if it is absent in this number of weeks, and never present.
LEAST_WEEKS = 2
MONTH_NAMES = {1: "1 month", 3: "1 quarter", 12: "1 year"}


@dataclasses.dataclass(frozen=True)
class Frequency:
    """The step between dates: a number of months, working days or seconds.

    With `month_end`, each date is the last day of its month, with `working_end` the last working day. With `slots`,
    there are that many steps of `step` seconds on each day, from the second `opens` of the day on. With `week`, only
    the days of the week that have a 1 in it, from Monday on, have steps; working days are Monday to Friday without it.
    """

    unit: Literal["month", "working day", "second"]
    step: int
    month_end: bool = False
    working_end: bool = False
    opens: int = 0
    slots: int = 0
    week: str = ""

    def __str__(self) -> str:
        if self.unit == "second":
            name = NAMES.get(self.step, f"{self.step / DAY:g} days" if self.step > DAY else f"{self.step:,} seconds")
            if not self.slots:
                return name
            first, last = (_clock(self.opens + slot * self.step) for slot in (0, self.slots - 1))
            return f"{name} from {first} to {last} on {_week_words(self.days)}"
        if self.unit == "month":
            return MONTH_NAMES.get(self.step, f"{self.step} months")
        if self.days != WEEKDAYS:
            return f"1 day from {_week_words(self.days)}"
        return f"{self.step} working day{'s'[: self.step > 1]}"

    @property
    def days(self) -> str:
        """The days of the week that have steps, from Monday on: 1 or 0 for each."""
        return self.week or (WEEKDAYS if self.unit == "working day" else ALL_DAYS)

    @property
    def seconds(self) -> float:
        """The mean length of a step."""
        day = 7 * DAY / self.days.count("1")
        if self.slots:
            return day / self.slots
        return self.step * {"month": YEAR / 12, "working day": day, "second": 1}[self.unit]

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
            return np.busday_offset(day, count, weekmask=self.days).astype("datetime64[s]") + time
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
        days = np.busday_offset(day, days, weekmask=self.days)
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
    week = _week(np.unique(days)) if step <= DAY else ""
    if one_time and step == DAY and week:
        return Frequency("working day", 1, week=week if week != WEEKDAYS else "")
    return _in_slots(seconds, step, week) or Frequency("second", step)


def _week(days: np.ndarray) -> str:
    """The days of the week that have dates, if the others never have one and are no gap: as `Frequency.week`.

    Saturday and Sunday are no gap after one weekend.
    """
    every = np.arange(days[0], days[-1])
    present = np.bincount((days.astype(int) + 3) % 7, minlength=7)
    absent = np.where(present > 0, 0, np.bincount((every.astype(int) + 3) % 7, minlength=7))
    if not absent.any():
        return ""
    week = "".join(str(int(count > 0)) for count in present)
    clear = absent[absent > 0].min() >= LEAST_WEEKS and 2 * len(days) > np.busday_count(days[0], days[-1], week)
    if not present[5:].any() and np.any(np.diff(days) == np.timedelta64(3, "D")):
        # Others of the days may be absent once, as holidays are.
        return week if clear and week < WEEKDAYS else WEEKDAYS
    return week if clear else ""


def _week_words(days: str) -> str:
    """The days of a week in words."""
    if days in (ALL_DAYS, WEEKDAYS):
        return "days" if days == ALL_DAYS else "working days"
    # The first day after one without steps.
    first = next(day for day in range(7) if days[day] == "1" and days[day - 1] == "0")
    count = days.count("1")
    if all(days[(first + day) % 7] == "1" for day in range(count)):
        return f"{DAY_NAMES[first]} to {DAY_NAMES[(first + count - 1) % 7]}"
    return ", ".join(name for name, day in zip(DAY_NAMES, days, strict=True) if day == "1")


def _in_slots(dates: np.ndarray, step: int, week: str) -> Frequency | None:
    """The frequency of dates that are at the same hours of each day only; None if there are none at night."""
    days, counts = np.unique(dates.astype("datetime64[D]"), return_counts=True)
    times = (dates - dates.astype("datetime64[D]")).astype(int)
    opens, closes = int(times.min()), int(times.max())
    slots = (closes - opens) // step + 1
    if step >= DAY or slots < 2 or slots * step > MOST_OPEN * DAY or len(days) < LEAST_DAYS:
        return None
    if ((times - opens) % step).any() or np.median(counts) < slots:
        return None
    return Frequency("second", step, opens=opens, slots=slots, week=week)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"


def _last_working_days(months: np.ndarray) -> np.ndarray:
    """The last day of each month that is not on a weekend."""
    return np.busday_offset((months + 1).astype("datetime64[D]"), -1, roll="forward", weekmask=WEEKDAYS)


def _usual(steps: np.ndarray) -> int:
    """The most frequent step; the smallest one if there are several."""
    values, counts = np.unique(steps, return_counts=True)
    return int(values[np.argmax(counts)])
