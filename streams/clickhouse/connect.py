"""A client for ClickHouse by URL: a server, or chDB inside this process.

- `clickhouse://user:password@host:8123/database?secure=true&max_execution_time=60`
- `clickhouses://…`, the same over TLS (port 8443)
- `chdb:///absolute/folder`, `chdb://relative/folder`, `chdb://:memory:`

A parameter after the question mark is an option of the client (`OPTIONS`) or else a ClickHouse
setting; `database=…` names the database for chDB too, `cluster=…` the cluster on whose hosts
everything is created. A missing database is created.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, ProgrammingError

from understudy.streams.clickhouse.cluster_ddl import on_cluster
from understudy.streams.clickhouse.folder_holder import holder_of
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy, sink_error

DEFAULT_DATABASE: Final = "understudy"
DEFAULT_TIMEOUT_S: Final = 30.0
"""Of one request: a heavy query takes seconds, and a server that hangs is given up."""
MEMORY: Final = ":memory:"
OPTIONS: Final = frozenset(
    {
        "ca_cert",
        "client_cert",
        "client_cert_key",
        "compress",
        "connect_timeout",
        "http_proxy",
        "https_proxy",
        "proxy_path",
        "server_host_name",
        "tls_mode",
        "verify",
    }
)
"""What the URL may set of the client itself."""

_CLUSTER: Final = re.compile(r"[\w.-]+")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONNECT_TIMEOUT_S: Final = 10
"""A server that lives accepts in milliseconds, one across a slow network within seconds."""
_SERVER_PORTS: Final = {False: 8123, True: 8443}
_SETTINGS: Final[dict[str, Any]] = {"async_insert": 0}
"""An insert has happened when the call returns."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart; `location` is shown in messages and holds no password."""

    location: str
    database: str
    arguments: dict[str, Any]
    settings: dict[str, Any]
    cluster: str = ""
    """On whose hosts everything is created; empty for this one."""

    @property
    def folder(self) -> Path | None:
        """ChDB's folder; None of a server, and of what is in memory."""
        path = self.arguments.get("path", MEMORY)
        return None if path == MEMORY else Path(path)

    @property
    def is_there(self) -> bool:
        """Whether chDB's folder is; of a server, opening tells."""
        return self.folder is None or self.folder.is_dir()


def connect(
    url: str,
    *,
    database: str | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    create: bool = True,
    needs_database: bool = True,
) -> Client:
    """Open a client whose current database is `database`, else the URL's, else `understudy`.

    A missing database, or chDB's folder, is made or, without `create`, raises `SinkBroken`. A
    folder that another process has open is asked over HTTP where that process serves it and nothing
    is to be created: such a client only reads. Without `create` and `needs_database`, the current
    database is ClickHouse's own where the wanted one is missing.

    `timeout_s` is how long a server may take over one request, rounded up to whole seconds.
    Raises `SinkBusy` when the server cannot be reached, `SinkBroken` when the URL, the rights or
    the installation are at fault.
    """
    target = parse_url(url, database=database)
    if not create and not target.is_there:
        raise SinkBroken(f"{target.location} is no folder yet")
    if target.folder is not None:
        target = _where_served(target, target.folder, only_asks=not create)
    client = _open(target, timeout_s)
    is_in_memory = target.arguments.get("path") == MEMORY  # where nothing can be there before
    try:
        if create or is_in_memory:
            made = f"CREATE DATABASE IF NOT EXISTS `{target.database}`"
            client.command(on_cluster(made, target.cluster))
        elif not client.command(f"EXISTS DATABASE `{target.database}`"):
            if not needs_database:
                return client
            raise SinkBroken(f"{target.location} has no database {target.database}")
    except SinkBroken:
        client.close()
        raise
    except ClickHouseError as error:
        client.close()
        raise sink_error(error) from error
    client.database = target.database
    return client


def parse_url(url: str, *, database: str | None = None) -> Target:
    """Take a URL apart. Raises `SinkBroken` when it is none of the known forms."""
    scheme, separator, _ = url.partition("://")
    if scheme == "chdb":
        return _parse_chdb(url, database)
    if scheme in ("clickhouse", "clickhouses"):
        return _parse_server(url, database)
    raise SinkBroken(
        f"{scheme + separator if separator else 'text without ://'} is no ClickHouse URL; use "
        "clickhouse://host:8123/database, clickhouses://… for TLS, or chdb://FOLDER"
    )


def _parse_chdb(url: str, database: str | None) -> Target:
    path, _, query = url.removeprefix("chdb://").partition("?")
    path = unquote(path)
    if not path:
        raise SinkBroken(f"{url} names no folder; use chdb://FOLDER or chdb://{MEMORY}")
    options, settings = _split(query)
    name = _checked(database or options.pop("database", DEFAULT_DATABASE))
    if "cluster" in options:
        raise SinkBroken("an embedded folder is no cluster; leave out cluster=…")
    arguments = {"interface": "chdb", "path": path}
    return Target(f"chdb://{path}", name, arguments, settings)


def _parse_server(url: str, database: str | None) -> Target:
    parts = urlsplit(url)
    options, settings = _split(parts.query)
    asked_for = options.pop("secure", "false").lower()
    secure = parts.scheme == "clickhouses" or asked_for in ("1", "true", "yes")
    try:
        port = parts.port or _SERVER_PORTS[secure]
    except ValueError as error:
        raise SinkBroken(f"the port of the ClickHouse URL: {error}") from None
    host = parts.hostname or "localhost"
    named = options.pop("database", unquote(parts.path.strip("/")))
    cluster = options.pop("cluster", "")
    if cluster and not _CLUSTER.fullmatch(cluster):
        raise SinkBroken(f"{cluster!r} is no name of a cluster: letters, digits, _, - and . only")
    arguments = {
        "interface": "https" if secure else "http",
        "host": host,
        "port": port,
        "username": unquote(parts.username or "default"),
        "password": unquote(parts.password or ""),
        "autogenerate_session_id": False,
        "connect_timeout": _CONNECT_TIMEOUT_S,
        **options,
    }
    location = f"{parts.scheme}://{host}:{port}"
    checked = _checked(database or named or DEFAULT_DATABASE)
    return Target(location, checked, arguments, settings, cluster)


def _split(query: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the client, and settings of ClickHouse."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    known = OPTIONS | {"cluster", "database", "secure"}
    options = {name: value for name, value in given.items() if name in known}
    settings = {name: value for name, value in given.items() if name not in known}
    return options, {**settings, **_SETTINGS}


def _checked(database: str) -> str:
    if not _IDENTIFIER.fullmatch(database):
        raise SinkBroken(f"{database!r} is no database name: letters, digits and _ only")
    return database


def _open(target: Target, timeout_s: float) -> Client:
    arguments = dict(target.arguments)
    if arguments["interface"] != "chdb":
        arguments["send_receive_timeout"] = max(1, math.ceil(timeout_s))
    try:
        client = clickhouse_connect.get_client(settings=target.settings, **arguments)
    except ImportError as error:
        raise SinkBroken(
            f"{target.location} needs the embedded ClickHouse: pip install 'understudy[embedded]'"
        ) from error
    except ProgrammingError as error:
        raise SinkBroken(_explain(target, error)) from error
    except ClickHouseError as error:
        raise _unreachable(target, error) from error
    return client


def _where_served(target: Target, folder: Path, *, only_asks: bool) -> Target:
    """The folder itself, or where the process that has it open serves it.

    Raises `SinkBusy` where it can be used only by that process.
    """
    holder = holder_of(folder)
    if holder is None:
        return target
    if holder.port is None or not only_asks:
        held = f"{target.location} is open in {holder}, and a folder can be open in one process"
        served = (
            f"; while it runs, clickhouse://127.0.0.1:{holder.port} answers questions"
            if holder.port is not None
            else ""
        )
        raise SinkBusy(f"{held}: stop it first{served}")
    served_at = f"clickhouse://127.0.0.1:{holder.port}/{target.database}"
    return replace(parse_url(served_at), settings={})


def _explain(target: Target, error: ProgrammingError) -> str:
    if target.arguments["interface"] == "chdb":
        return (
            f"cannot open {target.location}: {error} (a process can hold one chDB folder at a "
            "time, and a folder can be open in one process)"
        )
    return f"{target.location}: {error}"


def _unreachable(target: Target, error: ClickHouseError) -> Exception:
    cause = sink_error(error)
    if isinstance(cause, SinkBusy):
        said = _network_failure(error) or str(cause)
        return SinkBusy(f"{target.location} cannot be reached: {said}", cause.retry_after_s)
    return SinkBroken(f"{target.location}: {cause}")


def _network_failure(error: BaseException | None) -> str:
    """Return what the operating system says, such as Connection refused; empty if it is not that.

    The client wraps it in some lines of its own.
    """
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        error = error.__cause__ or error.__context__
    return ""
