"""Random logs of events with everything in them that a join must get right.

Disorder, loss, copies, late copies, garbage; pauses and jumps of event time; a `pair_id` used
again; sides that disagree, or whose request times lie apart; attempts and further attempts;
conversations of some turns, which now and then only one side tells.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.streams.pairing.log import event

SIDES3 = ["stable", "candidate", "control"]


@dataclass(frozen=True)
class Shape:
    """Shares of requests or of sides; seconds of event time."""

    conversing: float = 0.5
    """Requests that are turns of a conversation."""
    turns: int = 4
    """Of each conversation."""
    disagreeing: float = 0.02
    reused: float = 0.1
    paused: float = 0.04
    ahead: float = 0.01
    skewed: float = 0.2
    retried: float = 0.15
    says: tuple[str, ...] = ("yes", "no", "maybe so")
    """What the sides answer."""
    untold: float = 0.2
    """Requests whose sides leave out their language; the prompt, the answer or nothing tells it."""
    skews_s: tuple[float, ...] = (0.003, 0.7, 1.0, 1.001, -0.4, -1.0, 2.5)
    """Some beyond the tolerance of the tests' policy."""
    pauses_s: tuple[float, ...] = (3.0, 5.5, 6.0, 6.5, 12.0, 30.0)
    """Around the join timeout of the tests' policy."""


def random_log(rng: random.Random, requests: int, shape: Shape | None = None) -> list[bytes]:
    """Payloads in order of arrival."""
    shape = shape or Shape()
    arrivals: list[tuple[float, bytes]] = []
    at_s = 0.0
    for number in range(requests):
        at_s += rng.choice((0.1, 0.3, 0.5, 1.0))
        if rng.random() < shape.paused:
            at_s += rng.choice(shape.pauses_s)
        name = number
        if rng.random() < shape.reused:
            name = max(0, number - rng.randrange(1, 25))
        ahead_s = 8.0 if rng.random() < shape.ahead else 0.0
        for wait_s, payload in request_sides(rng, name, at_s + ahead_s, shape):
            for _ in range(rng.choices((0, 1, 2, 3), (4, 80, 10, 3))[0]):
                delay_s = rng.choice((rng.random(), 3 * rng.random(), 20 * rng.random()))
                arrivals.append((at_s + wait_s + delay_s, payload))
        if rng.random() < 0.1:
            arrivals.append((at_s, rng.choice((b"{", b"", event("x", side="both")))))
    return [payload for _, payload in sorted(arrivals)]


def request_sides(
    rng: random.Random, number: int, at_s: float, shape: Shape
) -> Iterator[tuple[float, bytes]]:
    """The attempts of all sides of one request, and how long after the request they were made."""
    language = rng.choice(("en", "ja", "zh-Hans"))
    usage = {"cost_usd": rng.random() / 100, "output_tokens": rng.randrange(1000)}
    common: dict[str, Any] = {"language": language, "usage": usage, "sides": SIDES3[:2]}
    if rng.random() < 0.2:
        common |= {"mode": "canary", "sides": ["stable"]}
    elif rng.random() < 0.2:
        common |= {"sides": SIDES3}
    if rng.random() < shape.conversing:
        common |= {"conversation_id": f"c{number // shape.turns}", "turn": number % shape.turns + 1}
    untold = rng.random() < shape.untold
    for side in common["sides"]:
        if rng.random() < shape.disagreeing:
            other = rng.choice(({"workflow": "other"}, {"conversation_id": "other"}, {"turn": 99}))
            common = {**common, **other}
        elif rng.random() < shape.disagreeing:
            common = {**common, "turn": None}
        if untold:
            common = {**common, **rng.choice(_UNTOLD)}
        skew_s = rng.choice(shape.skews_s) if rng.random() < shape.skewed else 0.0
        for attempt, answer in enumerate(answers(rng, shape)):
            timing = {"duration_ms": rng.random() * 1000}
            yield (
                attempt * rng.choice((0.1, 0.5, 2.0, 7.0)),
                event(f"p{number}", side, at_s + skew_s, timing=timing, **answer, **common),
            )


_UNTOLD: Final[tuple[dict[str, Any], ...]] = (
    {"language": None, "request": None},
    {"language": "?", "request": None},
    {"language": None, "request": {"prompt": "Where can I find the report on last year's sales?"}},
    {
        "language": None,
        "request": {"prompt": "昨年の売上報告書はどこにありますか。教えてください。"},
    },
    {"language": "ja", "request": None},
)


def answers(rng: random.Random, shape: Shape) -> Iterator[dict[str, Any]]:
    """What the attempts of one side say, one after the other."""
    failure: dict[str, Any] = {"response": None, "error": {"type": "timeout"}}
    answer = {"response": {"output": rng.choice(shape.says)}}
    if rng.random() >= shape.retried:
        yield answer
        return
    attempts = rng.randrange(1, 4)
    unfinished: dict[str, Any] = rng.choice(({"final": False}, {}))
    for attempt in range(1, attempts + 1):
        yield {**failure, "fallback": {"attempts": attempt, **unfinished}}
    last: dict[str, Any] = rng.choice(({"final": True}, {}))
    if rng.random() < 0.8:
        attempts += 1
        yield {**rng.choice((answer, failure)), "fallback": {"attempts": attempts, **last}}
