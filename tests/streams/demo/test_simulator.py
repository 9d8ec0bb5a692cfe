"""The simulated gateway: the same seed gives the same bytes, and its faults are where it says."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest

from understudy.schemas.events import Event, InvalidEvent, decode_event
from understudy.streams.demo.simulator import (
    BROKEN_JSON_RATE,
    HEALTHY_START,
    LANGUAGE_SHARES,
    LATE_AFTER_S,
    ROLLOUT_ID,
    TRUNCATION_RATE,
    WORKFLOW_SHARES,
    SimulatedMessage,
    describe_regression,
    simulate,
)

START = dt.datetime(2026, 11, 3, 12, 0, tzinfo=dt.UTC)
PAIRS = 12_000


def run(seed: int = 7, pairs: int = PAIRS, healthy: bool = False) -> Iterator[SimulatedMessage]:
    return simulate(seed=seed, pairs=pairs, healthy=healthy, start=START)


@pytest.fixture(scope="module")
def regressed() -> list[SimulatedMessage]:
    return list(run())


@pytest.fixture(scope="module")
def healthy() -> list[SimulatedMessage]:
    return list(run(healthy=True))


def events(messages: Iterable[SimulatedMessage]) -> dict[tuple[str, str], Event]:
    """First copies by pair and side."""
    found: dict[tuple[str, str], Event] = {}
    for message in messages:
        if message.event is not None:
            found.setdefault((message.event.pair_id, message.event.side), message.event)
    return found


def broken_share(messages: Iterable[SimulatedMessage], side: str, **where: object) -> float:
    """Share of answers of a side that should be JSON and are not."""
    outcomes = [
        is_json(event.response.output)
        for event in events(messages).values()
        if event.side == side and event.request and event.request.expects != "text"
        if event.response and event.response.finish_reason != "content_filter"
        if all(getattr(event, name) == wanted for name, wanted in where.items())
    ]
    return 1 - sum(outcomes) / len(outcomes)


def is_json(text: str | None) -> bool:
    try:
        json.loads(text or "")
    except ValueError:
        return False
    return True


def test_same_seed_gives_the_same_bytes() -> None:
    first, second = list(run(pairs=500)), list(run(pairs=500))
    assert [(m.key, m.payload, m.arrival_offset_s) for m in first] == [
        (m.key, m.payload, m.arrival_offset_s) for m in second
    ]


def test_another_seed_gives_other_messages() -> None:
    assert [m.payload for m in run(seed=1, pairs=50)] != [m.payload for m in run(seed=2, pairs=50)]


def test_the_same_seed_is_the_same_until_the_regression(
    regressed: list[SimulatedMessage], healthy: list[SimulatedMessage]
) -> None:
    regression = describe_regression(pairs=PAIRS, healthy=False, start=START)
    assert regression is not None
    before = (regression.since - START).total_seconds() - 1.0
    assert [m.payload for m in regressed if m.arrival_offset_s < before] == [
        m.payload for m in healthy if m.arrival_offset_s < before
    ]


def test_messages_come_in_order_of_arrival_after_their_answers(
    regressed: list[SimulatedMessage],
) -> None:
    assert all(a.arrival_offset_s <= b.arrival_offset_s for a, b in pairwise(regressed))
    for message in regressed:
        if message.event is not None and message.event.timing is not None:
            asked_s = (message.event.request_time - START).total_seconds()
            answered_s = asked_s + (message.event.timing.duration_ms or 0.0) / 1000
            assert message.arrival_offset_s >= answered_s - 1e-6


def test_every_event_is_valid_and_every_damaged_message_is_not(
    regressed: list[SimulatedMessage],
) -> None:
    reasons: Counter[str] = Counter()
    for message in regressed:
        if message.event is not None:
            assert decode_event(message.payload).pair_id == message.event.pair_id
            assert message.key == f"{ROLLOUT_ID}/{message.event.conversation_id}"
            continue
        with pytest.raises(InvalidEvent) as raised:
            decode_event(message.payload)
        reasons[raised.value.reason] += 1
    assert len(reasons) >= 2


def test_the_regression_has_the_rate_that_is_described(
    regressed: list[SimulatedMessage],
) -> None:
    regression = describe_regression(pairs=PAIRS, healthy=False, start=START)
    assert regression is not None
    after = [m for m in regressed if m.event and m.event.request_time >= regression.since]
    where = {"language": regression.language, "workflow": regression.workflow}
    stable, candidate = (broken_share(after, side, **where) for side in ("stable", "candidate"))
    assert stable == pytest.approx(BROKEN_JSON_RATE + TRUNCATION_RATE, abs=0.02)
    assert candidate - stable == pytest.approx(regression.rate, abs=0.05)


def test_the_regression_starts_where_it_is_described(regressed: list[SimulatedMessage]) -> None:
    regression = describe_regression(pairs=PAIRS, healthy=False, start=START)
    assert regression is not None
    before = [m for m in regressed if m.event and m.event.request_time < regression.since]
    asked = [e for e in events(before).values() if e.side == "stable"]
    assert len(asked) / PAIRS == pytest.approx(HEALTHY_START, abs=0.05)
    where = {"language": regression.language, "workflow": regression.workflow}
    assert broken_share(before, "candidate", **where) < 0.03


def test_nothing_else_breaks(
    regressed: list[SimulatedMessage], healthy: list[SimulatedMessage]
) -> None:
    assert broken_share(healthy, "candidate") < 0.02
    assert describe_regression(pairs=PAIRS, healthy=True, start=START) is None
    for language in set(LANGUAGE_SHARES) - {"zh-Hans"}:
        assert broken_share(regressed, "candidate", language=language) < 0.04


def test_every_stage_downstream_gets_its_rare_cases(regressed: list[SimulatedMessage]) -> None:
    sides = events(regressed)
    valid = [m for m in regressed if m.event is not None]
    late = [
        m
        for m in valid
        if m.event
        and m.arrival_offset_s - (m.event.request_time - START).total_seconds() >= LATE_AFTER_S
    ]
    partners = Counter(pair_id for pair_id, side in sides if side != "control")
    controls = sum(side == "control" for _, side in sides)
    assert len(valid) > len(sides), "no duplicate"
    assert late
    assert 0.0005 < sum(n == 1 for n in partners.values()) / PAIRS < 0.01
    assert 0.04 < controls / PAIRS < 0.06
    assert 0.004 < sum(e.error is not None for e in sides.values()) / len(sides) < 0.012
    assert any(e.fallback and e.fallback.used for e in sides.values())
    assert any(e.language is None for e in sides.values())


def test_runs_differ_as_those_of_a_model_do(healthy: list[SimulatedMessage]) -> None:
    sides = events(healthy)
    same: dict[str, list[bool]] = {workflow: [] for workflow in WORKFLOW_SHARES}
    for (pair_id, side), event in sides.items():
        other = sides.get((pair_id, "candidate"))
        if side == "stable" and other and event.response and other.response:
            equal = (event.response.output, event.response.tool_calls) == (
                other.response.output,
                other.response.tool_calls,
            )
            same[event.workflow or ""].append(equal)
    shares = {workflow: sum(equal) / len(equal) for workflow, equal in same.items()}
    assert 0.03 < shares.pop("chat") < 0.2
    assert all(0.4 <= share <= 0.65 for share in shares.values()), shares


def test_output_sizes(healthy: list[SimulatedMessage]) -> None:
    sizes = sorted(
        len(event.response.output.encode())
        for event in events(healthy).values()
        if event.response and event.response.output
    )
    assert 350 < sizes[len(sizes) // 2] < 650
    assert 1_500 < sizes[-1] < 4_000


def test_refuses_what_it_cannot_simulate() -> None:
    with pytest.raises(ValueError, match="time zone"):
        simulate(seed=1, pairs=1, healthy=True, start=START.replace(tzinfo=None))
    with pytest.raises(ValueError, match="tlh"):
        simulate(seed=1, pairs=1, healthy=False, start=START, language="tlh")


def test_no_pairs_give_no_messages() -> None:
    assert list(run(pairs=0)) == []


@pytest.mark.slow
def test_takes_little_of_the_time_of_what_reads_it() -> None:
    began = time.process_time()
    messages = sum(1 for _ in run(pairs=10_000))
    a_second = messages / (time.process_time() - began)
    assert a_second > 5_000, "a busy machine makes half of what an idle one does"


def test_users_come_back_with_another_turn_in_their_language_and_workflow(
    regressed: list[SimulatedMessage],
) -> None:
    turns: dict[str, list[Event]] = {}
    for (_, side), event in events(regressed).items():
        if side == "stable":
            turns.setdefault(event.conversation_id or "", []).append(event)
    assert "" not in turns
    longest = max(map(len, turns.values()))
    assert longest >= 4
    later = sum(event.turn != 1 for asked in turns.values() for event in asked) / PAIRS
    assert 0.1 < later < 0.25
    for asked in turns.values():
        asked.sort(key=lambda event: event.request_time)
        numbers = [event.turn or 0 for event in asked]
        assert all(a < b for a, b in pairwise(numbers)), "but for sides that were lost"
        assert len({event.workflow for event in asked}) == 1
        assert len({event.language for event in asked} - {None}) <= 1


def test_wrong_answers_differ_in_nothing_but_what_they_say() -> None:
    right = events(simulate(seed=7, pairs=PAIRS, healthy=True, start=START))
    wrong = events(simulate(seed=7, pairs=PAIRS, healthy=False, start=START, kind="quality"))
    where = describe_regression(pairs=PAIRS, healthy=False, start=START, kind="quality")
    assert where is not None
    lengths: dict[str, list[int]] = {"stable": [], "candidate": []}
    for (_, side), event in wrong.items():
        there = event.language == where.language and event.workflow == where.workflow
        if side in lengths and there and event.request_time >= where.since and event.response:
            lengths[side].append(len(event.response.output or ""))
    means = [sum(found) / len(found) for found in lengths.values()]
    assert means[0] == pytest.approx(means[1], rel=0.03)
    before = {key for key, event in wrong.items() if event.request_time < where.since}
    assert all(wrong[key] == right[key] for key in before & right.keys())
