"""Vendors' words for why an answer ended."""

from __future__ import annotations

import pytest

from understudy.analyzers.compare.finish_reasons import (
    VENDOR_REASONS,
    finish_state,
    is_broken_call,
    is_without_end,
)
from understudy.schemas.measures import FinishState


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (None, FinishState.ABSENT), ("", FinishState.ABSENT),
        ("stop", FinishState.STOP), ("end_turn", FinishState.STOP), ("STOP", FinishState.STOP),
        ("COMPLETE", FinishState.STOP), ("stop_sequence", FinishState.STOP),
        ("length", FinishState.LENGTH), ("MAX_TOKENS", FinishState.LENGTH),
        ("model_length", FinishState.LENGTH), ("max_output_tokens", FinishState.LENGTH),
        ("tool_use", FinishState.TOOL_CALLS), ("tool-calls", FinishState.TOOL_CALLS),
        ("function_call", FinishState.TOOL_CALLS),
        ("guardrail_intervened", FinishState.CONTENT_FILTER),
        ("SAFETY", FinishState.CONTENT_FILTER), ("RECITATION", FinishState.CONTENT_FILTER),
        ("ERROR_TOXIC", FinishState.CONTENT_FILTER), ("content-filter", FinishState.CONTENT_FILTER),
        ("sensitive", FinishState.CONTENT_FILTER), ("refusal", FinishState.REFUSAL),
        ("MALFORMED_FUNCTION_CALL", FinishState.ERROR), ("abort", FinishState.ERROR),
        ("insufficient_system_resource", FinishState.ERROR), ("network_error", FinishState.ERROR),
        ("endTurn", FinishState.STOP), ("toolUse", FinishState.TOOL_CALLS),
        ("guardrailIntervened", FinishState.CONTENT_FILTER), ("eos_token", FinishState.STOP),
        ("maxTokens", FinishState.LENGTH), ("time_limit", FinishState.ERROR),
        ("compaction", FinishState.UNKNOWN), ("finish_reason_unspecified", FinishState.UNKNOWN),
        ("null", FinishState.UNKNOWN), ("OTHER", FinishState.UNKNOWN),
        ("because", FinishState.UNKNOWN), ("lengthy", FinishState.UNKNOWN),
    ],
)  # fmt: skip
def test_what_a_word_means(reason: str | None, state: FinishState) -> None:
    assert finish_state(reason) is state


def test_no_word_means_two_things() -> None:
    states: dict[str, FinishState] = {}
    for state, vendors in VENDOR_REASONS.items():
        for reasons in vendors.values():
            for reason in reasons:
                assert states.setdefault(reason.lower().replace("_", ""), state) is state, reason


@pytest.mark.parametrize(
    ("reason", "without"),
    [
        (None, True), ("", True), ("null", True), ("OTHER", True), ("abort", True),
        ("finishReasonUnspecified", True), ("not_finished", True), ("time_limit", True),
        ("stop", False), ("endTurn", False), ("length", False), ("SAFETY", False),
        ("pause_turn", False), ("because", False),
    ],
)  # fmt: skip
def test_what_says_that_an_answer_has_no_end(reason: str | None, without: bool) -> None:
    assert is_without_end(reason) is without


def test_calls_that_a_vendor_could_not_read() -> None:
    assert is_broken_call("MALFORMED_FUNCTION_CALL")
    assert is_broken_call("malformed_tool_use")
    assert not is_broken_call("tool_calls")
    assert not is_broken_call(None)
