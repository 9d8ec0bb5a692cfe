"""What a policy finds, told before the rollout begins."""

import math

import pytest

from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.power import findings, requests_until_rollback
from understudy.schemas.manifests import read_policy
from understudy.schemas.rollouts import Rollout

HEAD = "rollout_id: a\nmodels: {stable: b, candidate: c}\n"


def policy(rest: str = "") -> Rollout:
    return read_policy(HEAD + rest)


def test_the_default_policy_knows_its_power() -> None:
    found = {(one.check.name, one.in_language): one for one in findings(policy())}
    everywhere, language = found["json_valid_rate", False], found["json_valid_rate", True]
    assert everywhere.harm == pytest.approx(0.04)
    # Simulated: 1 000 requests with a weight of 1/10, 1 160 in a language with 1/160.
    assert everywhere.requests == pytest.approx(1_000, rel=0.15)
    assert language.requests == pytest.approx(1_160, rel=0.15)


def test_only_what_is_known_before_is_promised() -> None:
    names = {one.check.metric.kind for one in findings(policy())}
    assert names == {"rate"}
    assert findings(policy("guardrails: [{metric: cost_usd, max_increase: 10%}]")) == []
    alert = "{metric: error_rate, max: 2%, action: alert}"
    assert findings(policy(f"guardrails: [{alert}, {{metric: cost_usd, max_increase: 10%}}]")) == []


def test_conversations_take_longer() -> None:
    alone, turns = findings(policy()), findings(policy(), design_effect=5.0)
    assert turns[0].requests == pytest.approx(5.0 * alone[0].requests)


def test_a_small_canary_takes_longer_than_all_requests_twice() -> None:
    text = "guardrails: [{metric: error_rate, max_increase: 1pp, slices: [all]}]\n"
    shadow = findings(policy(text))[0].requests
    canary = findings(policy(text + "mode: canary\nstages: [{share: 5%}]"))[0].requests
    assert 5 * shadow < canary < 20 * shadow


def test_an_absolute_limit() -> None:
    rollout = policy("guardrails: [{metric: error_rate, max: 1%, slices: [all]}]")
    check, _ = checks_of(rollout)
    # Simulated: 2 % errors against a limit of 1 % are found after 1 800 requests.
    found = requests_until_rollback(check, rollout, weight=1.0, harm=0.02)
    assert found == pytest.approx(1_800, rel=0.15)
    assert requests_until_rollback(check, rollout, weight=1.0, harm=0.01) == math.inf


def test_mirrored_requests_find_it_sooner_than_a_small_canary() -> None:
    text = "guardrails: [{metric: error_rate, max_increase: 1pp, slices: [all]}]\nmode: canary\n"
    alone = findings(policy(text + "stages: [{share: 1%}]"))[0].requests
    mirrored = findings(policy(text + "stages: [{share: 1%, mirror: 20%}]"))[0].requests
    shadow = findings(policy(text.replace("canary", "shadow")))[0].requests
    assert mirrored < alone / 5
    # A fifth of 99 % are pairs, and half of the error is theirs.
    assert 1.0 < mirrored / (shadow / 0.198) < 1.3


def test_half_of_the_error_is_for_mirrored_requests_in_every_stage() -> None:
    text = "guardrails: [{metric: error_rate, max_increase: 1pp, slices: [all]}]\n"
    mirrors = findings(policy(text + "stages: [shadow, {share: 1%, mirror: 20%}]"))[0].requests
    assert 1.0 < mirrors / findings(policy(text))[0].requests < 1.3
