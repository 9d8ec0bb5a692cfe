"""Makes sure, before the tests run, that a real Kafka broker can be had where one is required.

Does nothing unless CI=true or UNDERSTUDY_TEST_REQUIRE_BROKER=1. Then, without a Docker engine, it
looks for Java and Maven, installs Debian's packages if it may (as root, with apt-get), and
fetches Kafka's jars. Says what it does; ends with status 1 and the reason if it cannot.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Final

from tests.brokers.choose import is_broker_required
from tests.brokers.container import ContainerBroker
from tests.brokers.contract import NoBroker
from tests.brokers.existing import VARIABLE
from tests.brokers.jars import cached_jars, kafka_jars
from tests.brokers.java import find_java, find_maven

_JAVA_PACKAGES: Final = ("openjdk-17-jre-headless", "default-jre-headless")


def main() -> int:
    """Exit status: 0 when a broker can be had or none is required."""
    if not is_broker_required():
        return 0
    try:
        _say(f"broker for the tests: {_prepare()}")
    except (NoBroker, subprocess.CalledProcessError) as error:
        _say(f"no Kafka broker can be had here: {error}")
        return 1
    return 0


def _prepare() -> str:
    if os.environ.get(VARIABLE):
        return f"the one at {os.environ[VARIABLE]}"
    if _has_docker():
        return "a container"
    _install_what_is_missing()
    if not cached_jars().is_dir():
        _say("fetching Kafka's jars from Maven Central (43 MB) …")
    kafka_jars()
    return f"Kafka's jars on Java {find_java().release}"


def _has_docker() -> bool:
    try:
        ContainerBroker().close()
    except NoBroker:
        return False
    return True


def _install_what_is_missing() -> None:
    missing = _missing()
    if not missing or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    _say(f"installing {' and '.join(missing)} with apt-get …")
    _apt("update")
    if "maven" in missing:
        _apt("install", "maven")
    if "java" in missing:
        _install_java()


def _missing() -> list[str]:
    """`java`, `maven`, both or none. Maven is not missed when the jars are cached."""
    missing = []
    try:
        find_java()
    except NoBroker:
        missing.append("java")
    try:
        cached_jars().is_dir() or find_maven()
    except NoBroker:
        missing.append("maven")
    return missing


def _install_java() -> None:
    """The first of the packages that this release of Debian or Ubuntu has."""
    first, second = _JAVA_PACKAGES
    try:
        _apt("install", first)
    except subprocess.CalledProcessError:
        _apt("install", second)


def _apt(command: str, *packages: str) -> None:
    """Run apt-get without questions; raises `CalledProcessError` when it fails."""
    options = ["-qq", "-y", "--no-install-recommends"] if packages else ["-qq"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", command, *options, *packages], check=True, env=environment)


def _say(line: str) -> None:
    print(f"== {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
