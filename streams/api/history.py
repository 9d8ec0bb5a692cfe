"""Earlier decisions, out of ClickHouse."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from understudy.streams.loading.clickhouse import connect
from understudy.streams.loading.errors import sink_error

TIMEOUT_S: Final = 10.0
COLUMNS: Final = (
    "decided_at", "verdict", "since", "stage", "candidate_share", "is_latched", "is_paused",
    "reasons", "alerts", "policy_hash",
)  # fmt: skip
_SQL: Final = f"""
SELECT {", ".join(COLUMNS)}
FROM decisions FINAL
WHERE rollout_id = {{rollout_id:String}} AND decided_at < {{before:DateTime64(3, 'UTC')}}
ORDER BY decided_at DESC, decision_hash
LIMIT {{limit:UInt32}}
"""
_END_OF_TIME: Final = dt.datetime(2299, 12, 31, tzinfo=dt.UTC)


class History:
    """One connection, opened when it is needed. To be used by one thread at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None

    def rows(
        self, rollout_id: str, *, before: dt.datetime | None = None, limit: int
    ) -> list[dict[str, Any]]:
        """Decisions, the newest first, by column. Raises `SinkBusy` and `SinkBroken`."""
        parameters = {"rollout_id": rollout_id, "before": before or _END_OF_TIME, "limit": limit}
        try:
            result = self._open().query(_SQL, parameters=parameters)
        except ClickHouseError as error:
            self.close()
            raise sink_error(error) from error
        return [_row(values) for values in result.result_rows]

    def close(self) -> None:
        """Let the connection go; the next question opens another."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _open(self) -> Client:
        if self._client is None:
            self._client = connect(self._url, timeout_s=TIMEOUT_S, create=False)
        return self._client


def _row(values: Any) -> dict[str, Any]:
    return {name: _aware(value) for name, value in zip(COLUMNS, values, strict=True)}


def _aware(value: Any) -> Any:
    """ClickHouse's times come without their zone, UTC."""
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    return value
