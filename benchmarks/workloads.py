"""What the pairs of a benchmark say: from the simulated gateway's own to what real models wrote.

Every workload takes simulated messages and gives their sides other answers; times, faults and
conversations stay. The simulated sides are often equal to the byte, which costs little and is rare:
two runs of one model give the same long text in less than one pair of ten. So the others are drawn
for each side apart.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from understudy.schemas.events import Event, Request, Response, ToolCall, encode_event
from understudy.streams.demo.simulator import SimulatedMessage

DATA_VARIABLE: Final = "UNDERSTUDY_TEST_MODEL_OUTPUTS"
REAL_LATIN: Final = ("pairs_m_arena_hard_latin", "pairs_arena_hard_en_quant")
REAL_OTHERS: Final = ("pairs_m_arena_hard_nonlatin",)

Messages = Iterator[SimulatedMessage]
Workload = Callable[[Messages], Messages]

_FUNCTION_WORDS: Final = "the of and to in is that it for with as on be this are or by from"
_CONTENT_WORDS: Final = (
    "order delivery account invoice refund address customer payment receipt parcel support request "
    "system answer question report meeting project schedule budget design module network storage "
    "engine window branch release version method result measure sample history garden kitchen "
    "travel ticket station weather market price product quality service number arrives explains "
    "includes requires returns follows changes describes provides contains"
)
_FUNCTION: Final = _FUNCTION_WORDS.split()
_CONTENT: Final = _CONTENT_WORDS.split()
WORDS: Final = (60, 320)
"""Of a draft, at least and at most."""


def drafts(messages: Messages) -> Messages:
    """English prose of 60 to 320 words, written for each side apart."""
    return _answered(messages, lambda rng, _: (_prose(rng, rng.randrange(*WORDS)), None))


def _prose(rng: Random, words: int) -> str:
    sentences = []
    while words > 0:
        length = min(words, rng.randrange(6, 22))
        words -= length
        chosen = [rng.choice(_FUNCTION if place % 2 else _CONTENT) for place in range(length)]
        sentences.append(" ".join(chosen).capitalize() + ".")
    return " ".join(sentences)


def odd_text(messages: Messages) -> Messages:
    """Text in no language, 0.3 to 1.5 kB: keys, numbers, paths, log lines."""

    def answer(rng: Random, _: Event) -> tuple[str, None]:
        lines = [
            rng.choice(
                (
                    f"{rng.getrandbits(64):016x} {rng.getrandbits(32):08x}",
                    f"/var/lib/{rng.getrandbits(24):06x}/data-{rng.randrange(99)}.bin",
                    f"2026-03-01 12:{rng.randrange(60):02d}:07 W{rng.random()}",
                    f"{rng.random():.6f};{rng.random():.6f};{rng.randrange(10**6)}",
                )
            )
            for _ in range(rng.randrange(8, 40))
        ]
        return "\n".join(lines), None

    return _answered(messages, answer)


def json_with_tools(messages: Messages) -> Messages:
    """JSON answers of about 0.7 kB with a tool call; a value or two differ between the sides."""

    def answer(rng: Random, event: Event) -> tuple[str, ToolCall]:
        common = Random(event.pair_id)
        lines = [
            {"sku": f"{common.getrandbits(32):08x}", "quantity": common.randrange(9),
             "note": _prose(common, 5)}
            for _ in range(8)
        ]  # fmt: skip
        lines[rng.randrange(8)]["quantity"] = rng.randrange(9)
        document = {"customer": common.randrange(10**6), "lines": lines, "total": common.random()}
        arguments = {"order": common.randrange(10**6), "lines": len(lines)}
        call = ToolCall(name="place_order", arguments=msgspec.Raw(json.dumps(arguments).encode()))
        return json.dumps(document), call

    request = Request(prompt="Place the order.", expects="json", tools=("place_order",))
    return _answered(messages, answer, request=request, language="en")


def real_outputs(messages: Messages, names: tuple[str, ...]) -> Messages:
    """What real models answered to the same prompts."""
    pairs = _real_pairs(names)

    def changed(event: Event) -> Event | None:
        pair = pairs[Random(event.pair_id).randrange(len(pairs))]
        answer = pair["stable" if event.side == "control" else event.side]
        if answer["error"] or event.response is None:
            return None
        expects = "json" if pair["expects_json"] else "text"
        response = msgspec.structs.replace(event.response, output=answer["output"], tool_calls=None)
        return msgspec.structs.replace(
            event, language=pair["language"], response=response,
            request=Request(prompt=pair["prompt"], expects=expects),
        )  # fmt: skip

    return _changed(messages, changed)


def _real_pairs(names: tuple[str, ...]) -> list[dict[str, Any]]:
    folder = Path(os.environ[DATA_VARIABLE])
    return [
        json.loads(line)
        for name in names
        for line in gzip.decompress((folder / f"{name}.ndjson.gz").read_bytes()).splitlines()
    ]


Answer = Callable[[Random, Event], tuple[str, ToolCall | None]]


def _answered(
    messages: Messages, answer: Answer, *, request: Request | None = None, language: str = "en"
) -> Messages:
    """The messages with drawn answers; every side draws for itself."""
    asked = request or Request(prompt="Tell me about my order.", expects="text")

    def changed(event: Event) -> Event | None:
        if event.response is None:
            return None
        text, call = answer(Random(f"{event.pair_id} {event.side}"), event)
        calls = (call,) if call else None
        response: Response = msgspec.structs.replace(event.response, output=text, tool_calls=calls)
        return msgspec.structs.replace(event, request=asked, language=language, response=response)

    return _changed(messages, changed)


def _changed(messages: Messages, change: Callable[[Event], Event | None]) -> Messages:
    for message in messages:
        event = change(message.event) if message.event else None
        if event is None:
            yield message
        else:
            yield replace(message, event=event, payload=encode_event(event))


DRAWN: Final[dict[str, Workload]] = {
    "drafts of prose": drafts,
    "JSON with tools": json_with_tools,
    "text in no language": odd_text,
}


def real() -> dict[str, Workload]:
    """Workloads of real outputs; none where the folder with them is not named."""
    if not os.environ.get(DATA_VARIABLE):
        return {}
    return {
        "real answers, Latin": partial(real_outputs, names=REAL_LATIN),
        "real answers, other scripts": partial(real_outputs, names=REAL_OTHERS),
    }
