"""Prompts and answers of the simulated gateway, in nine languages.

A `Task` is one request; `answer` gives one run of a model on it. Two runs differ as two runs of
a real model do: in wording, in key order, in an argument, now and then in what they decide. What
goes wrong with an answer (errors, broken JSON) is the simulator's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any, Final

import msgspec

from understudy.schemas.events import Request, ToolCall

ORDER_SCHEMA_ID: Final = "order"
JSON_SCHEMAS: Final[Mapping[str, dict[str, Any]]] = {
    ORDER_SCHEMA_ID: {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["order_id", "city", "lines", "total", "call_first"],
        "properties": {
            "order_id": {"type": "string", "pattern": "^[A-Z]-[0-9]{6}$"},
            "city": {"type": "string", "minLength": 1},
            "lines": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["item", "quantity"],
                    "properties": {
                        "item": {"type": "string"},
                        "quantity": {"type": "integer", "minimum": 1},
                    },
                },
            },
            "total": {"type": "string"},
            "call_first": {"type": "boolean"},
            "note": {"type": ["string", "null"]},
        },
    }
}
"""The JSON Schemas that the simulated requests name, by `schema_id`."""

TOOLS: Final = ("find_order", "search_stock", "open_return")
DEPARTMENTS: Final = {"delivery": "logistics", "return": "returns", "payment": "billing"}

_UNSPACED: Final = ("zh-Hans", "zh-Hant", "ja")
_USUAL_WORDING: Final = 0.82
"""How often a model words one point the way it usually does."""


class Topic(msgspec.Struct, frozen=True):
    """A thing customers ask about, and the points of an answer in several wordings each."""

    intent: str
    ask: str
    points: tuple[tuple[str, ...], ...]


class Phrasebook(msgspec.Struct, frozen=True):
    """All that is said in one language; `{order}`, `{item}`, … are replaced by facts."""

    characters_per_token: float
    openings: tuple[str, ...]
    closings: tuple[str, ...]
    topics: tuple[Topic, ...]
    messages: tuple[str, ...]
    extract: str
    classify: str
    tool_asks: tuple[str, ...]
    items: tuple[str, ...]
    cities: tuple[str, ...]


@cache
def phrasebooks() -> dict[str, Phrasebook]:
    """Every phrasebook by language tag."""
    text = resources.files(__package__).joinpath("phrases.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, Phrasebook])


@dataclass(frozen=True, slots=True)
class SimulatedAnswer:
    """What a model said: text, or tool calls, now and then neither."""

    output: str | None
    tool_calls: tuple[ToolCall, ...] | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One request, and how a model answers it."""

    language: str
    workflow: str
    request: Request
    streamed: bool
    answer: Callable[[Random], SimulatedAnswer]
    wrong_answer: Callable[[Random], SimulatedAnswer] | None = None
    """The same in length, language and style, about other orders, goods and places; None where the
    simulator knows none."""


def make_task(rng: Random, language: str, workflow: str) -> Task:
    """A request of a workflow in a language. Raises KeyError for an unknown one."""
    return _WORKFLOWS[workflow](rng, language, phrasebooks()[language])


def _facts(rng: Random, book: Phrasebook) -> dict[str, str]:
    number = rng.getrandbits(32)
    return {
        "order": f"{'ABCDEFGH'[number % 8]}-{number % 900_000 + 100_000}",
        "item": book.items[number % len(book.items)],
        "city": book.cities[(number >> 8) % len(book.cities)],
        "days": str(2 + (number >> 12) % 12),
        "quantity": str(1 + (number >> 16) % 4),
        "amount": f"{5 + (number >> 18) % 400}.{(number >> 4) % 100:02d} EUR",
    }


def _worded(rng: Random, wordings: tuple[str, ...]) -> str:
    """The usual wording most of the time, else another."""
    if rng.random() < _USUAL_WORDING:
        return wordings[0]
    return wordings[1 + int(rng.random() * (len(wordings) - 1))]


def _chat(rng: Random, language: str, book: Phrasebook) -> Task:
    facts = _facts(rng, book)
    topics = _topics(rng, book)
    order_lines = _order_lines(rng, book) if rng.random() < 0.15 else ""
    space = "" if language in _UNSPACED else " "

    def say(run: Random, stated: dict[str, str]) -> SimulatedAnswer:
        paragraphs = [
            space.join([_worded(run, point) for point in topic.points]) for topic in topics
        ]
        parts = [_worded(run, book.openings), *paragraphs, _worded(run, book.closings)]
        return SimulatedAnswer("\n\n".join(parts).format_map(stated) + order_lines)

    # Drawn apart, so that answers are the same whether or not another one is wrong.
    others = _facts(Random(facts["order"]), book)
    request = Request(prompt="\n".join(topic.ask for topic in topics).format_map(facts))
    return Task(
        language, "chat", request, streamed=True,
        answer=lambda run: say(run, facts), wrong_answer=lambda run: say(run, others),
    )  # fmt: skip


def _topics(rng: Random, book: Phrasebook) -> list[Topic]:
    """One topic, two, or now and then all three."""
    first = int(rng.random() * len(book.topics))
    spread = rng.random()
    count = 1 if spread < 0.40 else 2 if spread < 0.80 else 3
    return [book.topics[(first + step) % len(book.topics)] for step in range(count)]


def _order_lines(rng: Random, book: Phrasebook) -> str:
    lines = [_facts(rng, book) for _ in range(6 + int(rng.random() * 14))]
    return "\n\n" + "\n".join(
        f"- {line['order']}: {line['quantity']} × {line['item']}, {line['amount']}"
        for line in lines
    )


def _extract(rng: Random, language: str, book: Phrasebook) -> Task:
    facts = _facts(rng, book)
    message = book.messages[rng.getrandbits(1)].format_map(facts)
    note = _any_point(rng, book).format_map(facts)
    more = [_facts(rng, book) for _ in range(int(rng.random() * 10))]
    lines = [{"item": f["item"], "quantity": int(f["quantity"])} for f in (facts, *more)]
    order = {
        "order_id": facts["order"],
        "city": facts["city"],
        "lines": lines,
        "total": facts["amount"],
        "call_first": message == book.messages[1],
        "note": note,
    }

    def answer(run: Random) -> SimulatedAnswer:
        return SimulatedAnswer(_written_order(run, order))

    request = Request(
        prompt=f"{book.extract}\n{message}", expects="json_schema", schema_id=ORDER_SCHEMA_ID
    )
    return Task(language, "extract", request, streamed=False, answer=answer)


def _written_order(run: Random, order: dict[str, Any]) -> str:
    """As a rule the same text; else without the note, in another key order, or indented."""
    habit = run.random()
    if habit < 0.70:
        return _as_json(order)
    if habit < 0.82:
        return _as_json({**order, "note": None})
    if habit < 0.90:
        return _as_json(dict(reversed(order.items())))
    return json.dumps(order, ensure_ascii=False, indent=2)


def _classify(rng: Random, language: str, book: Phrasebook) -> Task:
    facts = _facts(rng, book)
    topic = book.topics[int(rng.random() * len(book.topics))]
    reason = topic.points[0]
    usual_confidence = 0.80 + int(rng.random() * 20) / 100

    def answer(run: Random) -> SimulatedAnswer:
        unsure = run.random() < 0.25
        verdict = {
            "intent": topic.intent,
            "department": DEPARTMENTS[topic.intent],
            "confidence": round(usual_confidence - (0.05 if unsure else 0.0), 2),
            "reason": _worded(run, reason).format_map(facts),
        }
        return SimulatedAnswer(_as_json(verdict))

    request = Request(prompt=f"{book.classify}\n{topic.ask.format_map(facts)}", expects="json")
    return Task(language, "classify", request, streamed=False, answer=answer)


def _assistant(rng: Random, language: str, book: Phrasebook) -> Task:
    facts = _facts(rng, book)
    wanted = int(rng.random() * len(TOOLS))

    def answer(run: Random) -> SimulatedAnswer:
        if run.random() < 0.06:
            return SimulatedAnswer(_worded(run, book.openings))
        return SimulatedAnswer(None, _tool_calls(run, TOOLS[wanted], facts))

    request = Request(prompt=book.tool_asks[wanted].format_map(facts), tools=TOOLS)
    return Task(language, "assistant", request, streamed=True, answer=answer)


def _tool_calls(run: Random, tool: str, facts: dict[str, str]) -> tuple[ToolCall, ...]:
    """The expected call; some runs choose another limit or reason, or look the order up first."""
    look_up = _call("find_order", {"order_id": facts["order"]})
    if tool == "find_order":
        return (look_up, look_up) if run.random() < 0.08 else (look_up,)
    if tool == "search_stock":
        limit = 5 if run.random() < 0.75 else 10
        query = {"query": facts["item"], "near": facts["city"], "limit": limit}
        return (_call("search_stock", query),)
    reason = "defective" if run.random() < 0.80 else "damaged"
    call = _call("open_return", {"order_id": facts["order"], "reason": reason})
    return (look_up, call) if run.random() < 0.15 else (call,)


def _call(name: str, arguments: dict[str, Any]) -> ToolCall:
    return ToolCall(name=name, arguments=msgspec.Raw(msgspec.json.encode(arguments)))


def _any_point(rng: Random, book: Phrasebook) -> str:
    topic = book.topics[int(rng.random() * len(book.topics))]
    return topic.points[int(rng.random() * len(topic.points))][0]


def _as_json(document: dict[str, Any]) -> str:
    return msgspec.json.encode(document).decode()


_WORKFLOWS: Final[dict[str, Callable[[Random, str, Phrasebook], Task]]] = {
    "chat": _chat,
    "extract": _extract,
    "classify": _classify,
    "assistant": _assistant,
}
