"""The demo's judge knows what a customer asked about, and errs in one pair of five."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter

import pytest

from understudy.schemas.events import Event
from understudy.streams.demo.scripted_judge import ERROR_RATE, MODEL, ScriptedJudge, facts, judge
from understudy.streams.demo.simulator import HEALTHY_START, simulate_requests
from understudy.streams.evaluating.judge_answer import read_judgement
from understudy.streams.evaluating.prompts import load_prompts
from understudy.streams.evaluating.sampled_pair import answer_text

START = dt.datetime(2026, 11, 3, 12, 0, tzinfo=dt.UTC)
PAIRS = 6_000


def chats(language: str) -> list[tuple[float, str, str, str]]:
    """Offset, prompt, stable's and the candidate's answer of chats in a language."""
    found = []
    simulated = simulate_requests(seed=3, pairs=PAIRS, healthy=False, start=START, kind="quality")
    for number, request in enumerate(simulated):
        sides: dict[str, Event] = {one.event.side: one.event for one in request.sides}
        stable, candidate = (answer_text(sides[name]) for name in ("stable", "candidate"))
        event = sides["stable"]
        is_wanted = event.workflow == "chat" and event.language == language
        if is_wanted and stable and candidate and event.request and event.request.prompt:
            found.append((number / PAIRS, event.request.prompt, stable, candidate))
    return found


def preferred(pairs: list[tuple[float, str, str, str]]) -> Counter[str]:
    says: Counter[str] = Counter()
    for _, prompt, stable, candidate in pairs:
        better = judge(prompt, stable, candidate).better
        says[{"A": "stable", "B": "candidate", "tie": "tie"}[better]] += 1
    return says


def test_it_finds_wrong_answers_and_is_right_in_four_of_five() -> None:
    after = [one for one in chats("zh-Hans") if one[0] > HEALTHY_START]
    says = preferred(after)
    decided = says["stable"] + says["candidate"]
    assert decided > 100
    assert says["stable"] / decided == pytest.approx(1 - ERROR_RATE, abs=0.08)


def test_it_finds_nothing_in_other_languages_and_before() -> None:
    for pairs in (chats("en"), [one for one in chats("zh-Hans") if one[0] < HEALTHY_START]):
        says = preferred(pairs)
        assert abs(says["stable"] - says["candidate"]) < 3 * (len(pairs) ** 0.5)


def test_the_order_makes_no_difference() -> None:
    for _, prompt, stable, candidate in chats("de")[:100]:
        one, other = judge(prompt, stable, candidate), judge(prompt, candidate, stable)
        assert {one.better, other.better} in ({"A", "B"}, {"tie"})


def test_facts_are_those_of_all_languages() -> None:
    found = facts("Order A-123456 over 12.50 EUR and 订单 B-654321")
    assert {"A-123456", "12.50 EUR", "B-654321"} <= found


def test_it_is_asked_as_a_model_is() -> None:
    question = load_prompts("").question(
        "helpfulness@1", language="en", prompt="Where is A-123456?", first="A-123456 is here.",
        second="B-654321 is here.", nonce="abc123",
    )  # fmt: skip
    reply = asyncio.run(ScriptedJudge().ask(question))
    assert reply.model == MODEL
    assert read_judgement(reply.text).better in ("A", "B")
    assert ScriptedJudge().cost_usd(reply, question) > 0
