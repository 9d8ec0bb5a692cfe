"""The whole way from simulated events: pairing, rows as they come, verdict."""

from __future__ import annotations

import datetime as dt

import pytest

from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.manifests import read_policy
from understudy.schemas.rollouts import Rollout
from understudy.streams.demo.simulator import ROLLOUT_ID, simulate
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.policy_trial import PolicyTrial
from understudy.streams.replay.replay_events import replay

START = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
NOW_MS = int(START.timestamp() * 1000)
POLICY = read_policy(
    f"rollout_id: {ROLLOUT_ID}\nmodels: {{stable: heron-4, candidate: heron-5}}\n"
    "min_requests: 3000\nmin_duration: 1m\nindependent_requests: true\n"
)
FEW = read_policy(
    f"rollout_id: {ROLLOUT_ID}\nmodels: {{stable: heron-4, candidate: heron-5}}\n"
    "min_requests: 3000\nmin_duration: 1m\nindependent_requests: true\nguardrails:\n"
    "  - {metric: error_rate, max_increase: 1pp}\n"
    "  - {metric: json_valid_rate, max_drop: 2pp}\n"
    "  - {metric: cost_usd, max_increase: 10%}\n"
)


def trial_of(
    seed: int,
    pairs: int,
    *,
    healthy: bool,
    language: str = "zh-Hans",
    policy: Rollout = POLICY,
) -> PolicyTrial:
    trial = PolicyTrial(policy)
    lines = (
        one.payload
        for one in simulate(seed=seed, pairs=pairs, healthy=healthy, start=START, language=language)
    )
    replay(lines, PairingPolicy(), NOW_MS, None, trial)
    return trial


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_candidate_is_never_rolled_back(seed: int) -> None:
    trial = trial_of(seed, 4_000, healthy=True)
    assert {decision.verdict for decision in trial.decisions} <= {"hold", "promote"}
    assert trial.outcome().alerts == []


def test_a_healthy_candidate_ends_in_promotion() -> None:
    outcome = trial_of(7, 7_000, healthy=True, policy=FEW).outcome()
    assert outcome.verdict == "promote", outcome.reasons


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "language"), [(7, "zh-Hans"), (3, "en")])
def test_a_regression_is_rolled_back_by_language_and_metric(seed: int, language: str) -> None:
    trial = trial_of(seed, 13_000, healthy=False, language=language)
    outcome = trial.outcome()
    assert outcome.verdict == "rollback"
    assert any(r.startswith(f"JSON validity in `{language}` fell") for r in outcome.reasons)
    assert trial.decisions[-1].verdict == "rollback"
    assert dt.timedelta(minutes=1) < outcome.since - START < dt.timedelta(minutes=6)


def test_a_recording_read_again_gives_the_same_bytes() -> None:
    def payloads(decisions: list[Decision]) -> list[bytes]:
        return [encode_decision(decision) for decision in decisions]

    first, second = (trial_of(5, 2_000, healthy=False) for _ in range(2))
    assert payloads(first.decisions) == payloads(second.decisions)
    assert encode_decision(first.outcome()) == encode_decision(second.outcome())
