"""A connection that only reads, opened when it is needed and again after an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.sink_errors import sink_error

TIMEOUT_S: Final = 10.0
"""A page of some hundred rows takes milliseconds; a client waits no longer than this."""


class ReadConnection:
    """One connection, to be used by one thread at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the rows of a query. Raises `SinkBusy` and `SinkBroken`."""
        try:
            return list(self._open().query(sql, parameters=dict(parameters)).result_rows)
        except ClickHouseError as error:
            self.close()
            raise sink_error(error) from error

    def close(self) -> None:
        """Close the connection; the next query opens another."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _open(self) -> Client:
        if self._client is None:
            self._client = connect(self._url, timeout_s=TIMEOUT_S, create=False)
        return self._client
