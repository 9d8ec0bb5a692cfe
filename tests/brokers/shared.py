"""One real broker for all processes of a test run.

The process that asks first starts it, and ends it once no other one uses it: each holds a lock on
a file meanwhile, which the kernel releases when a process is killed.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.brokers.choose import start_shared_broker
from tests.brokers.contract import Broker
from tests.brokers.existing import ExistingBroker


@contextmanager
def broker_of_run(folder: Path) -> Iterator[Broker]:
    """The broker of all processes that name the same folder. Raises `NoBroker`."""
    place = folder / "kafka-broker"
    with (folder / "kafka-users").open("w") as users:
        broker, is_ours = _join(place, folder / "kafka-joining", users.fileno())
        try:
            yield broker
        finally:
            if is_ours:
                fcntl.flock(users, fcntl.LOCK_EX)
                place.unlink()
                broker.close()


def _join(place: Path, joining: Path, users: int) -> tuple[Broker, bool]:
    """The broker, and whether it is for this process to end; one process at a time."""
    with joining.open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        if place.exists():
            servers, description = place.read_text().splitlines()
            return ExistingBroker(servers, description), False
        broker = start_shared_broker()
        place.write_text(f"{broker.bootstrap_servers}\n{broker.describe()}\n")
        return broker, True
