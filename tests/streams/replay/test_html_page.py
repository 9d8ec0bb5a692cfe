"""Reports on recorded events and on two recorded runs."""

from __future__ import annotations

from tests.analyzers.fixed_sample.cases import cases_of, json_policy, rows_of
from tests.analyzers.guardrails.world import World
from tests.streams.demo.decisions import decision, evidence
from understudy.analyzers.fixed_sample.judge import judge_fixed_sample
from understudy.streams.replay.html_page import comparison_page, replay_page
from understudy.streams.replay.report import ReportSums

SUMS = ReportSums()
SUMS.add(row for message in World().messages(5, 20) for row in message.rows if row.closed)


def test_a_recording_without_a_policy_is_compared_and_not_judged() -> None:
    page = replay_page(SUMS, ["events.ndjson"], None, "")
    assert (page.verdict, page.headline) == ("", "Compared, and not judged.")
    assert page.facts == [("Recorded in", "events.ndjson")]
    assert page.traffic is not None
    assert page.gaps[0] == "Nothing was judged: no --policy was given."


def test_a_recording_with_a_policy_has_the_verdict_and_its_evidence() -> None:
    page = replay_page(SUMS, ["a", "b"], decision("rollback", evidence("all")), "the policy")
    assert page.verdict == "rollback"
    assert page.evidence is not None
    assert page.policy == "the policy"
    assert page.missing == []


def test_two_runs_say_what_was_found_where_to_look_and_what_is_not_listed() -> None:
    verdict = judge_fixed_sample(rows_of(cases_of(200, candidate_only=40)), json_policy())
    page = comparison_page(
        SUMS, verdict, "policy", title="old and new", read=[("Stable", "old.csv")],
        notes=["a note"], examples={"json_valid_rate/language:ja": []}, unjudged=["no prices"],
    )  # fmt: skip
    assert (page.title, page.verdict) == ("old and new", "rollback")
    assert page.facts[:2] == [("Stable", "old.csv"), ("Cases", "200")]
    assert page.examples == [("JSON validity in ja", "")]
    assert page.gaps[0] == "no prices"
    assert "at most 1 % are rejected" in page.sample_method
