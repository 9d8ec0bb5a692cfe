"""Stored rows are emitted once when their window ends and once when it closes, in order."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.analyzers.guardrails.world import START, World
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.windows.rows import row_key
from understudy.schemas.manifests import read_policy
from understudy.schemas.window_measures import SideSums
from understudy.schemas.windows import Source, WindowRow, WindowsMessage
from understudy.streams.replay.from_clickhouse import window_messages

START_MS = round(START.timestamp() * 1000)
LATENESS_S = 130
POLICY = read_policy(
    "rollout_id: helpdesk\nmodels: {stable: a, candidate: b}\nmin_requests: 500\n"
    "independent_requests: true\n"
    "min_duration: 1m\nguardrails: [{metric: error_rate, max: 10%}]\n"
)


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


def story(messages: list[WindowsMessage]) -> list[tuple[float, int, list[tuple[float, bool]]]]:
    """Seconds since the start, partition, and the rows by seconds and whether they are closed."""
    return [
        (
            (message.version - START_MS) / 1000,
            message.partition,
            [((one.window_start - START).total_seconds(), one.closed) for one in message.rows],
        )
        for message in messages
    ]


def emitted(rows: list[WindowRow]) -> list[WindowsMessage]:
    return list(window_messages(iter(rows), LATENESS_S * 1000))


def test_a_window_is_emitted_at_its_end_and_closes_after_the_lateness() -> None:
    assert story(emitted([row(0), row(10), row(150)])) == [
        (10, 0, [(0, False)]),
        (20, 0, [(10, False)]),
        (140, 0, [(0, True)]),
        (150, 0, [(10, True)]),
        (160, 0, [(150, False)]),
        (160.001, 0, [(150, True)]),
    ]


def test_what_ends_and_what_closes_at_once_is_one_message_of_each_partition() -> None:
    rows = [row(0, partition=1), row(0), row(130, partition=1), row(130)]
    assert story(emitted(rows))[2:4] == [
        (140, 0, [(0, True), (130, False)]),
        (140, 1, [(0, True), (130, False)]),
    ]


def test_the_end_of_the_rows_closes_what_is_left() -> None:
    rows = [row(0), row(10, partition=1, closed=False)]
    assert story(emitted(rows))[2:] == [(20.001, 0, [(0, True)]), (20.001, 1, [(10, True)])]
    assert emitted([]) == []


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


@given(rows_of([1, 10, 60, 400], get_args(Source)))
def test_any_rows_are_emitted_as_a_worker_would(rows: list[WindowRow]) -> None:
    messages = emitted(rows)
    assert [m.watermark for m in messages] == sorted(m.watermark for m in messages if m.watermark)
    versions: dict[tuple[str, int], list[int]] = defaultdict(list)
    seen: dict[Any, list[WindowRow]] = defaultdict(list)
    for message in messages:
        versions[message.source, message.partition].append(message.version)
        for one in message.rows:
            assert (one.source, one.partition) == (message.source, message.partition)
            assert one.version == message.version
            seen[row_key(one)].append(one)
    assert all(some == sorted(set(some)) for some in versions.values())
    assert seen.keys() == {row_key(one) for one in rows}
    for one in rows:
        first, second = seen[row_key(one)]
        assert (first.closed, second.closed) == (False, True)
        assert msgspec.structs.replace(first, version=77, closed=one.closed) == one
        assert second == msgspec.structs.replace(first, version=second.version, closed=True)


@given(rows_of([10], ["events"]))
def test_deciding_counts_every_row_once(rows: list[WindowRow]) -> None:
    """Each row has requests of its own, so that a row lost, or emitted twice, would show."""
    rows = [
        msgspec.structs.replace(
            one,
            candidate=SideSums(requests=2**i, model_requests=2**i),
            stable=SideSums(requests=2**i, model_requests=2**i),
        )
        for i, one in enumerate(rows)
    ]
    evaluator = RolloutEvaluator(POLICY)
    for message in emitted(rows):
        evaluator.take(message)
    decision = evaluator.decision()
    assert decision.stage.requests == 2 ** len(rows) - 1
    units = {one.slice: one.units for one in decision.evidence}
    assert units.get("all", 0) == 2 ** len(rows) - 1


def test_stored_and_live_rows_end_in_the_same_verdict() -> None:
    world = World(requests=50)
    live, stored = RolloutEvaluator(POLICY), RolloutEvaluator(POLICY)
    messages = world.messages(3, 40)
    for message in messages:
        live.take(message)
    rows = [one for message in messages for one in message.rows]
    for message in emitted(rows):
        stored.take(message)
    ended, expected = stored.decision(), live.decision()
    assert ended.verdict == expected.verdict == "promote"
    assert ended.stage.requests == expected.stage.requests
    assert [one.units for one in ended.evidence] == [one.units for one in expected.evidence]
