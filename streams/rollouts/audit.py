"""The audit: who changed which rollout, written after each change and never deleted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nlargest
from operator import itemgetter
from typing import Final

import msgspec
import structlog
from confluent_kafka import KafkaException

from understudy.schemas.audit import (
    Action,
    AuditRecord,
    Via,
    decode_audit_record,
    encode_audit_record,
)
from understudy.streams.kafka.client_config import producer_config, topics
from understudy.streams.kafka.producer import send_and_wait
from understudy.streams.kafka.topic_reader import TopicReader
from understudy.streams.settings import KafkaSettings

log = structlog.get_logger(__name__)

WRITE_TIMEOUT_S: Final = 5.0
"""The change has been made and its answer waits; the log has the record in any case."""
MAX_FORWARDED_FOR: Final = 256
"""Characters of a header that anybody may write; a chain of proxies has some dozen each."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and from where."""

    by: str
    via: Via = "command line"
    address: str = ""
    forwarded_for: str = ""

    def record(
        self,
        rollout_id: str,
        action: Action,
        *,
        reason: str = "",
        effect: str = "",
        policy_hash: str = "",
        command_number: int | None = None,
    ) -> AuditRecord:
        """What this actor did just now."""
        return AuditRecord(
            at=dt.datetime.now(dt.UTC),
            rollout_id=rollout_id,
            action=action,
            by=self.by,
            via=self.via,
            address=self.address,
            forwarded_for=self.forwarded_for[:MAX_FORWARDED_FOR],
            reason=reason,
            effect=effect,
            policy_hash=policy_hash,
            command_number=command_number,
        )


class Audit:
    """The topic of audit records. Each call opens its own clients and blocks."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._topic = topics(kafka).audit.name

    def write(self, record: AuditRecord) -> None:
        """Write a record. Where Kafka refuses it, the log has it: the change has been made."""
        fields = msgspec.to_builtins(record)
        try:
            send_and_wait(
                producer_config(self._kafka), self._topic, encode_audit_record(record),
                record.rollout_id, timeout_s=WRITE_TIMEOUT_S,
            )  # fmt: skip
        except KafkaException as error:
            log.error("audit.write_failed", error=str(error), **fields)
        else:
            log.info("audit.written", **fields)

    def read(self, rollout_id: str | None, limit: int) -> list[AuditRecord]:
        """Return the newest records, the newest first, of one rollout or of all.

        Raises `MissingTopic`, and `KafkaException` when the broker is away.
        """
        newest = nlargest(limit, self._stamped(rollout_id), key=itemgetter(0, 1))
        return [record for _, _, record in newest]

    def _stamped(self, rollout_id: str | None) -> Iterator[tuple[int, int, AuditRecord]]:
        """Records with their timestamp in Kafka and place among those read, in any order."""
        with TopicReader(self._kafka, self._topic) as reader:
            for place, message in enumerate(reader.read(reader.bounds())):
                record = _decoded(message.value())
                if record is not None and rollout_id in (None, record.rollout_id):
                    yield message.timestamp()[1], place, record


def _decoded(value: bytes | str | None) -> AuditRecord | None:
    """None, logged, for what is no record."""
    payload = value.encode() if isinstance(value, str) else value or b""
    try:
        return decode_audit_record(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        log.warning("audit.record_unreadable", error=str(error))
        return None
