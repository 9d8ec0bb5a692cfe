from __future__ import annotations

import msgspec

from tests.analyzers.fixed_sample.cases import FIELDS, Case, cases_of, json_policy, policy, rows_of
from understudy.analyzers.fixed_sample.judge import judge_fixed_sample
from understudy.analyzers.fixed_sample.quantiles import QuantileTest
from understudy.analyzers.fixed_sample.sample import Sample
from understudy.analyzers.fixed_sample.tolerated_error import Cell
from understudy.analyzers.guardrails.checks import checks_of


def test_cases_units_and_sides_that_never_came() -> None:
    cases = [*cases_of(3), Case(conversation="a"), Case(conversation="a"), Case(lost="candidate")]
    sample = Sample.of_rows(rows_of(cases), checks_of(policy()))
    assert (sample.cases, sample.n_units, sample.counts.lost_candidate) == (6, 5, 1)
    assert sample.present.languages == ["en"]


def test_slices_have_their_own_rows() -> None:
    cases = [*cases_of(5, candidate_only=2), *(Case(language="de") for _ in range(3))]
    sample = Sample.of_rows(rows_of(cases), checks_of(json_policy()))
    assert set(sample.shares(0)) == {Cell(0, s) for s in ("all", "language:en", "language:de")}
    assert [sample.test(Cell(0, s)).cases for s in ("all", "language:en", "language:de")] == [
        8,
        5,
        3,
    ]
    assert sample.test(Cell(0, "language:fr")).cases == 0
    assert sample.by_unit(Cell(0, "language:de")).shape[0] == 3
    assert sample.total(Cell(0, "all"))[0] == 8.0


def test_quantiles_are_read_from_histograms() -> None:
    cases = [Case(duration_ms=(100.0 + i, 200.0 + i)) for i in range(300)]
    checks = checks_of(policy())
    sample = Sample.of_rows(rows_of(cases), checks)
    (number, *_) = (i for i, check in enumerate(checks) if check.name == "duration_p95")
    test = sample.test(Cell(number, "all"))
    assert isinstance(test, QuantileTest)
    assert (test.cases, test.design_effect) == (300, 1.0)
    assert sample.total(Cell(number, "all")).size == 0


def test_rows_of_other_modes_and_of_nothing_are_left_out() -> None:
    (row,) = rows_of([Case()])
    row.mode = "canary"
    sample = Sample.of_rows([row], checks_of(policy()))
    assert (sample.cases, sample.n_units) == (0, 0)


def test_a_metric_of_a_field_that_no_case_has_is_not_measured() -> None:
    """Without a finish reason no stream has an end, and no answer names a fallback."""
    rows = rows_of(cases_of(300))
    for row in rows:
        for side in (row.stable, row.candidate):
            for name in FIELDS:
                setattr(side, name, 0)
    rollout = policy()
    unmeasured = {"fallback_rate", "empty_rate", "incomplete_rate", "tool_call_invalid_rate"}
    verdict = judge_fixed_sample(rows, rollout)
    assert unmeasured <= set(verdict.not_measured)
    assert not unmeasured & {one.guardrail for one in verdict.findings}
    side = msgspec.structs.replace(rows[0].stable, **dict.fromkeys(FIELDS, 1))
    rows[0] = msgspec.structs.replace(rows[0], stable=side)
    verdict = judge_fixed_sample(rows, rollout)
    assert not unmeasured & set(verdict.not_measured)
