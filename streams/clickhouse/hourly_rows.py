"""Reads a side's hours, by language and workflow, in a bounded number of rows.

Names of languages and workflows come from events, so there may be any number of them. Where all
their hours are too many, those with the most requests are read, and it is told how many are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from understudy.analyzers.drift.periods import MS_OF_HOUR, Hours
from understudy.streams.clickhouse.read_connection import ReadConnection

MAX_ROWS: Final = 100_000
"""Of 45 numbers, 2 kB each in Python: 140 languages and workflows in all hours of four weeks."""


class HourlyQuery(NamedTuple):
    """Statements that read the hours of one side in a span."""

    everything: str
    largest: str
    """Of the languages and workflows with the most requests, the same in all spans."""
    left_out: str
    """How many others there are."""


class HourlyRows(NamedTuple):
    """What was read."""

    rows: list[Any]
    left_out: int
    """How many combinations of language and workflow were not read."""


def in_span(time: str) -> str:
    """Return the condition that a column of times lies in the span that is read."""
    return (
        f"{time} >= fromUnixTimestamp64Milli({{start_ms:Int64}}, 'UTC')"
        f" AND {time} < fromUnixTimestamp64Milli({{end_ms:Int64}}, 'UTC')"
    )


def in_any_span(time: str) -> str:
    """Return the condition that a column of times lies in one of all spans."""
    ms = f"toUnixTimestamp64Milli({time})"
    spans = "{starts_ms:Array(Int64)}, {ends_ms:Array(Int64)}"
    return f"arrayExists((start, end) -> {ms} >= start AND {ms} < end, {spans})"


def hourly_query(sums: Callable[[str], str], parts: str) -> HourlyQuery:
    """Make the statements of one that reads the rows for which a further condition holds too.

    `parts` lists every language and workflow in all spans, with its `hours`, the number of its
    rows, and its `size`.
    """
    ranked = f"""
SELECT language, workflow, sum(hours) OVER (
    ORDER BY size DESC, language, workflow ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) <= {{max_rows:UInt64}} AS is_read
FROM ({parts})"""
    is_read = f"(language, workflow) IN (SELECT language, workflow FROM ({ranked}) WHERE is_read)"
    return HourlyQuery(
        everything=f"{sums('1')}\nLIMIT {{most_rows:UInt64}}",
        largest=sums(is_read),
        left_out=f"SELECT countIf(NOT is_read) FROM ({ranked})",
    )


def hourly_rows(
    connection: ReadConnection,
    query: HourlyQuery,
    parameters: Mapping[str, Any],
    spans: Sequence[Hours],
) -> HourlyRows:
    """Read spans of hours that do not overlap. Raises `SinkBusy` and `SinkBroken`."""
    given = {
        **parameters,
        "starts_ms": [span.start * MS_OF_HOUR for span in spans],
        "ends_ms": [span.end * MS_OF_HOUR for span in spans],
        "max_rows": MAX_ROWS,
    }
    rows: list[Any] = []
    for span in spans:
        most = {"most_rows": MAX_ROWS + 1 - len(rows)}
        rows += connection.rows(query.everything, {**given, **bounds_of(span), **most})
        if len(rows) > MAX_ROWS:
            break
    else:
        return HourlyRows(rows, 0)
    del rows
    ((left_out,),) = connection.rows(query.left_out, given)
    largest = [connection.rows(query.largest, {**given, **bounds_of(span)}) for span in spans]
    return HourlyRows(list(chain.from_iterable(largest)), int(left_out))


def bounds_of(span: Hours) -> dict[str, int]:
    """Return the parameters of `in_span`."""
    return {"start_ms": span.start * MS_OF_HOUR, "end_ms": span.end * MS_OF_HOUR}
