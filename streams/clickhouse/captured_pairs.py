"""Captured pairs: the rows of the table `captured_pairs`, written and read.

Texts are redacted and cut before they come here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import numpy as np

from understudy.streams.clickhouse.captured_pair import UNKNOWN, CapturedPair, CapturedSide
from understudy.streams.clickhouse.native_format import Block
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.tables import CAPTURED_PAIRS, Columns, block

_SIDES: Final = ("stable", "candidate")
_SIDE_COLUMNS: Final = {
    "is_there": "has_{side}",
    "model": "{side}_model",
    "output": "{side}_output",
    "output_characters": "{side}_output_characters",
    "is_cut": "{side}_is_cut",
    "tool_calls": "{side}_tool_calls",
    "error_type": "{side}_error_type",
    "finish_reason": "{side}_finish_reason",
    "duration_ms": "{side}_duration_ms",
}
"""Field of a side to its column."""
_TIMES: Final = {"window_start_ms": "window_start", "request_time_ms": "request_time"}
_FLOATS: Final = frozenset({"severity", "similarity", "duration_ms"})


def _column(field: str) -> str:
    return _TIMES.get(field, field)


_OWN: Final = tuple(name for name in CapturedPair.__slots__ if name not in _SIDES)


def captured_block(pairs: Sequence[CapturedPair]) -> Block:
    """Encode captured pairs as rows to insert."""
    columns: Columns = {_column(field): _values(pairs, field, field) for field in _OWN}
    for side in _SIDES:
        for field, name in _SIDE_COLUMNS.items():
            columns[name.format(side=side)] = _values(pairs, f"{side}.{field}", field)
    return block(CAPTURED_PAIRS, columns)


def _values(pairs: Sequence[CapturedPair], path: str, field: str) -> Any:
    values = list(map(attrgetter(path), pairs))
    return np.array(values, dtype=np.float64) if field in _FLOATS else values


# Reading

MOST_READ: Final = 500
"""Of one question: pages show some dozens, test sets ask several times."""
_SELECTED: Final = (
    *(
        f"toUnixTimestamp64Milli({_TIMES[field]}) AS {field}" if field in _TIMES else field
        for field in _OWN
    ),
    *(name.format(side=side) for side in _SIDES for name in _SIDE_COLUMNS.values()),
)
_COLUMNS: Final = f"SELECT {', '.join(_SELECTED)}\n"  # names of columns alone
_CONDITIONS: Final = {
    "language": "language = {language:String}",
    "workflow": "workflow = {workflow:String}",
    "kind": "has(kinds, {kind:String})",
    "pair_id": "pair_id = {pair_id:String}",
    "since": "window_start >= {since:DateTime64(3, 'UTC')}",
    "until": "window_start < {until:DateTime64(3, 'UTC')}",
}


def _of_rollout(rollout_id: str, **wanted: str | dt.datetime | None) -> tuple[str, dict[str, Any]]:
    """FROM and WHERE, with their parameters; what is None is not asked for."""
    given = {
        name: value.astimezone(dt.UTC) if isinstance(value, dt.datetime) else value
        for name, value in wanted.items()
        if value is not None
    }
    conditions = "".join(f"\n  AND {_CONDITIONS[name]}" for name in given)
    source = "FROM captured_pairs FINAL\nWHERE rollout_id = {rollout_id:String}" + conditions
    return source, {**given, "rollout_id": rollout_id}


_ORDER: Final = (
    "ORDER BY severity DESC, xxHash64(pair_id), pair_id, partition, rank LIMIT {limit:UInt32}"
)


def worst_pairs(
    connection: ReadConnection,
    rollout_id: str,
    *,
    language: str | None = None,
    workflow: str | None = None,
    kind: str | None = None,
    pair_id: str | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    limit: int,
) -> list[CapturedPair]:
    """Return the worst captured pairs of a rollout; equally bad ones are mixed, by a hash.

    What is None is not asked for. `kind` finds all pairs that it applies to, whatever is worst
    about them. Raises `SinkBusy` and `SinkBroken`.
    """
    source, parameters = _of_rollout(
        rollout_id, language=language, workflow=workflow, kind=kind, pair_id=pair_id,
        since=since, until=until,
    )  # fmt: skip
    parameters["limit"] = min(limit, MOST_READ)
    rows = connection.rows(f"{_COLUMNS}{source}\n{_ORDER}", parameters)
    return [_pair(row) for row in rows]


def _pair(row: Sequence[Any]) -> CapturedPair:
    own = dict(zip(_OWN, row, strict=False))
    sides, width = row[len(_OWN) :], len(_SIDE_COLUMNS)
    stable, candidate = _side(sides[:width]), _side(sides[width:])
    own["similarity"] = UNKNOWN if own["similarity"] is None else own["similarity"]
    return CapturedPair(**own, stable=stable, candidate=candidate)


def _side(values: Sequence[Any]) -> CapturedSide:
    fields = dict(zip(_SIDE_COLUMNS, values, strict=True))
    duration_ms = fields["duration_ms"]
    return CapturedSide(
        **{**fields, "duration_ms": UNKNOWN if duration_ms is None else duration_ms}
    )


MOST_SAMPLED: Final = 20_000
"""Pairs that a test set is chosen from: some 100 MB, and far more than test sets have cases."""


_WORST_FIRST: Final = "severity DESC, xxHash64(pair_id), pair_id, partition, window_start, rank"
_ORDER_OF_STRATA: Final = (
    f"ORDER BY row_number() OVER (PARTITION BY language, workflow, kind ORDER BY {_WORST_FIRST}),\n"
    f"  {_WORST_FIRST}\n"
    "LIMIT {per_stratum:UInt32} BY language, workflow, kind LIMIT {limit:UInt32}"
)


def pairs_by_stratum(
    connection: ReadConnection,
    rollout_id: str,
    *,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    per_stratum: int,
) -> list[CapturedPair]:
    """Return the worst pairs of each language, workflow and kind. Raises as `worst_pairs` does.

    The worst of each come first, then the second worst, so that what there is too much of leaves
    nothing out.
    """
    source, parameters = _of_rollout(rollout_id, since=since, until=until)
    parameters |= {"per_stratum": per_stratum, "limit": MOST_SAMPLED}
    rows = connection.rows(f"{_COLUMNS}{source}\n{_ORDER_OF_STRATA}", parameters)
    return [_pair(row) for row in rows]


@dataclass(frozen=True, slots=True)
class CaptureCount:
    """How many captured pairs there are of one language, workflow and kind."""

    language: str
    workflow: str
    kind: str
    pairs: int


_COUNTED: Final = (
    "SELECT language, workflow, arrayJoin(if(empty(kinds), ['none'], kinds)) AS kind, count()\n"
)
_ORDER_OF_COUNTS: Final = (
    "GROUP BY language, workflow, kind ORDER BY count() DESC, language, workflow, kind LIMIT 1000"
)


def capture_counts(
    connection: ReadConnection, rollout_id: str, since: dt.datetime, until: dt.datetime
) -> list[CaptureCount]:
    """Return what there is to choose from. Raises `SinkBusy` and `SinkBroken`."""
    source, parameters = _of_rollout(rollout_id, since=since, until=until)
    rows = connection.rows(f"{_COUNTED}{source}\n{_ORDER_OF_COUNTS}", parameters)
    return [CaptureCount(*row) for row in rows]
