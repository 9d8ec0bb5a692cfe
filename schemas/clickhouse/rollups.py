"""Roll-ups: windows with their partitions added up over a minute, five minutes and an hour.

A row's version is the sum over the rows that it was made from of their versions, each plus one. A
base row only ever gets a higher version, and rows are only ever added, so the version of a roll-up
grows with whatever it is made from: of two rows of one key, that with the higher version knows
more, whoever wrote it and when. Where rows that it was made from are deleted by their TTL, what is
left gives a lower version, which does not count (docs/decisions/0023-rollups.md: unless others of
them are written anew with much higher versions).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from understudy.schemas.clickhouse.schema import (
    CLOSED,
    LOADED_AT,
    SLICE,
    SLICE_KEY,
    TIME,
    WINDOW,
    WINDOWS,
    Column,
    Table,
    View,
    added_up,
)

_PARTITION: Final = next(n for n, one in enumerate(WINDOWS.columns) if one.name == "partition")
KEY: Final = tuple(one for one in WINDOWS.columns[:_PARTITION] if one.name != "requests_from")
"""Columns that tell roll-ups apart: those of windows, but for the partition and for the minute in
which judged pairs were requested, which decisions alone ask."""


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of rows added up over intervals of one length."""

    table: Table
    interval_s: int
    source: str
    """Table of the rows that are added up; its own intervals divide these."""


def _rollup(suffix: str, said: str, interval_s: int, source: str, kept_days: int) -> Rollup:
    name = f"rollup_{suffix}"
    table = Table(
        name,
        f"Roll-up: windows of {said} with their partitions added up.",
        (
            *(_of_interval(column) for column in KEY),
            Column("version", "UInt64",
                   "Sum of the versions of the rows it was made from, each plus one; among equal "
                   "keys the highest counts"),
            Column("closed", "Bool", "All windows that it was made from are closed"),
            *(replace(column, value="") for column in added_up(of_events=False)),
        ),
        (LOADED_AT,),
        f"""\
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_start)
ORDER BY ({", ".join(column.name for column in KEY if column.name != "window_s")})
TTL loaded_at + INTERVAL {kept_days} DAY
SETTINGS ttl_only_drop_parts = 1""",
        f"Windows of {said} with their partitions added up, written by workers, up to a minute "
        f"behind. Read slices_{suffix} (or FINAL), since each version of a row is stored. Kept for "
        f"{kept_days} days after loading; to change: ALTER TABLE {name} MODIFY TTL loaded_at + "
        "INTERVAL 100 DAY",
    )  # fmt: skip
    return Rollup(table, interval_s, source)


def _of_interval(column: Column) -> Column:
    comments = {
        "window_start": "Start of the interval, inclusive",
        "window_s": "Length of the interval in seconds",
    }
    return replace(column, comment=comments.get(column.name, column.comment))


ROLLUPS: Final = (
    _rollup("1m", "a minute", 60, WINDOWS.name, 60),
    _rollup("5m", "five minutes", 300, "rollup_1m", 120),
    _rollup("1h", "an hour", 3600, "rollup_5m", 400),
)
"""From the shortest intervals to the longest, each made from the one before."""

PROGRESS: Final = Table(
    "rollup_progress",
    "How far roll-ups have come.",
    (
        Column("name", "String", "windows"),
        Column("done_until", TIME,
               "Rows of windows that were loaded before then are in the roll-ups, give or take "
               "what was being loaded at that time"),
    ),
    (),
    "ENGINE = ReplacingMergeTree(done_until)\nORDER BY name",
    "Written after a run of the roll-ups has stored all that it found; read with FINAL",
)  # fmt: skip


def _slices(rollup: Rollup) -> View:
    suffix = rollup.table.name.removeprefix("rollup_")
    return View(
        f"slices_{suffix}",
        f"Slices over {rollup.interval_s} s: the roll-up with its sources added up.",
        (
            *(replace(_of_interval(one), value=f"w.{one.name}") for one in (*SLICE, *WINDOW)),
            CLOSED,
            *added_up(of_events=True),
        ),
        SLICE_KEY,
        f"As slices, over intervals of {rollup.interval_s} s and kept for longer; up to a minute "
        "behind",
        source=f"{rollup.table.name} AS w FINAL",
    )


SLICES_OF_ROLLUPS: Final = tuple(map(_slices, ROLLUPS))
