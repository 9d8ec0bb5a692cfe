import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.sequential.sample_ratio import LOG_THRESHOLD
from understudy.analyzers.sequential.verdict import (
    EvidenceColumns,
    QualityMeasures,
    StageTotals,
    StatisticalVerdict,
    VerdictThresholds,
    reach_verdict,
)
from understudy.analyzers.sequential.weights import (
    log_weighted_sum,
    weighted_log_evidence,
    weightiest,
)

THRESHOLDS = VerdictThresholds(min_duration_s=60.0)
FAR = StageTotals(requests=10_000, duration_s=600.0)


@dataclass(frozen=True)
class Slice:
    """The evidence of one guardrail in one slice."""

    guardrail: str
    slice: str
    weight: float
    log_rollback: float
    log_promotion: float
    units: int
    required: bool = True
    blocks: bool = True

    @property
    def weighted(self) -> float:
        return weighted_log_evidence(self.log_rollback, self.weight)


GOOD = Slice("json", "all", 0.5, -2.0, 5.0, 10_000)
LANGUAGE = Slice("json", "de", 0.25, -1.0, 0.2, 300, required=False)


def verdict_on(evidence: list[Slice], totals: StageTotals = FAR) -> StatisticalVerdict:
    columns = EvidenceColumns(
        names=[f"{one.guardrail}/{one.slice}" for one in evidence],
        log_rollback=np.array([one.log_rollback for one in evidence]),
        log_promotion=np.array([one.log_promotion for one in evidence]),
        units=np.array([one.units for one in evidence]),
        required=np.array([one.required for one in evidence], dtype=bool),
        blocks=np.array([one.blocks for one in evidence], dtype=bool),
    )
    log_evidence = log_weighted_sum(one.weighted for one in evidence)
    return reach_verdict(log_evidence, columns, totals, THRESHOLDS)


def test_shown_harmless_with_enough_of_everything_is_promoted():
    verdict = verdict_on([GOOD, LANGUAGE])
    assert (verdict.action, verdict.missing) == ("promote", ())


@pytest.mark.parametrize(
    ("evidence", "totals", "missing"),
    [
        ([], FAR, ("guardrails",)),
        ([LANGUAGE], FAR, ("guardrails",)),
        ([GOOD], replace(FAR, requests=4_999), ("requests",)),
        ([GOOD], replace(FAR, duration_s=59.0), ("duration",)),
        ([replace(GOOD, log_promotion=2.9)], FAR, ("json/all",)),
        ([GOOD, replace(LANGUAGE, required=True)], FAR, ("json/de",)),
        ([GOOD, replace(LANGUAGE, units=5_000)], FAR, ("json/de",)),
        ([replace(GOOD, log_rollback=4.0)], FAR, ("suspected_harm", "suspected_harm/json/all")),
        ([replace(GOOD, log_rollback=4.0, blocks=False)], FAR, ("suspected_harm",)),
        ([GOOD, replace(LANGUAGE, log_rollback=1.7)], FAR, ("suspected_harm/json/de",)),
        ([GOOD, replace(LANGUAGE, weight=0.0, log_rollback=1.7)], FAR, ("suspected_harm/json/de",)),
        ([GOOD], replace(FAR, quality=QualityMeasures(unmatched_share=0.06)), ("unmatched_share",)),
        ([GOOD], replace(FAR, quality=QualityMeasures(late_share=0.06)), ("late_share",)),
        (
            [GOOD],
            replace(FAR, quality=QualityMeasures(log_sample_ratio=LOG_THRESHOLD)),
            ("sample_ratio",),
        ),
    ],
)
def test_anything_missing_holds(evidence, totals, missing):
    verdict = verdict_on(evidence, totals)
    assert (verdict.action, verdict.missing) == ("hold", missing)


def test_a_slice_that_does_not_block_is_suspected_in_vain():
    suspect = replace(LANGUAGE, log_rollback=1.7, blocks=False)
    assert verdict_on([GOOD, suspect]).action == "promote"


def test_one_bad_language_rolls_back_and_leads_the_reasons():
    bad = replace(LANGUAGE, log_rollback=math.log(400.1))
    verdict = verdict_on([GOOD, bad])
    assert verdict.action == "rollback"
    assert weightiest([GOOD, bad], lambda one: one.weighted) == [bad]


def test_harm_too_small_alone_adds_up():
    evidence = [
        replace(LANGUAGE, guardrail=name, log_rollback=math.log(150.0)) for name in ("a", "b", "c")
    ]
    assert verdict_on(evidence[:2]).action == "hold"
    assert verdict_on(evidence).action == "rollback"
    assert [one.guardrail for one in weightiest(evidence, lambda one: one.weighted)] == list("abc")


def test_bad_data_does_not_stop_a_rollback():
    bad = replace(GOOD, log_rollback=6.0)
    quality = QualityMeasures(unmatched_share=1.0)
    verdict = verdict_on([bad], StageTotals(10, 1.0, quality))
    assert (verdict.action, verdict.breaches) == ("rollback", ("unmatched_share",))


log_values = st.floats(-20.0, 20.0)


@given(log_values, log_values, log_values, st.floats(0.0, 10.0))
def test_more_harm_never_turns_a_rollback_into_anything_else(all_, german, promotion, more):
    evidence = [
        replace(GOOD, log_rollback=all_, log_promotion=promotion),
        replace(LANGUAGE, log_rollback=german),
    ]
    worse = [evidence[0], replace(evidence[1], log_rollback=german + more)]
    rank = {"rollback": 0, "hold": 1, "promote": 2}
    assert rank[verdict_on(worse).action] <= rank[verdict_on(evidence).action]
    better = [replace(evidence[0], log_promotion=promotion + more), evidence[1]]
    assert rank[verdict_on(better).action] >= rank[verdict_on(evidence).action]


def test_no_evidence_yet_is_a_hold():
    fresh = replace(GOOD, log_rollback=-math.inf, log_promotion=0.0)
    assert log_weighted_sum([]) == -math.inf
    assert verdict_on([fresh]).log_evidence == -math.inf
    assert replace(GOOD, weight=0.0).weighted == -math.inf


def test_an_impossible_chance_is_an_error():
    with pytest.raises(ValueError, match="between 0 and 1"):
        VerdictThresholds(false_rollback=0.0)
