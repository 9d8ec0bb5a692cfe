"""`prepare` installs what a required broker lacks, only then, and says what it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.brokers import prepare
from tests.brokers.jars import cached_jars

APT = """#!/bin/sh
echo "$*" >> {folder}/calls
case "$*" in
  *openjdk*) exit 100 ;;
  *default-jre*) cp {folder}/java.txt {folder}/java ;;
  *maven*) cp {folder}/mvn.txt {folder}/mvn ;;
esac
"""
JAVA = """#!/bin/sh
echo 'openjdk version "21.0.1" 2023-10-17' >&2
"""
MAVEN = """#!/bin/sh
exit 0
"""
TOOLS = ("sh", "cp")
APT_CALLS = [
    "update -qq",
    "install -qq -y --no-install-recommends maven",
    "install -qq -y --no-install-recommends openjdk-17-jre-headless",
    "install -qq -y --no-install-recommends default-jre-headless",
]


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder that is all of PATH: an apt-get that can install Java 21 and Maven, nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(Path("/bin", tool))
    for name, script in (("apt-get", APT), ("java.txt", JAVA), ("mvn.txt", MAVEN)):
        (folder / name).write_text(script.replace("{folder}", str(folder)))
        (folder / name).chmod(0o755)
    for variable in ("CI", "JAVA_HOME", "UNDERSTUDY_TEST_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("UNDERSTUDY_TEST_REQUIRE_BROKER", "1")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/no.sock")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return folder


def test_missing_java_and_maven_are_installed(
    bare_machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare.main() == 0
    assert (bare_machine / "calls").read_text().splitlines() == APT_CALLS
    assert cached_jars().is_dir()
    told = capsys.readouterr().err
    assert "installing java and maven with apt-get" in told
    assert "Kafka's jars on Java 21" in told


def test_nothing_is_installed_when_no_broker_is_required(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TEST_REQUIRE_BROKER", "0")
    assert prepare.main() == 0
    assert not (bare_machine / "calls").exists()


def test_nothing_is_installed_when_a_broker_is_named(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TEST_BOOTSTRAP_SERVERS", "kafka:9092")
    assert prepare.main() == 0
    assert not (bare_machine / "calls").exists()


def test_user_who_may_not_install_is_told_what_is_missing(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert prepare.main() == 1
    assert not (bare_machine / "calls").exists()
    assert "no mvn in PATH" in capsys.readouterr().err
