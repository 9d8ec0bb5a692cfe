"""ClickHouse's HTTP interface over a chDB folder: questions only, on this machine only.

What clickhouse-connect and Grafana's data source need: `/ping`, a statement in the URL or the body,
`default_format`, `database`, parameters (`param_x`), compressed responses, headers and error codes.
Settings, users and sessions of a request are ignored.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import uuid
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from aiohttp import web

from understudy.streams.clickhouse.native_revision import with_revision
from understudy.streams.clickhouse.read_only_chdb import Answer, ReadOnlyChdb, StatementFailed
from understudy.streams.clickhouse.read_only_sql import MAX_SQL_BYTES

CHDB: Final = web.AppKey("chdb", ReadOnlyChdb)
DATABASE: Final = web.AppKey("database", str)
THREADS: Final = web.AppKey("threads", ThreadPoolExecutor)
PLACES: Final = web.AppKey("places", asyncio.Semaphore)
MAX_STATEMENTS: Final = 2
"""At a time: the machine's other work is the worker's."""
MAX_WAITING: Final = 16
"""Statements under way or waiting; a dashboard sends about ten at once."""
_CANCEL_INTERVAL_S: Final = 0.1
"""A statement that is told to end does so within milliseconds."""
_LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "host.docker.internal"})
"""A page of another site whose name leads here would come under its own name."""
_FORBIDDEN_HOST: Final = 497
"""ACCESS_DENIED."""
_TOO_MANY: Final = 202
_BAD_ARGUMENTS: Final = 36
_NOT_FOUND: Final = frozenset({60, 81})
"""UNKNOWN_TABLE, UNKNOWN_DATABASE."""
_FORBIDDEN: Final = frozenset({164, 497})
"""READONLY, ACCESS_DENIED."""
_SYNTAX: Final = frozenset({36, 42, 43, 46, 47, 62, 73, 456})
"""Errors of the statement itself, from BAD_ARGUMENTS to UNKNOWN_QUERY_PARAMETER."""
_TYPES: Final[Mapping[str, str]] = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
}

routes = web.RouteTableDef()


def make_clickhouse_app(chdb: ReadOnlyChdb, database: str) -> web.Application:
    """The application that answers statements on this folder."""
    app = web.Application(middlewares=[_local_names], client_max_size=MAX_SQL_BYTES)
    app[CHDB] = chdb
    app[DATABASE] = database
    app[THREADS] = ThreadPoolExecutor(MAX_STATEMENTS, "understudy-chdb")
    app[PLACES] = asyncio.Semaphore(MAX_WAITING)
    app.add_routes(routes)
    app.on_shutdown.append(_close_threads)
    return app


async def _close_threads(app: web.Application) -> None:
    """Give up the statements that wait, and end those under way."""
    shutdown = partial(app[THREADS].shutdown, cancel_futures=True)
    ended = asyncio.ensure_future(asyncio.to_thread(shutdown))
    while not ended.done():  # a statement may begin just after it was told to end
        app[CHDB].cancel()
        await asyncio.wait([ended], timeout=_CANCEL_INTERVAL_S)


@web.middleware
async def _local_names(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answer only those who ask for this machine by its own name, and no page of another site."""
    name = (request.host or "").rpartition(":")
    host = name[0] if name[2].isdigit() and name[0] else request.host
    is_page = request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
    if is_page or host.lower() not in _LOCAL_HOSTS:
        return _failure(
            StatementFailed(_FORBIDDEN_HOST, f"Code: {_FORBIDDEN_HOST}. DB::Exception: ask as "
                            "127.0.0.1: this folder is served on this machine only")
        )  # fmt: skip
    return await handler(request)  # type: ignore[no-any-return]


@routes.get("/ping")
@routes.get("/replicas_status")
async def ping(_: web.Request) -> web.Response:
    """Say that it lives."""
    return _ok()


def _ok() -> web.Response:
    return web.Response(text="Ok.\n")


@routes.get("/")
@routes.post("/")
async def query(request: web.Request) -> web.Response:
    """Answer a statement."""
    if request.method == "GET" and "query" not in request.query:
        return _ok()
    places = request.app[PLACES]
    if places.locked():
        return _failure(
            StatementFailed(_TOO_MANY, f"Code: {_TOO_MANY}. DB::Exception: Too many simultaneous "
                            f"queries, at most {MAX_WAITING}. (TOO_MANY_SIMULTANEOUS_QUERIES)")
        )  # fmt: skip
    async with places:
        try:
            sql = await _statement(request)
            work = partial(_answer, request, sql)
            return await asyncio.get_running_loop().run_in_executor(request.app[THREADS], work)
        except StatementFailed as error:
            return _failure(error)


async def _statement(request: web.Request) -> str:
    """The statement of the URL, then that of the body. Raises `StatementFailed`."""
    if request.query.get("compress") == "1" or request.query.get("decompress") == "1":
        raise _bad("compress=1 is not supported; use Accept-Encoding: gzip")
    if request.content_type.startswith("multipart/"):
        raise _bad("multipart forms are not supported; put the statement into the body")
    body = _unpacked(await request.read(), request.headers.get("Content-Encoding", ""))
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise _bad("the statement is not UTF-8") from None
    return "\n".join(filter(None, (request.query.get("query", ""), text)))


def _unpacked(body: bytes, encoding: str) -> bytes:
    """The body, bounded. Raises `StatementFailed`."""
    if not encoding or not body:
        return body
    if encoding not in ("gzip", "deflate"):
        raise _bad(f"Content-Encoding {encoding[:20]} is not supported; use gzip")
    try:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        content = unpacker.decompress(body, MAX_SQL_BYTES)
    except zlib.error as error:
        raise _bad(f"the body is no {encoding}: {error}") from None
    if unpacker.unconsumed_tail:
        raise _bad(f"the statement is longer than {MAX_SQL_BYTES} bytes")
    return content


def _answer(request: web.Request, sql: str) -> web.Response:
    """Run a statement in this thread. Raises `StatementFailed`."""
    asked = request.query
    answer = request.app[CHDB].ask(
        sql,
        database=asked.get("database")
        or request.headers.get("X-ClickHouse-Database")
        or request.app[DATABASE],
        default_format=asked.get("default_format")
        or request.headers.get("X-ClickHouse-Format")
        or "TabSeparated",
        parameters={
            name.removeprefix("param_"): value
            for name, value in asked.items()
            if name.startswith("param_")
        },
    )
    payload = answer.payload
    if answer.format == "Native":
        payload = with_revision(payload, _revision(asked.get("client_protocol_version", "0")))
    headers = _headers(answer, asked.get("query_id") or str(uuid.uuid4()))
    accepts = request.headers.get("Accept-Encoding", "")
    if asked.get("enable_http_compression") == "1" and "gzip" in accepts:
        payload = gzip.compress(payload, compresslevel=1)
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=payload, headers=headers)


def _revision(written: str) -> int:
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else 0


def _headers(answer: Answer, query_id: str) -> dict[str, str]:
    """What ClickHouse tells about a response."""
    summary = {
        "read_rows": answer.read_rows,
        "read_bytes": answer.read_bytes,
        "written_rows": 0,
        "written_bytes": 0,
        "total_rows_to_read": answer.read_rows,
        "result_rows": answer.rows,
        "result_bytes": len(answer.payload),
        "elapsed_ns": int(answer.elapsed_s * 1e9),
    }
    printable = "".join(char for char in query_id[:100] if char.isascii() and char.isprintable())
    return {
        "Content-Type": _TYPES.get(answer.format, "application/octet-stream"),
        "X-ClickHouse-Format": answer.format,
        "X-ClickHouse-Query-Id": printable,
        "X-ClickHouse-Server-Display-Name": "understudy",
        "X-ClickHouse-Summary": json.dumps({name: str(n) for name, n in summary.items()}),
        "X-ClickHouse-Timezone": answer.time_zone,
        "X-Content-Type-Options": "nosniff",
    }


def _bad(why: str) -> StatementFailed:
    return StatementFailed(_BAD_ARGUMENTS, f"Code: {_BAD_ARGUMENTS}. DB::Exception: {why}")


def _failure(error: StatementFailed) -> web.Response:
    """An error as ClickHouse reports it."""
    code = error.code
    status = 500
    if code in _NOT_FOUND:
        status = 404
    elif code in _FORBIDDEN:
        status = 403
    elif code in _SYNTAX:
        status = 400
    elif code == _TOO_MANY:
        status = 503
    headers = {"X-ClickHouse-Exception-Code": str(code), "X-Content-Type-Options": "nosniff"}
    return web.Response(text=f"{error}\n", status=status, headers=headers)
