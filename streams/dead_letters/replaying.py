"""Writes dead letters to the topics that they came from again."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

from understudy.schemas.windows import SOURCES, Source
from understudy.streams.dead_letters.dead_letter_record import DeadLetterRecord
from understudy.streams.dead_letters.forecast import Forecast, Forecaster, ReplayEffect
from understudy.streams.dead_letters.reading import read_dead_letters
from understudy.streams.dead_letters.selection import REPLAY_CAN_HELP, Selection
from understudy.streams.kafka.client_config import producer_config, topic_of, topics
from understudy.streams.kafka.dead_letter_format import Headers
from understudy.streams.kafka.producer import BufferedProducer
from understudy.streams.pairing.group_positions import positions_of
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.settings import Settings

REPLAYED_FROM: Final = "replayed_from"
"""Header of a record that was written again: the position of the record that failed."""
DELIVERY_TIMEOUT_S: Final = 60.0
"""Outlasts a broker's restart."""
_MAX_EXAMPLES: Final = 20
"""About a screenful."""


@dataclass(slots=True)
class DeadLetterReplay:
    """What a replay of dead letters did, or would do."""

    selected: Counter[str] = field(default_factory=Counter)
    """Records to write, by topic."""
    delivered: Counter[str] = field(default_factory=Counter)
    """Records that the broker confirmed, by topic."""
    refused_by_broker: Counter[str] = field(default_factory=Counter)
    """By the broker's words."""
    unconfirmed: int = 0
    """Records that the broker did not confirm in time."""
    effects: Counter[ReplayEffect] = field(default_factory=Counter)
    """All records, by what pairing would do with them."""
    examples: list[tuple[DeadLetterRecord, Forecast]] = field(default_factory=list)
    """The first few."""

    def add_forecast(self, record: DeadLetterRecord, forecast: Forecast) -> None:
        """Count what pairing would do with a record."""
        self.effects[forecast.effect] += 1
        if len(self.examples) < _MAX_EXAMPLES:
            self.examples.append((record, forecast))


def replay_dead_letters(
    settings: Settings, selection: Selection, *, dry_run: bool, include_late: bool
) -> DeadLetterReplay:
    """Write the selected records that pairing would accept, and wait for the broker.

    A selection by neither reason nor position means those whose reason a replay can remove. Raises
    `MissingTopic`, and `KafkaException` when the broker is away.
    """
    if not selection.reasons and selection.source is None:
        selection = replace(selection, reasons=frozenset(REPLAY_CAN_HELP))
    replay = DeadLetterReplay()
    forecasters = {topic_of(settings.kafka, one): _forecaster(settings, one) for one in SOURCES}
    wanted = {ReplayEffect.ACCEPTED} | ({ReplayEffect.LATE} if include_late else set())
    timeout_ms = int(DELIVERY_TIMEOUT_S * 1e3)
    config = {**producer_config(settings.kafka), "message.timeout.ms": timeout_ms}
    producer = BufferedProducer(config, raise_refusals=False)
    for record in read_dead_letters(settings, selection):
        topic = _source_topic(record, settings)
        forecast = _forecast(forecasters.get(topic), record)
        replay.add_forecast(record, forecast)
        if forecast.effect in wanted:
            replay.selected[topic] += 1
            if not dry_run:
                headers: Headers = [(REPLAYED_FROM, str(record.source).encode())]
                producer.send(topic, record.payload, forecast.key, headers=headers)
    replay.unconfirmed = producer.flush(DELIVERY_TIMEOUT_S)
    replay.delivered, replay.refused_by_broker = producer.delivered, producer.refused
    return replay


def _source_topic(record: DeadLetterRecord, settings: Settings) -> str:
    """Where a record came from; most likely events where its headers do not say."""
    specs = topics(settings.kafka)
    is_unknown = record.source.topic == specs.dead_letters.name
    return specs.events.name if is_unknown else record.source.topic


def _forecaster(settings: Settings, source: Source) -> Forecaster:
    policy = PairingPolicy.from_settings(settings)
    positions = positions_of(settings.kafka, source)
    watermarks_ms = {
        one.partition: one.metadata.watermark_ms
        for one in positions
        if one.metadata is not None and one.metadata.watermark_ms is not None
    }
    return Forecaster(
        max_event_bytes=policy.max_event_bytes,
        max_clock_skew_ms=policy.max_clock_skew_ms,
        join_timeout_ms=policy.join_timeout_ms,
        partitions=len(positions),
        watermarks_ms=watermarks_ms,
        source=source,
    )


def _forecast(forecaster: Forecaster | None, record: DeadLetterRecord) -> Forecast:
    if forecaster is None:
        why = "neither an event, nor feedback, nor an evaluation"
        return Forecast(ReplayEffect.REFUSED, record.key or b"", why)
    return forecaster.forecast(record, int(time.time() * 1000))
