"""`understudy up`: broker, ClickHouse and worker in one process, at ports that others can reach.

For trying Understudy with one's own gateway and clients. The broker is the mock cluster of
`understudy.streams.kafka.embedded_broker`, with its limits; everything else is the service itself.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from understudy.streams.clickhouse.data_folder import data_folder
from understudy.streams.kafka.client_config import changelog, topics
from understudy.streams.kafka.embedded_broker import WORKER_CLIENT, EmbeddedBroker
from understudy.streams.kafka.forwarded_port import forwarded_port
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.rollouts.audit import Actor
from understudy.streams.rollouts.operator_commands import apply_policy
from understudy.streams.rollouts.policy_diff import PolicyFile
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.settings import ClickHouseSettings, HttpSettings, Settings
from understudy.streams.worker import run_worker

HOST: Final = "127.0.0.1"
KAFKA_PORT: Final = 9092
"""Kafka's own: what commands and examples use where nothing else is said."""
OPERATOR: Final = "you"
"""Whom the history names as the one who acted."""
_SECRET_BYTES: Final = 12
"""96 bits: nobody guesses it while the service runs."""
_READY_CHECK_S: Final = 0.3
_PROBE_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a gateway, an analyst and an operator find the service."""

    kafka: str
    clickhouse: str
    dashboard: str
    token: str | None
    """To act with; None where the settings name tokens of their own."""
    unusual: Mapping[str, str]
    """Variables that other commands need, since a usual port was taken."""


def run_embedded_service(
    settings: Settings,
    policies: Sequence[PolicyFile],
    actor: Actor,
    *,
    keep: Path | None = None,
    log_level: int = logging.WARNING,
    on_start: Callable[[Addresses], None],
    on_ready: Callable[[], None],
) -> None:
    """Run until SIGTERM or SIGINT, with `policies` in force, which `actor` applied.

    `keep` is a new folder for ClickHouse's data, which is dropped otherwise. `on_start` is called
    when the broker listens, `on_ready` from another thread when the worker is ready. Raises
    `CommandError`.
    """
    with data_folder(keep, "up") as folder, EmbeddedBroker() as broker:
        port = free_port(KAFKA_PORT)
        embedded, addresses = _embedded(settings, broker, port, folder)
        with forwarded_port(port, broker.bootstrap_servers):
            ensure_topics(broker.client_config, [*topics(embedded.kafka), changelog(embedded)])
            registry = RolloutRegistry(embedded.kafka)
            for policy in policies:
                apply_policy(registry, policy, dry_run=False, actor=actor)
            on_start(addresses)
            stop = _watch_readiness(f"{addresses.dashboard}readyz", on_ready)
            try:
                run_worker(embedded, log_level=log_level)
            finally:
                stop.set()


def new_token() -> str:
    """Return a token to act with, of this run alone."""
    return secrets.token_hex(_SECRET_BYTES)


def free_port(usual: int, host: str = HOST) -> int:
    """Return the usual port, or another one where that is taken. Raises `OSError`."""
    for port in (usual, 0):
        with suppress(OSError), socket.create_server((host, port)) as taken:
            return int(taken.getsockname()[1])
    raise OSError(f"no port is free at {host}")


def _embedded(
    settings: Settings, broker: EmbeddedBroker, kafka_port: int, folder: Path
) -> tuple[Settings, Addresses]:
    """The settings of the service in this process, and where it will be found."""
    http = settings.http
    token = None if http.tokens else new_token()
    http = msgspec.structs.replace(
        http,
        enabled=True,
        port=free_port(http.port, http.host),
        tokens=http.tokens or f"{OPERATOR}:admin:{token}",
    )
    client = {**settings.kafka.client, **WORKER_CLIENT}
    kafka = msgspec.structs.replace(
        settings.kafka, bootstrap_servers=broker.bootstrap_servers, client=client
    )
    clickhouse = msgspec.structs.replace(
        settings.clickhouse,
        url=f"chdb://{folder}",
        embedded_port=free_port(settings.clickhouse.embedded_port),
    )
    addresses = Addresses(
        kafka=f"localhost:{kafka_port}",
        clickhouse=f"clickhouse://{HOST}:{clickhouse.embedded_port}",
        dashboard=f"http://{_reachable(http)}:{http.port}/",
        token=token,
        unusual=_unusual(kafka_port, clickhouse.embedded_port),
    )
    return (
        msgspec.structs.replace(settings, kafka=kafka, clickhouse=clickhouse, http=http),
        addresses,
    )


def _unusual(kafka_port: int, clickhouse_port: int) -> dict[str, str]:
    """What commands must be told because it is not where they look by themselves."""
    found = {}
    if kafka_port != KAFKA_PORT:
        found["UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS"] = f"localhost:{kafka_port}"
    if clickhouse_port != ClickHouseSettings().embedded_port:
        found["UNDERSTUDY_CLICKHOUSE_URL"] = f"clickhouse://{HOST}:{clickhouse_port}"
    return found


def _reachable(http: HttpSettings) -> str:
    return HOST if http.host == "0.0.0.0" else http.host


def _watch_readiness(probe: str, on_ready: Callable[[], None]) -> threading.Event:
    """Call `on_ready` once the probe says so, unless the event that is returned is set before."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_READY_CHECK_S):
            with suppress(OSError), urllib.request.urlopen(probe, timeout=_PROBE_TIMEOUT_S):
                on_ready()
                return

    threading.Thread(target=watch, name="understudy-readiness", daemon=True).start()
    return stop
