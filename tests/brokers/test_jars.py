"""Kafka's jars are fetched once, whole or not at all, however many test runs ask."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.brokers.contract import NoBroker
from tests.brokers.jars import cached_jars, kafka_jars, kafka_version

ROOT = Path(__file__).parents[2]
COUNTING_MAVEN = """#!/bin/sh
for argument; do
  case $argument in -DoutputDirectory=*) target=${argument#*=} ;; esac
done
sleep 0.3
echo jar > "$target/kafka.jar"
echo once >> "$(dirname "$0")/calls"
"""
BROKEN_MAVEN = """#!/bin/sh
for argument; do
  case $argument in -DoutputDirectory=*) echo half > "${argument#*=}/kafka.jar" ;; esac
done
echo "no route to host"
exit 1
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a stand-in `mvn`, first in PATH; the cache is empty."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def install(tools: Path, script: str) -> None:
    (tools / "mvn").write_text(script)
    (tools / "mvn").chmod(0o755)


def test_jars_are_fetched_once_by_parallel_runs(tools: Path) -> None:
    install(tools, COUNTING_MAVEN)
    command = [sys.executable, "-c", "from tests.brokers.jars import kafka_jars; kafka_jars()"]
    with ThreadPoolExecutor(3) as pool:
        runs = pool.map(lambda _: subprocess.run(command, cwd=ROOT, check=True), range(3))
        assert len(list(runs)) == 3
    assert (tools / "calls").read_text() == "once\n"
    assert (kafka_jars() / "kafka.jar").read_text() == "jar\n"


def test_failed_fetch_leaves_nothing_and_tells_why(tools: Path) -> None:
    install(tools, BROKEN_MAVEN)
    with pytest.raises(NoBroker, match="no route to host"):
        kafka_jars()
    assert not cached_jars().exists()
    assert [path.name for path in cached_jars().parent.iterdir()] == ["lock"]


def test_compose_file_runs_the_same_kafka() -> None:
    assert f"image: apache/kafka:{kafka_version()}\n" in (ROOT / "compose.yaml").read_text()
