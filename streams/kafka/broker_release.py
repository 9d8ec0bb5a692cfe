"""Finds out which release of Kafka a broker is, from the request versions that it supports.

No request returns the release, and librdkafka shows the versions only in its debug lines. Which
release brought which version of Fetch is in Kafka's `FetchRequest.json`.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final

from confluent_kafka.admin import AdminClient

from understudy.streams.kafka.connection_errors import ConnectionErrors, cluster_metadata

_FETCH: Final = re.compile(r"ApiKey Fetch \(1\) Versions \d+\.\.(\d+)")
_RELEASES: Final = ((18, "4.1"), (17, "3.9"), (16, "3.7"), (15, "3.5"), (13, "3.1"), (12, "2.7"))


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def broker_release(config: dict[str, Any], timeout_s: float) -> str:
    """Return `Kafka 4.1 or later` or the like; empty when unknown. Raises `KafkaException`."""
    captured = _Lines()
    logger = logging.Logger("understudy.broker_release", logging.DEBUG)
    logger.addHandler(captured)
    errors = ConnectionErrors()
    admin = AdminClient(errors.listening({**config, "debug": "feature"}), logger=logger)
    cluster_metadata(admin, errors, timeout_s)
    admin.poll(0)
    return release_of(captured.lines)


def release_of(lines: list[str]) -> str:
    """Return the oldest release among the brokers in these debug lines."""
    versions = [int(found[1]) for line in lines if (found := _FETCH.search(line))]
    if not versions:
        return ""
    release = next((name for version, name in _RELEASES if min(versions) >= version), None)
    return f"Kafka {release} or later" if release else "Kafka older than 2.7"
