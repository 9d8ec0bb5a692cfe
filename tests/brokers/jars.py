"""Kafka's own jars, fetched once from Maven Central and kept for later runs.

The cache is a folder per pom: `kafka-<version>-<hash of pom.xml>`, complete or absent. Parallel
test runs wait for each other on a lock file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.brokers.contract import NoBroker
from tests.brokers.java import find_maven

POM: Final = Path(__file__).with_name("pom.xml")
_FETCH_TIMEOUT_S: Final = 900


def kafka_version() -> str:
    """The version that pom.xml pins; the container image uses the same."""
    match = re.search(r"<kafka\.version>(.+?)</kafka\.version>", POM.read_text())
    if match is None:
        raise ValueError(f"{POM} names no kafka.version")
    return match[1]


def kafka_jars() -> Path:
    """Folder of the jars, fetched now if need be.

    Raises `NoBroker` when they are not cached and cannot be fetched.
    """
    folder = cached_jars()
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.parent / "lock"):
        if not folder.is_dir():
            _fetch(folder)
    return folder


def cached_jars() -> Path:
    """Where the jars of this pom are kept, whether or not they are there yet."""
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    return _cache() / f"kafka-{kafka_version()}-{digest}"


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "understudy-tests"


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock file; another process that holds it is waited for."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path) -> None:
    """Download beside the folder, then rename: a torn download is never seen."""
    maven = find_maven()
    download = Path(tempfile.mkdtemp(prefix="fetching-", dir=folder.parent))
    try:
        _copy_dependencies(maven, download)
        download.rename(folder)
    finally:
        shutil.rmtree(download, ignore_errors=True)


def _copy_dependencies(maven: str, target: Path) -> None:
    command = [
        maven,
        "--quiet",
        "--batch-mode",
        "--strict-checksums",
        f"--file={POM}",
        "dependency:copy-dependencies",
        f"-DoutputDirectory={target}",
    ]
    try:
        subprocess.run(
            command,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_FETCH_TIMEOUT_S,
        )
    except subprocess.CalledProcessError as error:
        raise NoBroker(f"Maven could not fetch Kafka's jars:\n{error.stdout[-2000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise NoBroker(f"Maven took more than {_FETCH_TIMEOUT_S} s for Kafka's jars") from error
