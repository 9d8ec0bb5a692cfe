"""A ClickHouse client that fails on command; what it lets through reaches the real one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

from clickhouse_connect.driver.client import Client

Failure = Callable[[], None]


class FailingClient:
    """Passes inserts on, after or before what the next of `failures` does."""

    def __init__(self, client: Client, failures: Sequence[Exception] = ()) -> None:
        self._client = client
        self.failures = list(failures)
        self.down: Exception | None = None
        """Raised by every insert while it is set."""
        self.fails_after_inserting = False
        self.gate = threading.Event()
        self.gate.set()
        """An insert hangs while the gate is closed."""
        self.tables: list[str] = []
        self.closed = 0

    def raw_insert(self, table: str, **arguments: Any) -> None:
        self.gate.wait(10.0)
        error = self.down or (self.failures.pop(0) if self.failures else None)
        if error is None or self.fails_after_inserting:
            self._client.raw_insert(table, **arguments)
            self.tables.append(table)
        if error is not None:
            raise error

    def close(self) -> None:
        self.closed += 1

    def as_client(self) -> Client:
        return cast(Client, self)
