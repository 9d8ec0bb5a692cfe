"""Rows of windows as they travel: whatever a row says comes back, and what cannot be is refused."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.schemas.events import Mode
from understudy.schemas.measure_kinds import SumKind
from understudy.schemas.measures import SUMS
from understudy.schemas.row_lists import RowLists
from understudy.schemas.windows import (
    SECTIONS,
    WindowRow,
    WindowsMessage,
    row_lists,
    windows_message,
)

START = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
PLACE: dict[str, Any] = {"rollout_id": "helpdesk", "partition": 3}
COUNTS = st.integers(0, 2**53)
OF_KIND: dict[str, st.SearchStrategy[Any]] = {
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "Histogram": st.dictionaries(st.integers(-(2**15), 2**15), COUNTS, max_size=3),
    "Names": st.dictionaries(st.text(max_size=5), COUNTS, max_size=3),
}


def a_sum(kind: SumKind, type_name: str) -> st.SearchStrategy[Any]:
    if type_name != "int":
        return OF_KIND[type_name]
    return COUNTS if kind is SumKind.COUNT else st.integers(-(2**70), 2**70)


@st.composite
def a_row(draw: st.DrawFn) -> WindowRow:
    """A row of which a few measures are not zero."""
    sections: dict[str, Any] = {}
    for section in draw(st.sets(st.sampled_from(sorted(SECTIONS)), max_size=3)):
        some = draw(st.lists(st.sampled_from(SUMS[section]), max_size=4, unique=True))
        values = {one.name: draw(a_sum(one.kind, one.type_name)) for one in some}
        sections[section] = SECTIONS[section](**values)
    minutes = draw(st.integers(0, 10))
    evaluator = draw(st.sampled_from(["", "judge@1"]))
    return WindowRow(
        **PLACE,
        mode=draw(st.sampled_from([None, "shadow", "canary"])),
        language=draw(st.sampled_from(["en", "und", ""])),
        workflow=draw(st.sampled_from(["", "chat"])),
        window_start=START + dt.timedelta(seconds=10 * minutes),
        window_s=draw(st.sampled_from([10, 60])),
        evaluator=evaluator,
        requests_from=START - dt.timedelta(minutes=minutes) if evaluator else None,
        version=draw(st.sampled_from([0, 7])),
        closed=draw(st.booleans()),
        **sections,
    )


def message_of(rows: list[WindowRow]) -> WindowsMessage:
    return windows_message(rows, **PLACE, version=7, watermark=START)


@given(st.lists(a_row(), max_size=4))
def test_whatever_rows_say_comes_back(rows: list[WindowRow]) -> None:
    message = message_of(rows)
    assert message.rows == rows
    decoded = msgspec.json.decode(msgspec.json.encode(message), type=WindowsMessage)
    assert decoded == message
    assert decoded.rows == rows


def test_columns_are_named_as_in_clickhouse_and_left_out_where_they_say_nothing() -> None:
    first = WindowRow(**PLACE, language="en", window_start=START, window_s=10, version=0)
    second = msgspec.structs.replace(
        first, mode="shadow", version=1, stable=SECTIONS["stable"](requests=2)
    )
    assert msgspec.json.decode(msgspec.json.encode(row_lists([first, second]))) == {
        "window_start": ["2026-03-02T12:00:00Z"] * 2,
        "window_s": [10, 10],
        "language": ["en", "en"],
        "version": [0, 1],
        "mode": [None, "shadow"],
        "stable_requests": [0, 2],
    }
    assert msgspec.json.encode(row_lists([])) == b"{}"


def test_every_sum_has_a_column() -> None:
    columns = [f"{section}_{one.name}" for section, sums in SUMS.items() for one in sums]
    assert list(RowLists.__struct_fields__)[-len(columns) :] == columns


ONE: dict[str, list[Any]] = {
    "window_start": [START],
    "window_s": [10],
    "language": ["en"],
    "version": [1],
}


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"stable_requests": [1, 2]}, "a value for each of 1 rows"),
        ({"closed": []}, "a value for each of 1 rows"),
        ({"language": []}, "a value for each of 1 rows"),
        ({"window_start": []}, "a value for each of 0 rows"),
        ({"window_start": ["2026-03-02T12:00:00"]}, "timezone"),
        ({"window_start": ["9999-12-31T23:59:50Z"]}, "end after the year 9999"),
        ({"window_s": [0]}, "`int` >= 1"),
        ({"version": [2**53 + 1]}, "`int` <= 9007199254740992"),
        ({"mode": ["both"]}, "Invalid enum value 'both'"),
        ({"mode": None}, "Expected `array`, got `null`"),
        ({"events_late": [-1]}, "`int` >= 0"),
        ({"stable_errors": [-1]}, "`int` >= 0"),
        ({"stable_duration_ms_sum": ["1"]}, "Expected `float`, got `str`"),
        ({"stable_duration_ms_histogram": [{"fast": 1}]}, "Expected `int`"),
        ({"stable_duration_ms_histogram": [{2**15 + 1: 1}]}, "`int` <= 32768"),
        ({"stable_duration_ms_histogram": [{3: -1}]}, "`int` >= 0"),
        ({"window_s": [86_401]}, "`int` <= 86400"),
        ({name: values * 201 for name, values in ONE.items()}, "length <= 200"),
        ({"stable_models": [["heron-4"]]}, "Expected `object`, got `array`"),
    ],
)
def test_what_cannot_be_is_refused(columns: dict[str, Any], why: str) -> None:
    payload = msgspec.json.encode(ONE | columns)
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.json.decode(payload, type=RowLists)


def test_rows_of_another_place_are_refused() -> None:
    row = WindowRow(**PLACE, language="en", window_start=START, window_s=10, version=1)
    mode: Mode = "canary"
    assert message_of([msgspec.structs.replace(row, mode=mode)]).n_rows == 1
    for change in ({"rollout_id": "other"}, {"partition": 4}, {"source": "feedback"}):
        with pytest.raises(ValueError, match="not of"):
            message_of([row, msgspec.structs.replace(row, **change)])
