"""What the page of captured pairs shows, and that nothing in it acts or turns the text."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from tests.streams.clickhouse.test_captured_pairs import pair, side
from understudy.streams.clickhouse.captured_pair import CapturedSide
from understudy.streams.clickhouse.captured_pairs import CaptureCount
from understudy.streams.clickhouse.pair_judgements import PairJudgement
from understudy.streams.dashboard.pages import render
from understudy.streams.dashboard.pair_filter import Chosen
from understudy.streams.dashboard.pairs_page import (
    judgement_words,
    model_text,
    pair_view,
    pairs_page,
)

HOSTILE = "<script>alert(1)</script>\u202egnp.exe\u2066 {{ 7*7 }} \x1b[2J"


def shown(*pairs: Any, said: Any = MappingProxyType({}), **chosen: Any) -> str:
    page = pairs_page(pairs, [CaptureCount("ja", "", "json", 2)], Chosen(**chosen), said)
    return render(
        "pairs.html", id="r", page=page, chosen=Chosen(**chosen), hours=24, until=None, problem="",
        links={1: "", 24: "", 168: ""}, more="", capture="worst", person="", can_sign_in=False,
        is_later=False, whole="",
    )  # fmt: skip


def test_words_that_differ_are_marked_on_both_sides() -> None:
    text = shown(pair("p", stable=side("go left now"), candidate=side("go right now")))
    assert "go <del>left</del> now" in text
    assert "go <ins>right</ins> now" in text


def test_fields_and_calls_that_differ_are_tables() -> None:
    calls = '[{"name":"mail","arguments":{"to":"a"}}]'
    one = pair(
        "p",
        stable=side('{"total": 1}', tool_calls=calls),
        candidate=side('{"total": 2}', tool_calls=calls.replace('"a"', '"b"')),
    )
    view = pair_view(one)
    assert [(f.path, f.stable, f.candidate) for f in view.fields] == [("/total", "1", "2")]
    assert [call.status for call in view.calls] == ["arguments"]
    assert "Fields that differ" in shown(one)


def test_same_json_in_another_dress_is_told() -> None:
    fenced = pair("p", stable=side('{"a": 1}'), candidate=side('```json\n{"a":1}\n```'))
    assert "Both hold the same JSON" in shown(fenced)
    assert "Both hold the same JSON" not in shown(pair("p"))


@pytest.mark.parametrize(
    ("candidate", "says"),
    [
        (side("", error_type="timeout"), "No answer: timeout"),
        (side("", tool_calls='[{"name":"a","arguments":{}}]'), "tool calls alone"),
        (side(""), "An empty text"),
        (CapturedSide(), "Was not asked"),
    ],
)
def test_side_without_text_says_why(candidate: CapturedSide, says: str) -> None:
    assert says in shown(pair("p", candidate=candidate))


def test_calls_that_were_cut_are_not_compared() -> None:
    view = pair_view(pair("p", candidate=side("x", tool_calls='[{"name":')))
    assert (view.calls, view.is_calls_cut) == ([], True)


def test_hostile_text_is_harmless_wherever_it_stands() -> None:
    calls = '[{"name":"<b>","arguments":{"<i>":"\u202e"}}]'
    one = pair(
        "p\u202e<b>", prompt=HOSTILE, stable=side(HOSTILE, tool_calls=calls, model=HOSTILE),
        candidate=side(HOSTILE + "x", error_type=HOSTILE), kinds=["<b>"], language="<b>",
    )  # fmt: skip
    text = shown(one, kind="<b>", workflow=HOSTILE)
    for sign in ("\u202e", "\u2066", "\x1b", "<b>", "<script>alert", "<i>"):
        assert sign not in text, sign
    assert "\\u202e" in text
    assert "{{ 7*7 }}" in text


def test_signs_that_belong_into_texts_are_kept() -> None:
    text = "می\u200cخواهم\u3000全角\u00a0a\tb\n👩\u200d💻"
    assert str(model_text(text)) == text


def test_language_is_told_to_the_browser() -> None:
    assert 'lang="ja"' in shown(pair("p"))
    assert "lang=" not in shown(pair("p", language="und")).partition("<main")[2]


def test_filters_show_what_there_is_with_the_chosen_one() -> None:
    counts = [
        CaptureCount("ja", "", "json", 3),
        CaptureCount("ja", "w", "error", 1),
        CaptureCount("en", "", "json", 2),
    ]
    languages, workflows, kinds = pairs_page([], counts, Chosen(language="fr")).filters
    assert [(one.value, one.pairs, one.is_chosen) for one in languages.choices] == [
        ("ja", 4, False), ("en", 2, False), ("fr", 0, True),
    ]  # fmt: skip
    assert [one.label for one in workflows.choices] == ["not named", "w"]
    assert [one.label for one in kinds.choices] == ["JSON", "no answer"]


JUDGED = PairJudgement(
    "p", 0, "helpful@1", "candidate", 1_772_452_800_000, 1.0, ["candidate"], ["stable"],
    None, None, None, None, "", "A quotes <script>", is_cut=False,
)  # fmt: skip


def test_what_evaluators_said_stands_below_the_answers() -> None:
    text = shown(pair("p"), said={("p", pair("p").request_time_ms): [JUDGED]})
    assert "<bdi>helpful@1</bdi>: prefers candidate" in text
    assert "stable shown first" in text
    assert "2026-03-02 12:00:00</time> UTC" in text
    assert "A quotes &lt;script&gt;" in text
    assert "What evaluators said" not in shown(pair("p"))


@pytest.mark.parametrize(
    ("changes", "words", "detail"),
    [
        ({"preference": 0.0, "shown_first": []}, "prefers stable", ""),
        ({"preference": 0.5}, "prefers neither", "stable shown first"),
        (
            {"preferred": ["candidate"] * 2, "shown_first": ["stable", "candidate"]},
            "prefers candidate", "asked in both orders, the same each time",
        ),
        (
            {"preference": 0.5, "preferred": ["stable", "candidate"],
             "shown_first": ["stable", "candidate"]},
            "prefers neither", "stable first: stable; candidate first: candidate",
        ),
        (
            {"preference": 0.75, "compared": "control", "preferred": ["tie", "control"],
             "shown_first": ["stable", "control"]},
            "leans to stable's second run",
            "stable against its own second run; stable first: neither; "
            "stable's second run first: stable's second run",
        ),
        (
            {"preference": None, "stable_score": 4.0, "compared_score": 2.5, "lowest_score": 1.0,
             "highest_score": 5.0},
            "scores stable 4, candidate 2.5", "from 1 to 5",
        ),
        (
            {"preference": None, "error": "unparseable", "shown_first": []},
            "no judgement: unparseable", "",
        ),
    ],
)  # fmt: skip
def test_a_judgement_is_told_in_words(changes: dict[str, Any], words: str, detail: str) -> None:
    assert judgement_words(replace(JUDGED, **changes)) == (words, detail)
