"""The state of a feedback partition: each rule, one case each."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.streams.pairing.log import EPOCH, POLICY, Log, opinion
from understudy.analyzers.windows.rows import latest, total
from understudy.schemas.events import InvalidReason
from understudy.streams.pairing.commit_rule import CommitMetadata
from understudy.streams.pairing.feedback_partition import FeedbackPartition
from understudy.streams.pairing.pairing_policy import PairingPolicy


def feedback_log(policy: PairingPolicy = POLICY, **start: Any) -> Log:
    return Log(policy, FeedbackPartition, **start)


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        pytest.param([opinion("a"), opinion("b")], {"single": 2}, id="two requests"),
        pytest.param([opinion("a")] * 3, {"single": 1, "duplicate": 2}, id="the same thrice"),
        pytest.param(
            [opinion("a"), opinion("a", at_s=3, score=0.0)],
            {"single": 1, "duplicate": 1},
            id="another mind, told soon",
        ),
        pytest.param([opinion("a"), opinion("a", at_s=30)], {"single": 1, "duplicate": 1},
                     id="just within the look-back"),
        pytest.param([opinion("a"), opinion("a", at_s=30.001)], {"single": 2},
                     id="past the look-back"),
        pytest.param(
            [opinion("a"), opinion("a", at_s=20), opinion("a", at_s=40)],
            {"single": 1, "duplicate": 2},
            id="a copy of a copy",
        ),
        pytest.param(
            [opinion("a", at_s=20), opinion("a")],
            {"single": 1, "duplicate": 1},
            id="a copy that is older",
        ),
        pytest.param([opinion("a"), opinion("a", side="stable")], {"single": 2}, id="other side"),
        pytest.param([opinion("a"), opinion("a", name="stars")], {"single": 2}, id="other name"),
        pytest.param([opinion("a"), opinion("a", rollout_id="s")], {"single": 2}, id="rollout"),
        pytest.param([opinion("a"), opinion("b", at_s=30), opinion("c")], {"single": 3},
                     id="just in time"),
        pytest.param([opinion("a"), opinion("b", at_s=30.001), opinion("c")],
                     {"single": 2, "late": 1}, id="late"),
        pytest.param([opinion("a"), opinion("b", at_s=31), opinion("a")],
                     {"single": 2, "late": 1}, id="a late copy is late"),
        pytest.param([b"{", None, opinion("a"), b"[]"], {"single": 1, "invalid": 3}, id="garbage"),
        pytest.param([opinion("a"), opinion("b", at_s=2e6)], {"single": 1, "invalid": 1},
                     id="ahead of its record"),
        pytest.param([opinion("a", score=1.01)], {"invalid": 1}, id="score out of range"),
        pytest.param([opinion("a", side="control")], {"invalid": 1}, id="nobody sees control"),
        pytest.param([opinion("a", rollout_id="r/s")], {"invalid": 1}, id="slash"),
    ],
)  # fmt: skip
def test_every_record_ends_in_one_place(
    payloads: list[bytes | None], expected: dict[str, int]
) -> None:
    together = feedback_log().read(*payloads)
    assert together.events == expected
    assert together.balance() == 0
    apart = feedback_log()
    for payload in payloads:
        apart.read(payload)
    assert apart.events == expected
    assert apart.balance() == 0


def test_opinions_count_by_side_slice_and_their_own_time() -> None:
    log = feedback_log().read(
        opinion("a", score=1.0),
        opinion("b", score=0.25),
        opinion("c", at_s=12, score=0.5),
        opinion("d", side="stable", score=0.75),
        opinion("e", language="zh-CN"),
        opinion("f", language=None, workflow="chat", mode="ab"),
    )
    found = {
        (row.language, row.workflow, row.mode, (row.window_start - EPOCH).seconds): [
            (side.feedback_score_count, side.feedback_positive, side.feedback_score_sum)
            for side in (row.candidate, row.stable)
        ]
        for row in latest(log.rows)
    }
    nothing = (0, 0, 0.0)
    assert found == {
        ("en", "", "canary", 0): [(2, 1, 1.25), (1, 1, 0.75)],
        ("en", "", "canary", 10): [(1, 1, 0.5), nothing],
        ("zh-Hans", "", "canary", 0): [(1, 1, 1.0), nothing],
        ("und", "chat", "ab", 0): [(1, 1, 1.0), nothing],
    }
    assert {row.source for row in log.rows} == {"feedback"}
    assert all(row.candidate.requests == row.stable.requests == 0 for row in log.rows)


def test_a_window_closes_once_at_the_record_that_passed_it() -> None:
    log = feedback_log().read(opinion("a"), opinion("b", at_s=39.999))
    assert [row.closed for row in log.rows if row.window_start == EPOCH] == [False]
    log.read(opinion("c", at_s=40.0), opinion("d", at_s=41.0))
    closed = [row for row in log.rows if row.closed]
    assert [(row.window_start, row.version) for row in closed] == [(EPOCH, 3)]


def test_late_and_invalid_count_where_the_watermark_stands() -> None:
    log = feedback_log().read(opinion("b", at_s=45), opinion("a"), b"{")
    counted = [row for row in latest(log.rows) if row.events.late or row.events.invalid]
    assert {row.window_start for row in counted} == {EPOCH + dt.timedelta(seconds=40)}


def test_a_clock_ahead_cannot_close_windows() -> None:
    log = feedback_log().read(opinion("a"), timestamp_s=0.0)
    log.read(opinion("b", at_s=5.001), timestamp_s=0.0)
    assert log.reasons == [InvalidReason.CLOCK_AHEAD]
    (letter,) = log.outcomes[-1].dead_letters
    assert letter.detail == "feedback_time lies 5.0 s after the record's timestamp"
    assert log.state.watermark_ms == EPOCH.timestamp() * 1000


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (None, InvalidReason.EMPTY),
        (b"x", InvalidReason.NOT_JSON),
        (opinion("a", schema_version=2), InvalidReason.UNSUPPORTED_VERSION),
        (opinion("a", score_value="good"), InvalidReason.SCHEMA),
        (opinion("a", score_label="x" * 70_000), InvalidReason.TOO_LARGE),
    ],
)
def test_dead_letters_say_why(payload: bytes | None, reason: InvalidReason) -> None:
    assert feedback_log().read(payload).reasons == [reason]


def test_copies_are_told_over_a_bounded_part_of_the_log() -> None:
    first, filler = opinion("a"), opinion("filler")
    bound = len(first) + len(filler)
    for max_bytes, expected in ((bound, 1), (bound - 1, 0)):
        policy = PairingPolicy(join_timeout_s=30, allowed_lateness_s=30, max_join_bytes=max_bytes)
        for batches in ([[first, filler, first]], [[first], [filler], [first]]):
            log = feedback_log(policy)
            for batch in batches:
                log.read(*batch)
            assert log.events.get("duplicate", 0) == expected


def test_what_lies_behind_is_forgotten() -> None:
    log = feedback_log().read(*(opinion(f"p{n}", at_s=n) for n in range(300)))
    assert isinstance(log.state, FeedbackPartition)
    assert len(log.state._recent) == 31


def test_what_an_earlier_run_closed_is_not_counted_again() -> None:
    second_0 = CommitMetadata(
        closed_until_ms=int(EPOCH.timestamp() * 1000), position=5, watermark_ms=None
    )
    log = feedback_log(start_offset=2, resumed=second_0)
    log.read(opinion("a", at_s=5), b"{", opinion("n", at_s=15))
    assert log.events == {"single": 1}
    assert log.state.tally.replayed == 1
    assert log.reasons == []


def test_feedback_for_a_closed_window_is_late_beyond_what_was_flushed() -> None:
    """Only after a loss: the committed offset was deleted, reading goes on at the position."""
    frozen = CommitMetadata(
        closed_until_ms=int(EPOCH.timestamp() * 1000), position=1, watermark_ms=None
    )
    (row,) = feedback_log(start_offset=1, resumed=frozen).read(opinion("a", at_s=5)).rows
    assert row.events.late == 1
    assert row.window_start == EPOCH + dt.timedelta(seconds=10)


def test_sums_do_not_depend_on_where_batches_are_cut() -> None:
    payloads = [opinion(f"p{n}", at_s=n % 7, score=(n % 10) / 9) for n in range(200)]
    together = feedback_log().read(*payloads)
    apart = feedback_log()
    for start in range(0, 200, 13):
        apart.read(*payloads[start : start + 13])
    whole, parts = (total(latest(log.rows)) for log in (together, apart))
    assert whole == parts
    assert whole.candidate.feedback_score_sum == pytest.approx(100.0)
