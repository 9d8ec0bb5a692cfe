"""Examines everything around a worker, for `understudy doctor`.

It reads and changes nothing: no topic, no table, no group comes into being.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaException, Message
from confluent_kafka.admin import AdminClient

from understudy.schemas.topics import Topics
from understudy.schemas.windows import SOURCES, Source
from understudy.streams.dead_letters.reading import read_dead_letters
from understudy.streams.dead_letters.selection import Selection
from understudy.streams.diagnostics.clickhouse_check import check_clickhouse
from understudy.streams.diagnostics.clocks_check import check_clocks
from understudy.streams.diagnostics.dead_letters_check import DEAD_LETTERS, check_dead_letters
from understudy.streams.diagnostics.event_sample import SampledEvent, sampled
from understudy.streams.diagnostics.findings import Finding, Level, ok
from understudy.streams.diagnostics.judge_endpoint_check import check_judge_endpoint
from understudy.streams.diagnostics.keys_check import check_keys
from understudy.streams.diagnostics.lag_check import LAG, GroupProgress, check_lag
from understudy.streams.diagnostics.partitioner_check import check_partitioner
from understudy.streams.diagnostics.request_times_check import check_request_times
from understudy.streams.diagnostics.settings_check import check_settings
from understudy.streams.diagnostics.sides_check import check_sides
from understudy.streams.diagnostics.topics_check import TOPICS, check_topics
from understudy.streams.diagnostics.workers_check import Group, Member, check_workers
from understudy.streams.kafka.broker_release import broker_release
from understudy.streams.kafka.client_config import client_config, group_of, topic_of, topics
from understudy.streams.kafka.connection_errors import REFUSED
from understudy.streams.kafka.explanations import brief, explain
from understudy.streams.kafka.offsets import has_record_at
from understudy.streams.kafka.topic_admin import TopicsFound, examine_topics
from understudy.streams.kafka.topic_reader import TopicReader
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.pairing.group_positions import GroupPosition, positions_of
from understudy.streams.settings import KafkaSettings, Settings

BROKER: Final = "broker"
REQUEST_TIMEOUT_S: Final = 10.0
"""A broker that works answers in milliseconds, and a person waits for the doctor."""
SECOND_LOOK_S: Final = 3.0
"""Between two looks at positions: a worker that reads commits several times meanwhile."""
_HOUR_MS: Final = 3_600_000


def examine(settings: Settings, *, newest: int) -> list[Finding]:
    """All findings; `newest` events of each partition are looked at."""
    return [
        *check_settings(settings),
        *_check_kafka(settings, newest),
        *check_clickhouse(settings.clickhouse.url),
        *check_judge_endpoint(settings.evaluating),
    ]


def _check_kafka(settings: Settings, newest: int) -> list[Finding]:
    where = settings.kafka.bootstrap_servers
    try:
        release = broker_release(client_config(settings.kafka), REQUEST_TIMEOUT_S)
    except KafkaException as error:
        return [_no_broker(error, settings.kafka)]
    findings = [ok(BROKER, " ".join(filter(None, (where, "answers,", release))).rstrip(","))]
    specs = topics(settings.kafka)
    try:
        config = {**client_config(settings.kafka), "log_level": 0}
        found = examine_topics(config, specs, timeout_s=REQUEST_TIMEOUT_S)
    except KafkaException as error:
        return [*findings, _unknown(TOPICS, error)]
    findings += check_topics(found, specs)
    sources = [source for source in SOURCES if topic_of(settings.kafka, source) in found.partitions]
    if "events" in sources:
        findings += _check_traffic(settings, specs, found, newest, sources)
    return findings


def _check_traffic(
    settings: Settings, specs: Topics, found: TopicsFound, newest: int, sources: list[Source]
) -> list[Finding]:
    looked_at_s = time.monotonic()
    try:
        before = {source: positions_of(settings.kafka, source) for source in sources}
    except KafkaException as error:
        return [_unknown(LAG, error)]
    findings = _attempt("events", lambda: _check_sample(settings, specs, found, newest))
    if specs.dead_letters.name in found.partitions:
        findings += _attempt(DEAD_LETTERS, lambda: _check_letters(settings, sources))
    for source in sources:
        group = _described(settings, source)
        partitions = found.partitions[topic_of(settings.kafka, source)]
        findings += check_workers(group, partitions) if group else []
        look = _Look(source, before[source], looked_at_s, len(group.members) if group else 0)
        findings += _attempt(LAG, partial(_check_progress, settings, look))
    return findings


def _attempt(check: str, run: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return run()
    except KafkaException as error:
        return [_unknown(check, error)]


def _unknown(check: str, error: KafkaException) -> Finding:
    return Finding(check, Level.FAIL, f"cannot be told: {brief(error)}",
                   "grant what docs/operations.md, Security, lists for doctor")  # fmt: skip


def _no_broker(error: KafkaException, kafka: KafkaSettings) -> Finding:
    seen, _, fix = explain(error, kafka).partition("; ")
    is_refused = error.args[0].code() in REFUSED
    return Finding(BROKER, Level.FAIL, seen, fix, unreachable=not is_refused)


# The newest events


def _check_sample(
    settings: Settings, specs: Topics, found: TopicsFound, newest: int
) -> list[Finding]:
    sample = _sample(settings, specs.events.name, newest)
    policy = settings.pairing
    return [
        *check_partitioner(sample, found.partitions[specs.events.name]),
        *check_keys(sample),
        *check_clocks(
            sample,
            max_clock_skew_ms=round(policy.max_clock_skew_s * 1000),
            join_timeout_ms=round(policy.join_timeout_s * 1000),
        ),
        *check_sides(sample),
        *check_request_times(
            sample,
            tolerance_ms=round(min(policy.request_time_tolerance_s, policy.join_timeout_s) * 1000),
            join_timeout_ms=round(policy.join_timeout_s * 1000),
        ),
    ]


def _sample(settings: Settings, topic: str, newest: int) -> list[SampledEvent]:
    with TopicReader(settings.kafka, topic) as reader:
        ranges = {n: (max(low, high - newest), high) for n, (low, high) in reader.bounds().items()}
        taken = [_sampled(message, settings) for message in reader.read(ranges)]
    return [one for one in taken if one is not None]


def _sampled(message: Message, settings: Settings) -> SampledEvent | None:
    kind, timestamp_ms = message.timestamp()
    return sampled(
        message.partition() or 0,
        timestamp_ms,
        kind == TIMESTAMP_LOG_APPEND_TIME,
        message.key(),
        message.value(),
        settings.pairing.max_event_bytes,
    )


def _check_letters(settings: Settings, sources: list[Source]) -> list[Finding]:
    hour_ago_ms = round(time.time() * 1000) - _HOUR_MS
    letters = read_dead_letters(settings, Selection(since_ms=hour_ago_ms))
    reasons = Counter(letter.reason for letter in letters)
    came = sum(_came_since(hour_ago_ms, settings, source) for source in sources)
    return check_dead_letters(reasons, came)


def _came_since(time_ms: int, settings: Settings, source: Source) -> int:
    """How many records of a source were stored since then."""
    with TopicReader(settings.kafka, topic_of(settings.kafka, source)) as reader:
        recent = reader.since(time_ms, reader.bounds())
    return sum(end - start for start, end in recent.values())


# The groups


@dataclass(frozen=True, slots=True)
class _Look:
    """Where a source's group stood when it was first looked at."""

    source: Source
    before: list[GroupPosition]
    at_s: float
    workers: int


def _described(settings: Settings, source: Source) -> Group | None:
    name = group_of(settings.kafka, source)
    admin = AdminClient(client_config(settings.kafka), logger=KAFKA_LOGGER)
    try:
        asked = admin.describe_consumer_groups([name], request_timeout=REQUEST_TIMEOUT_S)
        described = asked[name].result()
    except KafkaException:
        return None
    members = tuple(
        Member(tuple(place.partition for place in one.assignment.topic_partitions))
        for one in described.members
    )
    return Group(name, described.state.name, members)


def _check_progress(settings: Settings, look: _Look) -> list[Finding]:
    if look.workers and any(one.lag for one in look.before):
        time.sleep(max(0.0, SECOND_LOOK_S - (time.monotonic() - look.at_s)))
    topic = topic_of(settings.kafka, look.source)
    after = positions_of(settings.kafka, look.source)
    was = {one.partition: one.position for one in look.before}
    still = {
        one.partition: max(one.position, one.first)
        for one in after
        if one.lag and was.get(one.partition) == one.position
    }
    unread = _readable(settings, topic, still) if look.workers else frozenset[int]()
    progress = GroupProgress(look.before, after, time.monotonic() - look.at_s, unread, look.source)
    return check_lag(progress, workers=look.workers)


def _readable(settings: Settings, topic: str, offsets: Mapping[int, int]) -> frozenset[int]:
    """Return the partitions that hold a record there, and not only transaction markers."""
    return frozenset(
        number
        for number, offset in offsets.items()
        if has_record_at(settings.kafka, (topic, number), offset, REQUEST_TIMEOUT_S)
    )
