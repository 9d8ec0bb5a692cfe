"""Kafka's errors in words: which address, topic, right or group is meant, and what to do next."""

from __future__ import annotations

import re
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from understudy.streams.errors import FAILED, UNREACHABLE, WRONG_USAGE, CommandError
from understudy.streams.kafka.access_denied import AccessDenied, failure_of
from understudy.streams.kafka.access_rights import Right
from understudy.streams.kafka.connection_errors import REFUSED
from understudy.streams.settings import KafkaSettings

_NO_ANSWER: Final = (
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
)
"""No broker answered, or none in time."""
_PLACE: Final = re.compile(r"^(\w+://)?\S+:\d+(/\w+)?: ")
_STATE: Final = re.compile(r" \(after \d+ms in state [^)]*\)$")
_PREFIXES: Final = ("SASL authentication error: ", "SSL handshake failed: ")
_WRITES_NOTHING: Final = (
    "it may write to no topic at all; grant what docs/operations.md, Security, lists"
)
"""What the broker means when it refuses to number a producer's messages."""
_CHECK_ADDRESS: Final = (
    "start it, or correct kafka.bootstrap_servers (UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS)"
)


def explain(error: KafkaException, kafka: KafkaSettings) -> str:
    """Return one sentence about an error: where, what, and what to do."""
    where = f"Kafka at {kafka.bootstrap_servers}"
    reason: KafkaError = error.args[0]
    text = _plain(reason.str())
    topic = getattr(error, "topic", "")
    about = f", topic {topic}" if topic else ""
    if rights := _missing(error, topic):
        return _denied(rights, where, kafka)
    if reason.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
        return f"{where} does not allow {_user(kafka)}: {text}; {_WRITES_NOTHING}"
    if reason.code() == KafkaError._AUTHENTICATION:
        return f"{where} does not accept {_user(kafka)}: {text}; {_fix_login(kafka)}"
    if reason.code() == KafkaError._SSL:
        return f"{where}: no TLS connection: {text}; {_fix_tls(kafka)}"
    if reason.code() in _NO_ANSWER:
        return f"{where}{about} cannot be reached: {text}; {_CHECK_ADDRESS}{_closed(reason)}"
    return f"{where}{about}: {text}"


def _closed(reason: KafkaError) -> str:
    """A broker that wants TLS closes other connections without a word, and no error says so."""
    is_closed = reason.code() == KafkaError._TRANSPORT and "Connect to" not in reason.str()
    return ", or security.protocol in [kafka.client]" if is_closed else ""


def kafka_failure(error: KafkaException, kafka: KafkaSettings) -> CommandError:
    """Return the message of an error, and the exit code.

    A wrong password or certificate is a wrong setting. Other errors of librdkafka itself, which are
    negative, mean that no broker answered.
    """
    code = error.args[0].code()
    exit_code = WRONG_USAGE if code in REFUSED else UNREACHABLE if code < 0 else FAILED
    return CommandError(explain(error, kafka), exit_code)


def brief(error: KafkaException) -> str:
    """Return what an API's client may know: no address and no user."""
    if isinstance(error, AccessDenied) or hasattr(error, "topic"):
        return str(error)
    return _plain(error.args[0].str())


def _missing(error: KafkaException, topic: str) -> tuple[Right, ...]:
    if isinstance(error, AccessDenied):
        return error.rights
    found = failure_of(error.args[0], Right("topic", topic, "Write")) if topic else None
    return found.rights if isinstance(found, AccessDenied) else ()


def _denied(rights: tuple[Right, ...], where: str, kafka: KafkaSettings) -> str:
    options = f"--add --allow-principal User:{_name(kafka)} {rights[0].option}"
    return (
        f"{where} does not allow {_user(kafka)}: {', '.join(map(str, rights))}; grant it, such as "
        f"with kafka-acls.sh {options} (docs/operations.md, Security, has the least rights)"
    )


def _plain(text: str) -> str:
    """Leave out what librdkafka says about its own states."""
    shorter = _STATE.sub("", _PLACE.sub("", text))
    for prefix in _PREFIXES:
        shorter = shorter.removeprefix(prefix)
    return shorter


def _name(kafka: KafkaSettings) -> str:
    return str(kafka.client.get("sasl.username") or "ANONYMOUS")


def _user(kafka: KafkaSettings) -> str:
    """Name the user without SASL, too: who has none is anonymous, or known by a certificate."""
    name = kafka.client.get("sasl.username")
    if name:
        return f"the user {name}"
    return (
        "the owner of ssl.certificate.location"
        if kafka.client.get("ssl.certificate.location")
        else "a client without a user name"
    )


def _fix_login(kafka: KafkaSettings) -> str:
    if kafka.client.get("sasl.username"):
        return (
            "correct sasl.username, sasl.password and sasl.mechanism in [kafka.client] "
            "(UNDERSTUDY_KAFKA_CLIENT_SASL_PASSWORD)"
        )
    return "set security.protocol, sasl.mechanism, sasl.username, sasl.password in [kafka.client]"


def _fix_tls(kafka: KafkaSettings) -> str:
    authority = kafka.client.get("ssl.ca.location")
    known = f", now {authority}" if authority else ""
    return f"correct security.protocol and ssl.ca.location{known} in [kafka.client]"
