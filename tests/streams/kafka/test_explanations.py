"""Every error of Kafka is one sentence: where, who, what, and what to do next."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from understudy.streams.errors import FAILED, UNREACHABLE, WRONG_USAGE
from understudy.streams.kafka.access_denied import AccessDenied
from understudy.streams.kafka.access_rights import Right
from understudy.streams.kafka.explanations import brief, explain, kafka_failure
from understudy.streams.kafka.producer import DeliveryFailed
from understudy.streams.settings import KafkaSettings

WRITE = Right("topic", "understudy.events", "Write")
NOT_ALLOWED = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "Broker: Topic …")
KAFKA = KafkaSettings(
    bootstrap_servers="kafka:9093",
    client={"sasl.username": "gateway", "sasl.password": "geheim", "ssl.ca.location": "ca.pem"},
)
ADDRESS = "start it, or correct kafka.bootstrap_servers (UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS)"


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (KafkaException(KafkaError(
            KafkaError._TRANSPORT, "kafka:9093/bootstrap: Connect to ipv4#10.0.0.1:9093 failed: "
            "Connection refused (after 0ms in state CONNECT)")), UNREACHABLE,
         "Kafka at kafka:9093 cannot be reached: Connect to ipv4#10.0.0.1:9093 failed: "
         f"Connection refused; {ADDRESS}"),
        (KafkaException(KafkaError(KafkaError._TRANSPORT, "Failed to get metadata")), UNREACHABLE,
         "Kafka at kafka:9093 cannot be reached: Failed to get metadata; "
         f"{ADDRESS}, or security.protocol in [kafka.client]"),
        (KafkaException(KafkaError(
            KafkaError._AUTHENTICATION, "sasl_ssl://kafka:9093/bootstrap: SASL authentication "
            "error: Authentication failed (after 301ms in state AUTH_REQ)")), WRONG_USAGE,
         "Kafka at kafka:9093 does not accept the user gateway: Authentication failed; correct "
         "sasl.username, sasl.password and sasl.mechanism in [kafka.client] "
         "(UNDERSTUDY_KAFKA_CLIENT_SASL_PASSWORD)"),
        (KafkaException(KafkaError(
            KafkaError._SSL, "sasl_ssl://kafka:9093/1: SSL handshake failed: verify failed")),
         WRONG_USAGE,
         "Kafka at kafka:9093: no TLS connection: verify failed; correct security.protocol and "
         "ssl.ca.location, now ca.pem in [kafka.client]"),
        (AccessDenied((WRITE,), NOT_ALLOWED), FAILED,
         "Kafka at kafka:9093 does not allow the user gateway: Write on topic understudy.events; "
         "grant it, such as with kafka-acls.sh --add --allow-principal User:gateway --operation "
         "Write --topic understudy.events (docs/operations.md, Security, has the least rights)"),
        (KafkaException(KafkaError(KafkaError.TOPIC_EXCEPTION, "bad name")), FAILED,
         "Kafka at kafka:9093: bad name"),
    ],
)  # fmt: skip
def test_what_is_said(error: KafkaException, exit_code: int, message: str) -> None:
    assert explain(error, KAFKA) == message
    failure = kafka_failure(error, KAFKA)
    assert (failure.message, failure.exit_code) == (message, exit_code)


@pytest.mark.parametrize(
    "code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED]
)
def test_a_message_that_may_not_be_written_names_its_topic(code: int) -> None:
    """The broker's word for a user that may write nowhere is about the cluster and idempotence."""
    error = DeliveryFailed("understudy.events", KafkaError(code, "Failed to acquire … PID"))
    assert f"does not allow the user gateway: {WRITE}" in explain(error, KAFKA)


def test_a_producer_that_has_sent_nothing_yet_may_write_nowhere() -> None:
    refused = KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "Failed to acquire … PID")
    assert "the user gateway: Failed to acquire … PID; it may write to no topic at all" in explain(
        DeliveryFailed("", refused), KAFKA
    )


def test_a_message_that_was_not_acknowledged_names_its_topic() -> None:
    error = DeliveryFailed("understudy.events", KafkaError(KafkaError._MSG_TIMED_OUT, "timed out"))
    assert explain(error, KAFKA).startswith(
        "Kafka at kafka:9093, topic understudy.events cannot be reached: timed out; "
    )


def test_no_password_is_ever_shown() -> None:
    for code in (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError._TRANSPORT):
        assert "geheim" not in explain(KafkaException(KafkaError(code, "x")), KAFKA)


@pytest.mark.parametrize(
    ("client", "who"),
    [
        ({}, "a client without a user name"),
        ({"ssl.certificate.location": "me.pem"}, "the owner of ssl.certificate.location"),
    ],
)
def test_users_without_a_name(client: dict[str, str | int | float | bool], who: str) -> None:
    kafka = KafkaSettings(client=client)
    assert f"does not allow {who}: " in explain(AccessDenied((WRITE,), NOT_ALLOWED), kafka)
    refused = KafkaException(KafkaError(KafkaError._AUTHENTICATION, "no"))
    assert "set security.protocol, sasl.mechanism" in explain(refused, kafka)


def test_clients_of_the_api_learn_neither_address_nor_user() -> None:
    assert brief(AccessDenied((WRITE,), NOT_ALLOWED)) == f"not allowed: {WRITE}"
    refused = KafkaError(KafkaError._TRANSPORT, "ssl://kafka:9093/1: Connection refused")
    assert brief(KafkaException(refused)) == "Connection refused"
    assert brief(DeliveryFailed("t", NOT_ALLOWED)) == "t: not allowed: Write on topic t"
