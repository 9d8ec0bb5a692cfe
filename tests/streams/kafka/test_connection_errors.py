"""Why no broker answers is said, and what no attempt mends is said at once."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from understudy.streams.kafka.connection_errors import ConnectionErrors, cluster_metadata
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.logs import KAFKA_LOGGER


class Client:
    """A client whose requests fail and whose connections report errors."""

    def __init__(self, errors: ConnectionErrors, *reported: int, answer: int = -195) -> None:
        self._errors = errors
        self._reported = reported
        self._answer = answer
        self.requests = 0

    def list_topics(self, timeout: float) -> None:
        self.requests += 1
        raise KafkaException(KafkaError(self._answer, "Failed to get metadata"))

    def poll(self, timeout: float) -> None:
        for code in self._reported:
            self._errors.note(KafkaError(code, f"reported {code}"))


def failure(*reported: int, timeout_s: float = 0.3, answer: int = -195) -> tuple[KafkaError, int]:
    errors = ConnectionErrors()
    client = Client(errors, *reported, answer=answer)
    with pytest.raises(KafkaException) as caught:
        cluster_metadata(client, errors, timeout_s)  # type: ignore[arg-type]
    found: KafkaError = caught.value.args[0]
    return found, client.requests


@pytest.mark.parametrize("code", [KafkaError._AUTHENTICATION, KafkaError._SSL])
def test_a_refusal_ends_the_wait(code: int) -> None:
    began_s = time.monotonic()
    found, requests = failure(KafkaError._ALL_BROKERS_DOWN, code, timeout_s=60.0)
    assert found.code() == code
    assert requests == 2, "a broker that is just ending refuses once, too"
    assert time.monotonic() - began_s < 30.0


@pytest.mark.parametrize(
    ("reported", "reason"),
    [
        ((KafkaError._TRANSPORT, KafkaError._RESOLVE), KafkaError._RESOLVE),
        ((KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT), KafkaError._TRANSPORT),
    ],
)
def test_the_most_specific_reason_is_given(reported: tuple[int, ...], reason: int) -> None:
    found, requests = failure(*reported)
    assert found.code() == reason
    assert found.str() == f"reported {reason}"
    assert requests > 1, "brokers come back"


def test_without_a_reason_the_request_has_the_last_word() -> None:
    assert failure(KafkaError._ALL_BROKERS_DOWN)[0].str() == "Failed to get metadata"


def test_what_a_broker_answers_is_not_asked_again() -> None:
    found, requests = failure(answer=KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    assert found.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED
    assert requests == 1


@pytest.mark.embedded
def test_a_broker_that_answers(embedded_broker: EmbeddedBroker) -> None:
    errors = ConnectionErrors()
    admin = AdminClient(errors.listening(embedded_broker.client_config), logger=KAFKA_LOGGER)
    assert cluster_metadata(admin, errors, 10.0).brokers
    assert errors.reason is None


@pytest.mark.embedded
def test_an_address_where_nobody_listens() -> None:
    errors = ConnectionErrors()
    config = {"bootstrap.servers": "127.0.0.1:1"}
    admin = AdminClient(errors.listening(config), logger=KAFKA_LOGGER)
    with pytest.raises(KafkaException, match="Connection refused"):
        cluster_metadata(admin, errors, 1.5)
