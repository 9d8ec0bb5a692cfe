"""Harms from public reports, from the event to the verdict of a policy that names no guardrail.

Each case is a kind: some hundred requests, two a second, in which the candidate does to one in four
what somebody met in production. It must be rolled back with a reason that names the harm, or, where
nothing is wrong, not be.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

import pytest

from understudy.schemas.decisions import Decision
from understudy.schemas.manifests import read_policy
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.policy_trial import PolicyTrial
from understudy.streams.replay.replay_events import replay

REQUESTS: Final = 300
START: Final = dt.datetime(2026, 8, 3, 9, tzinfo=dt.UTC)
NOW_MS: Final = round(START.timestamp() * 1000) + 86_400_000
POLICY: Final = read_policy(
    "rollout_id: r\nmodels: {stable: a, candidate: b}\nmin_requests: 200\nmin_duration: 1m\n"
    "independent_requests: true"
)
Answer = Callable[[int], dict[str, Any]]
"""What a side does with the request of a number: parts of its event."""


def says(text: str | None, **response: Any) -> dict[str, Any]:
    return {"response": {"output": text, "finish_reason": "stop", **response}}


def fails(kind: str, status: int) -> dict[str, Any]:
    return {"response": None, "error": {"type": kind, "status": status}}


def calls(name: str, arguments: Any) -> dict[str, Any]:
    call = {"name": name, "arguments": arguments}
    return says(None, finish_reason="tool_calls", tool_calls=[call])


def stable(number: int) -> dict[str, Any]:
    return says(f"Your order {number * 7} was shipped on day {number % 28} and arrives tomorrow.")


def candidate(number: int) -> dict[str, Any]:
    return says(f"Order {number * 7} left on day {number % 28}; you will have it by tomorrow.")


def searches(number: int) -> dict[str, Any]:
    return calls("find_rooms", {"order": number})


def document(number: int) -> dict[str, Any]:
    return says(json.dumps({"order": number, "late": False}))


def quarter(harm: dict[str, Any] | Answer, else_: Answer = candidate) -> Answer:
    """The harm in every fourth request."""
    return lambda number: else_(number) if number % 4 else harm(number) if callable(harm) else harm


def payloads(left: Answer, right: Answer, **common: Any) -> Iterator[bytes]:
    for number in range(REQUESTS):
        for side, answer in (("stable", left), ("candidate", right)):
            own = answer(number)
            if own.get("lost"):
                continue
            event = {
                "schema_version": 1,
                "rollout_id": "r",
                "pair_id": f"p{number}",
                "mode": "shadow",
                "side": side,
                "sides": ["stable", "candidate"],
                "request_time": (START + dt.timedelta(seconds=number / 2)).isoformat(),
                "language": "en",
                "workflow": "chat",
                "request": {"prompt": f"Where is order {number * 7}?"},
                "usage": {"output_tokens": 20, "cost_usd": 0.001},
                "timing": {"duration_ms": 800},
                **common,
                **own,
            }
            yield json.dumps(event).replace('"DEEP"', DEEP).encode()


DEEP: Final = "[" * 10_000 + "]" * 10_000


def decision_on(left: Answer, right: Answer, **common: Any) -> Decision:
    trial = PolicyTrial(POLICY)
    replay(payloads(left, right, **common), PairingPolicy(), NOW_MS, listener=trial)
    return trial.outcome()


TOOLS: Final = {"request": {"prompt": "?", "tools": ["find_rooms", "convert_price"]}}
JSON: Final = {"request": {"prompt": "?", "expects": "json"}}
ENGLISH: Final = "Your order was shipped this morning, and it will be with you by tomorrow evening."
CHINESE: Final = "您的訂單今天早上已經寄出，預計明天下午之前會送達，如果有任何問題，請與客服聯絡。"
SPANISH: Final = "Gracias, señor Núñez: su pedido llegará mañana por la tarde, según la dirección."
"""With five letters that are easily damaged."""
YES_OR_NO: Final = random.Random(7).choices(("yes", "no"), (2, 3), k=REQUESTS)
GREETING: Final = "Hello! How can I assist you today?"

HARMS: Final[dict[str, tuple[Answer, Answer, dict[str, Any], str]]] = {
    "nothing": (stable, quarter(says("")), {}, "empty answers"),
    "nothing that can be seen": (stable, quarter(says(" \n\u200b\ufeff")), {}, "empty answers"),
    "null": (stable, quarter(says(None)), {}, "empty answers"),
    "reasoning that used up the budget": (
        stable, quarter(says("<think>Let me see", finish_reason="length")), {}, "empty answers"
    ),
    "text that moved into the reasoning": (
        stable, quarter(says(None, reasoning="The order is late.")), {}, "empty answers"
    ),
    "nothing where tools are offered": (
        searches, quarter(says(""), searches), TOOLS, "empty answers"
    ),
    "filtered, in Gemini's word": (
        stable, quarter(says(None, finish_reason="PROHIBITED_CONTENT")), {}, "refusals"
    ),
    "refused in a field": (stable, quarter(says(None, refusal="I cannot.")), {}, "refusals"),
    "half an emoji": (
        stable, quarter(says("On its way! \ud83c")), {}, "answers with damaged characters"
    ),
    "letters replaced": (
        lambda number: says(SPANISH),
        quarter(says("Gracias, se\ufffdor N\ufffd\ufffdez"), lambda number: says(SPANISH)),
        {"language": "es"}, "answers with damaged characters",
    ),
    "double-encoded": (
        lambda number: says(SPANISH),
        quarter(says(SPANISH.encode().decode("latin-1")), lambda number: says(SPANISH)),
        {"language": "es"}, "answers with damaged characters",
    ),
    "an answer that is no text": (stable, quarter(says(7)), {}, "error rate"),  # type: ignore[arg-type]
    "content that nests without end": (stable, quarter(says("DEEP")), {}, "error rate"),
    "arguments that nest without end": (
        searches, quarter(calls("find_rooms", "DEEP"), searches), TOOLS, "broken tool calls"
    ),
    "two objects as arguments": (
        searches, quarter(calls("find_rooms", "{}{}"), searches), TOOLS, "broken tool calls"
    ),
    "a tool that was not offered": (
        searches, quarter(calls("travel.search", {}), searches), TOOLS, "broken tool calls"
    ),
    "a call without a name": (
        searches, quarter(calls(None, {}), searches), TOOLS, "broken tool calls"  # type: ignore[arg-type]
    ),
    "a call that Gemini could not read": (
        searches, quarter(says(None, finish_reason="MALFORMED_FUNCTION_CALL"), searches), TOOLS,
        "broken tool calls",
    ),
    "a stream cut off": (
        lambda number: says(ENGLISH, stream=True),
        quarter(
            says(ENGLISH[:40], stream=True, finish_reason=None),
            lambda number: says(ENGLISH, stream=True),
        ),
        {}, "streams that break off",
    ),
    "a server that fails": (stable, quarter(fails("server_error", 500)), {}, "error rate"),
    "a server that fails where users hang up": (
        lambda number: fails("client_disconnected", 499) if number % 5 == 0 else stable(number),
        quarter(fails("server_error", 500)), {}, "error rate",
    ),
    "answers that never come": (stable, quarter({"lost": True}), {}, "error rate"),
    "two documents": (document, quarter(says("{}{}"), document), JSON, "JSON validity"),
    "doubled braces": (document, quarter(says('{{"a": 1}}'), document), JSON, "JSON validity"),
    "JSON in a JSON string": (
        document, quarter(says(json.dumps('{"a": 1}')), document), JSON, "JSON validity"
    ),
    "another language after the first sentence": (
        lambda number: says(f"{ENGLISH} {ENGLISH}"),
        quarter(says(f"{ENGLISH} {CHINESE * 3}"), lambda number: says(f"{ENGLISH} {ENGLISH}")),
        {}, "answers in the request's language",
    ),
    "a loop": (stable, quarter(says("I will check that for you. " * 40)), {}, "answers in a loop"),
    "one text for every prompt": (
        stable, lambda number: says(GREETING), {}, "constant answers"
    ),
    "one text without prompts": (
        stable, lambda number: says(GREETING), {"request": None}, "constant answers"
    ),
    "one text for a quarter": (stable, quarter(says(GREETING)), {}, "constant answers"),
    "one word for every prompt": (stable, lambda number: says("OK"), {}, "constant answers"),
    "one label for every prompt": (
        lambda number: says(YES_OR_NO[number]), lambda number: says("no"), {}, "constant answers"
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", HARMS)
def test_a_harm_is_rolled_back_and_named(kind: str) -> None:
    left, right, common, title = HARMS[kind]
    decision = decision_on(left, right, **common)
    assert (decision.verdict, decision.reasons[0].partition(" over ")[0]) == ("rollback", title)


@cache
def noisy(seed: int) -> list[str]:
    """The labels, one in thirty of them another one."""
    rng = random.Random(seed)
    return [rng.choice(("yes", "no")) if rng.random() < 0.06 else one for one in YES_OR_NO]


HARMLESS: Final[dict[str, tuple[Answer, Answer, dict[str, Any]]]] = {
    "another way to say it": (stable, candidate, {}),
    "content parts": (
        stable, lambda number: says([{"type": "text", "text": f"Order {number} is late."}]), {},  # type: ignore[arg-type]
    ),
    "tools called in another order": (
        lambda number: says(None, tool_calls=[{"name": "a"}, {"name": "b"}]),
        lambda number: says(None, tool_calls=[{"name": "b"}, {"name": "a"}]),
        {"request": {"prompt": "?", "tools": ["a", "b"]}},
    ),
    "users that hang up": (
        stable, lambda number: fails("cancelled", 499) if number % 4 == 0 else candidate(number), {}
    ),
    "an own quota": (
        stable, quarter({"response": None, "error": {"type": "rate_limit", "source": "gateway"}}),
        {},
    ),
    "an own key": (stable, quarter(fails("authentication_error", 401)), {}),
    "measurements that cannot be": (
        stable,
        quarter(lambda number: {**candidate(number), "timing": {"duration_ms": -3.4},
                                "usage": {"output_tokens": 28.0, "cost_usd": -0.1}}),
        {},
    ),
    "a finish reason nobody knows": (
        stable, quarter(lambda number: says(f"Order {number} is late.", finish_reason="x" * 300)),
        {},
    ),
    "code": (
        lambda number: says("Hier ist die Abfrage, die Sie brauchen; sie zeigt alle Bestellungen."),
        lambda number: says(f"SELECT id FROM orders WHERE total > {number};"), {"language": "de"},
    ),
    "addresses": (
        lambda number: says("Hier finden Sie alle Seiten, die Ihnen dabei weiterhelfen."),
        lambda number: says(f"https://example.com/{number}\nhttps://example.org/{number}"),
        {"language": "de"},
    ),
    "terse, in characters of both scripts": (
        lambda number: says(f"可以的，您的第{number}件商品今天已經寄出了，請您放心。"),
        lambda number: says(("可以的。", "不可以。", "已送出。", "是的，有。")[number * 7 % 4]),
        {"language": "zh-TW"},
    ),
    "a price of 0": (
        lambda number: {**stable(number), "usage": {"output_tokens": 20, "cost_usd": 0}},
        candidate, {},
    ),
    "labels": (
        lambda number: says(noisy(1)[number]), lambda number: says(noisy(2)[number]), {}
    ),
    "one answer to one question": (
        lambda number: says(ENGLISH), lambda number: says(GREETING),
        {"request": {"prompt": "What are your hours?"}},
    ),
    "stable has one text for every prompt": (lambda number: says(GREETING), candidate, {}),
    "a greeting now and then": (
        stable,
        lambda number: says(GREETING) if number % 20 == 0 else candidate(number), {},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", HARMLESS)
def test_what_is_no_harm_is_not_rolled_back(kind: str) -> None:
    left, right, common = HARMLESS[kind]
    decision = decision_on(left, right, **common)
    assert decision.verdict != "rollback", decision.reasons
