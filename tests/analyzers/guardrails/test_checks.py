"""What a policy's guardrails come down to: limits, weights, and whether stable can be believed."""

from __future__ import annotations

import math

import pytest

from tests.analyzers.guardrails.test_evaluator import policy, verdict_of
from tests.analyzers.guardrails.world import Harm, World
from understudy.analyzers.guardrails.checks import STABLE_SHARE, checks_of
from understudy.schemas.manifests import read_policy

HEAD = "rollout_id: helpdesk\nmodels: {stable: a, candidate: b}\n"
MULTIPLE = "{metric: error_rate, max_increase: 3x, floor: 0.1pp, slices: [all]}"


def weights(guardrails: str = "") -> dict[str, float]:
    return {check.name: check.weight for check in checks_of(read_policy(HEAD + guardrails))}


def test_what_is_likely_and_grave_has_most_of_the_error() -> None:
    default = weights()
    assert default["error_rate"] == default["json_valid_rate"] == 4 * default["truncation_rate"]


def test_each_action_has_an_error_of_its_own() -> None:
    found = weights(
        "guardrails: [{metric: error_rate, max_increase: 1pp, warn_margin: 0.5pp}, "
        "{metric: cost_usd, max_increase: 10%}, {metric: fallback_rate, max: 5%, action: alert}]"
    )
    assert found["error_rate"] == pytest.approx(4 / 6)
    assert found["cost_usd"] == pytest.approx(2 / 6)
    left = 1.0 - STABLE_SHARE
    assert found["error_rate.warn"] == pytest.approx(left * 4 / 5)
    assert found["fallback_rate"] == pytest.approx(left * 1 / 5)


def test_weights_of_each_action_sum_to_one() -> None:
    checks = checks_of(read_policy(HEAD))
    for action in ("rollback", "alert"):
        assert math.isclose(math.fsum(c.weight for c in checks if c.action == action), 1.0)
    of_stable = [check for check in checks if check.of_stable]
    assert math.fsum(check.weight for check in of_stable) == pytest.approx(STABLE_SHARE)
    quiet = checks_of(policy("{metric: error_rate, max: 5%}"))
    assert [check.weight for check in quiet if check.of_stable] == [1.0]


def test_stable_is_held_to_limits_where_the_policy_has_one() -> None:
    checks = checks_of(policy("{metric: json_valid_rate, max_drop: 1pp}, "
                              "{metric: error_rate, max: 5%}, "
                              "{metric: cost_usd, max_increase: 9%}"))  # fmt: skip
    assert [check.name for check in checks if check.of_stable] == [
        "stable.json_valid_rate", "stable.error_rate",
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_a_multiple_of_stables_rate(mode: str) -> None:
    """Stable fails in 1 %, so 3.1 % are tolerated."""
    rollout = policy(
        MULTIPLE, mode=mode, stages="[shadow]" if mode == "shadow" else "[{share: 40%}]"
    )
    worse = verdict_of(rollout, World(mode=mode, share=0.4, harm=Harm(bad={"error": 0.08})))
    assert worse.verdict == "rollback"
    assert " above 3 times stable's, " in worse.reasons[0]
    (one,) = worse.evidence
    assert (one.margin, one.relative, one.floor) == (2.0, True, pytest.approx(0.001))
    assert one.harm == pytest.approx(one.candidate - 3.0 * one.stable)
    tolerated = verdict_of(rollout, World(mode=mode, share=0.4, harm=Harm(bad={"error": 0.012})))
    assert tolerated.verdict != "rollback"
    assert tolerated.log_evidence["rollback"] < 0.0


@pytest.mark.parametrize(
    "guardrail",
    ["{metric: error_rate, max_increase: 1pp, slices: [all]}",
     "{metric: lost_rate, max_increase: 1pp, slices: [all]}",
     "{metric: lost_rate, max_increase: 3x, slices: [all]}",
     "{metric: lost_rate, max: 1%, slices: [all]}"],
)  # fmt: skip
def test_answers_that_never_come_roll_back_and_the_side_is_named(guardrail: str) -> None:
    decision = verdict_of(policy(guardrail), World(harm=Harm(lost=0.045)))
    assert decision.verdict == "rollback"
    assert " of the candidate's answers never came" in decision.reasons[0]
    assert decision.quality.lost_candidate_share == pytest.approx(0.045, abs=0.01)
    assert decision.quality.lost_stable_share == 0.0


def test_stable_that_is_broken_itself_alerts_and_no_more() -> None:
    """Equally bad sides are promoted: the candidate is no worse. But somebody must look."""
    rollout = policy("{metric: json_valid_rate, max_drop: 5pp, slices: [all]}")
    broken = Harm(bad={"json_valid": 0.9})
    decision = verdict_of(rollout, World(harm=broken, stable=broken), windows=60)
    assert decision.verdict != "rollback"
    (alert,) = decision.alerts
    assert (alert.kind, alert.name, alert.slice) == ("stable", "json_valid_rate", "all")
    assert alert.sentence.startswith("stable's own JSON validity over all requests is ")
    assert ", limit 50 %; " in alert.sentence
    (stable,) = decision.stable
    assert (stable.status, stable.candidate) == ("breach", None)
    assert stable.stable == pytest.approx(0.08, abs=0.02)
    assert verdict_of(rollout, World()).alerts == []
