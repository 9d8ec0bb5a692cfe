"""A broker that runs already: named by the environment, or started by another process."""

from __future__ import annotations

import os
from typing import Final, NoReturn

from confluent_kafka.admin import AdminClient

from tests.brokers.contract import NoBroker, answers

VARIABLE: Final = "UNDERSTUDY_TEST_BOOTSTRAP_SERVERS"


class ExistingBroker:
    """A broker that is used, never started or stopped."""

    def __init__(self, bootstrap_servers: str, description: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._description = description

    @property
    def bootstrap_servers(self) -> str:
        return self._bootstrap_servers

    def describe(self) -> str:
        return self._description

    def start(self) -> None:
        admin = AdminClient({"bootstrap.servers": self._bootstrap_servers, "log_level": 0})
        if not answers(admin):
            raise NoBroker(f"{self._description} does not answer")

    def stop(self) -> NoReturn:
        raise NotImplementedError("a broker that this process did not start is not its to stop")

    kill = stop
    restart = stop

    def close(self) -> None:
        """Nothing to do: whoever started it ends it."""


def named_broker() -> ExistingBroker:
    """The broker that the environment names. Raises `NoBroker` when it names none."""
    servers = os.environ.get(VARIABLE, "")
    if not servers:
        raise NoBroker(f"{VARIABLE} is not set")
    return ExistingBroker(servers, f"the one at {servers} ({VARIABLE})")
