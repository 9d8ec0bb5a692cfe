"""The application on a loop of the test's own, with a view that the test fills."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from yarl import URL

from tests.streams.http.described import Answer, check
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.streams.clickhouse.decision_history import DecisionHistory
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.http.app import RUNNER, make_app
from understudy.streams.http.backtests import Backtests, Judge
from understudy.streams.http.context import ApiContext
from understudy.streams.http.materialized_view import MaterializedView, ViewUpdate
from understudy.streams.http.server import ViewOnLoop, api_component
from understudy.streams.http.tokens import read_tokens
from understudy.streams.http.view_feed import feed
from understudy.streams.monitoring.worker_components import WorkerComponents
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.settings import KafkaSettings

SECRET = "correct-horse-battery"
WRITER = {"Authorization": f"Bearer {SECRET}"}
NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:1")
DEADLINE_S = 30.0
Result = TypeVar("Result")


class Api:
    """Asks the application, and fails when an answer is not as described."""

    def __init__(self, context: ApiContext, runner: asyncio.Runner, server: TestServer) -> None:
        self.context, self.view = context, context.view
        self._runner, self._server = runner, server

    @property
    def address(self) -> tuple[str, int]:
        return self._server.host, self._server.port or 0

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """On the loop of the application."""
        return self._runner.run(work)

    def ask(self, method: str, path: str, **arguments: Any) -> Answer:
        return self.run(self.asking(method, path, **arguments))

    def get(self, path: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("GET", path, headers=named)

    def write(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """With a token; what is not bytes goes as JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        return self.ask(method, path, data=data, headers={**WRITER, **named})

    async def asking(self, method: str, path: str, **arguments: Any) -> Answer:
        """A path is sent as it is written."""
        url = URL(f"http://{self._server.host}:{self._server.port}{path}", encoded=True)
        async with ClientSession() as session, session.request(method, url, **arguments) as found:
            headers = {name.lower(): value for name, value in found.headers.items()}
            answer = Answer(found.status, headers, await found.read())
        check(method, path, answer)
        return answer

    def show(self, record: RolloutRecord | None = None, decision: Decision | None = None) -> None:
        """Put up a record, a decision, or both."""
        if record is not None:
            name = record.manifest.rollout_id
            self.view.apply([ViewUpdate("rollout", name, encode_rollout_record(record))])
        if decision is not None:
            name = decision.rollout_id
            self.view.apply([ViewUpdate("decision", name, encode_decision(decision))])


@contextmanager
def api(
    *,
    kafka: KafkaSettings | None = None,
    tokens: str = f"anna:admin:{SECRET}",
    clickhouse: str = "clickhouse://127.0.0.1:1/understudy",
    is_complete: bool = True,
    read_needs_token: bool = False,
    judge: Judge | None = None,
    is_local: bool = True,
) -> Iterator[Api]:
    """An application whose Kafka and ClickHouse are away unless given; Kafka feeds its view."""
    view, components = MaterializedView(), WorkerComponents(("api",))
    store = RolloutRegistry(kafka) if kafka else RolloutRegistry(NOWHERE, timeout_s=1.0)
    context = ApiContext(
        view,
        store,
        DecisionHistory(ReadConnection(clickhouse)),
        read_tokens(tokens),
        read_needs_token=read_needs_token,
        backtests=Backtests(judge),
        is_local=is_local,
    )
    is_read = kafka is not None and is_complete
    view.is_complete = is_complete and not is_read
    with (
        asyncio.Runner() as runner,
        _feeding(kafka, ViewOnLoop(runner.get_loop(), view)),
        components.running("api", api_component(view)),
    ):
        server = TestServer(make_app(components, context))
        runner.run(server.start_server(**RUNNER))
        if is_read:
            assert runner.run(view.wait_until(lambda: view.is_complete, DEADLINE_S)), (
                "topics not read"
            )
        try:
            yield Api(context, runner, server)
        finally:
            view.close()
            runner.run(server.close())


@contextmanager
def _feeding(kafka: KafkaSettings | None, updates: ViewOnLoop) -> Iterator[None]:
    done = threading.Event()
    thread = threading.Thread(target=feed, args=(kafka, updates, done))
    if kafka is not None:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if kafka is not None:
            thread.join()
