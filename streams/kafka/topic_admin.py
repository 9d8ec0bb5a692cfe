"""Topic specs applied to a broker: create what is missing, report what differs, change nothing.

Works on a real broker and on the embedded one. The embedded broker (librdkafka's mock cluster)
names no controller and knows no CreateTopics request, so an admin client waits for a controller
until it times out. It does create a topic when a client asks for its metadata, always with
the same number of partitions; that is what `ensure_topics` uses there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from understudy.schemas.topics import TopicSpec
from understudy.streams.kafka.access_denied import NOT_ALLOWED, AccessDenied, needing
from understudy.streams.kafka.access_rights import Right
from understudy.streams.kafka.connection_errors import ConnectionErrors, cluster_metadata
from understudy.streams.logs import KAFKA_LOGGER

BROKER_DEFAULT_REPLICATION: Final = -1
_MOCK_CLUSTER_ID_PREFIX: Final = "mockCluster"
_POLL_S: Final = 0.1
"""A leader is elected within some tenths of a second."""


@dataclass(frozen=True, slots=True)
class TopicDifference:
    """One setting of one topic that is not what the spec asks for."""

    topic: str
    setting: str
    wanted: str
    actual: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.setting} is {self.actual}, wanted {self.wanted}"


@dataclass(frozen=True, slots=True)
class TopicsReport:
    """What `ensure_topics` did: names created, names found, and how the found ones differ."""

    created: tuple[str, ...]
    existing: tuple[str, ...]
    differences: tuple[TopicDifference, ...]


def ensure_topics(
    client_config: Mapping[str, Any],
    specs: Iterable[TopicSpec],
    *,
    replication_factor: int = BROKER_DEFAULT_REPLICATION,
    timeout_s: float = 30.0,
    compare: bool = False,
) -> TopicsReport:
    """Create the topics that do not exist and wait until each partition has a leader.

    `client_config` is librdkafka's (`bootstrap.servers`, security). An existing topic is left
    as it is; with `compare`, which needs a right of its own, its differences are reported. Safe to
    call from many workers at a time.

    Raises `KafkaException` when the broker cannot be reached or refuses, `AccessDenied` when this
    user lacks a right, `TimeoutError` when leaders are missing after `timeout_s` seconds.
    """
    wanted = tuple(specs)
    errors = ConnectionErrors()
    admin = AdminClient(errors.listening(client_config), logger=KAFKA_LOGGER)
    metadata = cluster_metadata(admin, errors, timeout_s)
    if is_embedded(metadata):
        return _ensure_embedded(admin, metadata, wanted, timeout_s)
    missing = [spec for spec in wanted if spec.name not in metadata.topics]
    _raise_if_hidden(admin, missing, timeout_s)
    created = _create(admin, missing, replication_factor, timeout_s)
    metadata = _wait_for_leaders(admin, wanted, timeout_s)
    existing = tuple(spec.name for spec in wanted if spec.name not in created)
    differences = _differences(admin, metadata, wanted, timeout_s) if compare else ()
    return TopicsReport(created, existing, differences)


@dataclass(frozen=True, slots=True)
class TopicsFound:
    """What `examine_topics` saw: names that are missing, and how the others differ."""

    missing: tuple[str, ...]
    differences: tuple[TopicDifference, ...]
    partitions: Mapping[str, int]
    """How many each topic has that is there."""


def examine_topics(
    client_config: Mapping[str, Any], specs: Iterable[TopicSpec], *, timeout_s: float = 30.0
) -> TopicsFound:
    """Compare the topics with their specs and change nothing. Raises `KafkaException`."""
    wanted = tuple(specs)
    errors = ConnectionErrors()
    admin = AdminClient(errors.listening(client_config))
    metadata = cluster_metadata(admin, errors, timeout_s)
    present = tuple(spec for spec in wanted if spec.name in metadata.topics)
    differences: tuple[TopicDifference, ...] = ()
    if is_embedded(metadata):
        differences = tuple(f for spec in present for f in _embedded_differences(metadata, spec))
    elif present:
        differences = _differences(admin, metadata, present, timeout_s)
    return TopicsFound(
        missing=tuple(spec.name for spec in wanted if spec not in present),
        differences=differences,
        partitions={spec.name: len(metadata.topics[spec.name].partitions) for spec in present},
    )


def is_embedded(metadata: ClusterMetadata) -> bool:
    """Whether the metadata comes from librdkafka's mock cluster."""
    return (metadata.cluster_id or "").startswith(_MOCK_CLUSTER_ID_PREFIX)


def _raise_if_hidden(admin: AdminClient, specs: list[TopicSpec], timeout_s: float) -> None:
    """Tell topics that are missing from those that this user may not know of.

    The list of all topics leaves out both. Raises `AccessDenied`.
    """
    if not specs:
        return
    names = TopicCollection([spec.name for spec in specs])
    described = admin.describe_topics(names, request_timeout=timeout_s)
    errors = {name: answer.exception() for name, answer in described.items()}
    hidden = {
        name: error.args[0]
        for name, error in errors.items()
        if isinstance(error, KafkaException) and error.args[0].code() in NOT_ALLOWED
    }
    if hidden:
        needed = tuple(Right("topic", name, "Describe") for name in sorted(hidden))
        raise AccessDenied(needed, next(iter(hidden.values())))


def _create(
    admin: AdminClient, specs: list[TopicSpec], replication_factor: int, timeout_s: float
) -> tuple[str, ...]:
    """Names of the topics created; one that another worker made meanwhile is not among them."""
    if not specs:
        return ()
    futures = admin.create_topics(
        [_new_topic(spec, replication_factor) for spec in specs],
        operation_timeout=timeout_s,
        request_timeout=timeout_s,
    )
    return tuple(name for name, future in futures.items() if _was_created(name, future))


def _new_topic(spec: TopicSpec, replication_factor: int) -> NewTopic:
    return NewTopic(
        spec.name,
        num_partitions=spec.partitions,
        replication_factor=replication_factor,
        config=spec.config,
    )


def _was_created(name: str, future: Future[None]) -> bool:
    try:
        with needing(Right("topic", name, "Create")):
            future.result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
        return False
    return True


def _wait_for_leaders(
    admin: AdminClient, specs: tuple[TopicSpec, ...], timeout_s: float
) -> ClusterMetadata:
    deadline = time.monotonic() + timeout_s
    while True:
        metadata = admin.list_topics(timeout=timeout_s)
        pending = [spec.name for spec in specs if not _has_leaders(metadata, spec.name)]
        if not pending:
            return metadata
        if time.monotonic() > deadline:
            raise TimeoutError(f"no leader after {timeout_s:g} s for {', '.join(pending)}")
        time.sleep(_POLL_S)


def _has_leaders(metadata: ClusterMetadata, name: str) -> bool:
    topic = metadata.topics.get(name)
    if topic is None or topic.error is not None or not topic.partitions:
        return False
    return all(partition.leader >= 0 for partition in topic.partitions.values())


def _differences(
    admin: AdminClient,
    metadata: ClusterMetadata,
    specs: tuple[TopicSpec, ...],
    timeout_s: float,
) -> tuple[TopicDifference, ...]:
    resources = {spec.name: ConfigResource(ResourceType.TOPIC, spec.name) for spec in specs}
    described = admin.describe_configs(list(resources.values()), request_timeout=timeout_s)
    differences: list[TopicDifference] = []
    for spec in specs:
        differences += _partition_differences(metadata, spec)
        with needing(Right("topic", spec.name, "DescribeConfigs")):
            entries = described[resources[spec.name]].result()
        differences += _config_differences(entries, spec)
    return tuple(differences)


def _partition_differences(metadata: ClusterMetadata, spec: TopicSpec) -> list[TopicDifference]:
    actual = len(metadata.topics[spec.name].partitions)
    if actual == spec.partitions:
        return []
    return [TopicDifference(spec.name, "partitions", str(spec.partitions), str(actual))]


def _config_differences(
    entries: Mapping[str, ConfigEntry], spec: TopicSpec
) -> list[TopicDifference]:
    actual = {name: str(entry.value) for name, entry in entries.items()}
    return [
        TopicDifference(spec.name, name, value, actual.get(name, "unknown"))
        for name, value in spec.config.items()
        if actual.get(name) != value
    ]


def _ensure_embedded(
    admin: AdminClient,
    metadata: ClusterMetadata,
    specs: tuple[TopicSpec, ...],
    timeout_s: float,
) -> TopicsReport:
    """Have the mock cluster make the topics by asking for them, one by one."""
    before = set(metadata.topics)
    for spec in specs:
        admin.list_topics(spec.name, timeout=timeout_s)
    after = _wait_for_leaders(admin, specs, timeout_s)
    differences = [
        difference for spec in specs for difference in _embedded_differences(after, spec)
    ]
    names = [spec.name for spec in specs]
    return TopicsReport(
        created=tuple(name for name in names if name not in before),
        existing=tuple(name for name in names if name in before),
        differences=tuple(differences),
    )


def _embedded_differences(metadata: ClusterMetadata, spec: TopicSpec) -> list[TopicDifference]:
    """The mock cluster takes no topic settings and keeps the producers' timestamps."""
    differences = _partition_differences(metadata, spec)
    if spec.timestamp_type != "CreateTime":
        setting = "message.timestamp.type"
        differences.append(TopicDifference(spec.name, setting, spec.timestamp_type, "CreateTime"))
    return differences
