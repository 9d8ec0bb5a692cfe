"""Under a changed policy a rollout keeps its stage, its time and a rollback, and no evidence."""

from __future__ import annotations

from tests.analyzers.guardrails.test_evaluator import policy
from tests.analyzers.guardrails.world import Harm, World
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.policy_change import successor
from understudy.schemas.rollouts import Rollout

ERRORS = "{metric: error_rate, max_increase: 1pp}"


def canary(stages: str, guardrails: str = ERRORS) -> Rollout:
    return policy(guardrails, stages=stages, mode="canary")


BEFORE = canary("[{share: 5%}, {share: 25%}, {share: 50%}]")


def at_stage(index: int) -> RolloutEvaluator:
    evaluator = RolloutEvaluator(BEFORE, stage=index)
    for message in World(mode="canary", share=0.05).messages(1, 5):
        evaluator.take(message)
    return evaluator


def under(rollout: Rollout, evaluator: RolloutEvaluator) -> RolloutEvaluator:
    return successor(rollout, BEFORE, evaluator.encode_state())


def test_the_stage_of_the_same_name_goes_on_wherever_it_is_now() -> None:
    after = canary("[{share: 1%}, {share: 25%}, {share: 50%}, {share: 75%}]")
    stage = under(after, at_stage(2)).decision().stage
    assert (stage.index, stage.stage.name) == (2, "50%")
    fewer = canary("[{share: 25%}, {share: 50%}]")
    assert under(fewer, at_stage(1)).decision().stage.index == 0


def test_where_the_stage_is_gone_the_rollout_begins_at_the_first() -> None:
    assert under(canary("[{share: 10%}, {share: 20%}]"), at_stage(2)).decision().stage.index == 0


def test_the_evidence_begins_anew_and_the_time_does_not() -> None:
    before = at_stage(0)
    after = under(canary("[{share: 5%}]", "{metric: error_rate, max_increase: 2pp}"), before)
    assert sum(one.units for one in before.decision().evidence) > 0
    assert sum(one.units for one in after.decision().evidence) == 0
    assert after.decision().stage.requests == 0
    assert after.decision().decided_at == before.decision().decided_at


def test_a_rollback_stays() -> None:
    before = at_stage(1)
    before.kill("tone")
    after = under(canary("[{share: 5%}, {share: 25%}]"), before).decision()
    assert (after.verdict, after.is_latched, after.candidate_share) == ("rollback", True, 0.0)
    assert after.reasons == before.decision().reasons


def test_a_pause_does_not_stay() -> None:
    pausing = policy("{metric: error_rate, max_increase: 1pp, action: pause}", stages="[shadow]")
    before = RolloutEvaluator(pausing)
    for message in World(harm=Harm(bad={"error": 0.1})).messages(1, 20):
        before.take(message)
    assert before.decision().is_paused
    after = successor(policy(ERRORS, stages="[shadow]"), pausing, before.encode_state())
    assert not after.decision().is_paused
