"""A ClickHouse server for fault tests: chDB behind HTTP, in a process of its own, with faults.

`ClickHouseServer` starts it; workers and tests share it. It speaks as much of the HTTP interface as
the client uses. Each run has a database and a user of the same name; faults are set per user, so
that runs do not disturb each other. `python -m tests.faults.clickhouse_server FOLDER PORT` is the
process itself.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64decode
from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.brokers.ports import free_ports
from tests.waiting import DEADLINE_S

ROOT: Final = Path(__file__).parents[2]
_START_S: Final = 30.0
_HANG_S: Final = 60.0
_TOO_MANY_PARTS: Final = 252
_CONTROL: Final = "/fault"
_FORMAT: Final = re.compile(rb"\s+FORMAT\s+(\w+)\s*$")
_INSERT: Final = re.compile(rb"INSERT INTO (\S+)\s*(?:\((.*?)\) )?FORMAT Native\n", re.DOTALL)
_CODE: Final = re.compile(r"Code: (\d+)")
_SETTINGS: Final = re.compile(r"async_insert|optimize_on_insert|max_\w+")


class Fault(StrEnum):
    """What happens to the requests of a user."""

    NONE = "none"
    REFUSE = "refuse"
    """The connection is closed before an answer, whatever is asked."""
    HANG = "hang"
    """No answer until the fault is taken back."""
    BUSY = "busy"
    """Inserts are answered with TOO_MANY_PARTS and not carried out."""
    LOST_ANSWER = "lost_answer"
    """Inserts are carried out and the connection is cut before the answer."""
    HALF = "half"
    """Half of an insert's rows, at random, are stored; then the connection is cut."""
    APPLIED_ERROR = "applied_error"
    """Inserts are carried out and answered with an error that calls for another try."""
    SLOW = "slow"
    """Inserts take half a second longer."""


OUTAGES: Final = tuple(fault for fault in Fault if fault not in (Fault.NONE, Fault.SLOW))
_LONGER_S: Final = 0.5


class Engine:
    """chDB, one request at a time."""

    def __init__(self, folder: str) -> None:
        import chdb

        self._engine = chdb.connect(folder)  # type: ignore[no-untyped-call]
        self._lock = threading.Lock()

    def run(self, statement: bytes, parameters: dict[str, str], *, half: bool = False) -> bytes:
        """The answer to a statement. Raises RuntimeError as chDB does."""
        bound = {k[6:]: v for k, v in parameters.items() if k.startswith("param_")}
        insert = _INSERT.match(statement)
        with self._lock:
            if "database" in parameters:
                self._engine.query(f"USE `{parameters['database']}`", "TabSeparated")
            if insert is not None:
                return self._insert(insert, statement[insert.end() :], parameters, half)
            format_clause = _FORMAT.search(statement)
            wanted = format_clause[1].decode() if format_clause else "TabSeparated"
            sql = _FORMAT.sub(b"", statement).decode()
            return bytes(self._engine.query(sql, wanted, params=bound).bytes() or b"")

    def _columns_of(self, table: str) -> dict[str, str]:
        """The types of a table's columns that an insert has to give."""
        found = self._engine.query(f"DESCRIBE TABLE {table}", "TabSeparatedRaw")
        rows = (line.split("\t") for line in str(found).splitlines())
        return {name: kind for name, kind, default, *_ in rows if default in ("", "DEFAULT")}

    def _insert(
        self, insert: re.Match[bytes], blocks: bytes, parameters: dict[str, str], half: bool
    ) -> bytes:
        """Store blocks, each of which may have columns of its own."""
        table = insert[1].decode()
        named = f"({insert[2].decode()})" if insert[2] else ""
        settings = [f"{k} = '{v}'" for k, v in parameters.items() if _SETTINGS.fullmatch(k)]
        clause = f" SETTINGS {', '.join(settings)}" if settings else ""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "blocks.native")
            file.write_bytes(blocks)
            if half:
                columns = self._columns_of(table)
                names = ", ".join(f"`{name}`" for name in columns)
                structure = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
                quoted = structure.replace("\\", "\\\\").replace("'", "\\'")
                source = f"FROM file('{file}', Native, '{quoted}') WHERE rand() % 2"
                self._engine.query(
                    f"INSERT INTO {table} ({names}) SELECT {names} {source}{clause}", "Null"
                )
            else:
                source = f"FROM INFILE '{file}'{clause} FORMAT Native"
                self._engine.query(f"INSERT INTO {table} {named} {source}", "Null")
        return b""


@dataclass(frozen=True)
class Answer:
    """What goes back; status 0 cuts the connection."""

    status: int
    code: int = 0
    body: bytes = b""


CUT: Final = Answer(0)


class Front:
    """Answers requests, with the faults that are set."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._faults: dict[str, Fault] = defaultdict(lambda: Fault.NONE)
        self._running: dict[str, set[object]] = defaultdict(set)
        """Requests that reach the engine, by user."""
        self._changed = threading.Condition()
        self.inserts: Counter[str] = Counter()

    def control(self, query: str) -> Answer:
        """Set a fault; answers with the number of inserts carried out.

        Requests that began without the fault have ended then: on a busy machine an insert takes
        seconds, and a test would count it as one carried out in spite of the fault.
        """
        asked = dict(parse_qsl(query))
        if "fault" in asked:
            running = self._running[asked["user"]]
            with self._changed:
                self._faults[asked["user"]] = Fault(asked["fault"])
                before = set(running)
                self._changed.wait_for(lambda: not before & running, DEADLINE_S)
        return Answer(200, body=str(self.inserts[asked["user"]]).encode())

    def answer(self, user: str, statement: bytes, parameters: dict[str, str]) -> Answer:
        """Run a statement unless a fault forbids."""
        request = object()
        with self._changed:
            fault = self._faults[user]
            if fault not in (Fault.REFUSE, Fault.HANG):
                self._running[user].add(request)
        try:
            return self._answer(user, fault, statement, parameters)
        finally:
            with self._changed:
                self._running[user].discard(request)
                self._changed.notify_all()

    def _answer(
        self, user: str, fault: Fault, statement: bytes, parameters: dict[str, str]
    ) -> Answer:
        inserting = _INSERT.match(statement) is not None
        if fault in (Fault.REFUSE, Fault.HANG):
            self._hang_while_asked_to(user)
            return CUT
        if inserting and fault is Fault.BUSY:
            return _refusal()
        if inserting and fault is Fault.SLOW:
            time.sleep(_LONGER_S)
        try:
            body = self._engine.run(statement, parameters, half=fault is Fault.HALF)
        except RuntimeError as error:
            found = _CODE.search(str(error))
            return Answer(500, int(found[1]) if found else 0, str(error).encode())
        self.inserts[user] += inserting
        if inserting and fault in (Fault.LOST_ANSWER, Fault.HALF):
            return CUT
        if inserting and fault is Fault.APPLIED_ERROR:
            return _refusal()
        return Answer(200, body=body)

    def _hang_while_asked_to(self, user: str) -> None:
        until = time.monotonic() + _HANG_S
        while self._faults[user] is Fault.HANG and time.monotonic() < until:
            time.sleep(0.02)


def _refusal() -> Answer:
    text = f"Code: {_TOO_MANY_PARTS}. DB::Exception: Too many parts. (TOO_MANY_PARTS)"
    return Answer(500, _TOO_MANY_PARTS, text.encode())


def _handler(front: Front) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            where = urlsplit(self.path)
            if where.path == _CONTROL:
                self._send(front.control(where.query))
                return
            parameters = dict(parse_qsl(where.query))
            statement = parameters.get("query", "").encode() + self._body()
            self._send(front.answer(self._user(), statement, parameters))

        do_GET = do_POST

        def _user(self) -> str:
            credentials = self.headers.get("Authorization", "").removeprefix("Basic ")
            return b64decode(credentials).decode().partition(":")[0]

        def _send(self, answer: Answer) -> None:
            if answer.status == 0:
                self.close_connection = True
                return
            with contextlib.suppress(ConnectionError):
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(answer.body)))
                self.send_header("X-ClickHouse-Format", "Native")
                if answer.code:
                    self.send_header("X-ClickHouse-Exception-Code", str(answer.code))
                self.end_headers()
                self.wfile.write(answer.body)

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


def serve(folder: str, port: int) -> None:
    """Serve until the process ends, or until what started it does."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(Front(Engine(folder))))
    server.daemon_threads = True
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server.serve_forever()


def _end_with_parent() -> None:
    """The parent holds the other end of standard input."""
    sys.stdin.buffer.read()
    os._exit(0)


class ClickHouseServer:
    """The server process; its data survive `kill` and `start`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="understudy-clickhouse-"))
        self._port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def start(self) -> Self:
        """Start and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.clickhouse_server",
                 str(self._folder / "data"), str(self._port)],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self._control(user="nobody")
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self._folder / "log").read_text()[-2000:]) from None
                time.sleep(0.05)
            else:
                return self

    def url(self, user: str) -> str:
        """For the settings of a worker; the database has the user's name."""
        return f"clickhouse://{user}:secret@127.0.0.1:{self._port}/{user}?compress=false"

    def set(self, user: str, fault: Fault) -> None:
        """Let this happen to the requests of a user from now on."""
        self._control(user=user, fault=fault.value)

    def inserts(self, user: str) -> int:
        """How many inserts of a user have been carried out since the server started."""
        return self._control(user=user)

    def _control(self, **asked: str) -> int:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE_S)
        try:
            connection.request("GET", f"{_CONTROL}?{urlencode(asked)}")
            return int(connection.getresponse().read())
        finally:
            connection.close()

    def kill(self) -> None:
        """SIGKILL; what was stored stays."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()

    def close(self) -> None:
        """End it and delete its data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.close)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
