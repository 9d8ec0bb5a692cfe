"""Apache Kafka in a container, wherever a Docker engine answers."""

from __future__ import annotations

import atexit
import socket
from typing import Any, Final

from tests.brokers.contract import NoBroker, wait_until_ready
from tests.brokers.jars import kafka_version
from tests.brokers.ports import free_ports
from tests.brokers.settings import TEST_SETTINGS, listeners

IMAGE: Final = f"apache/kafka:{kafka_version()}"
_CLIENT_PORT: Final = 9092
_STOP_TIMEOUT_S: Final = 30
_ENGINE_TIMEOUT_S: Final = 5


class ContainerBroker:
    """The official image on a fixed port of the Docker host, data inside the container.

    Making one asks the Docker engine whether it is there, and raises `NoBroker` if not.
    """

    def __init__(self) -> None:
        self._host = _docker_host()
        self._port = free_ports(1)[0]
        self._container: Any = None
        atexit.register(self.close)

    @property
    def bootstrap_servers(self) -> str:
        return f"{self._host}:{self._port}"

    def describe(self) -> str:
        return f"Apache Kafka {kafka_version()} (testcontainers, {IMAGE}, KRaft)"

    def start(self) -> None:
        if self._container is None:
            self._create()
        else:
            self._container.get_wrapped_container().start()
        wait_until_ready(self.bootstrap_servers, self._is_alive)

    def stop(self) -> None:
        self._container.get_wrapped_container().stop(timeout=_STOP_TIMEOUT_S)

    def kill(self) -> None:
        self._container.get_wrapped_container().kill(signal="SIGKILL")

    def restart(self) -> None:
        if self._is_alive():
            self.stop()
        self.start()

    def close(self) -> None:
        container, self._container = self._container, None
        atexit.unregister(self.close)
        if container is not None:
            container.stop()

    def _create(self) -> None:
        """Raises `NoBroker` when the image cannot be had or run."""
        from docker.errors import DockerException  # type: ignore[import-untyped]
        from testcontainers.core.container import DockerContainer

        container = DockerContainer(IMAGE).with_bind_ports(_CLIENT_PORT, self._port)
        for name, value in self._settings().items():
            container = container.with_env(_variable(name), value)
        try:
            self._container = container.start()
        except DockerException as error:
            raise NoBroker(f"Docker could not run {IMAGE}: {error}") from error

    def _settings(self) -> dict[str, str]:
        bound = listeners(f"0.0.0.0:{_CLIENT_PORT}", "localhost:19092", "localhost:9093")
        advertised = f"CLIENT://{self.bootstrap_servers},BROKER://localhost:19092"
        return TEST_SETTINGS | bound | {"advertised.listeners": advertised}

    def _is_alive(self) -> bool:
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return str(wrapped.status) in {"created", "running"}


def _docker_host() -> str:
    """Address under which published ports are reached, numeric for the client's sake."""
    try:
        import docker  # type: ignore[import-untyped]
        from docker.errors import DockerException
        from testcontainers.core.docker_client import DockerClient
    except ImportError as error:
        raise NoBroker(f"testcontainers is not installed ({error})") from error
    try:
        docker.from_env(timeout=_ENGINE_TIMEOUT_S).ping()
        return socket.gethostbyname(DockerClient().host())
    except (DockerException, OSError) as error:
        raise NoBroker("no Docker engine answers") from error


def _variable(setting: str) -> str:
    """The image's name for a broker setting: `log.dirs` is KAFKA_LOG_DIRS."""
    return "KAFKA_" + setting.replace("_", "__").replace("-", "___").replace(".", "_").upper()
