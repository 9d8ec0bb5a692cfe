"""Errors of ClickHouse, named by what to do about them.

`SinkBusy`: wait and try again. `SinkBroken`: stop the process, since waiting changes nothing.
"""

from __future__ import annotations

from typing import Final

from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    DataError,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
)
from urllib3.exceptions import HTTPError

DEFAULT_RETRY_AFTER_S: Final = 1.0
"""Short beside any outage, long enough not to add to the load."""

PASSING_CODES: Final[dict[int, str]] = {
    3: "UNEXPECTED_END_OF_FILE",
    23: "CANNOT_READ_FROM_ISTREAM",
    24: "CANNOT_WRITE_TO_OSTREAM",
    33: "CANNOT_READ_ALL_DATA",
    74: "CANNOT_READ_FROM_FILE_DESCRIPTOR",
    75: "CANNOT_WRITE_TO_FILE_DESCRIPTOR",
    76: "CANNOT_OPEN_FILE",
    159: "TIMEOUT_EXCEEDED",
    160: "TOO_SLOW",
    164: "READONLY",
    194: "REQUIRED_PASSWORD",
    198: "DNS_ERROR",
    201: "QUOTA_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    225: "NO_ZOOKEEPER",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    243: "NOT_ENOUGH_SPACE",
    252: "TOO_MANY_PARTS",
    279: "ALL_CONNECTION_TRIES_FAILED",
    285: "TOO_FEW_LIVE_REPLICAS",
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    319: "UNKNOWN_STATUS_OF_INSERT",
    394: "QUERY_WAS_CANCELLED",
    410: "TIMEOUT_CONNECTION",
    415: "ALL_REPLICAS_LOST",
    425: "SYSTEM_ERROR",
    439: "CANNOT_SCHEDULE_TASK",
    473: "DEADLOCK_AVOIDED",
    499: "S3_ERROR",
    516: "AUTHENTICATION_FAILED",
    999: "KEEPER_EXCEPTION",
    1000: "POCO_EXCEPTION",
    1001: "STD_EXCEPTION",
    1002: "UNKNOWN_EXCEPTION",
}
"""ClickHouse's codes of errors that pass: load, network, storage, passwords being changed."""


class SinkError(Exception):
    """ClickHouse did not take what it was given."""


class SinkBusy(SinkError):
    """Not now: full, slow or unreachable. Try again after `retry_after_s` seconds."""

    def __init__(self, detail: str, retry_after_s: float = DEFAULT_RETRY_AFTER_S) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class SinkBroken(SinkError):
    """Not like this: types, schema, rights or configuration are wrong."""


def sink_error(error: Exception, retry_after_s: float = DEFAULT_RETRY_AFTER_S) -> SinkError:
    """The action that an exception of the ClickHouse client calls for."""
    if isinstance(error, SinkError):
        return error
    if _passes(error):
        return SinkBusy(str(error), retry_after_s)
    return SinkBroken(str(error))


def _passes(error: Exception) -> bool:
    """Whether waiting may help. Without a code it is the network's or a proxy's doing."""
    code = getattr(error, "code", None)
    if isinstance(code, int) and code > 0:
        return code in PASSING_CODES
    if isinstance(error, DataError | ProgrammingError | NotSupportedError):
        return False
    return isinstance(error, DatabaseError | InterfaceError | HTTPError | OSError)
