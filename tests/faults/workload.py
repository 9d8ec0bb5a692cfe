"""Seeded traffic with everything in it that a join must get right.

`Workload` makes messages in order of arrival. What they add up to is not known here: the order in
which Kafka keeps them decides, so the truth is computed from the log (see `truth`).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any, Final

LANGUAGES: Final = ("en", "ja", "zh-Hans")
WORKFLOWS: Final = (None, "chat")
ROLLOUTS: Final = ("r1", "r2")
TURNS: Final = 4
"""Of each conversation."""
AT_ONCE: Final = 30
"""Conversations: turns of one are seconds apart."""
FAILING: Final = 0.05
ALIKE: Final = 0.6
"""Share of answers that fail, in all conversations and in each tenth."""
AGE: Final = dt.timedelta(hours=2)
"""How long ago the requests were made; so that only what is meant to runs ahead of the clock."""


@dataclass(frozen=True)
class Message:
    """What a gateway writes."""

    key: bytes
    value: bytes | None


@dataclass(frozen=True)
class Shape:
    """How unruly the traffic is; shares of requests or of sides."""

    rate_per_s: float = 20.0
    """Requests a second of event time."""
    lost: float = 0.04
    copied: float = 0.06
    slow: float = 0.10
    """Sides that come up to three seconds after the request."""
    late: float = 0.02
    """Sides that come up to twenty seconds after the request."""
    garbage: float = 0.02
    ahead: float = 0.01
    """Requests whose clock runs an hour ahead."""
    disagreeing: float = 0.02
    conversing: float = 0.5
    """Requests that are turns of a conversation."""
    single: float = 0.15
    control: float = 0.10
    reused: float = 0.05
    """Requests with the `pair_id` of an earlier one, about a join timeout before."""
    skewed: float = 0.10
    """Sides whose `request_time` differs from that of their pair, some beyond the tolerance."""
    retried: float = 0.08
    """Sides that fail and are tried again, each attempt an event."""
    pauses: float = 0.002
    """Requests after which event time pauses for longer than the join timeout."""


class Workload:
    """Messages of `requests` requests; the same seed and start give the same messages."""

    def __init__(
        self, seed: int, requests: int, shape: Shape | None = None, start: dt.datetime | None = None
    ) -> None:
        self._rng = Random(seed)
        self._shape = shape or Shape()
        self._start = start or (dt.datetime.now(dt.UTC) - AGE).replace(microsecond=0)
        arrivals = sorted(self._arrivals(requests), key=lambda arrival: arrival[0])
        self.messages = [message for _, message in arrivals]

    def chunks(self, count: int) -> list[list[Message]]:
        """The messages cut at random places, in order."""
        cuts = sorted(self._rng.randrange(len(self.messages) + 1) for _ in range(count - 1))
        ends = [0, *cuts, len(self.messages)]
        return [self.messages[a:b] for a, b in pairwise(ends)]

    def ratings(self, count: int) -> list[Message]:
        """Ratings by users, in about the order in which they were given, some of them twice."""
        rng, found = self._rng, []
        at_s = 0.0
        for number in range(count):
            at_s += rng.expovariate(self._shape.rate_per_s)
            shift_s = rng.choice((0.0, 0.0, 0.0, -1.0, -8.0)) * rng.random()
            stamp = (self._start + dt.timedelta(seconds=round(at_s + shift_s, 3))).isoformat()
            rating = {
                "schema_version": 1, "rollout_id": rng.choice(ROLLOUTS), "pair_id": f"p{number}",
                "mode": "shadow", "side": rng.choice(("stable", "candidate")), "name": "thumbs",
                "request_time": stamp, "feedback_time": stamp,
                "score_value": rng.choice((0, 0.5, 1)), "language": rng.choice(LANGUAGES),
            }  # fmt: skip
            key = f"{rating['rollout_id']}/{rating['pair_id']}".encode()
            found += [Message(key, json.dumps(rating).encode())] * rng.choice((1, 1, 1, 2))
        return found

    def _arrivals(self, requests: int) -> Iterator[tuple[float, Message]]:
        rng, shape = self._rng, self._shape
        at_s = 0.0
        for number in range(requests):
            at_s += rng.expovariate(shape.rate_per_s)
            if rng.random() < shape.pauses:
                at_s += 12 * rng.random()
            name = number
            if rng.random() < shape.reused:
                name = max(0, number - rng.randrange(1, int(8 * shape.rate_per_s)))
            ahead_s = 3600 + AGE.total_seconds() if rng.random() < shape.ahead else 0.0
            for wait_s, message in self._sides(name, at_s + ahead_s):
                for _ in range(self._copies()):
                    yield at_s + wait_s + self._delay_s(), message
            if rng.random() < shape.garbage:
                yield at_s, self._garbage(number)

    def _copies(self) -> int:
        roll = self._rng.random()
        if roll < self._shape.lost:
            return 0
        return 2 if roll > 1 - self._shape.copied else 1

    def _delay_s(self) -> float:
        roll = self._rng.random()
        if roll < self._shape.late:
            return 20 * self._rng.random()
        if roll < self._shape.late + self._shape.slow:
            return 3 * self._rng.random()
        return 0.5 * self._rng.random()

    def _sides(self, number: int, at_s: float) -> Iterator[tuple[float, Message]]:
        """The attempts of all sides, and how long after the request they were made."""
        rng = self._rng
        mode = rng.choice(("shadow", "shadow", "interleave"))
        sides = ["stable", "candidate"]
        if rng.random() < self._shape.single:
            mode, sides = rng.choice(("canary", "ab")), [rng.choice(sides)]
        elif rng.random() < self._shape.control:
            sides.append("control")
        common: dict[str, Any] = {
            "schema_version": 1,
            "rollout_id": rng.choice(ROLLOUTS),
            "pair_id": f"p{number}",
            "mode": mode,
            "sides": sides,
            "language": rng.choice(LANGUAGES),
            "workflow": rng.choice(WORKFLOWS),
        }
        if rng.random() < self._shape.conversing:
            common |= self._turn(number, sides)
            sides = common["sides"]
        for side in sides:
            skew_s = rng.uniform(-0.6, 0.6) if rng.random() < self._shape.skewed else 0.0
            stamp = self._start + dt.timedelta(seconds=round(at_s + skew_s, 3))
            failing = ALIKE if common.get("conversation_id", "").endswith("0") else FAILING
            for wait_s, answer in self._attempts(failing):
                own = {"side": side, "request_time": stamp.isoformat()}
                yield wait_s, self._message({**common, **own, **answer})
            if rng.random() < self._shape.disagreeing:
                common = {**common, **rng.choice(({"workflow": "elsewhere"}, {"turn": 99}))}

    def _turn(self, number: int, sides: list[str]) -> dict[str, Any]:
        """What makes a request a turn: of `AT_ONCE` conversations, one after the other."""
        batch, place = divmod(number, AT_ONCE * TURNS)
        turn, conversation = divmod(place, AT_ONCE)
        name = batch * AT_ONCE + conversation
        shared: dict[str, Any] = {
            "conversation_id": f"c{name}",
            "turn": turn + 1,
            "rollout_id": ROLLOUTS[name % len(ROLLOUTS)],
        }
        if name % 5 == 0:
            return {**shared, "mode": "canary", "sides": [("stable", "candidate")[name % 2]]}
        paired = sides if len(sides) > 1 else ["stable", "candidate"]
        return {**shared, "mode": "shadow", "sides": paired}

    def _attempts(self, failing: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """One answer, or failed attempts before it; now and then the last one never comes."""
        rng = self._rng
        if rng.random() >= self._shape.retried:
            yield 0.0, self._answer(failing)
            return
        attempts, wait_s = rng.randint(1, 3), 0.0
        marks: dict[str, Any] = rng.choice(({}, {"final": False}))
        for attempt in range(1, attempts + 1):
            yield wait_s, {"error": {"type": "500"}, "fallback": {"attempts": attempt, **marks}}
            wait_s += rng.choice((0.1, 0.4, 2.0))
        if rng.random() < 0.9:
            fallback = {"attempts": attempts + 1, "used": rng.random() < 0.5}
            yield wait_s, {**self._answer(failing), "fallback": fallback}

    def _answer(self, failing: float) -> dict[str, Any]:
        rng = self._rng
        timing = {"duration_ms": round(rng.lognormvariate(6, 1), 3)}
        if rng.random() < failing:
            return {"error": {"type": "timeout"}, "timing": timing}
        output = rng.choice(("yes", "no", "maybe so", '{"a": 1}'))
        usage = {"cost_usd": round(rng.random() / 100, 6), "output_tokens": rng.randrange(1000)}
        return {"response": {"output": output}, "usage": usage, "timing": timing}

    def _garbage(self, number: int) -> Message:
        rng = self._rng
        key = f"{rng.choice(ROLLOUTS)}/garbage-{number}".encode()
        wrong = {"schema_version": 1, "rollout_id": "r2", "mode": "shadow", "side": "both"}
        return Message(key, rng.choice((b"{", None, json.dumps(wrong).encode())))

    @staticmethod
    def _message(event: dict[str, Any]) -> Message:
        key = f"{event['rollout_id']}/{event.get('conversation_id', event['pair_id'])}".encode()
        return Message(key, json.dumps(event).encode())
