"""Verdicts on what users thought: two arms in every mode, and nothing else is moved by it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pytest

from tests.analyzers.guardrails.test_closed_windows import closed_rows
from tests.analyzers.guardrails.test_evaluator import evaluated, policy
from tests.analyzers.guardrails.world import START, WINDOW_S, World, message
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.sequential import Arm, Arms, signed_bets, two_arm
from understudy.schemas.decisions import Decision, Evidence
from understudy.schemas.events import Mode
from understudy.schemas.rollouts import Rollout
from understudy.schemas.window_measures import EventCounts, SideSums
from understudy.schemas.windows import WindowRow, WindowsMessage

DROP = "{metric: feedback, max_drop: 5pp, required: if_measured}"
ERRORS = "{metric: error_rate, max_increase: 1pp}"


@dataclass(frozen=True)
class Opinions:
    """Ratings per window and language, as a feedback partition counts them."""

    stable: float = 0.8
    """Share of positive ones."""
    candidate: float = 0.8
    languages: tuple[str, ...] = ("en", "ja")
    harmed: tuple[str, ...] = ()
    """Where the candidate's share holds; elsewhere it is stable's. Everywhere when empty."""
    ratings: int = 40
    share: float = 0.5
    mode: Mode | None = "canary"

    def messages(self, seed: int, windows: int, first: int = 0) -> list[WindowsMessage]:
        """One message a window, each of whose rows it closes."""
        rng = np.random.default_rng(seed)
        return [
            of_feedback([self._row(rng, window, language) for language in self.languages], window)
            for window in range(first, first + windows)
        ]

    def _row(self, rng: np.random.Generator, window: int, language: str) -> WindowRow:
        is_harmed = not self.harmed or language in self.harmed
        candidates = int(rng.binomial(self.ratings, self.share))
        share = self.candidate if is_harmed else self.stable
        return WindowRow(
            rollout_id="helpdesk",
            mode=self.mode,
            language=language,
            workflow="chat",
            window_start=START + dt.timedelta(seconds=window * WINDOW_S),
            window_s=WINDOW_S,
            source="feedback",
            partition=0,
            version=0,
            closed=True,
            events=EventCounts(single=self.ratings, late=7, duplicate=3),
            candidate=_rated(rng, candidates, share),
            stable=_rated(rng, self.ratings - candidates, self.stable),
        )


def _rated(rng: np.random.Generator, ratings: int, share: float) -> SideSums:
    positive = int(rng.binomial(ratings, share))
    return SideSums(
        feedback_score_count=ratings, feedback_positive=positive, feedback_score_sum=positive
    )


def of_feedback(rows: list[WindowRow], window: int) -> WindowsMessage:
    """A message of the same partition as those of events, its version far from theirs."""
    return message(rows, version=10 * window + 1, source="feedback")


def canary(guardrails: str, **more: str) -> Rollout:
    return policy(guardrails, stages="[{share: 50%}]", mode="canary", **more)


def alternating(
    events: list[WindowsMessage], feedback: list[WindowsMessage]
) -> Iterator[WindowsMessage]:
    return chain.from_iterable(zip(events, feedback, strict=True))


def evidence_of(decision: Decision, metric: str, name: str = "all") -> Evidence:
    return next(e for e in decision.evidence if (e.metric, e.slice) == (metric, name))


def test_a_drop_in_one_language_is_rolled_back() -> None:
    feedback = Opinions(candidate=0.5, harmed=("ja",)).messages(1, 60)
    evaluator, decisions = evaluated(canary(DROP), feedback)
    decision = decisions[-1]
    assert decision.verdict == "rollback"
    words = decision.reasons[0]
    assert words.startswith("positive feedback in `ja` fell ")
    assert ", limit 5 points; " in words
    assert words.endswith(" ratings")
    seen = evidence_of(evaluator.decision(), "feedback", "language:ja")
    assert seen.candidate == pytest.approx(0.5, abs=0.1)
    assert seen.stable == pytest.approx(0.8, abs=0.1)
    assert seen.status == "breach"
    assert evidence_of(decision, "feedback", "language:en").status != "breach"


def test_equal_feedback_passes_and_lets_a_rollout_go_on() -> None:
    events = World(mode="canary", share=0.5).messages(2, 60)
    feedback = Opinions(ratings=200).messages(3, 60)
    evaluator, decisions = evaluated(canary(f"{DROP}, {ERRORS}"),
                              list(alternating(events, feedback)))  # fmt: skip
    assert "rollback" not in {decision.verdict for decision in decisions}
    assert evaluator.decision().verdict == "promote"
    assert evidence_of(evaluator.decision(), "feedback").status == "pass"


def test_a_drop_beyond_the_limit_blocks_promotion_before_it_is_harm_for_certain() -> None:
    events = World(mode="canary", share=0.5).messages(2, 60)
    feedback = Opinions(stable=0.8, candidate=0.75, ratings=30).messages(4, 60)
    evaluator, _ = evaluated(canary(f"{DROP}, {ERRORS}"), list(alternating(events, feedback)))
    decision = evaluator.decision()
    assert decision.verdict == "hold"
    assert any("positive feedback" in reason for reason in decision.reasons)


def test_who_is_not_rated_is_not_held_up() -> None:
    events = World(mode="canary", share=0.5).messages(2, 60)
    evaluator, _ = evaluated(canary(f"{DROP}, {ERRORS}"), events)
    assert evaluator.decision().verdict == "promote"
    required = canary(f"{DROP.replace('if_measured', 'all')}, {ERRORS}")
    decision = evaluated(required, events)[0].decision()
    assert decision.verdict == "hold"
    assert any("nothing measured yet" in reason for reason in decision.reasons)


def test_a_limit_on_the_candidates_own_share() -> None:
    guardrail = "{metric: feedback, min: 70%}"
    bad, _ = evaluated(canary(guardrail), Opinions(stable=0.5, candidate=0.5).messages(5, 60))
    good, _ = evaluated(canary(guardrail), Opinions(stable=0.5, candidate=0.8).messages(5, 60))
    assert bad.decision().verdict == "rollback"
    assert bad.decision().reasons[0].startswith("positive feedback over all requests is ")
    assert ", limit 70 %; " in bad.decision().reasons[0]
    assert good.decision().verdict != "rollback"
    assert evidence_of(good.decision(), "feedback").status == "pass"


@pytest.mark.parametrize("mode", ["shadow", "interleave", "canary", "ab"])
def test_opinions_are_two_arms_in_every_mode(mode: Mode) -> None:
    """Also where requests are paired: no two opinions are about the same moment of one user."""
    rollout = policy(DROP, stages="[shadow]")
    evaluator, _ = evaluated(rollout, Opinions(candidate=0.4, mode=mode).messages(6, 20))
    seen = evidence_of(evaluator.decision(), "feedback")
    assert evaluator.decision().verdict == "rollback"
    counts = seen.statistics
    assert not counts.keys() & {"pairs", "stable_only", "candidate_only"}
    assert counts["candidate_units"] == seen.units
    assert counts["stable_units"] == 2 * 20 * 40 - seen.units


def test_evidence_is_that_of_all_pairings_of_the_two_arms() -> None:
    """One window: what was staked is what the judge's closed form says of the counts."""
    (only,) = Opinions(languages=("en",), candidate=0.5, ratings=60).messages(7, 1)
    (row,) = only.rows
    arms = Arms(
        Arm(
            row.candidate.feedback_score_count,
            row.candidate.feedback_score_count - row.candidate.feedback_positive,
        ),
        Arm(
            row.stable.feedback_score_count,
            row.stable.feedback_score_count - row.stable.feedback_positive,
        ),
    )
    bets = signed_bets("rollback", 0.05)
    rollout = canary(DROP.replace("required", "slices: [all], required"))
    evaluator, _ = evaluated(rollout, [only])
    won = np.exp(two_arm.log_increments(arms, 0.05, bets))
    expected = np.log(won.mean()) + np.log(0.5)
    seen = evidence_of(evaluator.decision(), "feedback")
    assert seen.log_rollback == pytest.approx(expected)


def test_feedback_moves_nothing_but_its_own_guardrail() -> None:
    """Progress, quality, references and other evidence are as if it were not there."""
    rollout = canary(f"{DROP}, {ERRORS}, {{metric: duration_p95, max_increase: 20%}}")
    events = World(mode="canary", share=0.5, requests=200).messages(8, 30)
    # Two hours ahead of the events: people answer late, and one of the readers may be behind.
    feedback = Opinions(candidate=0.85).messages(9, 30, first=720)
    alone, _ = evaluated(rollout, events)
    both, _ = evaluated(rollout, list(alternating(events, feedback)))
    left, right = alone.decision(), both.decision()
    assert right.stage == left.stage
    assert right.quality == left.quality
    others = [[e for e in d.evidence if e.metric != "feedback"] for d in (left, right)]
    assert others[0] == others[1]
    assert right.partitions == left.partitions == {0: 30}
    assert (left.feedback_partitions, right.feedback_partitions) == ({}, {0: 7_491})
    assert evidence_of(right, "feedback").units_closed > 1000


def test_feedback_alone_is_no_progress() -> None:
    evaluator, _ = evaluated(canary(f"{DROP}, {ERRORS}"), Opinions(ratings=3000).messages(10, 30))
    decision = evaluator.decision()
    assert decision.verdict == "hold"
    assert (decision.stage.requests, decision.stage.duration_s) == (0, 0.0)
    assert decision.quality.late_share == 0.0


def test_read_again_it_changes_nothing_and_its_state_is_json() -> None:
    rollout = canary(f"{DROP}, {ERRORS}")
    messages = list(
        alternating(World(mode="canary", share=0.5).messages(11, 20), Opinions().messages(12, 20))
    )
    once, _ = evaluated(rollout, messages)
    state = RolloutEvaluator(rollout).encode_state()
    for place, one in enumerate(messages):
        evaluator = RolloutEvaluator(rollout, state)
        evaluator.take(one)
        for again in messages[max(0, place - 3) : place + 1]:
            assert evaluator.take(again) is None
        state = evaluator.encode_state()
    assert state == once.encode_state()


def test_a_backtest_on_stored_windows_sees_it_too() -> None:
    """As ClickHouse gives the rows back: of both sources, in the order of their windows."""
    events = World(mode="canary", share=0.5).messages(14, 60)
    feedback = Opinions(candidate=0.5, harmed=("ja",)).messages(1, 60)
    rows = [row for one in alternating(events, feedback) for row in one.rows]
    rollout = canary(f"{DROP}, {ERRORS}")
    evaluator = RolloutEvaluator(rollout)
    decisions = evaluator.take_closed(closed_rows(rollout, rows))
    assert decisions[-1].reasons[0].startswith("positive feedback in `ja` fell ")
    units = evidence_of(evaluator.decision(), "feedback").units
    assert units == sum(r.candidate.feedback_score_count for one in feedback for r in one.rows)


def test_invalid_records_that_name_no_mode_are_passed_over() -> None:
    evaluator, _ = evaluated(canary(DROP), Opinions(mode=None, candidate=0.0).messages(13, 20))
    assert evidence_of(evaluator.decision(), "feedback").units == 0


@pytest.mark.slow
def test_feedback_at_the_limit_is_seldom_rolled_back() -> None:
    """Exactly at the limit, looked at with every window: 1 % of the rollouts at most."""
    rollouts = [
        evaluated(canary(DROP), Opinions(candidate=0.75, ratings=20).messages(seed, 60))[
            0
        ].decision()
        for seed in range(100)
    ]
    assert sum(one.verdict == "rollback" for one in rollouts) <= 3
