"""What every handler needs, and where it finds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

from aiohttp import web
from prometheus_client import CollectorRegistry

from understudy.streams.clickhouse.decision_history import History
from understudy.streams.http.materialized_view import MaterializedView, Standing
from understudy.streams.http.problems import Problem
from understudy.streams.http.tokens import Token
from understudy.streams.rollouts.registry import RolloutRegistry, UnknownRollout

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Context:
    """The view, the store, and threads for what blocks.

    Commands have threads of their own: a kill waits neither for a slow ClickHouse nor for a large
    policy.
    """

    view: MaterializedView
    store: RolloutRegistry
    history: History
    tokens: tuple[Token, ...]
    registry: CollectorRegistry
    telling: ThreadPoolExecutor = field(
        default_factory=partial(ThreadPoolExecutor, 4, "understudy-api-tell")
    )
    applying: ThreadPoolExecutor = field(
        default_factory=partial(ThreadPoolExecutor, 2, "understudy-api-apply")
    )
    asking: ThreadPoolExecutor = field(
        default_factory=partial(ThreadPoolExecutor, 1, "understudy-api-history")
    )

    def complete_board(self) -> MaterializedView:
        """The view once it has been read; a problem before."""
        if not self.view.is_complete:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the topics are being read, or Kafka is away: how rollouts stand is not known now",
                {"Retry-After": "1"},
            )
        return self.view

    def standing(self, request: web.Request) -> Standing:
        """The rollout in the path. Raises `UnknownRollout`."""
        view = self.complete_board()
        rollout_id = request.match_info["rollout_id"]
        found = view.find(rollout_id)
        if found is None:
            raise UnknownRollout(rollout_id, view.all())
        return found

    def close(self) -> None:
        """Take no more work; what is under way ends by itself."""
        for threads in (self.telling, self.applying, self.asking):
            threads.shutdown(wait=False, cancel_futures=True)


CONTEXT: Final = web.AppKey("context", Context)


async def in_thread(executor: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    """Do what blocks somewhere else."""
    return await asyncio.get_running_loop().run_in_executor(executor, work)
