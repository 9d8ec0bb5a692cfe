"""What a report holds of a decision, and what it says that it lacks."""

from __future__ import annotations

import msgspec

from tests.streams.demo.decisions import at_multiple, decision, evidence
from understudy.streams.dashboard.report_page import (
    MAX_COURSES,
    courses_wanted,
    decision_facts,
    decision_gaps,
    evidence_part,
)

BROKEN = msgspec.structs.replace(evidence("language:ja"), status="breach")
FINE = msgspec.structs.replace(evidence("all", required=True), interval=(-0.1, 0.001))


def test_the_course_of_what_is_worse_is_drawn_and_else_of_what_promotion_waits_for() -> None:
    many = [evidence(f"language:x{n}") for n in range(9)]
    wanted = courses_wanted(decision("hold", FINE, *many, BROKEN))
    assert wanted[0] is BROKEN
    assert len(wanted) == MAX_COURSES
    later = msgspec.structs.replace(FINE, guardrail="later", log_promotion=-1.0)
    assert courses_wanted(decision("hold", FINE, later)) == [later]
    assert courses_wanted(decision("hold")) == []


def test_a_guardrail_that_is_worse_somewhere_has_a_table_of_its_languages() -> None:
    other = msgspec.structs.replace(FINE, guardrail="other", slice="language:ja")
    part = evidence_part(
        decision("hold", FINE, BROKEN, other, msgspec.structs.replace(FINE, guardrail="other"))
    )
    assert [(name, [row.slice for row in rows]) for name, rows in part.by_language] == [
        ("JSON validity", ["all", "language:ja"])
    ]
    assert part.heat[0].slices == ["all", "language:ja"]
    assert "at most 1 % are ever rolled back" in part.method


def test_what_is_missing_is_told_by_guardrail() -> None:
    held = msgspec.structs.replace(
        decision("hold", FINE), not_measured=["cost_usd"],
        too_few=["error_rate/language:ja", "error_rate/language:hi", "empty_rate/all"],
    )  # fmt: skip
    assert decision_gaps(held) == [
        "Not measured, since no request says anything about it: mean cost.",
        "Too few requests to tell: error rate in ja, hi; empty answers in all requests.",
    ]


def test_of_a_rollback_no_slice_is_said_to_be_chance() -> None:
    rolled_back = msgspec.structs.replace(
        decision("rollback", BROKEN), point_other_way=["json_valid_rate/language:ja"]
    )
    assert decision_gaps(rolled_back) == []


def test_facts_identify_the_decision() -> None:
    facts = dict(decision_facts(msgspec.structs.replace(decision("hold"), sequence=7)))
    assert facts["Decision"] == "number 7"
    assert facts["Requests in closed windows"] == "4,000, at least 8,000 wanted"
    assert "Decision" not in dict(decision_facts(decision("hold"))), "a backtest counts none"


def test_languages_are_split_evenly_over_sheets() -> None:
    some = [evidence(f"language:x{n}", at_multiple(0.1)) for n in range(10)]
    heat = evidence_part(decision("hold", evidence("all"), *some)).heat
    assert [len(part.slices) for part in heat] == [6, 6]
    assert all(part.slices[0] == "all" for part in heat)
    assert len({name for part in heat for name in part.slices}) == 11
