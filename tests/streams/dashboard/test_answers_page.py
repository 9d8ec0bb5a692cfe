"""What evaluators say, in rows and sentences; plain words where there is too little."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.analyzers.guardrails.world import World
from tests.streams.http.views import decided, policy
from understudy.schemas.api import AnswerQuality
from understudy.schemas.decisions import Decision
from understudy.streams.dashboard.answers_page import AnswersRow, answers_part
from understudy.streams.dashboard.evidence_rows import Finding

NOTHING = (None, None)


def quality(language: str | None = None, evaluator: str = "judge@1", **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "pairs": 0, "preferences": 0, "preferred": None, "preferred_interval": NOTHING,
        "tied": None, "scores": 0, "stable_score": None, "candidate_score": None,
        "score_difference": None, "score_interval": NOTHING, "control_pairs": 0,
        "control_preferred": None, "control_interval": NOTHING, "control_score_difference": None,
        "control_score_interval": NOTHING, "orders": 0, "first_preferred": None, "both_orders": 0,
        "both_orders_alike": None, "not_judged": {}, "cost_usd": 0.0, "models": [],
    }  # fmt: skip
    return AnswerQuality(evaluator=evaluator, language=language, **{**fields, **changes})


def preferring(share: float, low: float | None, high: float | None, pairs: int = 1_200) -> Any:
    return {"pairs": pairs, "preferences": pairs, "preferred": share,
            "preferred_interval": (low, high), "cost_usd": 3.21}  # fmt: skip


def row(**changes: Any) -> AnswersRow:
    ((one,),) = (part.rows for part in answers_part([quality(**changes)], None))
    return one


@pytest.mark.parametrize(
    ("interval", "finding", "words"),
    [
        ((0.40, 0.49), Finding.WORSE, "worse than stable, by its 95 % interval"),
        ((0.51, 0.60), Finding.BETTER, "better than stable, by its 95 % interval"),
        ((0.46, 0.53), Finding.UNCLEAR,
         "no difference is shown; there may be one of up to 4 points"),
        ((0.20, 0.90), Finding.UNCLEAR, "too few pairs to tell"),
        (NOTHING, Finding.UNCLEAR, "too few pairs to tell"),
    ],
)  # fmt: skip
def test_preferences(
    interval: tuple[float | None, float | None], finding: Finding, words: str
) -> None:
    one = row(**preferring(0.45, *interval))
    assert (one.finding, one.words) == (finding, words)
    assert (one.sides, one.pairs, one.cost) == ("55 % → 45 %", "1,200", "$3.21")
    assert one.interval == ("–" if interval == NOTHING else one.interval)


def test_scores_are_means_and_points() -> None:
    one = row(pairs=40, scores=40, stable_score=3.8, candidate_score=3.25,
              score_difference=-0.1375, score_interval=(-0.2, -0.05))  # fmt: skip
    assert (one.sides, one.interval) == ("3.8 → 3.25", "−20.0 to −5.0 points")
    assert one.finding is Finding.WORSE


def test_nothing_but_failures() -> None:
    (part,) = answers_part([quality(not_judged={"timeout": 3}, cost_usd=0.5)], None)
    (one,) = part.rows
    assert (one.finding, one.words) == (Finding.UNMEASURED, "nothing is judged yet")
    assert part.summary == ["0 pairs judged for $0.5; 3 asked about in vain (timeout 3)."]


def test_what_is_said_of_the_evaluator_itself() -> None:
    together = quality(
        **preferring(0.5, 0.46, 0.54), tied=0.12, models=["m"], control_pairs=400,
        control_preferred=0.51, control_interval=(0.44, 0.58), orders=900, first_preferred=0.61,
        both_orders=200, both_orders_alike=0.81,
        not_judged={"unparseable": 9, "timeout": 3, "429": 2, "budget": 1},
    )  # fmt: skip
    (part,) = answers_part([together], None)
    assert part.summary == [
        "1,200 pairs judged by m for $3.21, neither better in 12 %; 15 asked about in vain "
        "(unparseable 9, timeout 3, 429 2, …).",
        "Of 400 control pairs, two runs of stable, it prefers the second in 51 % (95 % interval 44 "
        "to 58 %): no liking for either is shown.",
        "The answer shown first is preferred in 61 %.",
        "Of 200 pairs asked in both orders, 81 % give the same answer twice.",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Its noise is unknown: no control pair has been judged."),
        ({"control_pairs": 1, "control_preferred": 1.0},
         "Its noise is unknown: one control pair has been judged."),
        ({"control_pairs": 8, "control_preferred": 1.0, "control_interval": (0.0, 1.0)},
         "it prefers the second in 100 % (95 % interval 0 to 100 %): too few to tell."),
        ({"control_pairs": 300, "control_preferred": 0.62, "control_interval": (0.55, 0.69)},
         "though both are equally good: it sees something else than the answers."),
        ({"control_pairs": 9, "control_score_difference": 0.01,
          "control_score_interval": (-0.1, 0.12)},
         "It scores stable's second run 1 point (95 % interval -10 to 12) above the first, in 9"),
    ],
)  # fmt: skip
def test_noise(changes: dict[str, Any], said: str) -> None:
    (part,) = answers_part([quality(**preferring(0.5, 0.4, 0.6), **changes)], None)
    assert said.replace("-10", "−10") in part.summary[1].replace("-10", "−10")
    assert len(part.summary) == 2, "of orders too few are known"


def decision_on(evaluator: str) -> Decision:
    """Evidence of a decision as if it rested on an evaluator."""
    manifest = policy("{metric: error_rate, max_increase: 2pp}")
    found = decided(manifest, World(), windows=5).decision()
    evidence = [
        msgspec.structs.replace(one, evaluator=evaluator, metric="quality_preference")
        for one in found.evidence
    ]
    return msgspec.structs.replace(found, evidence=evidence)


def test_languages_stand_below_all_with_the_guardrail_that_judges_them() -> None:
    figures = preferring(0.5, 0.46, 0.54)
    some = [quality(one, **figures) for one in (None, "ja", "sw")]
    (part, other) = answers_part(
        [*some, quality(evaluator="people@2", **figures)], decision_on("judge@1")
    )
    assert [(one.language, one.slice, one.guardrail) for one in part.rows] == [
        ("all", "all", "error_rate"), ("ja", "language:ja", "error_rate"),
        ("sw", "language:sw", ""),
    ]  # fmt: skip
    assert part.rows[0].guardrail_words
    assert [(one.language, one.guardrail) for one in other.rows] == [("all", "")]
