"""Whether the installed Faust and aiokafka have what the patches use and override."""

from __future__ import annotations

import dis
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from types import FunctionType
from typing import Final

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Transport
from faust.transport.drivers.aiokafka import Consumer as AIOKafkaFaustConsumer

PATCHED: Final[Sequence[tuple[type, tuple[str, ...]]]] = (
    (
        faust.App,
        ("_create_directories", "_fetcher", "_new_transport", "_on_partitions_assigned",
         "_on_partitions_revoked", "consumer_generation_id", "on_rebalance_end",
         "rebalancing_count"),
    ),
    (
        Recovery,
        ("_is_changelog_tp", "_set_recovery_ended", "_wait", "actives_for_table", "completed",
         "on_rebalance", "on_recovery_completed", "standbys_for_table"),
    ),
    (faust.Table, ("_changelog_topic_name",)),
    (TableManager, ("_recovery", "on_actives_ready", "on_standbys_ready", "recovery")),
    (
        Consumer,
        ("_buffered_partitions", "_committed_offset", "_is_changelog_tp", "pause_partitions",
         "perform_seek", "unacked"),
    ),
    (AIOKafkaFaustConsumer, ("_getmany", "_new_consumer_thread", "_thread")),
    (
        AIOKafkaConsumerThread,
        ("_create_worker_consumer", "_ensure_consumer", "on_start", "seek_to_beginning"),
    ),
    (Transport, ("Consumer",)),
    (AIOKafkaConsumer, ("_coordinator", "_fetch_max_wait_ms")),
    (GroupCoordinator, ("_do_heartbeat",)),
)  # fmt: skip


def check_patched_attributes(patched: Sequence[tuple[type, tuple[str, ...]]] = PATCHED) -> None:
    """Raise `ImportError` that names the attributes which the installed releases lack."""
    missing = [f"{owner.__name__}.{name}" for owner, name in _missing(patched)]
    if missing:
        raise ImportError(
            f"faust-streaming {version('faust-streaming')} with aiokafka {version('aiokafka')} has "
            f"no {', '.join(missing)}, which understudy patches: install the releases that "
            "understudy's package pins"
        )


def _missing(patched: Sequence[tuple[type, tuple[str, ...]]]) -> Iterator[tuple[type, str]]:
    for owner, names in patched:
        known = set(_attributes(owner))
        yield from ((owner, name) for name in names if name not in known)


def _attributes(owner: type) -> Iterator[str]:
    """What a class defines, declares, or assigns to `self` in a method."""
    for base in owner.__mro__:
        yield from vars(base)
        yield from vars(base).get("__annotations__", {})
        for member in vars(base).values():
            if isinstance(member, FunctionType):
                code = dis.get_instructions(member)
                yield from (one.argval for one in code if one.opname == "STORE_ATTR")
