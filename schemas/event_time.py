"""Event time as whole milliseconds since 1970, which is how arrays and Kafka hold it, and back.

Exact to the millisecond in both directions: floating-point seconds would be off by one now and
then.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)


def to_epoch_ms(time: dt.datetime) -> int:
    """Milliseconds since 1970 of a time with a zone, rounded down."""
    since = time - EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def from_epoch_ms(epoch_ms: int) -> dt.datetime:
    """The time in UTC. Raises OverflowError outside the years 1 to 9999."""
    return EPOCH + epoch_ms * _MILLISECOND


def zoned(time: dt.datetime) -> dt.datetime:
    """The time with its zone: UTC where it names none, as times from ClickHouse and others do."""
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)
