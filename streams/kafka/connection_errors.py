"""Why no broker answers: wrong password, wrong certificate, wrong name, nobody there.

A request that fails says no more than "Broker transport failure", after its whole time limit. What
went wrong on the connections comes apart from it, through a callback.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ClusterMetadata  # type: ignore[attr-defined]

REFUSED: Final = (KafkaError._AUTHENTICATION, KafkaError._SSL)
"""Another attempt changes nothing: the user, the password or a certificate is wrong."""
_REASONS: Final = (*REFUSED, KafkaError._RESOLVE, KafkaError._TRANSPORT)
"""What says why, the most specific first; that all brokers are down says nothing."""
_REFUSALS: Final = 2
"""A broker that is just ending cuts a handshake off, too, but not twice."""
_ATTEMPT_S: Final = 1.0
"""How soon a refusal is noticed, which takes librdkafka some 0.3 s."""
_PAUSE_S: Final = 0.1
"""Between attempts; librdkafka connects again no sooner."""

Client = AdminClient | Consumer | Producer


class ConnectionErrors:
    """What one client reports about its connections."""

    def __init__(self) -> None:
        self._seen: dict[int, KafkaError] = {}
        self._counts: Counter[int] = Counter()

    def listening(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a client whose errors come here."""
        return {**config, "error_cb": self.note}

    def note(self, error: KafkaError) -> None:
        """Remember an error, the first of its kind."""
        self._counts[error.code()] += 1
        self._seen.setdefault(error.code(), error)

    @property
    def reason(self) -> KafkaError | None:
        """The most specific error so far."""
        return next((self._seen[code] for code in _REASONS if code in self._seen), None)

    @property
    def refusal(self) -> KafkaError | None:
        """The error that no other attempt mends, if there was one."""
        codes = (code for code in REFUSED if self._counts[code] >= _REFUSALS)
        return next((self._seen[code] for code in codes), None)


def cluster_metadata(
    client: Client, errors: ConnectionErrors, timeout_s: float, topic: str | None = None
) -> ClusterMetadata:
    """Ask for all topics, or one. Raises `KafkaException` with the reason, a refusal at once."""
    deadline = time.monotonic() + timeout_s
    while True:
        left_s = max(0.0, deadline - time.monotonic())
        try:
            return _requested(client, topic, min(_ATTEMPT_S, left_s) or _ATTEMPT_S)
        except KafkaException as error:
            client.poll(0)  # calls back
            if errors.refusal is not None:
                raise KafkaException(errors.refusal) from None
            if time.monotonic() >= deadline or not _is_about_connections(error):
                raise KafkaException(errors.reason or error.args[0]) from None
            time.sleep(min(_PAUSE_S, left_s))  # some failures come at once


def _requested(client: Client, topic: str | None, timeout_s: float) -> ClusterMetadata:
    if topic is None:
        return client.list_topics(timeout=timeout_s)
    return client.list_topics(topic, timeout=timeout_s)


def _is_about_connections(error: KafkaException) -> bool:
    """Errors of librdkafka itself are negative; a broker that answered gave the others."""
    return int(error.args[0].code()) < 0
