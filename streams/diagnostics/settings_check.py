"""Settings that are allowed one by one and do not go together. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from understudy.schemas.topics import JAVA_PARTITIONERS, PARTITIONER
from understudy.streams.diagnostics.findings import Finding, fail, or_ok, warn
from understudy.streams.http.tokens import read_tokens
from understudy.streams.kafka.client_config import topics
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.settings import Settings, SettingsError

SETTINGS: Final = "settings"
_ROOM_FOR_HEADERS: Final = 64 * 1024


def check_settings(settings: Settings) -> list[Finding]:
    """What a worker with these settings would trip over."""
    findings = [*_readable(settings), *_retention(settings), *_sizes(settings), *_client(settings)]
    return or_ok(SETTINGS, findings, "go together")


def _readable(settings: Settings) -> Iterator[Finding]:
    for read in (
        lambda: PairingPolicy.from_settings(settings),
        lambda: read_tokens(settings.http.tokens),
    ):
        try:
            read()
        except SettingsError as error:
            yield fail(SETTINGS, str(error), "a worker would not start; correct the setting")


def _retention(settings: Settings) -> Iterator[Finding]:
    try:
        horizon_s = PairingPolicy.from_settings(settings).horizon_ms / 1000
    except SettingsError:
        return  # said already
    kept_s = topics(settings.kafka).events.retention_ms / 1000
    if horizon_s > kept_s / 4:
        yield warn(
            SETTINGS,
            f"recovery reads {horizon_s / 3600:.1f} h again, events are kept {kept_s / 3600:.0f} h",
            "shorten join_timeout_s and allowed_lateness_s, or lengthen retention.ms",
        )


def _sizes(settings: Settings) -> Iterator[Finding]:
    clickhouse, pairing = settings.clickhouse, settings.pairing
    if clickhouse.buffer_bytes < 2 * clickhouse.batch_bytes:
        yield warn(
            SETTINGS,
            "clickhouse.buffer_bytes holds less than two batches",
            "raise it, or lower batch_bytes: loading cannot overlap with reading",
        )
    accepted = topics(settings.kafka).dead_letters.max_message_bytes - _ROOM_FOR_HEADERS
    if pairing.max_event_bytes > accepted:
        yield fail(
            SETTINGS,
            "pairing.max_event_bytes is more than the topic of dead letters takes",
            f"set it to at most {accepted}: an event that fails would stop the worker",
        )
    if pairing.max_join_bytes < 16 * pairing.max_event_bytes:
        yield warn(
            SETTINGS,
            "pairing.max_join_bytes is less than 16 of the largest events",
            "raise it: sides would be given up as unmatched for want of memory",
        )


def _client(settings: Settings) -> Iterator[Finding]:
    client = settings.kafka.client
    partitioner = str(client.get("partitioner", PARTITIONER))
    if partitioner not in JAVA_PARTITIONERS:
        yield fail(
            SETTINGS,
            f"kafka.client sets the partitioner {partitioner}",
            f"remove it, or use {PARTITIONER}: sides would reach different partitions",
        )
    if client.get("enable.auto.commit") in (True, "true"):
        yield fail(
            SETTINGS,
            "kafka.client turns on enable.auto.commit",
            "remove it: offsets would be committed before results are stored",
        )
