"""A ClickHouse client for a command: what fails becomes a message and an exit code."""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.errors import FAILED, UNREACHABLE, CommandError


def open_client(url: str, *, create: bool = True) -> Client:
    """Connect for a command. Raises `CommandError`, without `create` also for what is not there."""
    try:
        return connect(url, create=create)
    except SinkBusy as error:
        raise CommandError(str(error), UNREACHABLE) from None
    except SinkBroken as error:
        raise CommandError(str(error), FAILED) from None
