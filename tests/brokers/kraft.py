"""Apache Kafka from its own jars: one process, broker and controller in one (KRaft)."""

from __future__ import annotations

import atexit
import base64
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Final

from tests.brokers.contract import NoBroker, wait_until_ready
from tests.brokers.jars import kafka_jars, kafka_version
from tests.brokers.java import find_java
from tests.brokers.ports import free_ports
from tests.brokers.settings import TEST_SETTINGS, listeners

_HEAP: Final = "-Xmx512m"
_STOP_TIMEOUT_S: Final = 30.0
_LOG_TAIL_BYTES: Final = 3000
_QUIET: Final = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
# Ends the broker when the test run does, even one that is killed: the run holds the other end of
# the pipe, which then closes.
_LIFELINE: Final = 'cat >/dev/null; kill -KILL "-$1" 2>/dev/null'


class KraftBroker:
    """Kafka as a process group of its own, with free ports and data in a temporary folder.

    Making one finds Java and the jars, and raises `NoBroker` without them.
    """

    def __init__(self) -> None:
        self._java = find_java()
        self._jars = kafka_jars()
        self._client, self._broker, self._controller = (
            f"127.0.0.1:{port}" for port in free_ports(3)
        )
        self._folder = Path(tempfile.mkdtemp(prefix="understudy-kafka-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @property
    def bootstrap_servers(self) -> str:
        return self._client

    @property
    def unsecured_servers(self) -> str:
        """Address at which a client without credentials is served."""
        return self._client

    @property
    def log_file(self) -> Path:
        """What the broker logged, warnings and worse."""
        return self._folder / "broker.log"

    @property
    def data_folder(self) -> Path:
        """Where the logs of topics are, a folder for each partition."""
        return self._folder / "data"

    def describe(self) -> str:
        return f"Apache Kafka {kafka_version()} (jars, KRaft, Java {self._java.release})"

    def start(self) -> None:
        if self._is_alive():
            return
        if not self._properties.exists():
            self._format()
        self._launch()
        try:
            wait_until_ready(self.unsecured_servers, self._is_alive)
        except NoBroker as error:
            self.kill()
            raise NoBroker(f"{error}\n{self._log_tail()}") from error

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        process, self._process = self._process, None
        self._cut_lifeline()
        if process is None:
            return
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.close)

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    def _format(self) -> None:
        """Write the settings and make the empty data folder under a new cluster id."""
        settings = self._settings()
        self._properties.write_text("".join(f"{name}={settings[name]}\n" for name in settings))
        arguments = ["format", f"--cluster-id={_cluster_id()}", "-c", str(self._properties)]
        with self.log_file.open("ab") as log:
            formatted = subprocess.run(
                self._command("kafka.tools.StorageTool", *arguments),
                stdout=log,
                stderr=log,
                check=False,
            )
        if formatted.returncode != 0:
            raise NoBroker(f"formatting the data folder failed:\n{self._log_tail()}")

    def _settings(self) -> dict[str, str]:
        bound = listeners(self._client, self._broker, self._controller)
        return TEST_SETTINGS | bound | {"log.dirs": str(self.data_folder)}

    def _launch(self) -> None:
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._properties)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )
        self._lifeline = subprocess.Popen(
            ["sh", "-c", _LIFELINE, "lifeline", str(self._process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _cut_lifeline(self) -> None:
        """End the watcher before its process group number can belong to someone else."""
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is None or lifeline.stdin is None:
            return
        os.killpg(lifeline.pid, signal.SIGKILL)
        lifeline.stdin.close()
        lifeline.wait()

    def _command(self, main: str, *arguments: str) -> list[str]:
        return [self._java.path, _HEAP, _QUIET, "-cp", f"{self._jars}/*", main, *arguments]

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _log_tail(self) -> str:
        return self.log_file.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")


def _cluster_id() -> str:
    """A random id in Kafka's form: 16 bytes, URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
