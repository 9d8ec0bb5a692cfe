"""Values on the command line that click has no type for."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

import click

from understudy.schemas.event_time import to_epoch_ms
from understudy.streams.dead_letters.dead_letter_record import RecordPosition, parse_position

_AGE: Final = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def epoch_ms(text: str, now: dt.datetime) -> int:
    """Epoch milliseconds of an age (`30m`, `2d`) or an ISO time, UTC unless it says otherwise.

    Raises ValueError.
    """
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            at = now - dt.timedelta(**{_UNITS[age["unit"]]: int(age["number"])})
        else:
            at = dt.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is neither an age (30m, 2d) nor a time (2026-03-02T12:00)"
        ) from None
    return to_epoch_ms(at if at.tzinfo else at.replace(tzinfo=dt.UTC))


class TimeType(click.ParamType):
    """An age or a time, as epoch milliseconds."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the value; wrong usage where that is impossible."""
        try:
            return epoch_ms(value, dt.datetime.now(dt.UTC))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class PositionType(click.ParamType):
    """The position of a record, `TOPIC/PARTITION/OFFSET`."""

    name = "position"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> RecordPosition:
        """Read the value; wrong usage where that is impossible."""
        try:
            return parse_position(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
