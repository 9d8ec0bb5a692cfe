"""A policy judges messages: which rollout, from which stage, and what a build fails on."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.analyzers.guardrails.world import ROLLOUT, Harm, World, replaced
from tests.streams.demo.decisions import PROMOTED, ROLLED_BACK, SUSPICIOUS
from understudy.schemas.decisions import Decision
from understudy.schemas.manifests import read_policy
from understudy.streams.errors import WRONG_USAGE, CommandError
from understudy.streams.replay.policy_trial import FailOn, PolicyTrial, fails, read_policy_file

POLICY = read_policy(
    f"rollout_id: {ROLLOUT}\nmodels: {{stable: a, candidate: b}}\nmin_requests: 500\n"
    "independent_requests: true\n"
    "min_duration: 1m\nguardrails: [{metric: error_rate, max: 5%}]\n"
)


def test_it_collects_the_decisions_that_change_something() -> None:
    trial = PolicyTrial(POLICY)
    for message in World(requests=100, harm=Harm(bad={"error": 0.1})).messages(5, 40):
        trial(message)
    assert trial.decisions[-1].verdict == "rollback"
    assert len({one.verdict for one in trial.decisions}) == len(trial.decisions)
    assert trial.outcome().verdict == "rollback"
    assert not any(one.is_refresh for one in trial.decisions)


def test_other_rollouts_are_skipped_and_named_at_the_end() -> None:
    trial = PolicyTrial(msgspec.structs.replace(POLICY, rollout_id=f"{ROLLOUT}2"))
    for message in World().messages(1, 2):
        trial(message)
    with pytest.raises(CommandError, match=f"did you mean {ROLLOUT}.*in the recording: {ROLLOUT}"):
        trial.outcome()
    with pytest.raises(CommandError, match="in the recording: none"):
        PolicyTrial(POLICY).outcome()


def test_a_stage_is_named_or_found_by_its_mode() -> None:
    with pytest.raises(CommandError, match="the policy has no stage 7%; it has ") as caught:
        PolicyTrial(POLICY, "7%")
    assert caught.value.exit_code == WRONG_USAGE
    trial = PolicyTrial(POLICY, POLICY.stages[1].name)
    for message in World().messages(1, 2):
        trial(message)
    assert trial.outcome().stage.index == 1


def test_rows_of_two_modes_mean_a_stage_that_mirrors() -> None:
    policy = read_policy(
        f"rollout_id: {ROLLOUT}\nmodels: {{stable: a, candidate: b}}\n"
        "stages: [shadow, 1%, {share: 5%, mirror: 20%}]\n"
    )
    trial = PolicyTrial(policy)
    shadow, canary = World().messages(1, 1)[0], World(mode="canary").messages(1, 1)[0]
    trial(replaced(shadow, rows=[*shadow.rows, *canary.rows]))
    assert trial.outcome().stage.index == 2
    alone = PolicyTrial(policy)
    alone(shadow)
    assert alone.outcome().stage.index == 0


@pytest.mark.parametrize(
    ("decision", "fail_on", "expected"),
    [
        (ROLLED_BACK, None, False),
        (ROLLED_BACK, "rollback", True),
        (ROLLED_BACK, "hold", True),
        (SUSPICIOUS, "rollback", False),
        (SUSPICIOUS, "hold", True),
        (PROMOTED, "hold", False),
    ],
)
def test_what_a_build_fails_on(decision: Decision, fail_on: FailOn | None, expected: bool) -> None:
    assert fails(decision, fail_on) is expected


def test_a_policy_that_cannot_be_read_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    for text, words in ((None, "No such file"), ("mod: shadow", "policy.yaml:1:1: ")):
        if text is not None:
            file.write_text(text)
        with pytest.raises(CommandError, match=words) as caught:
            read_policy_file(file)
        assert caught.value.exit_code == WRONG_USAGE
