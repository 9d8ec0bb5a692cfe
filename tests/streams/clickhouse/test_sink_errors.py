"""Errors are told apart by what to do: wait, or stop."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    DataError,
    Error,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    StreamFailureError,
)
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from understudy.streams.clickhouse.sink_errors import (
    PASSING_CODES,
    SinkBroken,
    SinkBusy,
    SinkError,
    sink_error,
)

BUSY = (
    OperationalError("connection refused"),
    DatabaseError("502 Bad Gateway"),
    DatabaseError("too many parts", code=252),
    DatabaseError("memory limit", code=241),
    DatabaseError("timeout", code=159),
    ProgrammingError("keeper", code=999),
    StreamFailureError("stream ended"),
    InterfaceError("closed"),
    TimeoutError("read"),
    ConnectionResetError("reset"),
    ProtocolError("broken"),
    ReadTimeoutError(None, "/", "slow"),  # type: ignore[arg-type]
)
BROKEN = (
    DatabaseError("no such table", code=60),
    DatabaseError("no such column", code=16),
    DatabaseError("type mismatch", code=53),
    DatabaseError("cannot parse", code=27),
    DatabaseError("access denied", code=497),
    OperationalError("unknown table", code=60),
    ProgrammingError("client closed"),
    DataError("bad column"),
    NotSupportedError("no"),
    ValueError("length"),
    KeyError("column"),
    AttributeError("a bug of ours"),
)


@pytest.mark.parametrize("error", BUSY, ids=repr)
def test_what_passes(error: Exception) -> None:
    cause = sink_error(error, retry_after_s=3.0)
    assert isinstance(cause, SinkBusy)
    assert cause.retry_after_s == 3.0


@pytest.mark.parametrize("error", BROKEN, ids=repr)
def test_what_does_not_pass(error: Exception) -> None:
    assert isinstance(sink_error(error), SinkBroken)


def test_what_has_been_judged_stays_as_it_is() -> None:
    for error in (SinkBusy("later", 7.0), SinkBroken("never")):
        assert sink_error(error) is error
        assert isinstance(error, SinkError)
        assert not isinstance(error, Error)


def test_the_names_of_codes_are_those_of_clickhouse() -> None:
    assert PASSING_CODES[252] == "TOO_MANY_PARTS"
    assert len(set(PASSING_CODES.values())) == len(PASSING_CODES)
