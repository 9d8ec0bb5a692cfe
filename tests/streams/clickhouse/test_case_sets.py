"""Which captured pairs become test cases."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.streams.clickhouse.test_captured_pairs import pair, side
from understudy.schemas.adapters.test_set_formats import FORMATS, encode_case
from understudy.streams.clickhouse.captured_pair import CapturedPair, CapturedSide
from understudy.streams.clickhouse.case_sets import case_of, make_test_set, prompt_key


def asked(prompt: str, language: str = "ja", **changes: Any) -> CapturedPair:
    return pair(**{"pair_id": f"pair {prompt}", "prompt": prompt, "language": language, **changes})


def test_each_prompt_comes_once_as_its_worst_pair() -> None:
    pairs = [
        asked("Where is order 12?", severity=0.3),
        asked("where is  ORDER 345", severity=0.9),
        asked("What is it?"),
    ]
    made = make_test_set(pairs, 10)
    assert [case.prompt for case in made.cases] == ["What is it?", "where is  ORDER 345"]
    assert (made.pairs, made.repeated, made.without_prompt) == (3, 1, 0)


def test_strata_have_alike_many_and_the_rest_is_filled() -> None:
    pairs = [asked(f"{word} question", severity=0.1) for word in WORDS[:9]]
    pairs += [asked(f"{word} frage", "de", severity=0.9) for word in WORDS[:3]]
    pairs += [asked(f"{word} rare", "fr", workflow="w") for word in WORDS[:1]]
    made = make_test_set(pairs, 9)
    assert Counter(case.metadata["language"] for case in made.cases) == {"ja": 5, "de": 3, "fr": 1}


def test_every_language_is_there_where_strata_outnumber_cases() -> None:
    pairs = [
        asked(f"{word} {language}", language, kind=kind, severity=severity)
        for language in ("ar", "de", "en", "ja")
        for word, kind, severity in (("red", "json", 0.2), ("blue", "error", 1.0))
    ]
    made = make_test_set(pairs, 5)
    assert [(case.metadata["language"], case.metadata["kind"]) for case in made.cases] == [
        ("ar", "error"), ("de", "error"), ("en", "error"), ("ja", "error"), ("ar", "json"),
    ]  # fmt: skip


WORDS = ["red", "blue", "green", "black", "white", "grey", "pink", "brown", "teal"]


def test_pairs_without_a_whole_prompt_make_no_case() -> None:
    made = make_test_set([asked(""), asked("cut", prompt_is_cut=True), asked("whole")], 10)
    assert ([case.prompt for case in made.cases], made.without_prompt) == (["whole"], 2)


def test_nothing_leads_back_to_the_request() -> None:
    one = asked("Where is it?", pair_id="user-anna-1", stable=side("Here."))
    written = repr(case_of(one))
    for known in ("anna", str(one.request_time_ms), str(one.window_start_ms), one.rollout_id):
        assert known not in written
    assert case_of(one).id == case_of(asked("Where is it?")).id


def test_reference_is_stables_whole_answer_or_none() -> None:
    calls = '[{"name":"mail","arguments":{}}]'
    assert case_of(asked("a", stable=side("yes", tool_calls=calls))).tool_calls == [
        {"name": "mail", "arguments": {}}
    ]
    for stable in (
        side("yes", is_cut=True, tool_calls=calls[:9]),
        side("", error_type="timeout"),
        CapturedSide(),
    ):
        case = case_of(asked("a", stable=stable))
        assert (case.reference, case.tool_calls) == ("", None)


def test_prompts_that_ask_the_same_have_one_key() -> None:
    assert prompt_key("Order A-1, please!") == prompt_key("order a 22 please")
    assert prompt_key("猫は?") != prompt_key("犬は?")
    assert prompt_key("?!") == "?!"


@pytest.mark.parametrize("reason", ["refusal", "content_filter", "SAFETY"])
def test_refusal_is_no_reference(reason: str) -> None:
    refused = side("I cannot help with that.", finish_reason=reason, tool_calls='[{"name":"a"}]')
    case = case_of(asked("Where is it?", stable=refused))
    assert (case.reference, case.tool_calls) == ("", None)
    answered = case_of(asked("Where is it?", stable=side("Here.", finish_reason="stop")))
    assert answered.reference == "Here."


@pytest.mark.parametrize("levels", [300, 1_000])
def test_calls_of_any_depth_make_a_case(levels: int) -> None:
    deep = '[{"name":"a","arguments":' + "[" * levels + "]" * levels + "}]"
    case = case_of(asked("Where is it?", stable=side("Here.", tool_calls=deep)))
    for name in FORMATS:
        assert encode_case(case, name).endswith(b"\n")
