"""A Kafka broker inside this process: librdkafka's mock cluster.

For trying out and for tests. It speaks Kafka's protocol on a port of 127.0.0.1, so every client
works against it unchanged, those of other processes too; it lives as long as this process.

What holds, measured with librdkafka 2.16:

- Consumer groups, both protocols; committed offsets with metadata; idempotent producers.
  A group's first assignment takes about 4 s with the classic protocol (the mock waits 3 s for
  more members) and 1 s with `group.protocol=consumer`.
- A fetch that finds nothing is answered when its wait is over, not when something comes: keep
  `fetch.wait.max.ms` short.
- Topics come into being when a client asks for them, always with `EMBEDDED_PARTITIONS`
  partitions. CreateTopics, DescribeConfigs and every other request to a controller time out;
  `understudy.streams.kafka.topic_admin.ensure_topics` knows.
- All is in memory. A partition keeps its newest `EMBEDDED_PARTITION_BYTES` as produced
  (compressed) and silently drops older batches, read or not: a producer has to pace itself by
  the consumers' positions. With zstd, 40 000 messages of 1 kB of repetitive text fit one partition,
  without it the last 4 500.
- Timestamps are the producer's (CreateTime). No retention by time, compaction or transactions
  to rely on.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from confluent_kafka import Producer

EMBEDDED_PARTITIONS: Final = 4
"""librdkafka's default for topics of the mock cluster."""
EMBEDDED_PARTITION_BYTES: Final = 5 * 1_048_576
"""Hard-coded in librdkafka (`rdkafka_mock.c`)."""
WORKER_CLIENT: Final[Mapping[str, str | int]] = {
    "log_level": 0,
    "group.protocol": "consumer",
    "fetch.wait.max.ms": 50,
}
"""Settings for a worker on this broker, for the reasons above: a group is assigned within a second,
a fetch that finds nothing is answered within 50 ms. What the broker lacks is not logged."""
_START_TIMEOUT_S: Final = 10.0
"""It starts in milliseconds; a busy machine takes longer."""


class EmbeddedBroker:
    """The mock cluster as a context manager; started on entry, or by `start`.

    Leaving it drops all topics. Clients that are still open then log failed connections.
    """

    def __init__(self, *, brokers: int = 1) -> None:
        self._brokers = brokers
        self._host: Producer | None = None
        self._bootstrap_servers = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def bootstrap_servers(self) -> str:
        """Addresses as `host:port,…`. Raises `RuntimeError` when not started."""
        if self._host is None:
            raise RuntimeError("the embedded broker is not running")
        return self._bootstrap_servers

    @property
    def client_config(self) -> dict[str, str | int]:
        """Settings for a client in this process: where to connect, and no log on stderr."""
        return {"bootstrap.servers": self.bootstrap_servers, "log_level": 0}

    def start(self) -> None:
        """Start the cluster. Raises `KafkaException` when it does not answer in 10 s."""
        if self._host is not None:
            return
        host = Producer({"test.mock.num.brokers": self._brokers, "log_level": 0})
        members = host.list_topics(timeout=_START_TIMEOUT_S).brokers.values()
        self._bootstrap_servers = ",".join(f"{member.host}:{member.port}" for member in members)
        self._host = host

    def close(self) -> None:
        """Stop the cluster and drop its messages; does nothing when it is not running."""
        host, self._host = self._host, None
        if host is not None:
            host.close()
