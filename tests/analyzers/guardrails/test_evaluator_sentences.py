"""What is said of an evaluator: how its answers turn with the order, and its noise."""

from __future__ import annotations

import msgspec
import pytest

from tests.analyzers.guardrails.test_evaluator import evaluated, policy
from tests.analyzers.guardrails.test_quality import PREFERENCE, SCORE, Judged, evidence_of
from tests.analyzers.guardrails.world import replaced
from understudy.schemas.decisions import Decision
from understudy.schemas.windows import WindowsMessage


def shown_in_orders(messages: list[WindowsMessage], first: float) -> list[WindowsMessage]:
    """The same pairs, half of them asked in both orders; a share prefers the answer shown first."""
    changed = []
    for one in messages:
        rows = [
            msgspec.structs.replace(
                row,
                quality=msgspec.structs.replace(
                    row.quality,
                    orders=150,
                    first_preferred=round(150 * first),
                    second_preferred=150 - round(150 * first),
                    both_orders=50,
                    both_orders_alike=40,
                ),
            )
            for row in one.rows
        ]
        changed.append(replaced(one, rows=rows))
    return changed


def decided(first: float, wins: float = 0.3) -> Decision:
    messages = shown_in_orders(Judged(wins=wins).messages(1, 20), first)
    return evaluated(policy(PREFERENCE), messages)[0].decision()


def test_the_evidence_says_how_answers_turn_with_their_order() -> None:
    note = evidence_of(decided(0.6).evidence, "quality_preference").note
    assert note == (
        "the answer shown first is preferred in 60 %; of 2,000 pairs asked in both orders 80 % "
        "give one answer"
    )


@pytest.mark.parametrize(("first", "is_told"), [(0.52, False), (0.65, True), (0.35, True)])
def test_a_sentence_tells_of_a_strong_liking_for_a_place(first: float, is_told: bool) -> None:
    (reason, *_) = decided(first).reasons
    assert ("the answer shown first is preferred in" in reason) == is_told


def test_noise_of_scores_is_told_in_points() -> None:
    judge = Judged(control=1.0, step=2, evaluator="clarity@3", is_scored=True)
    decision = evaluated(policy(SCORE), judge.messages(1, 30))[0].decision()
    (alert, *_) = [one for one in decision.alerts if one.kind == "evaluator"]
    assert alert.sentence.startswith(
        "clarity@3 scores stable's second run 20 points (95 % interval "
    )
    assert "where up to 5 points either way would be noise" in alert.sentence
