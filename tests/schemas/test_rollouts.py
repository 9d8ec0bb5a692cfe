"""Policies: what is refused and where, and that what means the same is the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from understudy.schemas.examples import policies
from understudy.schemas.json_schema import CONTRACTS
from understudy.schemas.manifests import (
    ManifestError,
    json_as_yaml,
    read_manifest,
    read_policy,
)
from understudy.schemas.rollout_metrics import METRICS
from understudy.schemas.rollouts import (
    DEFAULT_MIN_REQUESTS,
    Rollout,
    SliceManifest,
    policy_hash,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "policy.yaml"
HEAD = "rollout_id: helpdesk\nmodels: {stable: heron-4, candidate: heron-5}\n"


def policy(rest: str = "") -> Rollout:
    return read_policy(HEAD + rest, "policy.yaml")


def guardrail(text: str) -> str:
    return f"guardrails:\n  - {text}\n"


@pytest.mark.parametrize(
    ("rest", "line", "at", "words"),
    [
        ("mod: shadow", 3, "mod: shadow", "unknown key mod; did you mean mode?"),
        ("mode: shadows", 3, "shadows", "interleave, canary, ab; did you mean shadow?"),
        ("mode: shadow\nmode: canary", 4, "mode: canary", "mode is given twice"),
        ("promotion: [manual]", 3, "[manual", "must be text, not a list"),
        ("min_duration: ten", 3, "ten", "write 90s, 10m, 1h or 1d"),
        ("min_duration: -5", 3, "-5", "must not be negative"),
        ("min_requests: 0", 3, "0", "must be at least 1, not 0"),
        ("max_late_share: 500%", 3, "500%", "between 0 and 100%"),
        ("false_rollback: 0", 3, "0", "must be above 0"),
        ("guardrails: []", 3, "[", "leave the key out"),
        ("stages: []", 3, "[", "at least one"),
        ("stages: [shadow, 5x]", 3, "5x", "shadow, interleave or a share"),
        ("stages: [shadow, {mode: canary}]", 3, "{mode: canary", "needs a share"),
        ("stages: [shadow, 5%, 1%]", 3, "1%", "less than the stage before"),
        ("stages: [shadow, 5%, 5%]", 3, "5%", "two stages are named 5%"),
        ("stages: [5%]", 3, "5%", "the first stage's is canary"),
        ("stages:\n  - {mode: shadow, share: 5%}", 4, "5%", "never served"),
        ("stages:\n  - {sare: 5%}", 4, "sare: 5%", "unknown key sare; did you mean share?"),
        (guardrail("{metric: eror_rate, max: 1%}"), 4, "eror_rate", "did you mean error_rate?"),
        (
            guardrail("{metric: feedback, max: 1%}"),
            4,
            "1%}",
            "it is better when higher; use min",
        ),
        (guardrail("{metric: feedback, max_drop: 5%}"), 4, "5%}", "percentage points"),
        (guardrail("{metric: duration, max: 1s}"), 4, "duration", "say which quantile"),
        (guardrail("{metric: similarity, max: 1%}"), 4, "similarity", "similarity_excess"),
        (guardrail("{max: 1%}"), 4, "{max: 1%", "metric is missing; write `- metric: error_rate`"),
        (guardrail("{metric: error_rate}"), 4, "{metric: error_rate", "has no limit"),
        (
            guardrail("{metric: error_rate, max: 1%, max_increase: 1pp}"),
            4,
            "{metric: error_rate",
            "write one of max",
        ),
        (guardrail("{metric: error_rate, max_drop: 1pp}"), 4, "1pp", "better when lower"),
        (guardrail("{metric: json_valid_rate, max: 1%}"), 4, "1%", "better when higher"),
        (guardrail("{metric: error_rate, max_increase: 20%}"), 4, "20%", "percentage points"),
        (guardrail("{metric: error_rate, max_increase: 0.005}"), 4, "0.005", "ambiguous"),
        (guardrail("{metric: error_rate, max_increase: 0.5x}"), 4, "0.5x", "at least 1x"),
        (guardrail("{metric: error_rate, max: 3x}"), 4, "3x", "goes with max_increase"),
        (guardrail("{metric: json_valid_rate, max_drop: 3x}"), 4, "3x", "goes with max_increase"),
        (guardrail("{metric: error_rate, max_increase: 3x, floor: 0.1%}"), 4, "0.1%", "0.1pp"),
        (guardrail("{metric: error_rate, max_increase: 3x, floor: 100pp}"), 4, "100pp", "0.1pp"),
        (guardrail("{metric: error_rate, max_increase: 1pp, floor: 1pp}"), 4, "1pp}", "such as 3x"),
        (guardrail("{metric: cost_usd, max_increase: 3x, floor: 1pp}"), 4, "1pp", "such as 3x"),
        (guardrail("{metric: error_rate, max_increase: 2000x}"), 4, "2000x", "more than any"),
        (guardrail("{metric: error_rate, max: 1s}"), 4, "1s", "no share"),
        (guardrail("{metric: error_rate, max: 100%}"), 4, "100%", "nothing to test"),
        (guardrail("{metric: error_rate, max: -1%}"), 4, "-1%", "negative"),
        (guardrail("{metric: error_rate, max: a lot}"), 4, "a lot", "no quantity"),
        (guardrail("{metric: duration_p99, max: 800}"), 4, "800", "needs a unit: 800ms or 8s"),
        (guardrail("{metric: duration_p99, max_increase: 2}"), 4, "2", "20%, 800ms or 8s"),
        (guardrail("{metric: duration_p99, max_drop: 5%}"), 4, "5%", "better when lower"),
        (guardrail("{metric: cost_usd, max: 5s}"), 4, "5s", "a number in usd"),
        (guardrail("{metric: output_tokens, max_drop: 100%}"), 4, "100%", "tolerates everything"),
        (guardrail("{metric: similarity_excess, max_increase: 5pp}"), 4, "5pp", "use max"),
        (guardrail("{metric: error_rate, max: 1%, warn_margin: 2%}"), 4, "2%", "tighter"),
        (guardrail("{metric: cost_usd, max_increase: 9%, warn_margin: 0.1}"), 4, "0.1", "like"),
        (guardrail("{metric: error_rate, max: 1%, slices: []}"), 4, "[", "at least one"),
        (
            guardrail("{metric: error_rate, max: 1%, slices: [each languag]}"),
            4,
            "each languag",
            "did you mean each language?",
        ),
        (guardrail("{metric: error_rate, max: 1%, slices: [{}]}"), 4, "{", "name a language"),
        (
            guardrail("{metric: error_rate, max: 1%, slices: [{lang: ja}]}"),
            4,
            "lang: ja",
            "language?",
        ),
        (
            guardrail("{metric: unmatched_share, max: 1%, slices: [each language]}"),
            4,
            "[each language",
            "over all requests only",
        ),
        (
            guardrail("{metric: error_rate, max: 1%}\n  - {metric: error_rate, max: 2%}"),
            5,
            "{metric: error_rate",
            "give one another name",
        ),
        (guardrail("{metric: error_rate, max: 1%, action: alert}"), 4, "-", "only alerts"),
        ("turns_per_conversation: 0.5", 3, "0.5", "at least 1"),
        ("turns_per_conversation: 5000", 3, "5000", "at most 1000"),
        (
            "independent_requests: true\nturns_per_conversation: 5",
            4,
            "5",
            "remove independent_requests",
        ),
        ("mode: &m shadow\npromotion: *m", 4, "*m", "aliases"),
        ("mode: !!python/name:os.system x", 3, "!!python", "tag"),
        ("mode: 'shadow", 3, "", "found unexpected end"),
    ],
)
def test_errors_point_at_the_place(rest: str, line: int, at: str, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        policy(rest)
    error = caught.value
    assert words in error.problem
    assert error.line == line
    assert (HEAD + rest).splitlines()[line - 1][error.column - 1 :].startswith(at)
    assert str(error).startswith(f"policy.yaml:{line}:{error.column}: ")


@pytest.mark.parametrize("text", ["", "# nothing", "- 1", "1: 2", "[" * 100 + "]" * 100, "\x00"])
def test_what_is_no_policy_is_an_error_and_nothing_else(text: str) -> None:
    with pytest.raises(ManifestError):
        read_policy(text)


@pytest.mark.parametrize(
    ("written", "model"),
    [
        (r'"\ud83d\ude00 \u00e9 \/ \t"', "😀 é / \t"),
        ('"\U0001f600"', "😀"),
        ('"heron: 4 # no"', "heron: 4 # no"),
    ],
)
def test_json_is_read_as_json(written: str, model: str) -> None:
    text = f'{{\t"rollout_id":"helpdesk",\n\t"models":{{"stable":{written},\t"candidate":"b"}}}}'
    manifest = read_manifest(json_as_yaml(text.encode()))
    assert manifest.models.stable == model == json.loads(text)["models"]["stable"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"rollout_id: helpdesk", "policy:1:1: expecting value"),
        (b'{"rollout_id": "a",\n "models": {]}', "policy:2:13: "),
        (b"\xff", "policy:1:1: 'utf-8' codec can't decode"),
        (b"[" * 50_000, "policy:1:1: nested too deeply"),
    ],
)
def test_what_is_no_json_is_pointed_at(text: bytes, words: str) -> None:
    with pytest.raises(ManifestError, match=f"^{re.escape(words)}"):
        json_as_yaml(text)


def test_half_a_character_is_an_error() -> None:
    with pytest.raises(ManifestError, match=r"^policy:2:18: half a character"):
        read_manifest('rollout_id: helpdesk\nmodels: {stable: "\\ud800", candidate: b}')


def test_three_lines_are_a_safe_policy() -> None:
    rollout = policy("mode: shadow\n")
    assert [stage.name for stage in rollout.stages] == ["shadow", "1%", "5%", "25%", "50%", "100%"]
    assert {stage.min_requests for stage in rollout.stages} == {DEFAULT_MIN_REQUESTS}
    assert all(stage.min_duration_s >= 3_600 for stage in rollout.stages)
    assert rollout.promotion == "manual"
    watched = {guardrail.metric for guardrail in rollout.guardrails}
    assert {"error_rate", "json_valid_rate", "duration_p99", "cost_usd"} <= watched
    assert {"empty_rate", "refusal_rate", "tool_call_invalid_rate", "garbled_rate"} <= watched
    alerting = {guardrail.name for guardrail in rollout.guardrails if guardrail.action == "alert"}
    assert alerting == {
        "error_rate_multiple", "tool_call_missing_rate", "reasoning_leak_rate",
        "output_tokens", "answer_length", "answer_length_drop",
    }  # fmt: skip
    assert "constant_answer_rate" in watched
    assert all(guardrail.action in ("rollback", "alert") for guardrail in rollout.guardrails)
    assert all(guardrail.slices.each_language for guardrail in rollout.guardrails)


@pytest.mark.parametrize(
    ("mode", "stages"),
    [
        ("canary", [("canary", 0.01), ("canary", 0.05), ("canary", 0.25), ("canary", 0.5),
                    ("canary", 1.0)]),
        ("ab", [("ab", 0.5)]),
        ("interleave", [("interleave", 0.5), ("canary", 0.5), ("canary", 1.0)]),
    ],
)  # fmt: skip
def test_stages_follow_from_the_mode(mode: str, stages: list[tuple[str, float]]) -> None:
    if mode == "interleave":
        with pytest.raises(ManifestError, match="less than the stage before"):
            policy("mode: interleave\nstages: [interleave, 1%]\n")
    rollout = policy(f"mode: {mode}\n")
    assert [(stage.mode, stage.share) for stage in rollout.stages] == stages


def test_a_canary_may_mirror_requests_that_stable_serves() -> None:
    rollout = policy("stages: [shadow, {share: 1%, mirror: 20%}, 100%]\n")
    assert [stage.mirror for stage in rollout.stages] == [0.0, 0.2, 0.0]
    assert rollout.mirrors
    assert not policy("stages: [shadow, {share: 1%, mirror: 0}]\n").mirrors
    assert policy("mode: ab\nstages: [{mode: ab, mirror: 100%}]\n").stages[0].mirror == 1.0


@pytest.mark.parametrize(
    ("stage", "problem"),
    [
        ("{mode: shadow, mirror: 20%}", "in shadow both sides answer anyway"),
        ("{mode: interleave, mirror: 20%}", "in interleave both sides answer anyway"),
        ("{mode: canary, share: 100%, mirror: 20%}", "no others to mirror"),
        ("{mode: canary, share: 1%, mirror: 120%}", "between 0 and 100%"),
        ("{mode: canary, share: 1%, mirror: 1e-9}", "leave mirror out"),
    ],
)
def test_what_cannot_be_mirrored_is_refused(stage: str, problem: str) -> None:
    mode = stage.partition("mode: ")[2].partition(",")[0]
    with pytest.raises(ManifestError, match=problem):
        policy(f"mode: {mode}\nstages: [{stage}]\n")


def test_quantities_are_read_in_their_units() -> None:
    rollout = policy(
        """
guardrails:
  - {metric: error_rate, max: 1%, name: a}
  - {metric: error_rate, max: 0.01, name: b}
  - {metric: error_rate, max_increase: 0.5pp}
  - {metric: duration_p99, max: 8s}
  - {metric: duration_p50, max_increase: 500ms}
  - {metric: duration_p95, max_increase: 20%, warn_margin: 10%}
  - {metric: cost_usd, max: 0.02}
  - {metric: output_tokens, max_drop: 30%}
  - {metric: json_valid_rate, min: 99%, warn_margin: 99.5%}
"""
    )
    values = [(g.value, g.relative, g.warn_value) for g in rollout.guardrails]
    assert values == [
        (0.01, False, None),
        (0.01, False, None),
        (0.005, False, None),
        (8_000.0, False, None),
        (500.0, False, None),
        (0.2, True, 0.1),
        (0.02, False, None),
        (0.3, True, None),
        (0.99, False, 0.995),
    ]


def test_norwegian_is_a_language_and_not_false() -> None:
    rollout = policy(guardrail("{metric: error_rate, max: 1%, slices: [{language: no}]}"))
    assert rollout.guardrails[0].slices.named == (SliceManifest(language="no"),)


def test_the_hash_is_of_the_meaning() -> None:
    written = policy(
        "mode: shadow\nmin_duration: 1h\n" + guardrail("{metric: error_rate, max: 1%}")
    )
    other = policy(guardrail("{max: 0.01, action: rollback, metric: error_rate}"))
    stricter = policy(guardrail("{metric: error_rate, max: 0.9%}"))
    assert written == other
    assert policy_hash(written) == policy_hash(other) != policy_hash(stricter)
    assert policy_hash(policy()) == policy_hash(policy())
    assert len(policy_hash(written)) == 64


def test_the_policy_survives_the_wire() -> None:
    rollout = read_policy(EXAMPLE.read_text("utf-8"))
    again = msgspec.json.decode(msgspec.json.encode(rollout), type=Rollout)
    assert again == rollout
    manifest = read_manifest(EXAMPLE.read_text("utf-8"))
    assert read_policy(msgspec.json.encode(manifest)) == rollout


def test_the_example_holds_common_practice() -> None:
    rollout = read_policy(EXAMPLE.read_text("utf-8"), str(EXAMPLE))
    metrics = {guardrail.metric for guardrail in rollout.guardrails}
    assert {"error_rate", "duration_p99", "cost_usd", "json_valid_rate", "similarity_excess"} <= (
        metrics
    )
    assert any(guardrail.slices.each_language for guardrail in rollout.guardrails)
    assert {guardrail.action for guardrail in rollout.guardrails} == {"rollback", "pause", "alert"}


def test_the_json_schema_takes_what_the_reader_takes() -> None:
    contract = next(one for one in CONTRACTS if one.name == "rollout")
    validator = jsonschema_rs.validator_for(contract.path.read_text("utf-8"))
    document = json.loads(msgspec.json.encode(read_manifest(EXAMPLE.read_text("utf-8"))))
    validator.validate(document)
    for broken in ({"mod": 1}, {"mode": "x"}, {"guardrails": [{"metric": "eror_rate", "max": 1}]}):
        assert not validator.is_valid(document | broken)


@pytest.mark.parametrize("name", sorted(policies()))
def test_the_examples_are_policies(name: str) -> None:
    text = policies()[name]
    rollout = read_policy(text, name)
    assert rollout.stages
    assert read_policy(msgspec.json.encode(read_manifest(text))) == rollout


def test_every_metric_is_documented() -> None:
    text = (EXAMPLE.parents[1] / "docs" / "policies.md").read_text("utf-8")
    for metric in METRICS.values():
        assert f"`{metric.name}`" in text, metric.name


def test_a_rate_may_be_limited_to_a_multiple_of_stables() -> None:
    (plain,) = policy(guardrail("{metric: error_rate, max_increase: 3x}")).guardrails
    assert (plain.value, plain.relative, plain.floor) == (2.0, True, pytest.approx(0.001))
    written = guardrail("{metric: error_rate, max_increase: 1.5x, floor: 0.5pp, warn_margin: 1.2x}")
    (other,) = policy(written).guardrails
    assert (other.value, other.floor) == (0.5, pytest.approx(0.005))
    assert other.warn_value == pytest.approx(0.2)
    (cost,) = policy(guardrail("{metric: cost_usd, max_increase: 1.5x}")).guardrails
    assert (cost.value, cost.relative, cost.floor) == (0.5, True, 0.0)


def test_the_default_policy_alerts_on_a_multiple_of_stables_errors() -> None:
    named = {one.name: one for one in policy("mode: shadow").guardrails}
    alerting = named["error_rate_multiple"]
    assert alerting.action == "alert"
    assert (alerting.metric, alerting.value, alerting.required) == ("error_rate", 2.0, "none")


def test_turns_of_conversations_may_be_declared() -> None:
    assert policy("turns_per_conversation: 5").turns_per_conversation == 5.0
    assert policy("mode: shadow").turns_per_conversation is None
    single = policy("independent_requests: true\nturns_per_conversation: 1")
    assert single.turns_per_conversation == 1.0
