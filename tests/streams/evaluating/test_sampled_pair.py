"""What evaluators are shown of a request."""

from __future__ import annotations

from typing import Any

import pytest

from tests.streams.pairing.log import EPOCH, event
from understudy.schemas.events import Event, decode_event
from understudy.streams.evaluating.sampled_pair import SampledPair, answer_text, sampled_pair

SIDES = ["stable", "candidate", "control"]


def side(name: str, output: str | None = "4", **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "sides": SIDES,
        "request": {"prompt": "2 + 2?"},
        "response": {"output": output},
        "workflow": "chat",
        "conversation_id": "c",
        "turn": 2,
    }
    return decode_event(event("p", name, **{**fields, **changes}))


def pair(*events: Event, most: int = 1_000) -> SampledPair | str:
    return sampled_pair(events, "hash", most)


def test_a_pair_with_its_control() -> None:
    found = pair(side("stable"), side("candidate", "5"), side("control", "four"))
    assert isinstance(found, SampledPair)
    assert (found.answers.prompt, found.answers.stable) == ("2 + 2?", "4")
    assert (found.answers.candidate, found.answers.control) == ("5", "four")
    assert found.has_control
    record = found.record("helpfulness@1.2", "candidate", EPOCH, 0.05)
    assert (record.evaluator, record.evaluator_version) == ("helpfulness", "1.2")
    assert (record.rollout_id, record.pair_id, record.mode) == ("r", "p", "shadow")
    assert (record.language, record.workflow) == ("en", "chat")
    assert (record.conversation_id, record.turn) == ("c", 2)
    assert (record.policy_hash, record.sampling_share) == ("hash", 0.05)
    assert record.request_time == EPOCH


def test_a_control_that_failed_is_none() -> None:
    failed = side("control", None, error={"type": "timeout"})
    found = pair(side("stable"), side("candidate"), failed)
    assert isinstance(found, SampledPair)
    assert not found.has_control


def test_a_control_that_is_too_long_is_none() -> None:
    long = side("control", "4" * 1_000)
    found = pair(side("stable"), side("candidate"), long)
    assert isinstance(found, SampledPair)
    assert not found.has_control


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (side("candidate", None), "no_answer"),
        (side("candidate", ""), "no_answer"),
        (side("candidate", "5", error={"type": "500"}), "no_answer"),
        (side("candidate", "5", fallback={"final": False}), "no_answer"),
        (side("candidate", response={"output": "x", "output_form": "hashed"}), "not_readable"),
        (side("candidate", response={"output": "x", "output_form": "truncated"}), "not_readable"),
        (side("candidate", "5" * 1_000), "too_long"),
    ],
)
def test_what_cannot_be_judged(candidate: Event, reason: str) -> None:
    assert pair(side("stable"), candidate) == reason


def test_a_prompt_that_was_not_sent_leaves_the_answers() -> None:
    found = pair(side("stable", request={}), side("candidate", request={}))
    assert isinstance(found, SampledPair)
    assert found.answers.prompt is None
    hashed = {"prompt": "ab12", "prompt_form": "hashed"}
    found = pair(side("stable", request=hashed), side("candidate", request=hashed))
    assert isinstance(found, SampledPair)
    assert found.answers.prompt is None


def test_answers_are_text_refusals_and_calls_of_tools() -> None:
    calls = [{"name": "find", "arguments": {"id": 7}}]
    assert answer_text(side("stable", response={"output": "Looking", "tool_calls": calls})) == (
        'Looking\n\n[calls the tool find: {"id":7}]'
    )
    assert answer_text(side("stable", response={"refusal": "I cannot"})) == "I cannot"
