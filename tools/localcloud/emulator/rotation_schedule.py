"""Rotation schedules: rate() and cron() expressions, days, windows; all in UTC.

Source: AWS Secrets Manager User Guide, "Rotation schedules"; API Reference, RotationRulesType.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tools.localcloud.emulator.secrets_rules import ServiceError, invalid_parameter

_DAY_HOURS = 24
_LEAST_HOURS = 4
_MOST_DAYS = 999
_MOST_AUTOMATIC_DAYS = 1000
_SEARCHED_DAYS = 366 * 8  # 29 February may be eight years away
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}


@dataclass(frozen=True)
class Schedule:
    """RotationRules: exactly one of `days` and `expression`."""

    days: int | None = None
    expression: str | None = None
    duration: str | None = None


@dataclass(frozen=True)
class Window:
    """The period in which a rotation may begin."""

    opens: datetime
    closes: datetime


@dataclass(frozen=True)
class _Cron:
    """Hours, months and the days that match; days are numbers, or the last, or an n-th weekday."""

    hours: tuple[int, ...]
    month_days: frozenset[int] | None
    last_day: bool
    months: frozenset[int]
    weekdays: frozenset[int] | None
    nth_weekday: tuple[int, int] | None
    last_weekday: int | None

    def has(self, day: datetime) -> bool:
        """Return whether a day matches."""
        last = calendar.monthrange(day.year, day.month)[1]
        weekday = day.isoweekday() % 7 + 1
        if day.month not in self.months:
            return False
        if self.last_day:
            return day.day == last
        if self.month_days is not None:
            return day.day in self.month_days
        if self.nth_weekday is not None:
            return (weekday, (day.day - 1) // 7 + 1) == self.nth_weekday
        if self.last_weekday is not None:
            return weekday == self.last_weekday and day.day + 7 > last
        return self.weekdays is None or weekday in self.weekdays


def check(schedule: Schedule) -> None:
    """Reject a schedule that RotateSecret rejects.

    Raises:
        ServiceError: InvalidParameterException.
    """
    if schedule.days is not None and schedule.expression is not None:
        raise invalid_parameter(
            "You can't specify both ScheduleExpression and AutomaticallyAfterDays in RotationRules."
        )
    if schedule.days is None and schedule.expression is None:
        raise invalid_parameter("You must specify ScheduleExpression or AutomaticallyAfterDays.")
    if schedule.days is not None and not 1 <= schedule.days <= _MOST_AUTOMATIC_DAYS:
        raise invalid_parameter(f"AutomaticallyAfterDays must be between 1 and {_MOST_AUTOMATIC_DAYS} days.")
    hours = _window_hours(schedule.duration)
    rate = _rate(schedule)
    if rate is not None:
        if hours is not None and hours > min(rate, _DAY_HOURS):
            raise _too_long()
        return
    cron = _cron(schedule.expression or "")
    gaps = [later - earlier for earlier, later in zip(cron.hours, cron.hours[1:], strict=False)]
    # the first hour of the next day follows the last of this one, if the next day matches at all
    if len(cron.hours) > 1:
        gaps.append(_DAY_HOURS - cron.hours[-1] + cron.hours[0])
    if gaps and min(gaps) < _LEAST_HOURS:
        raise _bad(f"A secret can't be rotated more often than every {_LEAST_HOURS} hours.")
    if hours is not None and (cron.hours[-1] + hours > _DAY_HOURS or any(hours > gap for gap in gaps)):
        raise _too_long()
    if not any(cron.has(_midnight(2024) + timedelta(days=day)) for day in range(_SEARCHED_DAYS)):
        raise _bad("The schedule has no day.")


def next_window(schedule: Schedule, after: datetime) -> Window:
    """Return the first window that opens after a rotation at `after` (UTC)."""
    hours = _window_hours(schedule.duration)
    rate = _rate(schedule)
    if rate is None:
        return next(_cron_windows(_cron(schedule.expression or ""), hours, after))
    if rate % _DAY_HOURS == 0 and "hour" not in (schedule.expression or ""):
        opens = after.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(hours=rate)
        return Window(opens, opens + timedelta(hours=hours or _DAY_HOURS))
    opens = after.replace(minute=0, second=0, microsecond=0) + timedelta(hours=rate)
    return Window(opens, opens + timedelta(hours=hours or 1))


def days_between(schedule: Schedule, after: datetime) -> int:
    """Return AutomaticallyAfterDays as DescribeSecret computes it: whole days, at least one."""
    if schedule.days is not None:
        return schedule.days
    rate = _rate(schedule)
    if rate is not None:
        return max(1, rate // _DAY_HOURS)
    first = next_window(schedule, after).opens
    return max(1, (next_window(schedule, first).opens - first).days)


def _cron_windows(cron: _Cron, hours: int | None, after: datetime) -> Iterator[Window]:
    midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(_SEARCHED_DAYS):
        day = midnight + timedelta(days=number)
        if not cron.has(day):
            continue
        for hour in cron.hours:
            opens = day + timedelta(hours=hour)
            if opens > after:
                until = hours or (1 if len(cron.hours) > 1 else _DAY_HOURS - hour)
                yield Window(opens, opens + timedelta(hours=until))


def _midnight(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)


def _bad(reason: str) -> ServiceError:
    return invalid_parameter(f"Invalid ScheduleExpression. {reason}")


def _too_long() -> ServiceError:
    return invalid_parameter(
        "The rotation window must not extend into the next UTC day or into the next rotation window. "
        "Choose a shorter Duration."
    )


def _window_hours(duration: str | None) -> int | None:
    if duration is None:
        return None
    found = re.fullmatch(r"([0-9]{1,2})h", duration)
    if not found or not 1 <= int(found[1]) <= _DAY_HOURS:
        raise invalid_parameter("Duration must be a number of hours from 1h to 24h.")
    return int(found[1])


def _rate(schedule: Schedule) -> int | None:
    """Return the hours between rotations; None for a cron expression."""
    if schedule.days is not None:
        return schedule.days * _DAY_HOURS
    text = schedule.expression or ""
    if not text.startswith("rate("):
        return None
    found = re.fullmatch(r"rate\(([1-9][0-9]{0,5}) (hours?|days?)\)", text)
    if not found:
        raise _bad("Write rate(4 hours) up to rate(999 days).")
    hours = int(found[1]) * (_DAY_HOURS if found[2].startswith("day") else 1)
    if not _LEAST_HOURS <= hours <= _MOST_DAYS * _DAY_HOURS:
        raise _bad(f"A rate is from {_LEAST_HOURS} hours to {_MOST_DAYS} days.")
    return hours


def _cron(text: str) -> _Cron:
    found = re.fullmatch(r"cron\(([^()]*)\)", text)
    fields = found[1].split() if found else []
    if len(fields) != 6:  # noqa: PLR2004  the six are in the message
        raise _bad("Write cron(0 Hours Day-of-month Month Day-of-week *).")
    minutes, hours, month_day, month, weekday, year = (field.upper() for field in fields)
    if minutes != "0":
        raise _bad("Minutes must be 0: rotation windows open on the hour.")
    if year != "*":
        raise _bad("Year must be *.")
    if (month_day == "?") == (weekday == "?"):
        raise _bad("Exactly one of Day-of-month and Day-of-week must be ?.")
    nth = re.fullmatch(r"([A-Z0-9]+)#([1-5])", weekday)
    last = re.fullmatch(r"([A-Z0-9]+)L", weekday)
    counted = weekday == "?" or nth is not None or last is not None
    return _Cron(
        hours=tuple(sorted(_values(hours, 0, 23, {}))),
        month_days=None if month_day in {"?", "L"} else _values(month_day, 1, 31, {}),
        last_day=month_day == "L",
        months=_values(month, 1, 12, _MONTHS),
        weekdays=None if counted else _values("7" if weekday == "L" else weekday, 1, 7, _WEEKDAYS),
        nth_weekday=(_number(nth[1], 1, 7, _WEEKDAYS), int(nth[2])) if nth else None,
        last_weekday=_number(last[1], 1, 7, _WEEKDAYS) if last else None,
    )


def _number(text: str, low: int, high: int, names: dict[str, int]) -> int:
    number = names.get(text, int(text) if re.fullmatch(r"[0-9]{1,2}", text) else -1)
    if not low <= number <= high:
        raise _bad(f"{text} is not between {low} and {high}.")
    return number


def _values(field: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    """Return a field of lists, ranges and steps."""
    values: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if slash and not re.fullmatch(r"[1-9][0-9]?", step):
            raise _bad(f"{part} has no whole step.")
        begin = low if first in {"*", ""} and not dash else _number(first, low, high, names)
        if first == "" and not slash:
            raise _bad("A field is empty.")
        end = _number(last, low, high, names) if dash else (high if slash or first == "*" else begin)
        if end < begin:  # a range over the end of the week or year
            values |= {*range(begin, high + 1), *range(low, end + 1)}
        else:
            values |= set(range(begin, end + 1, int(step or 1)))
    return frozenset(values)
