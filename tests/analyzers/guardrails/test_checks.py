"""Checks of a policy: how they share the tolerated error."""

import pytest

from understudy.analyzers.guardrails.checks import checks_of
from understudy.schemas.manifests import read_policy

HEAD = "rollout_id: a\nmodels: {stable: b, candidate: c}\n"


def weights(guardrails: str = "") -> dict[str, float]:
    return {check.name: check.weight for check in checks_of(read_policy(HEAD + guardrails))}


def test_what_is_likely_and_grave_has_most_of_the_error() -> None:
    default = weights()
    assert sum(default.values()) == pytest.approx(1.0)
    assert default["error_rate"] == default["json_valid_rate"] == 4 * default["truncation_rate"]


def test_each_action_has_an_error_of_its_own() -> None:
    found = weights(
        "guardrails: [{metric: error_rate, max_increase: 1pp, warn_margin: 0.5pp}, "
        "{metric: cost_usd, max_increase: 10%}, {metric: fallback_rate, max: 5%, action: alert}]"
    )
    assert found["error_rate"] == pytest.approx(4 / 6)
    assert found["cost_usd"] == pytest.approx(2 / 6)
    assert found["error_rate.warn"] == pytest.approx(4 / 5)
    assert found["fallback_rate"] == pytest.approx(1 / 5)
