"""chDB behind ClickHouse's HTTP interface, as much of it as the client uses; and its faults.

With it the URL `clickhouse://…` is tested down to the socket without a server to install.
"""

from __future__ import annotations

import re
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

import chdb

_FORMAT: Final = re.compile(rb"\s+FORMAT\s+(\w+)\s*$")
_INSERT: Final = re.compile(rb"(INSERT INTO .*?) FORMAT Native\n", re.DOTALL)
_CODE: Final = re.compile(r"Code: (\d+)")
_SETTINGS: Final = re.compile(r"async_insert|optimize_on_insert|max_\w+")


class HttpFront:
    """Serves the chDB folder at `path` on a free port until the `with` block ends."""

    def __init__(self, path: str) -> None:
        self._engine = chdb.connect(path)  # type: ignore[no-untyped-call]
        self._lock = threading.Lock()
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Statement, up to 40 characters, and parameters of each request."""
        self.refuse_inserts_with: tuple[int, int] | None = None
        """HTTP status and ClickHouse code of the answer to every insert."""
        self.cut_inserts = 0
        """So many inserts are carried out, and the connection cut before the answer."""
        self.open = threading.Event()
        self.open.set()
        """Requests hang while this is not set."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"clickhouse://tester:secret@127.0.0.1:{self._server.server_port}?compress=false"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
        self._engine.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                front.open.wait(10.0)
                body = self._body()
                parameters = dict(parse_qsl(urlsplit(self.path).query))
                status, code, answer = front.answer(body, parameters)
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.send_header("X-ClickHouse-Format", "Native")
                if code:
                    self.send_header("X-ClickHouse-Exception-Code", str(code))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                chunks = []
                while size := int(self.rfile.readline(), 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler

    def answer(self, body: bytes, parameters: dict[str, str]) -> tuple[int, int, bytes]:
        """HTTP status (0: cut the connection), ClickHouse code and body."""
        statement = parameters.get("query", "").encode() + body
        self.requests.append((statement[:40].decode(errors="replace"), parameters))
        insert = _INSERT.match(statement)
        if insert and self.refuse_inserts_with:
            status, code = self.refuse_inserts_with
            return status, code, f"Code: {code}. DB::Exception: refused".encode()
        try:
            answer = self._run(statement, insert, parameters)
        except RuntimeError as error:
            found = _CODE.search(str(error))
            return 500, int(found[1]) if found else 0, str(error).encode()
        if insert and self.cut_inserts:
            self.cut_inserts -= 1
            return 0, 0, b""
        return 200, 0, answer

    def _run(
        self, statement: bytes, insert: re.Match[bytes] | None, parameters: dict[str, str]
    ) -> bytes:
        bound = {k[6:]: v for k, v in parameters.items() if k.startswith("param_")}
        with self._lock:
            if "database" in parameters:
                self._engine.query(f"USE `{parameters['database']}`", "TabSeparated")
            if insert is None:
                format_clause = _FORMAT.search(statement)
                wanted = format_clause[1].decode() if format_clause else "TabSeparated"
                sql = _FORMAT.sub(b"", statement).decode()
                return bytes(self._engine.query(sql, wanted, params=bound).bytes() or b"")
            return self._insert(insert[1].decode(), statement[insert.end() :], parameters)

    def _insert(self, sql: str, block: bytes, parameters: dict[str, str]) -> bytes:
        settings = [f"{k} = '{v}'" for k, v in parameters.items() if _SETTINGS.fullmatch(k)]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "block.native")
            file.write_bytes(block)
            clause = f" SETTINGS {', '.join(settings)}" if settings else ""
            self._engine.query(f"{sql} FROM INFILE '{file}'{clause} FORMAT Native", "Null")
        return b""
