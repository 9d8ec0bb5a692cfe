"""`understudy up` as its user runs it: addresses that other processes reach, and an end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import COMMAND, clean_environment, understudy
from tests.waiting import DEADLINE_S, wait_until
from understudy.streams.demo.run import policy_text
from understudy.streams.demo.simulator import ROLLOUT_ID

pytestmark = pytest.mark.embedded

PAIRS = 1_500


class Service:
    """The command in a process, and the addresses that it printed."""

    def __init__(self, folder: Path) -> None:
        (folder / "policy.yaml").write_text(policy_text())
        self.folder = folder
        self.process = subprocess.Popen(
            [*COMMAND, "up", "-f", "policy.yaml", "--keep", "kept"],
            cwd=folder,
            env=clean_environment(
                {
                    "UNDERSTUDY_HTTP_PORT": "0",
                    "UNDERSTUDY_CLICKHOUSE_BATCH_AGE_S": "0.2",
                    "NO_COLOR": "1",
                }
            ),
            stdout=subprocess.PIPE,
            stderr=(folder / "stderr").open("wb"),
            text=True,
        )
        self.addresses: dict[str, str] = {}
        assert self.process.stdout is not None
        while "Token" not in self.addresses:
            line = self.process.stdout.readline()
            assert line, self.stderr
            name, value = line.split()[:2]
            self.addresses[name] = value
        wait_until(lambda: "Ready" in self.stderr, "it is ready", details=lambda: self.stderr)

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()

    def run(self, *arguments: str) -> str:
        environment = {
            "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": self.addresses["Kafka"],
            "UNDERSTUDY_CLICKHOUSE_URL": self.addresses["ClickHouse"],
        }
        run = understudy(*arguments, folder=self.folder, environment=environment)
        assert run.returncode == 0, run.stderr.decode()
        return run.stdout.decode()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.process.kill()
    service.process.wait()
    assert service.process.stdout is not None
    service.process.stdout.close()


def all_accounted(service: Service) -> bool:
    rows: list[dict[str, Any]] = json.loads(service.run("accounting", "--json"))
    events = [row for row in rows if row["source"] == "events" and row["partition"] is not None]
    written, counted, waiting = (
        sum(row[name] for row in events) for name in ("written", "accounted", "waiting")
    )
    return bool(written and counted + waiting == written)


def test_events_of_other_processes_reach_tables_and_verdicts(service: Service) -> None:
    service.run("demo", "--record", "events.ndjson", "--pairs", str(PAIRS))
    service.run("publish", "events.ndjson")
    wait_until(lambda: all_accounted(service), "all events are stored")
    (rollout,) = json.loads(service.run("rollout", "list", "--json"))
    assert (rollout["rollout_id"], rollout["verdict"]) == (ROLLOUT_ID, "hold")
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(DEADLINE_S) == 0
    assert "Traceback" not in service.stderr
    stored = understudy(
        "query", "--clickhouse", "chdb://kept", "--csv", "SELECT count() FROM comparisons FINAL",
        folder=service.folder,
    )  # fmt: skip
    assert re.search(rb"^1[34]\d\d$", stored.stdout, re.MULTILINE), stored
