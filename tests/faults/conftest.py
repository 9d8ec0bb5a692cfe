"""What the fault tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.brokers.contract import Broker
from tests.faults.clickhouse_server import ClickHouseServer
from tests.faults.deciding import DecidingRun
from tests.faults.harness import Run


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouseServer]:
    """The ClickHouse of all fault tests; not to be killed."""
    server = ClickHouseServer().start()
    yield server
    server.close()


@pytest.fixture
def own_clickhouse() -> Iterator[ClickHouseServer]:
    """A ClickHouse of this test's own."""
    server = ClickHouseServer().start()
    yield server
    server.close()


@pytest.fixture
def run(kafka_broker: Broker, clickhouse: ClickHouseServer) -> Iterator[Callable[..., Run]]:
    """Makes a run on the shared servers; `run(protocol="consumer")`."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Run:
            return stack.enter_context(Run(kafka_broker, clickhouse, **settings))

        yield make


@pytest.fixture
def deciding(
    kafka_broker: Broker, clickhouse: ClickHouseServer
) -> Iterator[Callable[..., DecidingRun]]:
    """Makes a run on the shared servers."""
    with ExitStack() as stack:

        def make(**settings: Any) -> DecidingRun:
            return stack.enter_context(DecidingRun(kafka_broker, clickhouse, **settings))

        yield make
