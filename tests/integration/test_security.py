"""A broker with certificates, passwords and rights: the least rights are enough, each is needed,
and an error names the user, the right, and the topic or group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
from confluent_kafka import KafkaException

from tests.brokers.choose import is_broker_required
from tests.brokers.contract import NoBroker
from tests.brokers.secured import SecuredBroker
from tests.integration.bad_input import pair
from tests.integration.processes import COMMAND, Worker, understudy
from understudy.streams.kafka.access_denied import AccessDenied
from understudy.streams.kafka.access_rights import (
    LEAST_RIGHTS,
    Right,
    deciding_rights,
    operator_rights,
    pairing_rights,
    publishing_rights,
)
from understudy.streams.kafka.client_config import changelog, client_config, topics
from understudy.streams.kafka.compacted_topic import read_snapshot
from understudy.streams.kafka.explanations import explain
from understudy.streams.kafka.granted_rights import missing_rights, require_rights
from understudy.streams.kafka.topic_admin import ensure_topics, examine_topics
from understudy.streams.settings import KafkaSettings, Settings

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TIMEOUT_S = 30.0
POLICY = Path(__file__).parents[2] / "examples" / "policy.yaml"
SETTINGS = Settings()
OTHER_AUTHORITY = certifi.where()
"""The world's: they do not vouch for this broker."""


@pytest.fixture(scope="module")
def broker() -> Iterator[SecuredBroker]:
    """A broker with the topics of an installation."""
    try:
        secured = SecuredBroker()
        secured.start()
    except NoBroker as error:
        if is_broker_required():
            raise
        pytest.skip(f"no Kafka with certificates: {error}")
    specs = [*topics(SETTINGS.kafka), changelog(SETTINGS)]
    ensure_topics({"bootstrap.servers": secured.unsecured_servers}, specs)
    try:
        yield secured
    finally:
        secured.close()


def environment(kafka: KafkaSettings) -> dict[str, str]:
    """Variables by which the command is this user."""
    client = {
        f"UNDERSTUDY_KAFKA_CLIENT_{name.replace('.', '_').upper()}": str(value)
        for name, value in kafka.client.items()
    }
    return {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "UNDERSTUDY_HTTP_PORT": "0",
        "UNDERSTUDY_PAIRING_FLUSH_INTERVAL_S": "0.2",
        "UNDERSTUDY_CLICKHOUSE_BATCH_AGE_S": "0.2",
        **client,
    }


def run(broker: SecuredBroker, folder: Path, user: str, *arguments: str | Path) -> tuple[int, str]:
    """Exit code and stderr of the command, run by a user."""
    done = understudy(*arguments, folder=folder, environment=environment(broker.settings(user)))
    return done.returncode, done.stderr.decode()


# What is wrong with the connection


@pytest.mark.parametrize(
    ("client", "exit_code", "message"),
    [
        ({"sasl_password": "wrong"}, 2,
         "does not accept the user reader: Authentication failed: Invalid username or password; "
         "correct sasl.username, sasl.password and sasl.mechanism"),
        ({"sasl_mechanism": "SCRAM-SHA-256"}, 2, "broker's supported mechanisms: PLAIN"),
        ({"ssl_ca_location": OTHER_AUTHORITY}, 2, "correct security.protocol and ssl.ca.location"),
    ],
    ids=["password", "mechanism", "authority"],
)  # fmt: skip
@pytest.mark.parametrize("arguments", [("topics",), ("rollout", "list"), ("worker",)], ids=" ".join)
def test_a_refused_connection_says_why_at_once(
    broker: SecuredBroker, tmp_path: Path, client: dict[str, str], exit_code: int, message: str,
    arguments: tuple[str, ...],
) -> None:  # fmt: skip
    other = broker.settings("reader", **client)
    done = understudy(*arguments, folder=tmp_path, environment=environment(other))
    assert done.returncode == exit_code
    last = done.stderr.decode().splitlines()[-1]
    assert message in last
    assert broker.bootstrap_servers in last
    assert broker.password not in done.stderr.decode()


# The least rights, one missing at a time


EVERY_RIGHT = [
    pytest.param(role, right, id=f"{role}: {right}")
    for role, rights in LEAST_RIGHTS.items()
    for right in rights(SETTINGS)
    if right.operation != "Create"
]


@pytest.mark.parametrize(("role", "missing"), EVERY_RIGHT)
def test_each_right_that_is_missing_is_named(
    broker: SecuredBroker, role: str, missing: Right
) -> None:
    needed = LEAST_RIGHTS[role](SETTINGS)
    broker.allow("reader", [right for right in needed if right != missing])
    kafka = broker.settings("reader")
    found = missing_rights(client_config(kafka), needed, TIMEOUT_S)
    implied = missing.operation == "Describe" and not found
    assert found == (missing,) or implied
    if found:
        with pytest.raises(AccessDenied) as caught:
            require_rights(client_config(kafka), needed, TIMEOUT_S)
        told = explain(caught.value, kafka)
        assert f"the user reader: {missing}" in told
        assert f"--allow-principal User:reader {missing.option}" in told


@pytest.mark.parametrize("role", LEAST_RIGHTS)
def test_nothing_is_missing_with_the_least_rights(broker: SecuredBroker, role: str) -> None:
    needed = LEAST_RIGHTS[role](SETTINGS)
    broker.allow("reader", needed)
    assert missing_rights(client_config(broker.settings("reader")), needed, TIMEOUT_S) == ()


def test_all_that_is_missing_is_told_together(broker: SecuredBroker, tmp_path: Path) -> None:
    broker.allow("reader", [])
    exit_code, stderr = run(broker, tmp_path, "reader", "worker", "--role", "pairing")
    assert exit_code == 1
    for right in pairing_rights(SETTINGS):
        assert str(right) in stderr


# What commands say


def test_a_topic_that_may_not_be_described_is_not_called_missing(
    broker: SecuredBroker, tmp_path: Path
) -> None:
    broker.allow("reader", [])
    exit_code, stderr = run(broker, tmp_path, "reader", "rollout", "list")
    assert exit_code == 1
    assert "does not allow the user reader: Read on topic understudy.rollouts" in stderr


def test_a_topic_that_may_only_be_described_names_the_right_to_read(
    broker: SecuredBroker, tmp_path: Path
) -> None:
    broker.allow("operator", operator_rights(SETTINGS))
    assert run(broker, tmp_path, "operator", "rollout", "apply", "--file", POLICY)[0] == 0
    unread = [right for right in operator_rights(SETTINGS) if right.name != "understudy.rollouts"]
    broker.allow("operator", [Right("topic", "understudy.rollouts", "Describe"), *unread])
    exit_code, stderr = run(broker, tmp_path, "operator", "rollout", "list")
    assert exit_code == 1
    assert "does not allow the user operator: Read on topic understudy.rollouts" in stderr


@pytest.mark.parametrize(
    "other", [[], [Right("topic", "understudy.feedback", "Write")]], ids=["none", "another"]
)
def test_writing_without_the_right_names_it(
    broker: SecuredBroker, tmp_path: Path, other: list[Right]
) -> None:
    """Who may write nowhere is refused a number for its messages, which sounds quite different."""
    needed = publishing_rights(SETTINGS)
    kept = [right for right in needed if right.operation != "Write"]
    broker.allow("gateway", [*kept, *other])
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(pair("a")) + b"\n")
    exit_code, stderr = run(broker, tmp_path, "gateway", "publish", file)
    assert exit_code == 1
    assert "Write on topic understudy.events" in stderr
    assert "Traceback" not in stderr
    assert "idempotence" not in stderr


def test_an_operator_who_may_not_write_is_told_so(broker: SecuredBroker, tmp_path: Path) -> None:
    broker.allow("operator", [Right("topic", "understudy.rollouts", "Read")])
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.read_text("utf-8").replace("checkout-assistant", "another"), "utf-8")
    exit_code, stderr = run(broker, tmp_path, "operator", "rollout", "apply", "--file", policy)
    assert exit_code == 1
    assert "does not allow the user operator: Write on topic understudy.rollouts" in stderr


def test_topics_that_may_not_be_created_are_named(broker: SecuredBroker) -> None:
    broker.allow("reader", [Right("topic", "acme.events", "Describe")])
    kafka = broker.settings("reader")
    acme = KafkaSettings(topic_prefix="acme.")
    with pytest.raises(AccessDenied, match=r"Create on topic acme\.events"):
        ensure_topics(client_config(kafka), [topics(acme).events])


def test_settings_that_may_not_be_read_are_named(broker: SecuredBroker) -> None:
    broker.allow("reader", [Right("topic", "understudy.events", "Describe")])
    kafka = broker.settings("reader")
    with pytest.raises(AccessDenied, match=r"DescribeConfigs on topic understudy\.events"):
        examine_topics(client_config(kafka), [topics(SETTINGS.kafka).events])


# The least rights are enough


def test_the_whole_path_with_no_more_than_the_least_rights(
    broker: SecuredBroker, tmp_path: Path
) -> None:
    for user, rights in {
        "gateway": publishing_rights,
        "pairing": pairing_rights,
        "deciding": deciding_rights,
        "operator": operator_rights,
    }.items():
        broker.allow(user, rights(SETTINGS))
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(line for n in range(20) for line in pair(f"pair-{n}")) + b"\n")
    assert run(broker, tmp_path, "operator", "rollout", "apply", "--file", POLICY) == (0, "")
    pairing, deciding = (
        _worker(broker, tmp_path, "pairing"), _worker(broker, tmp_path, "deciding")
    )  # fmt: skip
    with pairing, deciding:
        deciding.wait_for_log('"deciding.record_applied"')
        assert run(broker, tmp_path, "gateway", "publish", file)[0] == 0
        pairing.wait_for_log('"pairs": 20')
        everything = KafkaSettings(bootstrap_servers=broker.unsecured_servers)
        for topic in (topics(SETTINGS.kafka).decisions.name, changelog(SETTINGS).name):
            deciding.wait_until(lambda name=topic: read_snapshot(everything, name).values, topic)
        assert run(broker, tmp_path, "operator", "rollout", "list")[0] == 0
        assert pairing.terminate() == 0, pairing.log
        assert deciding.terminate() == 0, deciding.log
    for worker in (pairing, deciding):
        assert "uthorization" not in worker.log
        assert "does not allow" not in worker.log
        assert '"level": "error"' not in worker.log


def _worker(broker: SecuredBroker, folder: Path, role: str) -> Worker:
    own = folder / role
    own.mkdir()
    command = (*COMMAND, "worker", "--role", role)
    return Worker(own, environment(broker.settings(role)), command)


def test_a_right_that_is_withdrawn_ends_a_worker_with_its_name(
    broker: SecuredBroker, tmp_path: Path
) -> None:
    broker.allow("pairing", pairing_rights(SETTINGS))
    with _worker(broker, tmp_path, "pairing") as worker:
        worker.wait_until(lambda: "worker.started" in worker.log, "started")
        kept = [right for right in pairing_rights(SETTINGS) if right.name != "understudy.events"]
        broker.allow("pairing", kept)
        assert worker.wait() == 1
        assert "the user pairing: Read on topic understudy.events" in worker.log


def test_errors_of_others_are_left_alone(broker: SecuredBroker) -> None:
    broker.allow("reader", [])
    with pytest.raises(KafkaException, match="TOPIC_EXCEPTION"):
        ensure_topics(
            {"bootstrap.servers": broker.unsecured_servers},
            [topics(KafkaSettings(topic_prefix="not a topic ")).events],
        )
