"""Verdicts on what evaluators say: one evaluator each, by language, and its own noise beside."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.analyzers.guardrails.test_closed_windows import closed_rows
from tests.analyzers.guardrails.test_evaluator import evaluated, policy
from tests.analyzers.guardrails.world import START, WINDOW_S, World, message, replaced
from understudy.analyzers.guardrails.apply_windows import enter_stage
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Evidence
from understudy.schemas.manifests import ManifestError
from understudy.schemas.rollouts import Rollout
from understudy.schemas.window_measures import EventCounts, NoiseSums, QualitySums
from understudy.schemas.windows import WindowRow, WindowsMessage

JUDGE = "helpfulness@1"
PREFERENCE = "{metric: quality_preference, evaluator: helpfulness@1, max_drop: 2pp}"
SCORE = "{metric: quality_score, evaluator: clarity@3, max_drop: 2pp}"


@dataclass(frozen=True)
class Judged:
    """Pairs per window and language, as a partition of evaluations counts them."""

    wins: float = 0.5
    """Share of the pairs in which the candidate is preferred, or scores higher by `step` tenths."""
    control: float = 0.5
    step: int = 10
    languages: tuple[str, ...] = ("en", "ja")
    harmed: tuple[str, ...] = ()
    pairs: int = 100
    evaluator: str = JUDGE
    delay_windows: int = 0
    """How long after its request a pair is judged."""
    is_scored: bool = False

    def messages(self, seed: int, windows: int) -> list[WindowsMessage]:
        rng = np.random.default_rng(seed)
        return [
            of_evaluations([self._row(rng, window, one) for one in self.languages], window)
            for window in range(windows)
        ]

    def _row(self, rng: np.random.Generator, window: int, language: str) -> WindowRow:
        is_harmed = not self.harmed or language in self.harmed
        wins = int(rng.binomial(self.pairs, self.wins if is_harmed else 0.5))
        control = int(rng.binomial(self.pairs // 5, self.control))
        start = START + dt.timedelta(seconds=(window + self.delay_windows) * WINDOW_S)
        requested = START + dt.timedelta(seconds=window * WINDOW_S)
        name = "score_histogram" if self.is_scored else "preference_histogram"
        grades = {name: {self.step: wins, -self.step: self.pairs - wins}}
        tenth = self.step / 20
        levels: dict[str, Any] = {
            "score_stable_sum": self.pairs * 0.5,
            "score_candidate_sum": self.pairs * 0.5 + tenth * 2 * (2 * wins - self.pairs),
        }
        return WindowRow(
            rollout_id="helpdesk",
            mode="shadow",
            language=language,
            workflow="chat",
            window_start=start,
            window_s=WINDOW_S,
            evaluator=self.evaluator,
            requests_from=requested.replace(second=0),
            source="evaluations",
            partition=0,
            version=0,
            closed=True,
            events=EventCounts(single=self.pairs),
            quality=QualitySums(
                pairs=self.pairs,
                turns=self.pairs,
                first_turns=self.pairs,
                **grades,
                **(levels if self.is_scored else {}),
            ),
            noise=NoiseSums(**{name: {self.step: control, -self.step: self.pairs // 5 - control}}),
        )


def of_evaluations(rows: list[WindowRow], window: int) -> WindowsMessage:
    return message(rows, version=10 * window + 1, source="evaluations")


def evidence_of(some: list[Evidence], metric: str, name: str = "all") -> Evidence:
    return next(one for one in some if (one.metric, one.slice) == (metric, name))


def named(rollout: Rollout) -> Rollout:
    """The same policy without a word on conversations, which evaluations name."""
    return msgspec.structs.replace(rollout, independent_requests=False)


def judged(guardrails: str, judge: Judged, windows: int = 60, **more: str) -> RolloutEvaluator:
    evaluator, _ = evaluated(policy(guardrails, **more), judge.messages(1, windows))
    return evaluator


def test_answers_that_are_preferred_less_in_one_language_are_rolled_back() -> None:
    decision = judged(PREFERENCE, Judged(wins=0.38, harmed=("ja",))).decision()
    assert decision.verdict == "rollback"
    words = decision.reasons[0]
    assert words.startswith("answers preferred to stable's in `ja` fell ")
    assert " 50 % → 3" in words
    assert ", limit 2 points; " in words
    assert " judged pairs" in words
    seen = evidence_of(decision.evidence, "quality_preference", "language:ja")
    assert seen.evaluator == JUDGE
    assert (seen.candidate, seen.stable) == (pytest.approx(0.38, abs=0.02), 0.5)
    assert seen.harm == pytest.approx(0.12, abs=0.02)
    assert seen.status == "breach"
    assert evidence_of(decision.evidence, "quality_preference", "language:en").status != "breach"


def test_equal_answers_pass_and_are_shown_to_be_within_the_limit() -> None:
    decision = judged(PREFERENCE, Judged(pairs=400), windows=200).decision()
    assert decision.verdict != "rollback"
    seen = evidence_of(decision.evidence, "quality_preference")
    assert seen.status == "pass"
    low, high = seen.interval
    assert low is not None
    assert high is not None
    assert low < 0.0 < high < 0.02


def test_scores_fall_in_points_of_their_range() -> None:
    guardrail = SCORE.replace("2pp", "5pp")
    judge = Judged(wins=0.2, step=4, evaluator="clarity@3", is_scored=True)
    decision = judged(guardrail, judge).decision()
    assert decision.verdict == "rollback"
    seen = evidence_of(decision.evidence, "quality_score")
    assert seen.stable == pytest.approx(0.5)
    assert seen.harm == pytest.approx(0.24, abs=0.02)
    assert "answers' score over all requests fell 2" in decision.reasons[0]


def test_only_the_evaluator_that_is_named_counts() -> None:
    for other in ("helpfulness@2", "other@1"):
        decision = judged(PREFERENCE, Judged(wins=0.1, evaluator=other)).decision()
        assert decision.verdict == "hold"
        assert evidence_of(decision.evidence, "quality_preference").units == 0


def test_what_others_say_is_not_kept() -> None:
    said = Judged(wins=0.1, evaluator="other@1").messages(1, 20)
    opened = [
        replaced(one, rows=[msgspec.structs.replace(row, closed=False) for row in one.rows])
        for one in said
    ]
    evaluator, _ = evaluated(policy(PREFERENCE), opened)
    (partition,) = evaluator._state.stores["evaluations"].partitions.values()
    assert partition.rows == {}
    assert evaluator.decision().evaluation_partitions == {0: 191}


def test_two_evaluators_keep_apart() -> None:
    guardrails = f"{PREFERENCE}, {SCORE}"
    bad = Judged(wins=0.2).messages(1, 30)
    good = Judged(evaluator="clarity@3", is_scored=True, step=2, pairs=50).messages(2, 30)
    together = [
        replaced(one, rows=[*one.rows, *other.rows]) for one, other in zip(bad, good, strict=True)
    ]
    alone, _ = evaluated(named(policy(PREFERENCE)), bad)
    both, _ = evaluated(named(policy(guardrails)), together)
    left = evidence_of(alone.decision().evidence, "quality_preference")
    right = evidence_of(both.decision().evidence, "quality_preference")
    assert right.statistics == left.statistics
    assert right.design_effect == left.design_effect == 1.0
    assert evidence_of(both.decision().evidence, "quality_score").units == 3_000


def test_pairs_that_were_requested_before_a_stage_do_not_promote_from_it() -> None:
    """They count against the candidate, and not for it."""
    stages = "[shadow, {share: 10%, mirror: 50%}]"
    rollout = policy(PREFERENCE.replace("}", ", required: if_measured}"), stages=stages)
    evaluator = RolloutEvaluator(rollout)
    for one in World().messages(1, 20):
        evaluator.take(one)
    enter_stage(evaluator._state, 1)
    for one in Judged(pairs=400, delay_windows=40).messages(2, 10):
        evaluator.take(one)
    seen = evidence_of(evaluator.decision().evidence, "quality_preference", "mirrored")
    assert (seen.units, seen.units_closed) == (8_000, 0)
    for one in Judged(pairs=400, delay_windows=40).messages(3, 60)[40:]:
        evaluator.take(one)
    seen = evidence_of(evaluator.decision().evidence, "quality_preference", "mirrored")
    assert 0 < seen.units_closed < seen.units


def test_an_evaluator_that_tells_two_runs_of_stable_apart_alerts() -> None:
    decision = judged(PREFERENCE, Judged(control=0.8)).decision()
    assert decision.verdict != "rollback"
    alert, *others = [one for one in decision.alerts if one.kind == "evaluator"]
    assert {one.name for one in (alert, *others)} == {JUDGE}
    assert alert.sentence.startswith(f"{JUDGE} prefers stable's second run to stable over all ")
    assert "where 45 % to 55 % would be noise" in alert.sentence
    seen = evidence_of(decision.evaluators, "quality_preference")
    assert seen.candidate == pytest.approx(0.8, abs=0.03)
    assert seen.status == "breach"


def test_a_quiet_evaluator_does_not_alert() -> None:
    decision = judged(PREFERENCE, Judged()).decision()
    assert [one for one in decision.alerts if one.kind == "evaluator"] == []
    assert evidence_of(decision.evaluators, "quality_preference").units == 2_400


def test_rows_of_open_windows_weigh_as_much_as_closed_ones() -> None:
    rollout = policy(PREFERENCE)
    messages = Judged(wins=0.45).messages(4, 20)
    closed, _ = evaluated(rollout, messages)
    opened = [
        replaced(one, rows=[msgspec.structs.replace(row, closed=False) for row in one.rows])
        for one in messages
    ]
    open_, _ = evaluated(rollout, opened)
    left = evidence_of(closed.decision().evidence, "quality_preference")
    right = evidence_of(open_.decision().evidence, "quality_preference")
    assert (left.statistics, left.interval) == (right.statistics, right.interval)
    assert (left.units_closed, right.units_closed) == (left.units, 0)


@pytest.mark.parametrize(
    ("guardrail", "problem"),
    [
        ("{metric: quality_preference, max_drop: 2pp}", "write evaluator: name@version"),
        ("{metric: quality_preference, evaluator: a@1, max_drop: 50pp}", "50pp or more tolerates"),
        ("{metric: quality_preference, evaluator: a@1, min: 48%}", "points below 50 %"),
        ("{metric: quality_score, evaluator: a@1, max: 2}", "in points of the evaluator's range"),
        ("{metric: error_rate, evaluator: a@1, max_increase: 1pp}", "without an evaluator"),
    ],
)
def test_what_cannot_be_judged_is_refused(guardrail: str, problem: str) -> None:
    with pytest.raises(ManifestError, match=problem):
        policy(guardrail)


def test_two_guardrails_of_one_evaluator_share_its_noise() -> None:
    tight = PREFERENCE.replace("}", ", name: tight, action: alert}")
    names = [one.name for one in checks_of(policy(f"{PREFERENCE}, {tight}")) if one.of_evaluator]
    assert names == ["evaluator.helpfulness@1.quality_preference"]


def test_a_backtest_on_stored_windows_sees_it_too() -> None:
    """As ClickHouse gives the rows back: of both sources, in the order of their windows."""
    rollout = policy(f"{PREFERENCE}, {{metric: error_rate, max_increase: 1pp}}")
    events, judged_pairs = World().messages(14, 60), Judged(wins=0.38).messages(1, 60)
    one_by_one = RolloutEvaluator(rollout)
    for pair in zip(events, judged_pairs, strict=True):
        for one in pair:
            one_by_one.take(one)
    together = chain.from_iterable(zip(events, judged_pairs, strict=True))
    rows = [row for one in together for row in one.rows]
    backtest = RolloutEvaluator(rollout)
    decisions = backtest.take_closed(closed_rows(rollout, rows))
    assert decisions[-1].verdict == "rollback"
    assert decisions[-1].reasons[0].startswith("answers preferred to stable's ")
    for metric in ("quality_preference", "error_rate"):
        left, right = (evidence_of(each.decision().evidence, metric, "language:ja")
                       for each in (one_by_one, backtest))  # fmt: skip
        assert left.statistics == right.statistics
        assert left.log_promotion == right.log_promotion
        assert left.design_effect == right.design_effect


def test_read_again_it_changes_nothing_and_its_state_is_json() -> None:
    rollout = policy(f"{PREFERENCE}, {SCORE}")
    messages = Judged().messages(12, 12)
    once, _ = evaluated(rollout, messages)
    state = RolloutEvaluator(rollout).encode_state()
    for place, one in enumerate(messages):
        evaluator = RolloutEvaluator(rollout, state)
        evaluator.take(one)
        for again in messages[max(0, place - 3) : place + 1]:
            assert evaluator.take(again) is None
        state = evaluator.encode_state()
    assert state == once.encode_state()


def test_evaluations_move_nothing_but_their_own_guardrail() -> None:
    rollout = policy(f"{PREFERENCE}, {{metric: error_rate, max_increase: 1pp}}")
    events = World().messages(8, 20)
    alone, _ = evaluated(rollout, events)
    both, _ = evaluated(rollout, [*events, *Judged(delay_windows=30).messages(9, 20)])
    left, right = alone.decision(), both.decision()
    assert (right.stage, right.quality) == (left.stage, left.quality)
    others = [[e for e in d.evidence if e.metric == "error_rate"] for d in (left, right)]
    assert others[0] == others[1]
    assert right.partitions == left.partitions
    assert (left.evaluation_partitions, right.evaluation_partitions) == ({}, {0: 191})
