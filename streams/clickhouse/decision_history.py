"""Reads earlier decisions that changed something from ClickHouse, page by page."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec

from understudy.schemas.api import HistoryPage, PastDecision
from understudy.streams.clickhouse.read_connection import ReadConnection

COLUMNS: Final = PastDecision.__struct_fields__
_SQL: Final = f"""
SELECT {", ".join(COLUMNS)}
FROM decisions FINAL
WHERE rollout_id = {{rollout_id:String}} AND NOT is_refresh
  AND decided_at < {{time:DateTime64(3, 'UTC')}}
  AND (rollout_created_at, sequence) < ({{created_at:DateTime64(3, 'UTC')}}, {{sequence:UInt64}})
ORDER BY rollout_created_at DESC, sequence DESC, decision_hash
LIMIT {{limit:UInt32}}
"""
_MAX_SEQUENCE: Final = 2**64 - 1
MAX_DIGITS: Final = len(str(_MAX_SEQUENCE))
_FIRST: Final = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
_LAST: Final = dt.datetime(2299, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
"""What a DateTime64 holds."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place among the decisions of a rollout: those before it come next."""

    created_at: dt.datetime = _LAST
    sequence: int = _MAX_SEQUENCE
    time: dt.datetime = _LAST
    """Decisions that are dated later are left out, too."""

    @classmethod
    def at(cls, created_at: dt.datetime, sequence: int, time: dt.datetime = _LAST) -> Self:
        """The place of a decision, as near as ClickHouse can say it; those dated later left out."""
        return cls(_within(created_at), min(sequence, _MAX_SEQUENCE), _within(time))

    @classmethod
    def before(cls, time: dt.datetime) -> Self:
        """After all decisions that are dated before a time."""
        return cls(time=_within(time))

    def __str__(self) -> str:
        parts = [_text(self.created_at), str(self.sequence)]
        return ",".join(parts if self.time == _LAST else [*parts, _text(self.time)])


def _text(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _within(time: dt.datetime) -> dt.datetime:
    return min(max(time, _FIRST), _LAST)


END: Final = Cursor()


class DecisionHistory:
    """Reads over a connection, so it is to be used by one thread at a time."""

    def __init__(self, connection: ReadConnection) -> None:
        self.connection = connection

    def page(self, rollout_id: str, before: Cursor, limit: int) -> HistoryPage:
        """Decisions, the newest first. Raises `SinkBusy` and `SinkBroken`."""
        rows = self._rows(rollout_id, before, limit + 1)
        shown = rows[:limit]
        following = str(_cursor(shown[-1], before.time)) if len(rows) > limit else None
        return HistoryPage(decisions=[_decision(row) for row in shown], next_before=following)

    def _rows(self, rollout_id: str, before: Cursor, limit: int) -> list[Any]:
        parameters = {
            "rollout_id": rollout_id,
            "time": before.time.astimezone(dt.UTC),
            "created_at": before.created_at.astimezone(dt.UTC),
            "sequence": before.sequence,
            "limit": limit,
        }
        return self.connection.rows(_SQL, parameters)


def _decision(row: Any) -> PastDecision:
    values = dict(zip(COLUMNS, map(_aware, row), strict=False))
    return msgspec.convert(values, PastDecision)


def _cursor(row: Any, time: dt.datetime) -> Cursor:
    created_at, sequence = COLUMNS.index("rollout_created_at"), COLUMNS.index("sequence")
    return Cursor.at(_aware(row[created_at]), int(row[sequence]), time)


def _aware(value: Any) -> Any:
    """ClickHouse's times come without their zone, UTC."""
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    return value
