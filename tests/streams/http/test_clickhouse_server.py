"""A process that serves its chDB folder, asked by others in the ways that people ask."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

import clickhouse_connect
import pytest

from tests.integration.processes import understudy
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.folder_holder import holder_of
from understudy.streams.clickhouse.read_only_chdb import ReadOnlyChdb
from understudy.streams.http.clickhouse_server import _served

pytestmark = pytest.mark.embedded

_SERVE = """
import sys
from understudy.streams.clickhouse.connect import connect
from understudy.streams.http.clickhouse_server import embedded_clickhouse_server
from understudy.streams.settings import ClickHouseSettings

url, port = sys.argv[1], int(sys.argv[2])
with embedded_clickhouse_server(ClickHouseSettings(url=url, embedded_port=port)):
    client = connect(url)
    client.command("CREATE TABLE t (a UInt32, m Map(UInt16, UInt64)) ENGINE = Memory")
    client.command("INSERT INTO t VALUES (1, {1: 2}), (2, {})")
    print("ready", flush=True)
    sys.stdin.read()
"""


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[int]:
    """Serve a folder in a process of its own; yields the port."""
    command = [sys.executable, "-c", _SERVE, f"chdb://{folder}", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert any(line == b"ready\n" for line in process.stdout)
        holder = holder_of(folder)
        assert holder is not None
        assert holder.pid == process.pid
        assert holder.port is not None
        try:
            yield holder.port
        finally:
            process.communicate()
    assert holder_of(folder) is None
    assert not (folder / "understudy-http.json").exists()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    folder = tmp_path_factory.mktemp("served") / "data"
    with serving(folder) as port:
        yield folder, port


def test_the_folder_is_asked_by_its_url_while_it_is_open_elsewhere(
    served: tuple[Path, int], tmp_path: Path
) -> None:
    folder, _ = served
    sql = "SELECT a, m FROM t ORDER BY a"
    done = understudy("query", "--json", "--clickhouse", f"chdb://{folder}", sql, folder=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b'{"a":1,"m":{"1":2}}\n{"a":2,"m":{}}\n'
    client = connect(f"chdb://{folder}", create=False)
    assert client.query("SELECT sum(a) FROM t").first_row == (3,)
    client.close()


def test_clickhouse_connect_with_settings_and_parameters(served: tuple[Path, int]) -> None:
    _, port = served
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=port, database="understudy", settings={"max_block_size": 10}
    )
    rows = client.query(
        "SELECT a FROM t WHERE a > {least:UInt32}",
        parameters={"least": 1},
        settings={"max_threads": 1},
    ).result_rows
    assert rows == [(2,)]
    assert client.raw_query("SELECT a FROM t ORDER BY a", fmt="JSONEachRow") == (
        b'{"a":1}\n{"a":2}\n'
    )
    assert client.command("EXISTS TABLE t") == 1
    with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match="READONLY"):
        client.command("DROP TABLE t")
    client.close()


def test_writing_says_who_has_it_open(served: tuple[Path, int], tmp_path: Path) -> None:
    folder, port = served
    done = understudy("migrate", "--clickhouse", f"chdb://{folder}", folder=tmp_path)
    assert done.returncode == 3
    said = done.stderr.decode()
    assert "is open in process" in said
    assert f"clickhouse://127.0.0.1:{port} answers questions" in said
    assert "Traceback" not in said


def test_a_port_that_is_taken_is_replaced_by_a_free_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with serving(tmp_path / "data", number) as port:
            assert port not in (0, number)


def test_a_url_of_no_folder_creates_nothing(tmp_path: Path) -> None:
    done = understudy("query", "--clickhouse", "chdb://typo", "SELECT 1", folder=tmp_path)
    assert done.returncode == 1
    assert b"chdb://typo is no folder yet" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_statement_under_way_is_ended_and_all_connections_are_closed(
    clickhouse_url: str, clickhouse_database: str
) -> None:
    if not clickhouse_url.startswith("chdb://"):
        pytest.skip("ClickHouse is a server in this run")
    folder = Path(clickhouse_url.removeprefix("chdb://"))
    chdb, statuses = ReadOnlyChdb(folder), list[int]()

    def ask(port: int) -> None:
        sql = quote("SELECT sum(number) FROM numbers(1000000000000)")
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", f"/?query={sql}")
        statuses.append(connection.getresponse().status)
        connection.close()

    with _served(chdb, folder, clickhouse_database, 0):
        port = json.loads((folder / "understudy-http.json").read_bytes())["port"]
        thread = threading.Thread(target=ask, args=(port,))
        thread.start()
        deadline_s = time.monotonic() + 30.0
        while len(chdb._opened) < 2 and time.monotonic() < deadline_s:
            time.sleep(0.01)  # until the statement has a connection
    thread.join(30.0)
    assert statuses == [500]
    assert [connection._conn for connection in chdb._opened] == [None, None]
