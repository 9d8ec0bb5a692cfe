"""Which broker the tests get: the first kind that this machine can run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from tests.brokers.container import ContainerBroker
from tests.brokers.contract import Broker, NoBroker
from tests.brokers.existing import VARIABLE, named_broker
from tests.brokers.kraft import KraftBroker

REQUIRE_VARIABLE: Final = "UNDERSTUDY_TEST_REQUIRE_BROKER"
_OWN_KINDS: Final[Sequence[Callable[[], Broker]]] = (ContainerBroker, KraftBroker)


def start_shared_broker() -> Broker:
    """The broker that all integration tests share, started.

    An existing one is taken if its variable is set, and then it alone. Raises `NoBroker`.
    """
    if os.environ.get(VARIABLE):
        return _start_first((named_broker,))
    return start_own_broker()


def start_own_broker() -> Broker:
    """A started broker that one test may stop and kill. Raises `NoBroker`."""
    return _start_first(_OWN_KINDS)


def is_broker_required() -> bool:
    """Whether tests that need a broker fail without one, rather than skip."""
    return os.environ.get(REQUIRE_VARIABLE) == "1" or os.environ.get("CI") == "true"


def _start_first(kinds: Sequence[Callable[[], Broker]]) -> Broker:
    reasons: list[str] = []
    for kind in kinds:
        try:
            return _started(kind)
        except NoBroker as error:
            reasons.append(str(error))
    raise NoBroker("; ".join(reasons))


def _started(kind: Callable[[], Broker]) -> Broker:
    broker = kind()
    try:
        broker.start()
    except BaseException:
        broker.close()
        raise
    return broker
