"""The command `understudy` as processes of their own, and what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tests.brokers.contract import Broker
from tests.waiting import DEADLINE_S, wait_until
from understudy.analyzers.guardrails.row_columns import NAME_PLACES, PLACES
from understudy.schemas.topics import Topics, TopicSpec
from understudy.schemas.windows import SECTIONS, WindowRow

COMMAND = (sys.executable, "-m", "understudy.streams.commands.main")
_COORDINATOR_COMING = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)

Environment = Mapping[str, str]


def understudy(
    *arguments: str | Path, folder: Path, environment: Environment | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end, in a folder that has no settings of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        env=clean_environment(environment),
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )


def clean_environment(extra: Environment | None = None) -> dict[str, str]:
    """This process's environment without settings of ours, and with `extra`."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
    return {**ours, **(extra or {})}


def report_of(*files: Path, folder: Path) -> dict[str, Any]:
    """What `replay --json` prints."""
    run = understudy("replay", "--json", *files, folder=folder)
    assert run.returncode == 0, run.stderr.decode()
    document: dict[str, Any] = json.loads(run.stdout)
    return document


def settings(broker: Broker, topics: Topics, **more: str) -> dict[str, str]:
    """Variables that point the command at a broker and its topics."""
    prefix = topics.events.name.removesuffix("events")
    return {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "UNDERSTUDY_KAFKA_TOPIC_PREFIX": prefix,
        "UNDERSTUDY_KAFKA_GROUP_ID": f"{prefix}pairing",
        "UNDERSTUDY_DECIDING_GROUP_ID": f"{prefix}deciding",
        "UNDERSTUDY_PAIRING_FLUSH_INTERVAL_S": "0.2",
        "UNDERSTUDY_CLICKHOUSE_BATCH_AGE_S": "0.2",
        "UNDERSTUDY_HTTP_PORT": "0",
        **more,
    }


class Worker:
    """`understudy worker` with a chDB folder of its own."""

    def __init__(
        self,
        folder: Path,
        environment: Environment,
        arguments: Sequence[str] = (*COMMAND, "worker", "--role", "pairing"),
    ) -> None:
        self.folder = folder
        self.url = f"chdb://{folder / 'clickhouse'}"
        self._log = folder / "stderr"
        with self._log.open("wb") as stderr:
            self._process = subprocess.Popen(
                arguments,
                cwd=folder,
                env=clean_environment({**environment, "UNDERSTUDY_CLICKHOUSE_URL": self.url}),
                stdout=subprocess.PIPE,
                stderr=stderr,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """Ask it to stop; its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(DEADLINE_S)

    def wait(self) -> int:
        """Wait for it to end by itself; its exit code."""
        return self._process.wait(DEADLINE_S)

    @property
    def stdout(self) -> bytes:
        """What it printed; once it has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.read()

    @property
    def log(self) -> str:
        """What it logged so far."""
        return self._log.read_text(errors="replace")

    def address(self, event: str) -> str:
        """Where it listens, as it logged with this event."""
        self.wait_for_log(f'"{event}"')
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        started = [line for line in lines if line["event"] == event][-1]
        return f"http://{started['host']}:{started['port']}"

    def wait_for_log(self, what: str) -> None:
        """Wait until it has logged this."""
        self.wait_until(lambda: what in self.log, what)

    def wait_until(self, done: Callable[[], object], reason: str) -> None:
        """Wait for a condition while the worker lives."""
        wait_until(lambda: self._has_ended or done(), reason, details=lambda: self.log)
        assert not self._has_ended or done(), f"the worker ended; not yet: {reason}\n{self.log}"

    @property
    def _has_ended(self) -> bool:
        return self._process.poll() is not None

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What its ClickHouse holds, once it has ended."""
        run = understudy("query", "--clickhouse", self.url, "--json", sql, folder=self.folder)
        assert run.returncode == 0, run.stderr.decode()
        return [json.loads(line) for line in run.stdout.splitlines()]


def flushed_positions(broker: Broker, spec: TopicSpec, group_id: str) -> list[int]:
    """Up to where a topic's partitions have been read and stored, as the commits' metadata say."""
    names = [TopicPartition(spec.name, n) for n in range(spec.partitions)]
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": group_id})
    try:
        found = consumer.committed(names, timeout=DEADLINE_S)
    except KafkaException as error:
        if error.args[0].code() not in _COORDINATOR_COMING:
            raise
        return []
    finally:
        consumer.close()
    return [json.loads(p.metadata)["position"] if p.metadata else 0 for p in found]


def window_rows(rows: Sequence[Mapping[str, Any]]) -> list[WindowRow]:
    """Rows of the table `windows` as the records of the contract."""
    return [msgspec.convert(_nested(row), WindowRow, strict=False) for row in rows]


def _nested(row: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {name: {} for name in SECTIONS}
    for column, value in row.items():
        section, _, name = {**PLACES, **NAME_PLACES}.get(column, "").partition(".")
        if name:
            nested[section][name] = value
        else:
            nested[column] = value
    requests_from = row["requests_from"] if row["evaluator"] else None
    return {**nested, "mode": row["mode"] or None, "requests_from": requests_from}
