"""Random pairs of events for the tests of window sums, made from a seed."""

from __future__ import annotations

import json
import random
from typing import Any

from understudy.schemas.events import Event, decode_event

OUTPUTS = ('{"a": 1}', '{"a": 2', "```json\n{}\n```", "plain", "plain text", "", None, "日本語の文")


def random_pairs(seed: int, count: int) -> list[tuple[Event, Event]]:
    """Stable and candidate sides of `count` requests."""
    rng = random.Random(seed)
    return [_pair(rng, number) for number in range(count)]


def _pair(rng: random.Random, number: int) -> tuple[Event, Event]:
    request = {
        "expects": rng.choice(("text", "json")),
        "tools": rng.choice((None, ["f", "g"])),
    }
    stable, candidate = (_side(rng, side, number, request) for side in ("stable", "candidate"))
    return stable, candidate


def _side(rng: random.Random, side: str, number: int, request: dict[str, Any]) -> Event:
    calls = [{"name": rng.choice("fg"), "arguments": rng.choice(({}, {"x": 1}, '{"x": 1}', "{"))}]
    event = {
        "schema_version": 1,
        "rollout_id": "r",
        "pair_id": f"p{number}",
        "mode": "shadow",
        "side": side,
        "sides": ["stable", "candidate"],
        "request_time": "2025-01-01T00:00:00Z",
        "served": side == "stable",
        "request": request,
        "response": {
            "model": rng.choice((None, "", "m-1", "m-2")),
            "output": rng.choice(OUTPUTS),
            "tool_calls": rng.choice((None, calls)),
            "finish_reason": rng.choice(("stop", "length", "content_filter")),
            "stream": rng.random() < 0.7,
        },
        "error": rng.choice((None, None, None, {"type": "timeout", "status": 504})),
        "usage": {
            "input_tokens": rng.choice((None, 0, rng.randrange(2**31))),
            "output_tokens": rng.choice((None, 0, rng.randrange(2**31))),
            "cost_usd": rng.choice((None, 0.0, rng.random(), 1000 * rng.random())),
        },
        "timing": {
            "duration_ms": rng.choice((None, 0.0, rng.lognormvariate(7, 2), 604_800_000.0)),
            "time_to_first_token_ms": rng.choice((None, rng.lognormvariate(6, 1))),
        },
        "fallback": rng.choice((None, {"used": True, "attempts": 3})),
    }
    return decode_event(json.dumps(event).encode())
