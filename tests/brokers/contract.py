"""What every test broker can do, and how to tell that one is ready."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

READY_TIMEOUT_S: Final = 90.0
_ATTEMPT_S: Final = 1.0


class NoBroker(Exception):
    """This kind of broker cannot be had here; the message says why."""


class Broker(Protocol):
    """A running Apache Kafka with one node.

    `stop`, `kill` and `restart` are for fault tests; address and data survive all three.
    """

    @property
    def bootstrap_servers(self) -> str:
        """Addresses as `host:port,…`; the same for the broker's whole life."""

    def describe(self) -> str:
        """One line for people: which Kafka, and how it runs."""

    def start(self) -> None:
        """Start and wait until clients are served."""

    def stop(self) -> None:
        """Shut down in an orderly way."""

    def kill(self) -> None:
        """SIGKILL: no goodbye, nothing flushed by the broker itself."""

    def restart(self) -> None:
        """Stop if running, then start with the same address and data."""

    def close(self) -> None:
        """End it and delete its data; harmless when repeated."""


def wait_until_ready(bootstrap_servers: str, is_alive: Callable[[], bool]) -> None:
    """Return once the broker lists itself in its metadata.

    Raises `NoBroker` when `is_alive` turns false or after `READY_TIMEOUT_S` seconds.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    while time.monotonic() < deadline:
        if not is_alive():
            raise NoBroker("the broker ended while it was starting")
        if answers(admin):
            return
    raise NoBroker(f"no answer from {bootstrap_servers} within {READY_TIMEOUT_S:g} s")


def answers(admin: AdminClient) -> bool:
    """Whether a broker replies within a second."""
    try:
        return bool(admin.list_topics(timeout=_ATTEMPT_S).brokers)
    except KafkaException:
        return False
