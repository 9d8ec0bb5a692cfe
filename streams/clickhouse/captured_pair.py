"""A captured pair: what is stored of two answers, redacted and cut.

Apart from reading and writing, which need a client of ClickHouse: pairing makes these wherever it
runs, and a replay of a file should not import one.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from understudy.schemas.event_time import from_epoch_ms

UNKNOWN: Final = float("nan")


@dataclass(frozen=True, slots=True)
class CapturedSide:
    """What one side answered."""

    is_there: bool = False
    """False where the side was not asked: canary and ab."""
    model: str = ""
    output: str = ""
    """The text, else the refusal; empty where there is none, or only a hash of it."""
    output_characters: int = 0
    """Of the whole text, as the gateway sent it."""
    is_cut: bool = False
    """The output or the tool calls."""
    tool_calls: str = ""
    """JSON: a list of `name` and `arguments`; empty without any."""
    error_type: str = ""
    """Empty where the side answered."""
    finish_reason: str = ""
    """As the vendor names it; `refusal` where the answer was a refusal, whatever its reason."""
    duration_ms: float = UNKNOWN


@dataclass(frozen=True, slots=True)
class CapturedPair:
    """One pair, with what is worse about its candidate."""

    rollout_id: str
    mode: str
    language: str
    workflow: str
    kind: str
    """The worst of `kinds`; `none` where nothing is worse."""
    window_start_ms: int
    window_s: int
    partition: int
    rank: int
    """From 1, the worst of its slice, kind, window and partition."""
    version: int
    pair_id: str
    request_time_ms: int
    capture: str
    """Why it was captured: worst, sample or all."""
    severity: float
    """From 0 to 1."""
    kinds: list[str]
    similarity: float
    """NaN unless both sides have text."""
    expects: str
    prompt: str
    prompt_is_cut: bool
    redacted: list[str]
    """What was replaced, such as `email`."""
    stable: CapturedSide
    candidate: CapturedSide

    @property
    def request_time(self) -> dt.datetime:
        """When the request was made, UTC."""
        return from_epoch_ms(self.request_time_ms)
