"""Finds the tools that Kafka's own jars need: Java 17 or newer, and Maven to fetch them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.brokers.contract import NoBroker

OLDEST_JAVA: Final = 17


@dataclass(frozen=True, slots=True)
class Java:
    """A Java launcher and its feature release, such as 17."""

    path: str
    release: int


def find_java() -> Java:
    """The Java of JAVA_HOME, else of PATH. Raises `NoBroker` when there is none new enough."""
    path = _launcher()
    if path is None:
        raise NoBroker(f"no java in JAVA_HOME or PATH (Java {OLDEST_JAVA} or newer is needed)")
    release = _release(path)
    if release < OLDEST_JAVA:
        raise NoBroker(f"Java {release} is too old (Java {OLDEST_JAVA} or newer is needed)")
    return Java(path, release)


def find_maven() -> str:
    """Path of `mvn`. Raises `NoBroker` when it is missing."""
    path = shutil.which("mvn")
    if path is None:
        raise NoBroker("no mvn in PATH to fetch Kafka's jars with")
    return path


def _launcher() -> str | None:
    home = os.environ.get("JAVA_HOME")
    if home and os.access(Path(home, "bin", "java"), os.X_OK):
        return str(Path(home, "bin", "java"))
    return shutil.which("java")


def _release(path: str) -> int:
    """Feature release that `java -version` names; 8 for the old form `1.8.0`."""
    shown = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(?:1\.)?(\d+)', shown.stderr + shown.stdout)
    if match is None:
        raise NoBroker(f"{path} does not tell its version")
    return int(match[1])
