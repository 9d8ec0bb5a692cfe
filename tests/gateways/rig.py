"""A Router with what stands around it: models that do as told, and the events that come out."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from understudy.gateways.allocation import Allocation
from understudy.gateways.decision_source import FixedAllocations
from understudy.gateways.event_bytes import event_bytes
from understudy.gateways.router import Router
from understudy.schemas.decisions import Verdict
from understudy.schemas.events import MAX_EVENT_BYTES, Event, Mode, decode_event

ROLLOUT = "checkout"
AT = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def allocation(
    mode: Mode = "shadow",
    share: float = 0.0,
    mirror: float | None = None,
    *,
    rollout_id: str = ROLLOUT,
    verdict: Verdict = "hold",
    written_at: dt.datetime = AT,
) -> Allocation:
    paired = mode in ("shadow", "interleave")
    return Allocation(
        rollout_id=rollout_id,
        mode=mode,
        candidate_share=share,
        mirror_share=mirror if mirror is not None else float(paired),
        verdict=verdict,
        stage=mode,
        decided_at=written_at,
        written_at=written_at,
    )


@dataclass
class Published:
    """What was published, one list a request, read back from its bytes."""

    requests: list[list[Event]] = field(default_factory=list)
    fails: bool = False

    def publish(self, *events: Event) -> bool:
        if self.fails:
            raise RuntimeError("no room")
        payloads = [event_bytes(event, MAX_EVENT_BYTES) for event in events]
        self.requests.append([decode_event(payload) for payload in payloads])
        return True

    @property
    def events(self) -> list[Event]:
        return [event for request in self.requests for event in request]

    def side(self, name: str) -> Event:
        """The one event of a side."""
        (found,) = [event for event in self.events if event.side == name]
        return found


@dataclass
class Model:
    """A client of a model: waits, then answers, raises or streams."""

    name: str
    after_s: float = 1.0
    failure: BaseException | None = None
    chunks: tuple[str, ...] | None = None
    calls: list[Any] = field(default_factory=list)
    cancelled: int = 0

    async def __call__(self, prompt: Any, **_: Any) -> Any:
        self.calls.append(prompt)
        if self.chunks is not None:
            return self._stream()
        try:
            await asyncio.sleep(self.after_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return f"{self.name}: {prompt}"

    async def _stream(self) -> AsyncIterator[str]:
        for chunk in self.chunks or ():
            await asyncio.sleep(self.after_s)
            yield chunk
        if self.failure is not None:
            raise self.failure


class Rig:
    """A Router and its surroundings; `now` is the wall clock."""

    def __init__(
        self,
        given: Allocation | None = None,
        *,
        stable: Callable[..., Any] | None = None,
        candidate: Callable[..., Any] | None = None,
        published: Published | None = None,
        **options: Any,
    ) -> None:
        self.stable = stable or Model("stable")
        self.candidate = candidate or Model("candidate")
        self.published = published or Published()
        self.decisions = FixedAllocations(*([given] if given is not None else []))
        self.now = AT
        self.router: Router[..., Any] = Router(
            (given or allocation()).rollout_id,
            stable=self.stable,
            candidate=self.candidate,
            decisions=self.decisions,
            publisher=self.published,
            now=lambda: self.now,
            **options,
        )

    async def drained(self) -> None:
        """Wait until nothing is under way and everything has been published."""
        await self.router.aclose(timeout_s=3_600.0)
        await asyncio.sleep(0)
