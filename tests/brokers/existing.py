"""A broker that runs already, named by UNDERSTUDY_TEST_BOOTSTRAP_SERVERS."""

from __future__ import annotations

import os
from typing import Final, NoReturn

from confluent_kafka.admin import AdminClient

from .contract import NoBroker, answers

VARIABLE: Final = "UNDERSTUDY_TEST_BOOTSTRAP_SERVERS"


class ExistingBroker:
    """Somebody's broker: used, never started or stopped.

    Making one raises `NoBroker` when the variable is not set.
    """

    def __init__(self) -> None:
        self._bootstrap_servers = os.environ.get(VARIABLE, "")
        if not self._bootstrap_servers:
            raise NoBroker(f"{VARIABLE} is not set")

    @property
    def bootstrap_servers(self) -> str:
        return self._bootstrap_servers

    def describe(self) -> str:
        return f"the one at {self._bootstrap_servers} ({VARIABLE})"

    def start(self) -> None:
        admin = AdminClient({"bootstrap.servers": self._bootstrap_servers, "log_level": 0})
        if not answers(admin):
            raise NoBroker(f"{VARIABLE}={self._bootstrap_servers} does not answer")

    def stop(self) -> NoReturn:
        raise NotImplementedError("a broker that the tests did not start is not theirs to stop")

    kill = stop
    restart = stop

    def close(self) -> None:
        """Nothing of it is ours."""
