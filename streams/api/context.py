"""What every handler needs, and where it finds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeVar

from aiohttp import web
from prometheus_client import CollectorRegistry

from understudy.streams.api.board import Board, Standing
from understudy.streams.api.history import History
from understudy.streams.api.problems import Problem
from understudy.streams.rollouts.store import RolloutStore, UnknownRollout

_WRITERS: Final = 4
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Context:
    """The board, the store, and threads for what blocks.

    Writes have threads of their own: a kill must not wait for a slow ClickHouse.
    """

    board: Board
    store: RolloutStore
    history: History
    tokens: tuple[str, ...]
    registry: CollectorRegistry
    writing: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_WRITERS, "understudy-api-write")
    )
    asking: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "understudy-api-history")
    )

    def complete_board(self) -> Board:
        """The board once it has been read; a problem before."""
        if not self.board.is_complete:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the topics have not been read to their ends yet",
                {"Retry-After": "1"},
            )
        return self.board

    def standing(self, request: web.Request) -> Standing:
        """The rollout in the path. Raises `UnknownRollout`."""
        board = self.complete_board()
        rollout_id = request.match_info["rollout_id"]
        found = board.find(rollout_id)
        if found is None:
            raise UnknownRollout(rollout_id, board.all())
        return found


CONTEXT: Final = web.AppKey("context", Context)


async def in_thread(executor: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    """Do what blocks somewhere else."""
    return await asyncio.get_running_loop().run_in_executor(executor, work)
