"""Real model outputs: the judge tells near-identical models from clear regressions, by language.

A test set is a fixed list of prompts, and each run of one is a draw of its own: the policies say
that requests are independent, as is advised for test sets.

What is real: outputs, tool calls, errors, latencies and token counts where the source has them.
Made up: the order, request times (one pair every 200 ms), and a cost of a hundredth of a cent per
output token. A near-identical pair is a model against itself, or a re-run.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from understudy.schemas.decisions import Decision
from understudy.schemas.manifests import read_policy
from understudy.schemas.rollouts import Rollout
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.policy_trial import PolicyTrial
from understudy.streams.replay.replay_events import replay

START = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
STEP_S = 0.2
POLICY = read_policy(
    """
rollout_id: real
models: {stable: a, candidate: b}
min_requests: 50
independent_requests: true
min_duration: 5s
guardrails:
  - {metric: error_rate, max_increase: 2pp}
  - {metric: json_valid_rate, max_drop: 2pp, required: if_measured}
  - {metric: language_match_rate, max_drop: 2pp, required: if_measured}
  - {metric: output_tokens, max_drop: 40%, required: if_measured}
  - {metric: output_tokens, name: wordiness, max_increase: 60%, required: if_measured}
"""
)
TOOLS = read_policy(
    """
rollout_id: real
models: {stable: a, candidate: b}
independent_requests: true
guardrails:
  - {metric: error_rate, max_increase: 2pp, slices: [all]}
  - {metric: tool_call_match, min: 35%, slices: [all]}
"""
)
"""A model against itself calls the same tools with equal arguments in about half of the pairs."""
BY_LANGUAGE = read_policy(
    """
rollout_id: real
models: {stable: a, candidate: b}
independent_requests: true
guardrails: [{metric: language_match_rate, max_drop: 5pp}]
"""
)


class Comparison(NamedTuple):
    file: str
    stable: str
    candidate: str


Pair = dict[str, Any]


@cache
def pairs_of(folder: Path, file: str) -> list[Pair]:
    with gzip.open(folder / f"pairs_{file}.ndjson.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def events(pairs: list[Pair]) -> Iterator[bytes]:
    for number, pair in enumerate(pairs):
        moment = START + dt.timedelta(seconds=number * STEP_S)
        for side in ("stable", "candidate"):
            yield json.dumps(event(pair, side, number, moment)).encode()


def event(pair: Pair, side: str, number: int, moment: dt.datetime) -> dict[str, Any]:
    real = pair[side]
    failed = real["error"] is not None
    calls = real["tool_calls"]
    tokens = real["output_tokens"]
    if tokens is None and not failed:
        tokens = len(real["output"] or "") // 4
    return {
        "schema_version": 1,
        "rollout_id": "real",
        "pair_id": f"{number}",
        "mode": "shadow",
        "side": side,
        "sides": ["stable", "candidate"],
        "request_time": moment.isoformat(),
        "language": pair["language"],
        "request": {
            "expects": "json" if pair["expects_json"] else "text",
            "tools": ["any"] if pair["tools_expected"] else None,
        },
        "response": None if failed else {"output": real["output"], "tool_calls": calls},
        "error": {"type": str(real["error"])[:100] or "error"} if failed else None,
        "usage": {"output_tokens": tokens, "cost_usd": (tokens or 0) * 1e-4},
        "timing": {"duration_ms": real["latency_ms"]},
    }


def policy_for(comparison: Comparison) -> Rollout:
    return TOOLS if comparison.file == "wrtn_tools" else POLICY


def judged(pairs: list[Pair], policy: Rollout) -> Decision:
    trial = PolicyTrial(policy)
    replay(events(pairs), PairingPolicy(), int(START.timestamp() * 1000), None, trial)
    return trial.outcome()


def compared(folder: Path, comparison: Comparison) -> list[Pair]:
    models = (comparison.stable, comparison.candidate)
    pairs = [
        pair
        for pair in pairs_of(folder, comparison.file)
        if (pair["stable"]["model"], pair["candidate"]["model"]) == models
    ]
    assert pairs, comparison
    # The sources run through one prompt after another; traffic comes mixed.
    Random(1).shuffle(pairs)
    return pairs


GPT_4O = "openai/gpt-4o-2024-11-20"
MINI = "openai/gpt-4o-mini-2024-07-18"
VANILLA = "gpt-4o-mini-2024-07-18 via VanillaOpenAI"
NEAR_IDENTICAL = [
    Comparison("wrtn_tools", GPT_4O, GPT_4O),
    Comparison("wrtn_tools", MINI, MINI),
    Comparison("wrtn_tools", "anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4"),
    Comparison("structured_frameworks", VANILLA, VANILLA),
    Comparison("arena_hard_en_quant", "llama3_1_8b_run_4", "llama3_1_8b_run_15"),
    Comparison("arena_hard_en_quant", "mistral_nemo_run_1", "mistral_nemo_run_2"),
    Comparison("arena_hard_en_quant", "llama3_1_70b_run_1", "llama3_1_70b_fp8_run_1"),
]
REGRESSIONS = [
    (Comparison("wrtn_tools", "anthropic/claude-sonnet-4", "anthropic/claude-opus-4"),
     "error rate over all requests rose"),
    (Comparison("wrtn_tools", "deepseek/deepseek-chat-v3-0324", "deepseek/deepseek-r1"),
     "error rate over all requests rose"),
    (Comparison("wrtn_tools", "openai/gpt-4.1-mini", "openai/gpt-4.1-nano"),
     "tool call match over all requests is"),
    (Comparison("llmdrift", "gpt-4-0314", "gpt-4-0613"),
     "mean output tokens over all requests fell"),
    (Comparison("m_arena_hard_latin", "gpt-4", "gpt-4o-2024-11-20"),
     "mean output tokens over all requests rose"),
]  # fmt: skip


@pytest.mark.data
@pytest.mark.parametrize("comparison", NEAR_IDENTICAL, ids=lambda c: f"{c.stable}~{c.candidate}")
def test_models_like_themselves_are_not_rolled_back(
    model_outputs_dir: Path, comparison: Comparison
) -> None:
    decision = judged(compared(model_outputs_dir, comparison), policy_for(comparison))
    assert decision.verdict in ("hold", "promote"), decision.reasons
    assert (decision.log_evidence["rollback"] or 0.0) < 2.0


@pytest.mark.data
@pytest.mark.parametrize(
    ("comparison", "reason"), REGRESSIONS, ids=lambda c: getattr(c, "candidate", "")
)
def test_clear_regressions_are_rolled_back_by_what_is_wrong(
    model_outputs_dir: Path, comparison: Comparison, reason: str
) -> None:
    decision = judged(compared(model_outputs_dir, comparison), policy_for(comparison))
    assert decision.verdict == "rollback"
    assert decision.reasons[0].startswith(reason)


@pytest.mark.data
def test_a_regression_in_some_languages_is_found_in_those(model_outputs_dir: Path) -> None:
    """One recipe for 27 languages, against a better one; the sides of the source are swapped.

    Croatian and Dutch prompts get answers in other languages, English and German ones do not. No
    question stands there twice in a language, so requests are independent.
    """
    pairs = [
        {**pair, "stable": pair["candidate"], "candidate": pair["stable"]}
        for pair in pairs_of(model_outputs_dir, "mtbench_eu")
        if pair["stable"]["model"].startswith("europa_90pct_sft")
    ]
    interleaved = sorted(pairs, key=lambda pair: str(pair["pair_id"])[::-1])
    decision = judged(interleaved, BY_LANGUAGE)
    assert decision.verdict == "rollback"
    harmed = {one.slice for one in decision.evidence if one.status == "breach"}
    assert {"language:hr", "language:nl", "language:nn"} <= harmed
    assert not harmed & {"language:en", "language:de", "language:fr", "language:es"}


@pytest.mark.data
def test_a_model_against_itself_is_held_in_every_language(model_outputs_dir: Path) -> None:
    """The same outputs on both sides: the excess is zero, whatever the language."""
    pairs = [
        {**pair, "candidate": pair["stable"]} for pair in pairs_of(model_outputs_dir, "mtbench_eu")
    ]
    decision = judged(pairs, BY_LANGUAGE)
    assert decision.verdict in ("hold", "promote")
    assert all(one.harm in (None, 0.0) for one in decision.evidence)
