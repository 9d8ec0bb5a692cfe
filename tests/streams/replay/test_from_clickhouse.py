"""Stored rows reach the evaluator in columns, each once, and end in a worker's verdict."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analyzers.guardrails.world import START, World
from tests.streams.clickhouse.window_columns import window_columns
from understudy.analyzers.guardrails.closed_rows import ClosedRows
from understudy.analyzers.guardrails.closed_windows import columns_needed
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.row_columns import HISTOGRAMS, NAME_PLACES, RowColumns
from understudy.analyzers.windows.rows import row_key
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.manifests import read_policy
from understudy.schemas.window_measures import SideSums
from understudy.schemas.windows import Source, WindowRow
from understudy.streams.clickhouse.native_blocks import decode_blocks
from understudy.streams.clickhouse.native_format import encode_block
from understudy.streams.clickhouse.stored_windows import IDENTITY
from understudy.streams.clickhouse.tables import TABLES, WINDOWS
from understudy.streams.replay.from_clickhouse import closed_rows

POLICY = read_policy(
    "rollout_id: helpdesk\nmodels: {stable: a, candidate: b}\nmin_requests: 500\n"
    "min_duration: 1m\nguardrails: [{metric: error_rate, max: 10%}]\n"
)
NAMES = columns_needed(POLICY) | {"candidate_duration_ms_histogram"}


def row(start_s: int, **changes: Any) -> WindowRow:
    fields = {
        "rollout_id": "helpdesk",
        "mode": "shadow",
        "language": "en",
        "window_start": START + dt.timedelta(seconds=start_s),
        "window_s": 10,
        "partition": 0,
        "version": 77,
        "closed": True,
    }
    return WindowRow(**{**fields, **changes})


def stored(rows: Sequence[WindowRow], names: Iterable[str] = NAMES) -> list[ClosedRows]:
    """The rows as a query gives them back."""
    columns = window_columns(rows)
    wanted = {name: columns[name] for name in (*IDENTITY, *sorted(names))}
    return closed_rows(decode_blocks(encode_block(WINDOWS, TABLES[WINDOWS], wanted).payload))


def labels_of(rows: ClosedRows) -> list[tuple[str, str, str]]:
    columns = rows.mode, rows.language, rows.workflow
    return list(zip(*([one.values[code] for code in one.codes] for one in columns), strict=True))


def test_rows_come_by_source_and_those_without_a_mode_are_left_out() -> None:
    rows = [
        row(0, language="ja", workflow="search"),
        row(0, source="feedback", mode="ab"),
        row(10, mode=None),
        row(10, language="", mode="canary"),
        row(20, partition=3, window_s=60),
    ]
    events, feedback = stored(rows)
    assert (events.source, feedback.source) == ("events", "feedback")
    assert labels_of(events) == [
        ("shadow", "ja", "search"),
        ("canary", "", ""),
        ("shadow", "en", ""),
    ]
    assert labels_of(feedback) == [("ab", "en", "")]
    start_ms = to_epoch_ms(START)
    assert (events.start_ms - start_ms).tolist() == [0, 10_000, 20_000]
    assert (events.partition.tolist(), events.window_s.tolist()) == ([0, 0, 3], [10, 10, 60])
    assert events.columns.is_paired.tolist() == [True, False, True]
    assert feedback.columns.is_paired.tolist() == [False]
    assert stored([row(0, mode=None)]) == []
    assert stored([]) == []


def test_columns_hold_what_the_rows_do() -> None:
    rows = [one for message in World().messages(1, 3) for one in message.rows]
    for one in (rows[0].stable, rows[0].candidate):
        one.models = {"heron": 3}
    (found,) = stored(rows)
    expected = RowColumns.of_rows(rows, NAMES)
    for name in NAMES:
        if name in NAME_PLACES:
            groups = np.zeros(found.n, dtype=np.int64)
            assert found.columns.by_name(name).added(groups, 1) == [{"heron": 3}]
        elif name in HISTOGRAMS:
            one, other = found.columns.histogram(name), expected.histogram(name)
            assert one.above(300).tolist() == other.above(300).tolist()
            assert one.total().tolist() == other.total().tolist()
        else:
            assert found.columns[name].tolist() == expected[name].tolist()


def rows_of(lengths_s: Sequence[int], sources: Sequence[str]) -> st.SearchStrategy[list[WindowRow]]:
    """Rows in the order of their starts; starts are multiples of 10 s."""
    return st.lists(
        st.builds(
            row,
            st.integers(0, 30).map(lambda tens: 10 * tens),
            window_s=st.sampled_from(lengths_s),
            source=st.sampled_from(sources),
            partition=st.integers(0, 2),
            language=st.sampled_from(["en", "ja"]),
            closed=st.booleans(),
        ),
        max_size=30,
        unique_by=row_key,
    ).map(lambda rows: sorted(rows, key=lambda one: one.window_start))


@settings(deadline=None)
@given(rows_of([1, 10, 400], get_args(Source)), st.integers(0, 30))
def test_deciding_counts_every_row_once(rows: list[WindowRow], cut: int) -> None:
    """Each row has requests of its own, so that a row lost, or taken twice, would show."""
    rows = [
        msgspec.structs.replace(
            one,
            candidate=SideSums(requests=2**i, model_requests=2**i),
            stable=SideSums(requests=2**i, model_requests=2**i),
        )
        for i, one in enumerate(rows)
    ]
    evaluator = RolloutEvaluator(POLICY)
    at = START + dt.timedelta(seconds=10 * cut)
    for part in (
        [one for one in rows if one.window_start < at],
        [one for one in rows if one.window_start >= at],
    ):
        evaluator.take_closed(stored(part))
    decision = evaluator.decision()
    of_events = sum(one.candidate.requests for one in rows if one.source == "events")
    assert decision.stage.requests == of_events
    units = {one.slice: one.units for one in decision.evidence}
    assert units.get("all", 0) == of_events


def test_stored_and_live_rows_end_in_the_same_verdict() -> None:
    world = World(requests=50)
    live, from_store = RolloutEvaluator(POLICY), RolloutEvaluator(POLICY)
    messages = world.messages(3, 40)
    for message in messages:
        live.take(message)
    from_store.take_closed(stored([one for message in messages for one in message.rows]))
    ended, expected = from_store.decision(), live.decision()
    assert ended.verdict == expected.verdict == "promote"
    assert ended.stage.requests == expected.stage.requests
    assert [one.units for one in ended.evidence] == [one.units for one in expected.evidence]
