"""Answers statements on a chDB folder that this process has open, and changes nothing in it."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from understudy.streams.clickhouse.read_only_sql import RefusedSql, read_only

READ_ONLY_CODE: Final = 164
"""ClickHouse's READONLY."""
UNKNOWN_CODE: Final = 1002
"""ClickHouse's UNKNOWN_EXCEPTION."""
LIMITS: Final[Mapping[str, int | str]] = {
    "max_execution_time": 60,
    "max_memory_usage": 1024 * 1024 * 1024,
    "max_result_bytes": 256 * 1024 * 1024,
    "max_result_rows": 1_000_000,  # a constant column has next to no bytes before it is written
    "result_overflow_mode": "throw",
    "max_threads": 2,
    "readonly": 1,
}
"""Of one statement: it shares the process with a worker. `readonly` comes last: no setting can be
changed after it."""
SETTINGS_HANDSHAKE: Final = "SELECT name, value, readonly FROM system.settings LIMIT 10000"
"""What clickhouse-connect asks first. In read-only mode every setting would be read-only, and it
would refuse to send any; those that it sends are ignored instead."""
_CANCEL: Final = "KILL QUERY WHERE Settings['readonly'] = '1' ASYNC"
"""Those of the connections here; what the worker inserts goes on."""
_ERROR: Final = re.compile(r"Code: (?P<code>[0-9]+)\. .*", re.DOTALL)


class StatementFailed(Exception):
    """ClickHouse's error code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement brought."""

    payload: bytes
    format: str
    rows: int
    read_rows: int
    read_bytes: int
    elapsed_s: float
    time_zone: str
    """Of times whose type names none."""


class ReadOnlyChdb:
    """Connections of one folder, one for each thread that asks."""

    def __init__(self, folder: Path) -> None:
        """Open the folder at once, so that no other process does. Raises `StatementFailed`."""
        self._path = str(folder.resolve())
        self._threads = threading.local()
        self._opened: list[Any] = []
        self._settings = self._open()
        zone = _run(self._settings, "SELECT timezone()", "TabSeparated", {})
        self._time_zone = zone.bytes().decode().strip()

    def ask(
        self, sql: str, *, database: str, default_format: str, parameters: Mapping[str, str]
    ) -> Answer:
        """Run a statement that reads. Raises `StatementFailed`."""
        try:
            statement, named = read_only(sql)
        except RefusedSql as error:
            raise StatementFailed(
                READ_ONLY_CODE,
                f"Code: {READ_ONLY_CODE}. DB::Exception: {error}; the folder is served read-only. "
                "(READONLY)",
            ) from None
        is_handshake = statement.startswith(SETTINGS_HANDSHAKE)
        connection = self._settings if is_handshake else self._connection()
        if database:
            _run(connection, f"USE `{database.replace('`', '')}`", "Null", {})
        name = named or default_format
        result = _run(connection, statement, name, parameters)
        return Answer(
            payload=result.bytes(),
            format=name,
            rows=result.rows_read(),
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            elapsed_s=result.elapsed(),
            time_zone=self._time_zone,
        )

    def cancel(self) -> None:
        """End the statements under way, so that the process can stop."""
        with suppress(StatementFailed):
            _run(self._settings, _CANCEL, "Null", {})

    def close(self) -> None:
        """Close all connections once no statement is under way; nothing can be asked afterwards.

        A process that ends with one open may crash in chDB's own exit.
        """
        for connection in self._opened:
            connection.close()

    def _connection(self) -> Any:
        if not hasattr(self._threads, "connection"):
            connection = self._open()
            for name, value in LIMITS.items():
                shown = f"'{value}'" if isinstance(value, str) else value
                _run(connection, f"SET {name} = {shown}", "Null", {})
            self._threads.connection = connection
        return self._threads.connection

    def _open(self) -> Any:
        import chdb

        try:
            connection = chdb.connect(self._path)  # type: ignore[no-untyped-call, unused-ignore]
        except Exception as error:
            raise StatementFailed(UNKNOWN_CODE, str(error)) from None
        self._opened.append(connection)
        return connection


def _run(connection: Any, sql: str, format_name: str, parameters: Mapping[str, str]) -> Any:
    try:
        return connection.query(sql, format_name, params=dict(parameters))
    except Exception as error:
        found = _ERROR.search(str(error))
        code = int(found["code"]) if found else UNKNOWN_CODE
        raise StatementFailed(code, found[0] if found else str(error)) from None
