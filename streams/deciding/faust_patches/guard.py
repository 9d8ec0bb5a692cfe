"""Whether the installed Faust and aiokafka have what the patches use and override."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from types import FunctionType, ModuleType
from typing import Final

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.record.memory_records import DefaultRecordBatch, LegacyRecordBatch
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Transport
from faust.transport.drivers.aiokafka import Consumer as AIOKafkaFaustConsumer
from faust.types.tuples import Message

Owner = type | ModuleType

PATCHED: Final[Sequence[tuple[Owner, tuple[str, ...]]]] = (
    (
        faust.App,
        ("_crash", "_create_directories", "_fetcher", "_new_transport", "_on_partitions_assigned",
         "_on_partitions_revoked", "_on_rebalance_when_stopped", "consumer_generation_id",
         "on_rebalance_end", "rebalancing_count"),
    ),
    (
        Recovery,
        ("_generation_id", "_is_changelog_tp", "_set_recovery_ended", "_wait", "actives_for_table",
         "completed", "on_rebalance", "on_recovery_completed", "standbys_for_table"),
    ),
    (faust.Table, ("_changelog_topic_name",)),
    (TableManager, ("_recovery", "on_actives_ready", "on_standbys_ready", "recovery")),
    (
        Consumer,
        ("_acked", "_acked_index", "_add_gap", "_buffered_partitions", "_committed_offset",
         "_filter_tps_with_pending_acks", "_is_changelog_tp", "_new_offset", "ack",
         "pause_partitions", "perform_seek", "unacked"),
    ),
    (AIOKafkaFaustConsumer, ("_getmany", "_new_consumer_thread", "_thread", "_to_message")),
    (
        AIOKafkaConsumerThread,
        ("_create_worker_consumer", "_ensure_consumer", "_fetch_records", "_method_queue",
         "getmany", "method_queue", "on_start", "seek_to_beginning", "thread_loop"),
    ),
    (Transport, ("Consumer",)),
    (Message, ("tracked",)),
    (
        AIOKafkaConsumer,
        ("_coordinator", "_fetch_max_wait_ms", "_fetcher", "_max_poll_records", "_subscription"),
    ),
    (Fetcher, ("_create_fetch_waiter",)),
    (SubscriptionState, ("reassignment_in_progress",)),
    (GroupCoordinator, ("_do_heartbeat",)),
    (PartitionRecords, ("_records", "_tp", "_unpack_records", "next_fetch_offset")),
    (
        sys.modules[DefaultRecordBatch.__module__],
        ("gzip_decode", "lz4_decode", "snappy_decode", "zstd_decode"),
    ),
    (
        sys.modules[LegacyRecordBatch.__module__],
        ("gzip_decode", "lz4_decode", "snappy_decode"),
    ),
)  # fmt: skip


def check_patched_attributes(patched: Sequence[tuple[Owner, tuple[str, ...]]] = PATCHED) -> None:
    """Raise `ImportError` that names the attributes which the installed releases lack."""
    missing = [f"{owner.__name__}.{name}" for owner, name in _missing(patched)]
    if missing:
        raise ImportError(
            f"faust-streaming {version('faust-streaming')} with aiokafka {version('aiokafka')} has "
            f"no {', '.join(missing)}, which understudy patches: install the releases that "
            "understudy's package pins"
        )


def _missing(patched: Sequence[tuple[Owner, tuple[str, ...]]]) -> Iterator[tuple[Owner, str]]:
    for owner, names in patched:
        known = set(_attributes(owner))
        yield from ((owner, name) for name in names if name not in known)


def _attributes(owner: Owner) -> Iterator[str]:
    """What a module holds; what a class defines, declares, or assigns to `self` in a method."""
    if isinstance(owner, ModuleType):
        yield from vars(owner)
        return
    for base in owner.__mro__:
        yield from vars(base)
        yield from vars(base).get("__annotations__", {})
        for member in vars(base).values():
            if isinstance(member, FunctionType):
                code = dis.get_instructions(member)
                yield from (one.argval for one in code if one.opname == "STORE_ATTR")
