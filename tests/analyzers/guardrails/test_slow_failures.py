"""What fails fast arrives first: rows of a stream in which one side's failures come late."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.analyzers.guardrails.test_evaluator import policy
from tests.analyzers.guardrails.world import START
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.window_measures import EventCounts, PairSums, SideSums, UnresolvedCounts
from understudy.schemas.windows import WindowRow, WindowsMessage, windows_message

WINDOW_S = 10
LATENESS_S = 130
FLUSH_S = 1
ERRORS = policy("{metric: error_rate, max_increase: 1pp, slices: [all]}")


@dataclass(frozen=True)
class Stream:
    """Requests of both sides, with the seconds after which each answer or failure is there."""

    per_s: int
    duration_s: int
    candidate_fails: float
    stable_fails: float
    candidate_failure_s: float = 1.0
    stable_failure_s: float = 1.0
    answer_s: float = 1.0
    tells_waiting: bool = True

    def messages(self, seed: int) -> Iterator[WindowsMessage]:
        """One message every second: windows that changed, closed ones for the last time."""
        rng = np.random.default_rng(seed)
        n = self.per_s * self.duration_s
        at_s = np.sort(rng.uniform(0.0, self.duration_s, n))
        bad = rng.random(n) < self.candidate_fails, rng.random(n) < self.stable_fails
        after = (self.candidate_failure_s, self.stable_failure_s)
        there = [
            at_s + np.where(failed, late_s, self.answer_s) * rng.uniform(0.8, 1.2, n)
            for failed, late_s in zip(bad, after, strict=True)
        ]
        window = (at_s // WINDOW_S).astype(int)
        for now_s in range(FLUSH_S, self.duration_s + 1, FLUSH_S):
            rows = [
                self._row(number, now_s, window, bad, [one <= now_s for one in there])
                for number in range(now_s // WINDOW_S + 1)
                if (number + 1) * WINDOW_S + LATENESS_S + FLUSH_S > now_s
            ]
            watermark = START + dt.timedelta(seconds=now_s)
            yield windows_message(
                rows, rollout_id="helpdesk", partition=0, version=now_s, watermark=watermark
            )

    def _row(self, number, now_s, window, bad, there) -> WindowRow:
        of_window = window == number
        (candidate_bad, stable_bad), (candidate, stable) = bad, there
        both = of_window & candidate & stable
        first, second = of_window & candidate & ~stable, of_window & stable & ~candidate
        waiting = UnresolvedCounts()
        is_closed = (number + 1) * WINDOW_S + LATENESS_S <= now_s
        if self.tells_waiting and not is_closed:
            waiting = UnresolvedCounts(
                awaiting_stable=int(first.sum()),
                awaiting_stable_errors=int((first & candidate_bad).sum()),
                awaiting_candidate=int(second.sum()),
                awaiting_candidate_errors=int((second & stable_bad).sum()),
            )
        pairs = int(both.sum())
        return WindowRow(
            rollout_id="helpdesk", mode="shadow", language="en", window_s=WINDOW_S, partition=0,
            window_start=START + dt.timedelta(seconds=number * WINDOW_S), version=now_s,
            closed=is_closed, events=EventCounts(paired=2 * pairs),
            candidate=SideSums(
                requests=pairs, model_requests=pairs, errors=int((both & candidate_bad).sum())
            ),
            stable=SideSums(
                requests=pairs, model_requests=pairs, errors=int((both & stable_bad).sum())
            ),
            pair=PairSums(
                pairs=pairs,
                model_pairs=pairs,
                error_only_candidate=int((both & candidate_bad & ~stable_bad).sum()),
                error_only_stable=int((both & stable_bad & ~candidate_bad).sum()),
                error_both=int((both & stable_bad & candidate_bad).sum()),
            ),
            unresolved=waiting,
        )  # fmt: skip


def rolled_back_after_s(stream: Stream, seed: int) -> float | None:
    evaluator = RolloutEvaluator(ERRORS)
    for message in stream.messages(seed):
        decision = evaluator.take(message)
        if decision is not None and decision.verdict == "rollback":
            return (decision.decided_at - START).total_seconds()
    return None


EQUAL = Stream(
    per_s=100, duration_s=150, candidate_fails=0.05, stable_fails=0.05,
    candidate_failure_s=0.2, stable_failure_s=60.0,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_a_candidate_that_only_fails_sooner_is_not_rolled_back(seed: int) -> None:
    assert rolled_back_after_s(EQUAL, seed) is None


def test_without_knowing_what_waits_it_would_be() -> None:
    assert rolled_back_after_s(replace(EQUAL, tells_waiting=False), 0) is not None


@pytest.mark.parametrize("seed", range(3))
def test_answers_that_are_slow_hide_no_failures_and_make_none(seed: int) -> None:
    """The candidate's good answers take half a minute, its failures come at once."""
    slow = Stream(
        per_s=100, duration_s=120, candidate_fails=0.05, stable_fails=0.05,
        candidate_failure_s=0.2, answer_s=30.0,
    )  # fmt: skip
    assert rolled_back_after_s(slow, seed) is None


@pytest.mark.parametrize("seed", range(3))
def test_a_total_loss_is_rolled_back_within_seconds(seed: int) -> None:
    broken = Stream(per_s=100, duration_s=20, candidate_fails=0.5, stable_fails=0.01)
    found = rolled_back_after_s(broken, seed)
    assert found is not None
    assert found <= 5.0


def test_harm_that_is_there_is_found_while_slow_failures_are_awaited() -> None:
    worse = Stream(
        per_s=100, duration_s=150, candidate_fails=0.09, stable_fails=0.05,
        candidate_failure_s=0.2, stable_failure_s=60.0,
    )  # fmt: skip
    assert rolled_back_after_s(worse, 1) is not None
