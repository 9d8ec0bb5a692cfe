"""What the handlers of the API share, and where they find it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

from aiohttp import web

from understudy.streams.clickhouse.decision_history import DecisionHistory
from understudy.streams.http.backtests import Backtests
from understudy.streams.http.drift_cache import DriftCache
from understudy.streams.http.evidence_cache import EvidenceCache
from understudy.streams.http.materialized_view import MaterializedView, RolloutView
from understudy.streams.http.problems import Problem
from understudy.streams.http.rollout_gate import Present
from understudy.streams.http.tokens import Token
from understudy.streams.http.traffic_cache import TrafficCache
from understudy.streams.rollouts.registry import RolloutRegistry, UnknownRollout
from understudy.streams.settings import GATE_MAX_AGE_S

Result = TypeVar("Result")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _threads(number: int, purpose: str) -> Callable[[], ThreadPoolExecutor]:
    return partial(ThreadPoolExecutor, number, f"understudy-http-{purpose}")


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The view, the store, and threads for work that blocks.

    Commands have threads of their own: a kill waits neither for a slow ClickHouse nor for a large
    policy.
    """

    view: MaterializedView
    store: RolloutRegistry
    history: DecisionHistory
    tokens: tuple[Token, ...]
    read_needs_token: bool = False
    is_local: bool = True
    """Whether only this machine reaches the server."""
    gate_max_age_s: float = GATE_MAX_AGE_S
    clock: Callable[[], dt.datetime] = _now
    command_threads: ThreadPoolExecutor = field(default_factory=_threads(4, "command"))
    """Several operators may kill several rollouts at once."""
    policy_threads: ThreadPoolExecutor = field(default_factory=_threads(2, "policy"))
    """A large policy takes a core for a while; more threads would not be faster."""
    history_threads: ThreadPoolExecutor = field(default_factory=_threads(1, "history"))
    """The connection to ClickHouse takes one query at a time."""
    evidence: EvidenceCache = field(default_factory=EvidenceCache)
    """Of pages that are open; used on the thread for the history."""
    traffic: TrafficCache = field(default_factory=TrafficCache)
    drift: DriftCache = field(default_factory=DriftCache)
    """Likewise."""
    backtests: Backtests = field(default_factory=Backtests)
    query_threads: ThreadPoolExecutor = field(default_factory=_threads(1, "query"))
    """Queries only use the CPU; more threads would not be faster."""

    @property
    def present(self) -> Present:
        """The time, and how old the newest window may be for a gate to open."""
        return Present(self.clock(), dt.timedelta(seconds=self.gate_max_age_s))

    def complete_view(self) -> MaterializedView:
        """The view once it is complete; a 503 problem before."""
        if not self.view.is_complete:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "this worker does not know the rollouts at present: it is still reading the "
                "topics, or Kafka is unavailable; retry, or ask another worker",
                {"Retry-After": "1"},
            )
        return self.view

    def rollout(self, request: web.Request) -> RolloutView:
        """The rollout in the request's path. Raises `UnknownRollout`."""
        view = self.complete_view()
        rollout_id = request.match_info["rollout_id"]
        found = view.find(rollout_id)
        if found is None:
            raise UnknownRollout(rollout_id, view.all())
        return found

    def close(self) -> None:
        """Accept no more work; work under way ends by itself."""
        for threads in (
            self.command_threads, self.policy_threads, self.history_threads, self.query_threads
        ):  # fmt: skip
            threads.shutdown(wait=False, cancel_futures=True)
        self.backtests.close()


API: Final = web.AppKey("api", ApiContext)


async def in_thread(threads: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    """Run blocking work in a thread, so that the event loop stays free for other requests."""
    return await asyncio.get_running_loop().run_in_executor(threads, work)
