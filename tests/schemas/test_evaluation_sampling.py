"""The policy's key `evaluate`: what is left out, and what cannot be used."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from understudy.schemas.evaluation_sampling import EvaluateManifest, compile_sampling
from understudy.schemas.rollouts import (
    PolicyError,
    RolloutManifest,
    compile_manifest,
    evaluation_sampling,
    policy_hash,
)

ROLLOUT: dict[str, Any] = {"rollout_id": "a", "models": {"stable": "x", "candidate": "y"}}


def manifest(*evaluate: dict[str, Any]) -> RolloutManifest:
    return msgspec.convert({**ROLLOUT, "evaluate": list(evaluate)}, RolloutManifest)


def test_defaults_are_filled_in() -> None:
    one = compile_sampling(EvaluateManifest(evaluator="helpfulness@1"))
    assert (one.share, one.both_orders, one.control_share) == (0.05, 0.2, 0.2)
    assert (one.floor_per_hour, one.usd_per_day, one.calls_per_minute) == (20, 20.0, 60)
    assert one.pairs_per_day == 72_000


def test_it_is_no_part_of_the_policy_s_hash() -> None:
    without = policy_hash(compile_manifest(manifest()))
    judged = manifest({"evaluator": "a@1", "share": "50%"}, {"evaluator": "b@1"})
    assert policy_hash(compile_manifest(judged)) == without
    assert [one.share for one in evaluation_sampling(judged)] == [0.5, 0.05]


@pytest.mark.parametrize(
    ("entry", "problem", "path"),
    [
        ({"share": "5pp"}, "no share", ("evaluate", 0, "share")),
        ({"both_orders": "120%"}, "between 0 and 100%", ("evaluate", 0, "both_orders")),
        ({"share": 0, "floor_per_hour": 0}, "no pair would be judged", ("evaluate", 0, "share")),
    ],
)
def test_what_cannot_be_used_says_where(
    entry: dict[str, Any], problem: str, path: tuple[str | int, ...]
) -> None:
    with pytest.raises(PolicyError, match=problem) as raised:
        compile_manifest(manifest({"evaluator": "a@1", **entry}))
    assert raised.value.path == path


def test_an_evaluator_is_listed_once() -> None:
    with pytest.raises(PolicyError, match="listed twice"):
        compile_manifest(manifest({"evaluator": "a@1"}, {"evaluator": "a@1"}))


NO_REFERENCES = [
    "", "helpfulness", "a b@1", "@1", "a@", "a@1@2", "a@1\n", "a\x1b[2J@1", "a\u202e@1",
    "a@\u200b1", "a" * 65 + "@1", "a@" + "1" * 63,
]  # fmt: skip


@pytest.mark.parametrize("name", NO_REFERENCES)
def test_an_evaluator_has_a_name_and_a_version(name: str) -> None:
    with pytest.raises(PolicyError, match="write name@version") as raised:
        compile_manifest(manifest({"evaluator": name}))
    assert raised.value.path == ("evaluate", 0, "evaluator")


@pytest.mark.parametrize("name", NO_REFERENCES)
def test_so_has_that_of_a_guardrail(name: str) -> None:
    guardrail = {"metric": "quality_preference", "evaluator": name, "max_drop": "2pp"}
    written = msgspec.convert({**ROLLOUT, "guardrails": [guardrail]}, RolloutManifest)
    with pytest.raises(PolicyError, match="write name@version") as raised:
        compile_manifest(written)
    assert raised.value.path[-1] == "evaluator"


@pytest.mark.parametrize("name", ["有用性@1", "a" * 64 + "@" + "1" * 62, "json_agreement@1.2-b"])
def test_names_may_be_of_any_script(name: str) -> None:
    assert evaluation_sampling(manifest({"evaluator": name}))[0].evaluator == name
