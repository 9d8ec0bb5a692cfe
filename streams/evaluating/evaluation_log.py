"""What has been evaluated already, read from the topic of evaluations itself.

It tells what the day has cost, whoever asked, and which pairs are judged. So a worker that takes
over, or that was killed, asks nothing again but what was in flight, and keeps the budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec
import structlog
from confluent_kafka import Consumer, Message, TopicPartition

from understudy.schemas.evaluations import Evaluation, decode_evaluation
from understudy.schemas.events import InvalidEvent
from understudy.streams.evaluating.sampling import SliceName
from understudy.streams.kafka.client_config import reader_config, topics
from understudy.streams.kafka.dead_letter_format import Headers
from understudy.streams.kafka.topic_reader import Range, TopicReader
from understudy.streams.kafka.unreadable import is_unreadable, step_over
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.settings import KafkaSettings

log = structlog.get_logger(__name__)

WORKER_HEADER: Final = "worker"
"""Names the process that wrote a record: its own are counted when they are asked for."""
SLICE_HEADER: Final = "slice"
"""Language and workflow by which a pair was sampled, as JSON; a record has the language that was
detected where the gateway named none."""
_BATCH_RECORDS: Final = 1_000


class Written(NamedTuple):
    """A record of the log."""

    evaluation: Evaluation
    slice_name: SliceName | None
    """In which its pair was sampled; None of what no worker has sampled."""


_decode_slice: Final = msgspec.json.Decoder(tuple[str, str]).decode


class EvaluationLog:
    """Reads the evaluations of others; a context manager.

    Raises `MissingTopic`, and `KafkaException` when the broker is away.
    """

    def __init__(self, kafka: KafkaSettings, worker: str) -> None:
        """`worker` names this process; its own records are left out while following."""
        self._kafka = kafka
        self._topic = topics(kafka).evaluations.name
        self._worker = worker.encode()
        self._config = reader_config(kafka)
        self._consumer = Consumer(self._config, logger=KAFKA_LOGGER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def headers(self, slice_name: SliceName) -> Headers:
        """What this process writes with the record of a pair."""
        return [(WORKER_HEADER, self._worker), (SLICE_HEADER, msgspec.json.encode(slice_name))]

    def read_since(self, time_ms: int) -> Iterator[Written]:
        """Yield what was written since a time, to the end as of now, where `follow` goes on."""
        with TopicReader(self._kafka, self._topic) as reader:
            bounds = reader.bounds()
            for message in reader.read(_ranges_since(reader, time_ms, bounds)):
                yield from self._decoded(message)
        ends = [TopicPartition(self._topic, number, end) for number, (_, end) in bounds.items()]
        self._consumer.assign(ends)

    def follow(self) -> Iterator[Written]:
        """Yield what others have written meanwhile, without waiting."""
        for message in self._consumer.consume(_BATCH_RECORDS, 0.0):
            if message.error() is None:
                if (WORKER_HEADER, self._worker) not in (message.headers() or []):
                    yield from self._decoded(message)
            elif is_unreadable(message):
                place = self._topic, message.partition() or 0
                step_over(self._consumer, self._config, place, message.offset() or 0)

    def _decoded(self, message: Message) -> Iterator[Written]:
        """Yield the record of a message; what is none belongs to the dead letters of pairing."""
        value = message.value()
        try:
            evaluation = decode_evaluation(value if isinstance(value, bytes) else None)
        except InvalidEvent:
            return
        yield Written(evaluation, _slice_of(message))


def _slice_of(message: Message) -> SliceName | None:
    """Read the header; one that is not ours says nothing."""
    value = dict(message.headers() or []).get(SLICE_HEADER)
    try:
        return None if value is None else _decode_slice(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _ranges_since(
    reader: TopicReader, time_ms: int, bounds: Mapping[int, Range]
) -> dict[int, Range]:
    """Return what was written since a time.

    librdkafka's mock broker knows no times, and says that nothing was. Where that is what a broker
    says, the last record is looked at.
    """
    ranges = reader.since(time_ms, bounds)
    doubtful = {
        n: (end - 1, end) for n, (start, end) in ranges.items() if bounds[n][0] < start == end
    }
    for message in reader.read(doubtful):
        if message.timestamp()[1] >= time_ms:
            ranges[message.partition() or 0] = bounds[message.partition() or 0]
    return ranges
