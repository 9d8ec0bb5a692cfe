"""The shared fixtures keep their promises."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import clickhouse_connect
import pytest
from pytest_socket import SocketBlockedError

from understudy.streams.kafka.embedded_broker import EmbeddedBroker

ROOT = Path(__file__).parents[2]
ASKS_FOR_A_BROKER = ["tests/streams/kafka/test_topic_admin.py", "-k", "real_broker_round_trip"]


def test_unmarked_test_cannot_open_a_network_socket() -> None:
    with (
        pytest.warns(UserWarning, match=r"socket\.socket"),
        pytest.raises(SocketBlockedError),
    ):
        socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def test_unmarked_test_can_open_a_local_socket_pair() -> None:
    for end in socket.socketpair():
        end.close()


@pytest.mark.embedded
def test_embedded_test_can_open_a_network_socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()


def test_clickhouse_database_is_empty_and_takes_tables(
    clickhouse_url: str, clickhouse_database: str
) -> None:
    client = (
        clickhouse_connect.get_client(interface="chdb", path=clickhouse_url.removeprefix("chdb://"))
        if clickhouse_url.startswith("chdb://")
        else clickhouse_connect.get_client(dsn=clickhouse_url)
    )
    assert client.query(f"SHOW TABLES FROM {clickhouse_database}").result_rows == []
    client.command(f"CREATE TABLE {clickhouse_database}.notes (n Int8) ENGINE = Memory")
    client.insert(f"{clickhouse_database}.notes", [[1], [2]], column_names=["n"])
    rows = client.query(f"SELECT sum(n) FROM {clickhouse_database}.notes").result_rows
    assert [tuple(row) for row in rows] == [(3,)]
    client.close()


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["0", "1"], ids=["one process", "a worker process"])
@pytest.mark.parametrize(
    ("required", "status", "line"),
    [
        ("0", 0, "Kafka broker: none (2 integration tests skipped)"),
        ("1", 1, "Kafka broker: none (2 tests failed for it)"),
    ],
)
def test_run_without_a_broker_skips_or_fails_and_says_so(
    monkeypatch: pytest.MonkeyPatch, required: str, status: int, line: str, processes: str
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TEST_REQUIRE_BROKER", required)
    run = run_on("127.0.0.1:1", processes, monkeypatch)
    assert run.returncode == status, run.stdout
    assert line in run.stdout


@pytest.mark.slow
@pytest.mark.embedded
@pytest.mark.parametrize("processes", ["0", "1"], ids=["one process", "a worker process"])
def test_run_says_which_broker_served(
    monkeypatch: pytest.MonkeyPatch, embedded_broker: EmbeddedBroker, processes: str
) -> None:
    servers = embedded_broker.bootstrap_servers
    run = run_on(servers, processes, monkeypatch, "--setup-only")
    line = f"Kafka broker: the one at {servers} (UNDERSTUDY_TEST_BOOTSTRAP_SERVERS)"
    assert line in run.stdout.splitlines(), run.stdout


def run_on(
    servers: str, processes: str, monkeypatch: pytest.MonkeyPatch, *options: str
) -> subprocess.CompletedProcess[str]:
    """A test run of its own, for tests that ask for the broker at `servers`."""
    monkeypatch.setenv("UNDERSTUDY_TEST_BOOTSTRAP_SERVERS", servers)
    monkeypatch.delenv("CI", raising=False)
    workers = f"--numprocesses={processes}"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", workers, *options]
    return subprocess.run(
        [*command, *ASKS_FOR_A_BROKER], cwd=ROOT, capture_output=True, text=True, check=False
    )
