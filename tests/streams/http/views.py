"""Views of decisions that an evaluator made of a made-up world, and clients that ask them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from aiohttp.test_utils import TestClient, TestServer

from tests.analyzers.guardrails.world import ROLLOUT, Harm, World
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.rollouts import RolloutManifest, compile_manifest
from understudy.streams.clickhouse.decision_history import DecisionHistory
from understudy.streams.http.app import make_app
from understudy.streams.http.context import ApiContext
from understudy.streams.http.materialized_view import (
    MaterializedView,
    PublishedDecision,
    RolloutView,
    ViewUpdate,
)
from understudy.streams.monitoring.worker_components import WorkerComponents
from understudy.streams.rollouts.registry import RolloutRegistry

ERRORS = "{metric: error_rate, max_increase: 2pp}"
RAMP = "[shadow, {name: half, share: 50%}, {name: whole, share: 100%}]"
NOW = dt.datetime(2026, 3, 2, 12, 10, tzinfo=dt.UTC)
"""Minutes after the windows of `decided`."""
BROKEN = World(harm=Harm(bad={"error": 0.1}))
LOSSY = World(harm=Harm(evicted=0.1))


def policy(
    guardrails: str = ERRORS, *, rollout_id: str = ROLLOUT, stages: str = RAMP
) -> RolloutManifest:
    return read_manifest(
        f"""
rollout_id: {rollout_id}
models: {{stable: heron-4, candidate: heron-5}}
independent_requests: true
min_requests: 1500
min_duration: 2m
stages: {stages}
guardrails: [{guardrails}]
"""
    )


def decided(
    manifest: RolloutManifest,
    world: World = World(),  # noqa: B008
    windows: int = 45,
) -> RolloutEvaluator:
    """An evaluator that has seen so many windows, as of the default where none are given."""
    evaluator = RolloutEvaluator(compile_manifest(manifest))
    evaluator.advance_clock(1_772_450_000_000)
    for message in world.messages(5, windows):
        evaluator.take(message)
    return evaluator


def rollout_view(manifest: RolloutManifest, decision: Decision | None) -> RolloutView:
    published = None if decision is None else PublishedDecision(decision, encode_decision(decision))
    return RolloutView(RolloutRecord(manifest=manifest), published)


def view(*rollouts: RolloutView, is_complete: bool = True) -> MaterializedView:
    """A view that has read these from their topics."""
    made = MaterializedView()
    for one in rollouts:
        name = one.record.manifest.rollout_id
        made.apply([ViewUpdate("rollout", name, encode_rollout_record(one.record))])
        if one.published is not None:
            made.apply([ViewUpdate("decision", name, one.published.payload)])
    if is_complete:
        made.mark_complete()
    return made


@dataclass(frozen=True)
class Answer:
    """What a client got."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


def ask(
    view: MaterializedView, method: str, path: str, *, now: dt.datetime = NOW, **more: Any
) -> Answer:
    """Ask the application, over a socket, about no more than its view knows."""

    async def asked() -> Answer:
        context = ApiContext(
            view=view,
            store=cast(RolloutRegistry, None),
            history=cast(DecisionHistory, None),
            tokens=(),
            clock=lambda: now,
        )
        async with TestClient(TestServer(make_app(WorkerComponents(()), context))) as client:
            response = await client.request(method, path, **more)
            return Answer(response.status, dict(response.headers), await response.read())

    return asyncio.run(asked())
