"""Applies the numbered DDL files of `schemas/clickhouse`, each once.

Several workers may do so at a time: every statement can be run again without harm, and a
file is written down in the table `migrations` only after all its statements have succeeded. A
file must not change once it has been released; what changes is a new file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from understudy.streams.clickhouse.cluster_ddl import on_cluster
from understudy.streams.clickhouse.connect import connect, parse_url
from understudy.streams.clickhouse.native_format import encode_block
from understudy.streams.clickhouse.sink_errors import SinkBroken, sink_error

log = structlog.get_logger(__name__)

_PACKAGE: Final = "understudy.schemas.clickhouse"
_STATEMENT_END: Final = re.compile(r";[ \t]*(?:\n|\Z)")
_COMMENT: Final = re.compile(r"^--.*$", re.MULTILINE)
_NUMBERED: Final = re.compile(r"\d{4}_\w+\.sql")
_CREATED_MEANWHILE: Final = frozenset({57, 82, 371, 609})
"""Table, database, row policy or function made by another worker at the same instant."""

_MIGRATIONS_TABLE: Final = """
CREATE TABLE IF NOT EXISTS migrations (
    name String COMMENT 'File in schemas/clickhouse, without its ending',
    checksum String COMMENT 'SHA-256 of the file, in hexadecimal',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it had succeeded'
) ENGINE = ReplacingMergeTree ORDER BY name
COMMENT 'DDL files that have been applied to this database'
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One DDL file."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """The SQL statements in order; each ends with a semicolon at the end of a line."""
        text = _COMMENT.sub("", self.sql)
        return [part.strip() for part in _STATEMENT_END.split(text) if part.strip()]


def migrations() -> list[Migration]:
    """All DDL files of this release, by number."""
    found = sorted(filter(_is_numbered, files(_PACKAGE).iterdir()), key=lambda file: file.name)
    return [Migration(file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in found]


def _is_numbered(file: Traversable) -> bool:
    return _NUMBERED.fullmatch(file.name) is not None


def migrate(
    client: Client, known: Sequence[Migration] | None = None, *, cluster: str = ""
) -> list[str]:
    """Bring the client's database up to date; names of what was applied, in order.

    `known` stands for the release's own files; a cluster's name has everything made on all of its
    hosts, in replicated tables. Raises `SinkBroken` when a file differs from what
    was once applied under its name or a statement is refused, `SinkBusy` when ClickHouse is away.
    """
    try:
        _run(client, on_cluster(_MIGRATIONS_TABLE.strip(), cluster))
        missing = _missing(client, migrations() if known is None else known)
        for migration in missing:
            _apply(client, migration, cluster)
    except ClickHouseError as error:
        raise sink_error(error) from error
    return [migration.name for migration in missing]


def pending(client: Client, known: Sequence[Migration] | None = None) -> list[str]:
    """Names of the files that have not been applied; changes nothing. Raises as `migrate`."""
    wanted = migrations() if known is None else known
    try:
        if not client.command("EXISTS TABLE migrations"):
            return [migration.name for migration in wanted]
        return [migration.name for migration in _missing(client, wanted)]
    except ClickHouseError as error:
        raise sink_error(error) from error


def require_tables(client: Client) -> None:
    """Raise `SinkBroken` when tables of this release are missing."""
    if pending(client):
        raise SinkBroken(
            "the tables of this release are not all there; `understudy migrate` creates them"
        )


def client_opener(url: str) -> Callable[[], Client]:
    """What opens a client on a database whose tables are up to date."""

    def open_client() -> Client:
        client = connect(url)
        applied = migrate(client, cluster=parse_url(url).cluster)
        if applied:
            log.info("clickhouse.migrated", migrations=applied)
        return client

    return open_client


def _missing(client: Client, known: Sequence[Migration]) -> list[Migration]:
    rows = client.query("SELECT name, checksum FROM migrations FINAL").result_rows
    applied = {str(name): str(checksum) for name, checksum in rows}
    for migration in known:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise SinkBroken(
                f"migration {migration.name} has changed since it was applied to this database; "
                "restore the file and put the change into a new one"
            )
    return [migration for migration in known if migration.name not in applied]


def _apply(client: Client, migration: Migration, cluster: str) -> None:
    for statement in migration.statements:
        try:
            _run(client, on_cluster(statement, cluster))
        except ClickHouseError as error:
            cause = sink_error(error)
            raise type(cause)(f"migration {migration.name}: {cause}") from error
    _note_applied(client, migration)


def _note_applied(client: Client, migration: Migration) -> None:
    """Note it down, without the client's own `insert`: that loads pandas, for half a second."""
    row = {"name": [migration.name], "checksum": [migration.checksum]}
    noted = encode_block("migrations", dict.fromkeys(row, "String"), row)
    client.raw_insert(noted.table, insert_block=noted.payload, fmt="Native")


def _run(client: Client, statement: str) -> None:
    """Run one statement that says IF NOT EXISTS, which races with the same one elsewhere."""
    try:
        client.command(statement)
    except ClickHouseError as error:
        if getattr(error, "code", None) not in _CREATED_MEANWHILE:
            raise
