"""The whole way from simulated events: pairing, rows as they come, verdict."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

import numpy as np
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


def conversations(*, turns: int, share_fate: bool, number: int) -> Iterator[bytes]:
    """Both sides of requests in conversations; one in ten fails on the candidate's side."""
    rng = np.random.default_rng(1)
    events = []
    for place in range(number):
        begun_s, is_bad = float(rng.uniform(0.0, 900.0)), rng.random() < 0.1
        for turn in range(1, turns + 1):
            failed = {"stable": False, "candidate": is_bad if share_fate else rng.random() < 0.1}
            for side, is_failure in failed.items():
                answer = {"error": {"type": "overloaded", "status": 503}} if is_failure else {
                    "response": {"output": "Yes."}
                }  # fmt: skip
                moment = START + dt.timedelta(seconds=begun_s + 20.0 * turn)
                events.append((moment, {
                    "schema_version": 1, "rollout_id": ROLLOUT_ID, "pair_id": f"{place}-{turn}",
                    "mode": "shadow", "side": side, "sides": ["stable", "candidate"],
                    "conversation_id": f"c{place}", "turn": turn, "language": "en",
                    "request_time": moment.isoformat(), "request": {"prompt": "?"}, **answer,
                }))  # fmt: skip
    events.sort(key=lambda event: event[0])
    return (json.dumps(event).encode() for _, event in events)


@pytest.mark.parametrize(
    ("turns", "share_fate", "least", "most"),
    [(1, False, 1.0, 1.0), (5, True, 4.5, 5.0), (5, False, 1.0, 2.0)],
)
def test_requests_of_a_conversation_count_as_alike_as_they_are(
    turns: int, share_fate: bool, least: float, most: float
) -> None:
    policy = read_policy(
        f"rollout_id: {ROLLOUT_ID}\nmodels: {{stable: a, candidate: b}}\n"
        "guardrails: [{metric: error_rate, max_increase: 20pp, slices: [all]}]\n"
    )
    trial = PolicyTrial(policy)
    told = conversations(turns=turns, share_fate=share_fate, number=3_000 // turns)
    replay(told, PairingPolicy(), NOW_MS, None, trial)
    (errors,) = trial.outcome().evidence
    assert errors.units == 3_000
    assert least <= errors.design_effect <= most
