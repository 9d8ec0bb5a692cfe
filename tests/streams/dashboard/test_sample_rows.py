"""Findings of a fixed sample as rows."""

from __future__ import annotations

from tests.analyzers.fixed_sample.cases import cases_of, json_policy, rows_of
from understudy.analyzers.fixed_sample.judge import judge_fixed_sample
from understudy.streams.dashboard.evidence_rows import Finding
from understudy.streams.dashboard.report_page import sample_part
from understudy.streams.dashboard.sample_rows import sample_rows


def test_a_breach_has_its_figures_and_its_interval_drawn() -> None:
    verdict = judge_fixed_sample(rows_of(cases_of(200, candidate_only=40)), json_policy())
    row = sample_rows([one for one in verdict.findings if one.slice == "all"])[0]
    assert (row.finding, row.cases) == (Finding.BREACH, "200")
    assert row.harm == "+20.00 pp"
    assert row.p_harm == "<0.0001"
    assert row.bar is not None
    assert (row.bar.is_cut_left, row.bar.is_cut_right) == (False, False)


def test_a_few_cases_say_how_many_would_do() -> None:
    verdict = judge_fixed_sample(rows_of(cases_of(60)), json_policy())
    row = sample_rows([one for one in verdict.findings if one.slice == "all"])[0]
    assert row.finding is Finding.UNCLEAR
    assert "would pass in" in row.note


def test_slices_without_a_finding_are_counted_and_the_worst_come_first() -> None:
    verdict = judge_fixed_sample(rows_of(cases_of(200, candidate_only=40)), json_policy())
    rows, left = sample_part(verdict)
    assert rows[0].finding is Finding.BREACH
    assert left == sum(one.cases > 0 for one in verdict.findings) - len(rows)
