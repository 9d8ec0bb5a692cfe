"""Window rows come back as they went in; the highest version counts, views add up."""

from __future__ import annotations

import datetime as dt
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from tests.streams.clickhouse import samples
from tests.streams.clickhouse.round_trip import expect, insert, stored
from tests.streams.clickhouse.window_columns import window_columns
from understudy.analyzers.guardrails.row_columns import PLACES
from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.analyzers.windows.layout import VECTOR_LENGTH
from understudy.analyzers.windows.window_sums import SliceKey, WindowSums
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.window_measures import EventCounts, SideSums, UnresolvedCounts
from understudy.schemas.windows import WindowRow
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.tables import (
    TABLES,
    WINDOWS,
    block,
)
from understudy.streams.clickhouse.window_rows import LatestWindows, filled_columns

KEY = SliceKey("helpdesk", "shadow", "ja", "billing", to_epoch_ms(samples.NOON))


def test_window_rows_round_trip(client: Client) -> None:
    rng = np.random.default_rng(6)
    rows = [samples.window_row(rng, version=p + 1, partition=p) for p in range(7)]
    columns = window_columns(rows)
    insert(client, block(WINDOWS, columns))
    got = stored(client, WINDOWS, "partition")
    expect(WINDOWS, columns, got)
    assert got["stable_duration_ms_histogram"][3] == rows[3].stable.duration_ms_histogram


def test_the_highest_version_of_a_window_row_counts(client: Client) -> None:
    rng = np.random.default_rng(7)
    versions = {v: samples.window_row(rng, version=v) for v in (10, 30, 20)}
    for row in versions.values():
        insert(client, block(WINDOWS, window_columns([row])))
    got = stored(client, WINDOWS, "partition")
    assert got["version"] == [30]
    expect(WINDOWS, window_columns([versions[30]]), got)
    latest = client.query("SELECT version, stable_requests FROM windows_latest").result_rows
    assert latest == [(30, versions[30].stable.requests)]


def drawn(rng: np.random.Generator, *, key: SliceKey = KEY, **fields: Any) -> DrawnRow:
    """A row in which every number may have a value."""
    sums = WindowSums(rng.integers(0, 2**20, VECTOR_LENGTH))
    sums.add_buckets("stable_duration_ms_histogram", [(7, 3), (-2, 5)])
    sums.add_name("candidate_models", "heron-5", 3)
    own = {"window_s": 10, "partition": 0, "version": 1, "closed": False, **fields}
    return DrawnRow.of(sums, key, **own)


def test_drawn_rows_are_written_as_the_rows_that_they_are(client: Client) -> None:
    rng = np.random.default_rng(8)
    judged = KEY._replace(evaluator="judge@1", requests_from_ms=KEY.window_start_ms - 60_000)
    rows = [
        drawn(rng, partition=0, closed=True),
        drawn(rng, partition=1, key=KEY._replace(mode=""), source="feedback"),
        drawn(rng, partition=2, key=judged, source="evaluations"),
        drawn(rng, partition=3, unresolved=UnresolvedCounts(awaiting_stable=2)),
    ]
    columns = filled_columns(rows)
    assert list(columns) == [name for name in TABLES[WINDOWS] if name in columns]
    insert(client, block(WINDOWS, columns))
    wanted = window_columns([row.to_row() for row in rows])
    expect(WINDOWS, wanted, stored(client, WINDOWS, "partition"))
    assert {name: list(wanted[name]) for name in columns} == columns
    assert not any(any(wanted[name]) for name in wanted.keys() - columns.keys())


def test_of_the_versions_that_wait_the_highest_is_inserted() -> None:
    rng = np.random.default_rng(11)
    waiting, low = (drawn(rng, version=v) for v in (3, 2))
    other = drawn(rng, version=2, key=KEY._replace(language="ko"))
    latest = LatestWindows([waiting])
    latest.join(LatestWindows([low, other]))  # as after a partition is read again
    assert (latest.rows, latest.table) == (2, WINDOWS)
    assert latest.payload == block(WINDOWS, filled_columns([waiting, other])).payload
    newer = drawn(rng, version=3)
    latest.join(LatestWindows([newer]))
    assert latest.payload == block(WINDOWS, filled_columns([newer, other])).payload


def test_rows_of_other_slices_windows_sources_and_partitions_wait_beside_each_other() -> None:
    rng = np.random.default_rng(12)
    keys = [
        KEY, KEY._replace(rollout_id="other"), KEY._replace(mode="canary"),
        KEY._replace(language="ko"), KEY._replace(workflow="chat"),
        KEY._replace(window_start_ms=KEY.window_start_ms + 10_000), KEY._replace(evaluator="judge"),
        KEY._replace(evaluator="judge", requests_from_ms=60_000),
    ]  # fmt: skip
    others: list[dict[str, Any]] = [{"window_s": 20}, {"source": "feedback"}, {"partition": 3}]
    rows = [drawn(rng, key=key) for key in keys] + [drawn(rng, **change) for change in others]
    again = [drawn(rng, version=2, closed=True)]
    assert LatestWindows([*rows, *again]).rows == len(rows)


def test_slices_add_partitions_up(client: Client) -> None:
    rng = np.random.default_rng(8)
    rows = [samples.window_row(rng, version=p + 1, partition=p) for p in range(4)]
    old = samples.window_row(rng, version=0, partition=2)
    insert(client, block(WINDOWS, window_columns([old, *rows])))
    got = stored(client, "slices", "language").items()
    for name, (value,) in ((n, v) for n, v in got if n in TABLES[WINDOWS]):
        if name not in PLACES:
            continue
        parts = [attrgetter(PLACES[name])(row) for row in rows]
        if isinstance(parts[0], dict):
            keys = {key for part in parts for key in part}
            assert value == {k: sum(p.get(k, 0) for p in parts) for k in sorted(keys)}
        else:
            assert value == pytest.approx(sum(parts), rel=1e-12), name
    assert dict(got)["closed"] == [False]


def test_slices_take_feedback_with_its_events_but_not_its_account(client: Client) -> None:
    """Same slice, partition and version; only the source tells the two rows apart."""
    rng = np.random.default_rng(8)
    events = samples.window_row(rng)
    feedback = msgspec.structs.replace(samples.window_row(rng), source="feedback")
    insert(client, block(WINDOWS, window_columns([events, feedback])))
    got = stored(client, "slices", "language")
    both = events.candidate.feedback_score_count + feedback.candidate.feedback_score_count
    assert got["candidate_feedback_score_count"] == [both]
    assert got["events_late"] == [events.events.late]


def test_a_window_of_huge_counts_is_stored_whole(client: Client) -> None:
    row = WindowRow(
        rollout_id="",
        language="und",
        window_start=dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        window_s=10,
        partition=0,
        version=2**63 - 1,
        events=EventCounts(invalid=2**64 + 5),
        stable=SideSums(output_tokens_squares=2**100),
    )
    insert(client, block(WINDOWS, window_columns([row])))
    got = stored(client, WINDOWS, "partition")
    assert got["events_invalid"] == [2**64 - 1]
    assert got["stable_output_tokens_squares"] == [2**100]
    assert got["mode"] == [""]


def test_no_rows_make_an_empty_block() -> None:
    assert block(WINDOWS, window_columns([])).rows == 0


def test_measures_that_are_zero_in_every_row_need_not_be_written(client: Client) -> None:
    rng = np.random.default_rng(11)
    full = drawn(rng, partition=0)
    sums = WindowSums()
    sums.add_count("stable_requests", 3)
    bare = DrawnRow.of(sums, KEY, window_s=10, partition=1, version=1, closed=False)
    filled = filled_columns([bare])
    assert len(filled) < len(filled_columns([full]))
    assert "partition" in filled, "identity is written, whatever it is"
    written, both = block(WINDOWS, filled), block(WINDOWS, filled_columns([full]))
    loader = Loader(lambda: client)
    loader.put([written, both], {0: 1})
    assert loader.flush(10.0)
    assert loader.counters.batches == 1, "blocks of different columns share an insert"
    rows = [full.to_row(), bare.to_row()]
    expect(WINDOWS, window_columns(rows), stored(client, WINDOWS, "partition"))
