"""ClickHouse's HTTP interface over the tests' chDB folder: requests as clients make them."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.read_only_chdb import ReadOnlyChdb
from understudy.streams.clickhouse.read_only_sql import MAX_SQL_BYTES
from understudy.streams.http.app import RUNNER
from understudy.streams.http.clickhouse_interface import make_clickhouse_app

pytestmark = pytest.mark.embedded


class Client:
    """Asks, and keeps status, headers and body of each answer."""

    def __init__(self, runner: asyncio.Runner, server: TestServer) -> None:
        self._runner, self._server = runner, server

    def ask(self, method: str = "GET", path: str = "/", **options: Any) -> tuple[int, Any, bytes]:
        async def asked() -> tuple[int, Any, bytes]:
            async with (
                ClientSession(auto_decompress=False) as session,
                session.request(method, self._server.make_url(path), **options) as answer,
            ):
                return answer.status, answer.headers, await answer.read()

        return self._runner.run(asked())


@pytest.fixture
def client(clickhouse_url: str, clickhouse_database: str) -> Iterator[Client]:
    if not clickhouse_url.startswith("chdb://"):
        pytest.skip("ClickHouse is a server in this run")
    writer = connect(clickhouse_url, database=clickhouse_database)
    writer.command("CREATE TABLE t (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
    writer.command("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    chdb = ReadOnlyChdb(Path(clickhouse_url.removeprefix("chdb://")))
    with asyncio.Runner() as runner:

        async def started() -> TestServer:
            server = TestServer(make_clickhouse_app(chdb, clickhouse_database))
            await server.start_server(**RUNNER)
            return server

        server = runner.run(started())
        yield Client(runner, server)
        runner.run(server.close())
    chdb.close()
    writer.close()


@pytest.mark.parametrize("path", ["/ping", "/", "/replicas_status"])
def test_it_says_that_it_lives(path: str, client: Client) -> None:
    assert client.ask(path=path)[::2] == (200, b"Ok.\n")


def test_a_statement_in_the_url_in_the_body_or_in_both(client: Client) -> None:
    assert client.ask(params={"query": "SELECT max(a) FROM t"})[::2] == (200, b"2\n")
    assert client.ask("POST", data=b"SELECT max(a) FROM t")[::2] == (200, b"2\n")
    both = client.ask("POST", params={"query": "SELECT max(a)"}, data=b"FROM t")
    assert both[::2] == (200, b"2\n")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
def test_a_compressed_statement(pack: Any, client: Client) -> None:
    encoding = "gzip" if pack is gzip.compress else "deflate"
    headers = {"Content-Encoding": encoding}
    packed = pack(b"SELECT max(a) FROM t")
    assert client.ask("POST", data=packed, headers=headers)[::2] == (200, b"2\n")
    bomb = pack(b" " * (MAX_SQL_BYTES + 1) + b"SELECT 1")
    assert client.ask("POST", data=bomb, headers=headers)[0] == 400
    assert client.ask("POST", data=b"plain", headers=headers)[0] == 400


def test_a_compressed_answer_where_it_is_wanted(client: Client) -> None:
    params = {"query": "SELECT s FROM t ORDER BY a", "enable_http_compression": "1"}
    wanted = {"Accept-Encoding": "lz4, gzip"}
    status, headers, body = client.ask(params=params, headers=wanted)
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert gzip.decompress(body) == b"x\ny\n"
    _, headers, body = client.ask(params={"query": "SELECT 1"}, headers=wanted)
    assert "Content-Encoding" not in headers
    assert body == b"1\n"


def test_formats_parameters_and_headers(client: Client) -> None:
    params = {
        "query": "SELECT s FROM t WHERE a = {a:UInt32}", "param_a": "2", "query_id": "mine",
        "default_format": "JSONEachRow", "max_threads": "9", "session_id": "x", "user": "anyone",
    }  # fmt: skip
    status, headers, body = client.ask(params=params)
    assert (status, body) == (200, b'{"s":"y"}\n')
    assert headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert headers["X-ClickHouse-Query-Id"] == "mine"
    assert headers["Content-Type"].startswith("application/x-ndjson")
    assert json.loads(headers["X-ClickHouse-Summary"])["result_rows"] == "1"
    _, headers, body = client.ask(params={**params, "query": "SELECT 1 FORMAT CSV"})
    assert (headers["X-ClickHouse-Format"], body) == ("CSV", b"1\n")


def test_native_for_a_client_that_names_its_revision(client: Client) -> None:
    params = {"query": "SELECT 1 AS n", "default_format": "Native"}
    plain = client.ask(params=params)[2]
    assert plain == b"\x01\x01\x01n\x05UInt8\x01"
    revised = client.ask(params={**params, "client_protocol_version": "54515"})[2]
    assert revised == b"\x01\x00\x02\xff\xff\xff\xff\x00\x01\x01\x01n\x05UInt8\x00\x01"


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELEKT 1", 403, "164"),
        ("SELECT FROM WHERE", 400, "62"),
        ("SELECT * FROM nowhere", 404, "60"),
        ("DROP TABLE t", 403, "164"),
        ("SELECT file('/etc/hostname')", 403, "164"),
        ("", 403, "164"),
    ],
)
def test_errors_are_clickhouses_own(sql: str, status: int, code: str, client: Client) -> None:
    found, headers, body = client.ask("POST", data=sql.encode())
    assert (found, headers["X-ClickHouse-Exception-Code"]) == (status, code)
    assert body.startswith(f"Code: {code}. DB::Exception: ".encode())


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8123", 200), ("127.0.0.1", 200), ("[::1]:8123", 200), ("evil.example", 403),
     ("127.0.0.1.evil.example:8123", 403)],
)  # fmt: skip
def test_only_this_machine_is_asked_by_its_own_names(
    host: str, status: int, client: Client
) -> None:
    found, _, body = client.ask(params={"query": "SELECT s FROM t"}, headers={"Host": host})
    assert found == status
    assert (b"x" in body.split()) == (status == 200)


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("none", 200)])
def test_pages_of_other_sites_get_no_statement_run(site: str, status: int, client: Client) -> None:
    headers = {"Sec-Fetch-Site": site}
    assert client.ask(params={"query": "SELECT 1"}, headers=headers)[0] == status


@pytest.mark.parametrize("name", ["compress", "decompress"])
def test_what_is_not_supported_is_said(name: str, client: Client) -> None:
    status, _, body = client.ask("POST", params={name: "1"}, data=b"SELECT 1")
    assert status == 400
    assert b"not supported" in body
