"""The state of a partition of evaluations: each rule, one case each; kills that do not show."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.streams.pairing.kills import (
    Sinks,
    Worker,
    differences_between,
    disturbed,
    killed_everywhere,
    undisturbed,
)
from tests.streams.pairing.log import EPOCH, POLICY, Log, judgement
from understudy.analyzers.windows.rows import latest, total
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import InvalidReason
from understudy.schemas.rollouts import Capture
from understudy.streams.pairing.capture_choices import (
    CaptureChoice,
    CaptureChoices,
    CaptureLimits,
)
from understudy.streams.pairing.commit_rule import CommitMetadata
from understudy.streams.pairing.evaluation_partition import LOOK_BACK_S, EvaluationPartition
from understudy.streams.pairing.fingerprints import SeenFingerprints
from understudy.streams.pairing.pairing_policy import PairingPolicy


def evaluations(policy: PairingPolicy = POLICY, **start: Any) -> Log:
    return Log(policy, EvaluationPartition, **start)


FAILED: dict[str, Any] = {"preferred": None, "error": "timeout"}
NOISE: dict[str, Any] = {
    "preferred": None,
    "compared": "control",
    "preferences": [{"preferred": "control", "first": "control"}],
}


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        pytest.param([judgement("a"), judgement("b")], {"single": 2}, id="two pairs"),
        pytest.param([judgement("a")] * 3, {"single": 1, "duplicate": 2}, id="the same thrice"),
        pytest.param(
            [judgement("a"), judgement("a", at_s=86_400, preferred="stable")],
            {"single": 1, "duplicate": 1},
            id="another mind, a day later",
        ),
        pytest.param(
            [judgement("a"), judgement("a", evaluator_version="2")], {"single": 2}, id="version"
        ),
        pytest.param([judgement("a"), judgement("a", **NOISE)], {"single": 2}, id="control"),
        pytest.param([judgement("a"), judgement("a", rollout_id="s")], {"single": 2}, id="rollout"),
        pytest.param(
            [judgement("a", **FAILED), judgement("a", **FAILED), judgement("a")],
            {"single": 3},
            id="what could not be judged is judged later",
        ),
        pytest.param(
            [judgement("a", at_s=900_000), judgement("b")], {"single": 2}, id="never late"
        ),
        pytest.param([b"{", None, judgement("a")], {"single": 1, "invalid": 2}, id="garbage"),
        pytest.param(
            [judgement("a"), judgement("b", at_s=2e6, requested_s=0)],
            {"single": 1, "invalid": 1},
            id="ahead of its record",
        ),
        pytest.param(
            [judgement("a"), judgement("b", requested_s=2e6)],
            {"single": 1, "invalid": 1},
            id="a request ahead of its record",
        ),
    ],
)
def test_every_record_ends_in_one_place(
    payloads: list[bytes | None], expected: dict[str, int]
) -> None:
    together = evaluations().read(*payloads)
    assert together.events == expected
    assert together.balance() == 0
    apart = evaluations()
    for payload in payloads:
        apart.read(payload)
    assert apart.events == expected
    assert apart.balance() == 0


def test_rows_tell_apart_evaluators_and_the_minutes_of_requests() -> None:
    log = evaluations().read(
        judgement("a", at_s=120, requested_s=59),
        judgement("b", at_s=121, requested_s=61),
        judgement("c", at_s=122, requested_s=62, preferred="tie"),
        judgement("d", at_s=122, requested_s=62, evaluator="other", language="ja"),
    )
    found = {
        (row.evaluator, row.language, row.requests_from): row.quality.preference_histogram
        for row in latest(log.rows)
    }
    minute = EPOCH + dt.timedelta(seconds=60)
    assert found == {
        ("helpfulness@1", "en", EPOCH): {10: 1},
        ("helpfulness@1", "en", minute): {0: 1, 10: 1},
        ("other@1", "ja", minute): {10: 1},
    }
    assert {row.source for row in log.rows} == {"evaluations"}


def test_what_is_judged_late_counts_where_the_watermark_stands() -> None:
    log = evaluations().read(judgement("b", at_s=45), judgement("a", at_s=0))
    starts = {row.window_start for row in latest(log.rows)}
    assert starts == {EPOCH + dt.timedelta(seconds=40)}


def test_a_window_closes_as_soon_as_it_is_over() -> None:
    log = evaluations().read(judgement("a"), judgement("b", at_s=10), judgement("c", at_s=10.001))
    assert [(row.window_start, row.version) for row in log.rows if row.closed] == [(EPOCH, 3)]


def test_what_is_said_of_control_is_noise() -> None:
    log = evaluations().read(judgement("a", **NOISE), judgement("b"))
    (row,) = latest(log.rows)
    assert (row.noise.preference_histogram, row.quality.pairs) == ({10: 1}, 1)


def test_what_is_judged_is_handed_on_once_with_what_could_not_be() -> None:
    log = evaluations().read(judgement("a"), judgement("a"), judgement("b", **FAILED), b"{")
    assert [(one.offset, one.evaluation.pair_id) for one in log.outcomes[0].evaluations] == [
        (0, "a"),
        (2, "b"),
    ]


def test_a_clock_ahead_says_which() -> None:
    log = evaluations().read(judgement("a", at_s=6, requested_s=0), timestamp_s=0.0)
    assert log.reasons == [InvalidReason.CLOCK_AHEAD]
    (letter,) = log.outcomes[-1].dead_letters
    assert letter.detail == "evaluation_time lies 6.0 s after the record's timestamp"


def test_a_worker_that_starts_knows_what_was_judged_long_before() -> None:
    records = [judgement("first"), *(judgement(f"p{n}", at_s=10 * n) for n in range(1, 500))]
    before = evaluations()
    for start in range(0, 500, 50):
        before.read(*records[start : start + 50])
    commit = before.state.safe_commit(before.state.position)
    assert commit is not None
    assert commit.offset == 450
    after = evaluations(start_offset=commit.offset, resumed=commit.metadata)
    assert EvaluationPartition.reads_from(commit.offset, 0) == 0
    after.state.begin_reading_at(0)
    after.read(*records[:300]).read(*records[300:], judgement("first", at_s=5_000))
    assert after.events["duplicate"] == 1
    assert after.state.position == len(records) + 1
    assert after.state.tally.read == len(records) + 1 - commit.offset


def test_after_a_loss_nothing_is_added_to_a_closed_window() -> None:
    closed_ms = int(EPOCH.timestamp() * 1000) + 5_000
    metadata = CommitMetadata(closed_until_ms=closed_ms, position=7, watermark_ms=closed_ms)
    log = evaluations(start_offset=7, resumed=metadata).read(judgement("a", at_s=6))
    (row,) = latest(log.rows)
    assert row.window_start == EPOCH + dt.timedelta(seconds=10)


def test_the_look_back_ends() -> None:
    seen = SeenFingerprints(LOOK_BACK_S)
    assert not seen.is_copy(1, 0, 0)
    assert seen.is_copy(1, 1, LOOK_BACK_S)
    assert seen.is_copy(1, 2, 2 * LOOK_BACK_S)
    assert not seen.is_copy(1, 3, 3 * LOOK_BACK_S + 1)


SMALL = PairingPolicy(window_s=2, join_timeout_s=6, allowed_lateness_s=7)


def random_log(rng: random.Random, pairs: int) -> list[bytes]:
    """Payloads in order of arrival: two evaluators, jobs that run twice, failures, garbage."""
    log: list[bytes] = []
    at_s = 0.0
    for number in range(pairs):
        at_s += rng.choice((0.1, 0.3, 0.5, 1.0, 4.0))
        log.append(
            judgement(
                f"p{number}",
                at_s=at_s - rng.choice((0.0, 0.0, 2.0, 90.0)),
                preferred=rng.choice(("stable", "candidate", "tie")),
                requested_s=at_s - rng.choice((200.0, 3_000.0)),
                language=rng.choice(("en", "ja", None)),
                evaluator=rng.choice(("helpfulness", "clarity")),
            )
        )
        if rng.random() < 0.2:
            log.append(judgement(f"p{number}", at_s=at_s, **FAILED))
        if rng.random() < 0.3:
            log.append(rng.choice(log))
        if rng.random() < 0.1:
            log.append(b"{")
    return log


def has_differences(seed: int) -> bool:
    rng = random.Random(seed)
    log = random_log(rng, 40)
    whole = undisturbed(log, SMALL, EvaluationPartition)
    return bool(differences_between(whole, disturbed(log, rng, SMALL, EvaluationPartition)))


def test_kills_do_not_show() -> None:
    assert [seed for seed in range(60) if has_differences(seed)] == []


def test_kills_do_not_show_at_any_record() -> None:
    assert killed_everywhere(random_log(random.Random(7), 40), SMALL, EvaluationPartition) == []


def test_a_job_that_runs_twice_changes_no_count() -> None:
    job = random_log(random.Random(11), 60)
    once = _sums(job)
    twice = _sums(job + job)
    assert twice == once


def _sums(log: list[bytes]) -> bytes:
    worker = Worker(log, Sinks(), SMALL, EvaluationPartition)
    worker.read_to(len(log))
    worker.flush()
    totals = total(worker.sinks.rows.values())
    return msgspec.json.encode([totals.quality, totals.noise])


def test_mutation_forgetting_what_was_judged_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EvaluationPartition, "_recall", lambda self, records: None)
    assert any(map(has_differences, range(20)))


EPOCH_MS = to_epoch_ms(EPOCH)
WHY = "A names mia@example.com, B does not."


@pytest.mark.parametrize(
    ("capture", "stored"),
    [("none", None), ("worst", "A names [email], B does not."), ("sample", "A names [email]")],
)
def test_an_explanation_is_kept_where_the_policy_captures(
    capture: Capture, stored: str | None
) -> None:
    """Whoever wrote it, so it is redacted here, and cut as captured texts are."""
    length = len(WHY) if capture == "worst" else 23
    choices = CaptureChoices(
        CaptureLimits(max_text_bytes=length),
        {"r": CaptureChoice(capture, from_ms=EPOCH_MS)},
    )
    log = evaluations(replace(POLICY, captures=choices))
    log.read(judgement("a", explanation=WHY), judgement("a", explanation="again"), judgement("b"))
    said = [one.explanation for one in log.outcomes[0].evaluations]
    assert [one and one.text for one in said] == [stored, None]
    assert (said[0] and said[0].is_cut) == (None if stored is None else capture == "sample")


def test_what_was_said_before_the_policy_captured_is_not_kept() -> None:
    choices = CaptureChoices(by_rollout={"r": CaptureChoice("all", from_ms=EPOCH_MS + 60_000)})
    log = evaluations(replace(POLICY, captures=choices))
    log.read(judgement("a", explanation=WHY), judgement("b", at_s=60, explanation=WHY))
    assert [one.explanation is None for one in log.outcomes[0].evaluations] == [True, False]
