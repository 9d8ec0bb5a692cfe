"""Window rows come back from ClickHouse as they went in, in order, and only those asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.streams.clickhouse import samples
from tests.streams.clickhouse.window_columns import window_columns
from understudy.schemas.events import Mode
from understudy.schemas.window_measures import SideSums
from understudy.schemas.windows import SECTIONS, Source, WindowRow
from understudy.streams.clickhouse.native_blocks import NativeColumns
from understudy.streams.clickhouse.sink_errors import SinkBroken
from understudy.streams.clickhouse.stored_windows import (
    Span,
    StoredRollout,
    WindowRange,
    read_columns,
    read_rows,
    spans,
    stored_rollouts,
)
from understudy.streams.clickhouse.tables import TABLES, WINDOWS, block

NOON = samples.NOON
SECOND = dt.timedelta(seconds=1)
NUMBERS = {
    "UInt64": st.integers(0, 2**63 - 1),
    "Int64": st.integers(-(2**63), 2**63 - 1),
    "UInt128": st.integers(0, 2**128 - 1),
    "Float64": st.floats(allow_nan=False),
    "Map(Int32, UInt64)": st.dictionaries(
        st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**64 - 1), max_size=3
    ),
    "Map(LowCardinality(String), UInt64)": st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=8), st.integers(0, 2**64 - 1), max_size=3
    ),
}


def section(name: str) -> st.SearchStrategy[Any]:
    record = SECTIONS[name]
    return st.builds(
        record, **{key: NUMBERS[TABLES[WINDOWS][f"{name}_{key}"]] for key in get_type_hints(record)}
    )


LABELS = st.text(st.characters(codec="utf-8"), max_size=8)
ROWS = st.builds(
    WindowRow,
    rollout_id=st.just("helpdesk"),
    mode=st.sampled_from([*get_args(Mode), None]),
    language=LABELS,
    workflow=LABELS,
    window_start=st.integers(0, 10**6).map(lambda seconds: NOON + seconds * SECOND / 8),
    window_s=st.integers(1, 2**32 - 1),
    source=st.sampled_from(get_args(Source)),
    partition=st.integers(0, 2**32 - 1),
    version=st.integers(0, 2**63 - 1),
    closed=st.booleans(),
    **{name: section(name) for name in SECTIONS},
)


def store(client: Client, rows: Sequence[WindowRow]) -> None:
    some = block(WINDOWS, window_columns(rows))
    options = {"max_partitions_per_insert_block": 0}
    client.raw_insert(some.table, some.columns, some.payload, fmt="Native", settings=options)


def read(client: Client, some: WindowRange, span_rows: int = 1000) -> list[WindowRow]:
    return list(read_rows(client, some, spans(client, some, span_rows=span_rows)))


def row(second: int = 0, **changes: Any) -> WindowRow:
    fields = {
        "rollout_id": "helpdesk",
        "mode": "shadow",
        "language": "ja",
        "window_start": NOON + second * SECOND,
        "window_s": 10,
        "partition": 0,
        "version": 1,
        "closed": True,
    }
    return WindowRow(**{**fields, **changes})


def ms(time: dt.datetime) -> int:
    return round(time.timestamp() * 1000)


@pytest.mark.slow
@settings(
    max_examples=30,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(rows=st.lists(ROWS, min_size=1, max_size=2, unique_by=lambda one: one.partition))
def test_every_column_comes_back(client: Client, rows: list[WindowRow]) -> None:
    client.command("TRUNCATE TABLE windows")
    store(client, rows)
    got = read(client, WindowRange("helpdesk"))
    assert sorted(got, key=lambda one: one.partition) == sorted(rows, key=lambda one: one.partition)
    assert set(map(repr, got)) == set(map(repr, rows)), "types, and -0.0"


def test_rows_come_in_the_order_of_their_starts_whatever_the_spans(client: Client) -> None:
    rng = np.random.default_rng(1)
    rows = [
        row(int(second), partition=partition, language=language)
        for second in rng.permutation(40)
        for partition in (1, 0)
        for language in ("en", "ja")
    ]
    store(client, rows)
    whole = read(client, WindowRange("helpdesk"))
    assert [one.window_start for one in whole] == sorted(one.window_start for one in rows)
    assert [one.partition for one in whole[:4]] == [0, 0, 1, 1]
    for span_rows in (1, 7, 50):
        assert read(client, WindowRange("helpdesk"), span_rows) == whole


def test_spans_hold_whole_windows_and_about_as_many_rows_as_asked(client: Client) -> None:
    store(client, [row(10 * n, partition=p) for n in range(10) for p in range(3)])
    cut = spans(client, WindowRange("helpdesk"), span_rows=7)
    assert sum(span.rows for span in cut) == 30
    assert all(span.rows % 3 == 0 and span.rows <= 9 for span in cut)
    assert all(one.last_ms < following.first_ms for one, following in pairwise(cut))
    assert spans(client, WindowRange("helpdesk"), span_rows=30) == [
        Span(ms(NOON), ms(NOON + 90 * SECOND), 30)
    ]


def test_only_the_last_version_counts(client: Client) -> None:
    for version in (10, 30, 20):
        store(client, [row(version=version, closed=version == 30)])
    assert read(client, WindowRange("helpdesk")) == [row(version=30)]
    assert spans(client, WindowRange("helpdesk"))[0].rows == 1


def test_a_range_takes_windows_that_start_in_it(client: Client) -> None:
    rows = [row(10 * n) for n in range(6)]
    store(client, [*rows, row(20, rollout_id="search")])
    since, until = ms(NOON + 10 * SECOND), ms(NOON + 40 * SECOND)
    assert read(client, WindowRange("helpdesk", since, until)) == rows[1:4]
    assert read(client, WindowRange("helpdesk", since_ms=since + 1)) == rows[2:]
    assert read(client, WindowRange("helpdesk", until_ms=until + 1)) == rows[:5]
    assert read(client, WindowRange("helpdesk", until_ms=10**18)) == rows
    assert spans(client, WindowRange("helpdesk", until, since)) == []


@pytest.mark.parametrize("since_ms", [1, 0, -(10**15)])
def test_the_window_of_1970_is_left_out(client: Client, since_ms: int) -> None:
    epoch = row(window_start=dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
    store(client, [epoch, row()])
    assert read(client, WindowRange("helpdesk", since_ms)) == [row()]
    assert [one.since for one in stored_rollouts(client)] == [NOON]


@pytest.mark.parametrize("name", ["' OR 1 = 1 --", "a\\'b", "{since_ms:Int64}", "%(x)s", "名 🔎"])
def test_a_rollout_id_is_never_sql(client: Client, name: str) -> None:
    store(client, [row(), row(rollout_id=name)])
    assert read(client, WindowRange(name)) == [row(rollout_id=name)]


def test_what_is_kept_names_rollouts_and_times(client: Client) -> None:
    store(client, [row(), row(600), row(300, rollout_id="search"), row(900, rollout_id="")])
    assert stored_rollouts(client) == [
        StoredRollout("helpdesk", NOON, NOON + 610 * SECOND),
        StoredRollout("search", NOON + 300 * SECOND, NOON + 310 * SECOND),
    ]


def test_a_missing_table_is_told_by_what_to_do(empty_client: Client) -> None:
    with pytest.raises(SinkBroken, match="windows"):
        spans(empty_client, WindowRange("helpdesk"))


def test_columns_hold_what_the_rows_do_span_after_span(client: Client) -> None:
    rows = [
        row(
            10 * n,
            partition=p,
            mode="shadow" if n % 2 else None,
            language=("ja", "en", "名")[n % 3],
            closed=bool(n % 2),
            candidate=SideSums(requests=n, duration_ms_sum=n / 2, duration_ms_histogram={n: p + 1}),
        )
        for n in range(9)
        for p in (0, 1)
    ]
    store(client, rows)
    some = WindowRange("helpdesk")
    names = ("candidate_requests", "candidate_duration_ms_sum", "candidate_duration_ms_histogram")
    for span_rows in (3, 100):
        cut = spans(client, some, span_rows=span_rows)
        blocks = list(read_columns(client, some, cut, names))
        assert [block.n_rows for block in blocks] == [span.rows for span in cut]
        found = [one for block in blocks for one in _rows_of(block)]
        assert found == [
            (
                one.mode or "", one.language, one.workflow, ms(one.window_start), one.window_s,
                one.source, one.partition, one.closed, one.candidate.requests,
                one.candidate.duration_ms_sum, one.candidate.duration_ms_histogram,
            )
            for one in rows
        ]  # fmt: skip


def _rows_of(block: NativeColumns) -> list[tuple[Any, ...]]:
    def labels(name: str) -> list[str]:
        column = block.labels[name]
        return [column.values[code] for code in column.codes.tolist()]

    entries = block.maps["candidate_duration_ms_histogram"]
    assert set(entries.sizes.tolist()) == {1}
    histograms = zip(entries.keys.tolist(), entries.values.tolist(), strict=True)
    numbers = {name: column.tolist() for name, column in block.numbers.items()}
    parts = (
        labels("mode"), labels("language"), labels("workflow"), numbers["window_start"],
        numbers["window_s"], labels("source"), numbers["partition"], numbers["closed"],
        numbers["candidate_requests"], numbers["candidate_duration_ms_sum"],
        [dict([entry]) for entry in histograms],
    )  # fmt: skip
    return list(zip(*parts, strict=True))


def test_what_is_no_column_cannot_be_asked_for(client: Client) -> None:
    store(client, [row()])
    some = WindowRange("helpdesk")
    with pytest.raises(KeyError):
        list(read_columns(client, some, spans(client, some), ["now(), candidate_requests"]))
