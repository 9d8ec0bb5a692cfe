"""A fetch that finds nothing waits at the broker for as long as other clients' fetches do.

Upstream: Faust hard-codes 1.5 s. Kafka answers as soon as there is something, but the embedded
broker answers a request that found nothing only when its time is over, and a decision would come as
late.
"""

from __future__ import annotations

from typing import Any, Final

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

DEFAULT_WAIT_MS: Final = 500
"""As librdkafka's."""
LEAST_WAIT_MS: Final = 200
"""A request takes this client a millisecond, so five a second at most while nothing comes."""


class FetchWait(AIOKafkaConsumerThread):
    """Takes the wait from the settings of Kafka's clients."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer: Any = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = max(LEAST_WAIT_MS, transport.app.fetch_wait_ms)
        return consumer
