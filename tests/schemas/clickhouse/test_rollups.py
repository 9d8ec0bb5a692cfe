"""Roll-ups as they are declared; `tests/streams/clickhouse/test_rollups.py` fills them."""

from __future__ import annotations

import re
from itertools import pairwise

from understudy.schemas.clickhouse.rollups import KEY, ROLLUPS, SLICES_OF_ROLLUPS
from understudy.schemas.clickhouse.schema import SLICES, WINDOWS, Table


def kept_days(table: Table) -> int:
    (days,) = re.findall(r"TTL loaded_at \+ INTERVAL (\d+) DAY", table.clauses)
    return int(days)


def test_each_is_made_from_the_one_before_and_kept_for_longer() -> None:
    assert ROLLUPS[0].source == WINDOWS.name
    assert kept_days(WINDOWS) < kept_days(ROLLUPS[0].table)
    for shorter, longer in pairwise(ROLLUPS):
        assert longer.source == shorter.table.name
        assert longer.interval_s % shorter.interval_s == 0
        assert kept_days(shorter.table) < kept_days(longer.table)


LEFT_OUT = {"partition", "requests_from"}
"""What roll-ups do not tell apart."""


def test_a_roll_up_has_the_columns_of_windows_without_the_partition() -> None:
    for rollup in ROLLUPS:
        assert list(rollup.table.types) == [n for n in WINDOWS.types if n not in LEFT_OUT]
        assert rollup.table.types.items() <= WINDOWS.types.items()


def test_rows_are_told_apart_by_all_that_tells_windows_apart() -> None:
    clause = re.findall(r"ORDER BY \((.*?)\)", WINDOWS.clauses, re.DOTALL)[0]
    windows_key = {name.strip() for name in clause.split(",")}
    assert {one.name for one in KEY} == windows_key - LEFT_OUT
    for rollup in ROLLUPS:
        key = re.findall(r"ORDER BY \((.*)\)", rollup.table.clauses)[0].split(", ")
        assert set(key) == {one.name for one in KEY} - {"window_s"}


def test_their_views_have_the_columns_of_slices() -> None:
    for view in SLICES_OF_ROLLUPS:
        assert view.types == SLICES.types
