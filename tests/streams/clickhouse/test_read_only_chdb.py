"""A folder that this process has open, asked without being changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.read_only_chdb import LIMITS, ReadOnlyChdb, StatementFailed


@pytest.fixture
def chdb(clickhouse_url: str, clickhouse_database: str) -> Iterator[ReadOnlyChdb]:
    if not clickhouse_url.startswith("chdb://"):
        pytest.skip("ClickHouse is a server in this run")
    client = connect(clickhouse_url, database=clickhouse_database)
    client.command("CREATE TABLE t (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
    client.command("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    with closing(ReadOnlyChdb(Path(clickhouse_url.removeprefix("chdb://")))) as opened:
        yield opened
    client.close()


def ask(chdb: ReadOnlyChdb, sql: str, database: str, **parameters: str) -> bytes:
    return chdb.ask(
        sql, database=database, default_format="TabSeparated", parameters=parameters
    ).payload


def test_statements_see_what_was_inserted(chdb: ReadOnlyChdb, clickhouse_database: str) -> None:
    assert ask(chdb, "SELECT * FROM t ORDER BY a", clickhouse_database) == b"1\tx\n2\ty\n"
    sql = "SELECT s FROM t WHERE a = {a:UInt32} FORMAT JSONEachRow"
    assert ask(chdb, sql, clickhouse_database, a="2") == b'{"s":"y"}\n'
    answer = chdb.ask("SELECT * FROM t FORMAT CSV", database=clickhouse_database,
                      default_format="Native", parameters={})  # fmt: skip
    assert (answer.format, answer.rows, answer.read_rows) == ("CSV", 2, 2)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("INSERT INTO t VALUES (3, 'z')", 164),
        ("SELECT 1; DROP TABLE t", 164),
        ("SELECT file('/etc/hostname')", 164),
        ("SELECT 1 INTO OUTFILE 'stolen.txt'", 164),
        ("SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')", 164),
        ("SELECT * FROM s3('http://127.0.0.1:1/bucket/x.csv')", 164),
        ("SELECT * FROM remote('127.0.0.1:1', 'system.one')", 164),
        ("SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')", 164),
        ("SELECT * FROM executable('x', 'TSV', 'a String')", 164),
        ("SELECT 1 SETTINGS readonly = 0", 164),
        ("SELECT * FROM nowhere", 60),
        ("SELECT {a:UInt32}", 456),
    ],
)
def test_nothing_else_is_answered(
    sql: str, code: int, chdb: ReadOnlyChdb, clickhouse_database: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StatementFailed) as failed:
        ask(chdb, sql, clickhouse_database)
    assert failed.value.code == code
    assert str(failed.value).startswith(f"Code: {code}. ")
    assert list(tmp_path.iterdir()) == []
    assert ask(chdb, "SELECT count() FROM t", clickhouse_database) == b"2\n"


def test_an_unknown_database(chdb: ReadOnlyChdb) -> None:
    with pytest.raises(StatementFailed) as failed:
        ask(chdb, "SELECT 1", "no_such`database")
    assert failed.value.code == 81


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT toString(number * 1000000000) FROM numbers(1000000)",
        "SELECT 'constant' FROM numbers(10000000)",
    ],
)
def test_a_result_beyond_the_limit_is_an_error_not_memory(
    sql: str, chdb: ReadOnlyChdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "max_result_bytes", 1_000_000)
    with pytest.raises(StatementFailed, match="Limit for result exceeded"):
        ask(chdb, sql, "")


def test_statements_under_way_are_ended(chdb: ReadOnlyChdb) -> None:
    failures: list[StatementFailed] = []

    def slow() -> None:
        try:
            ask(chdb, "SELECT sum(number) FROM numbers(1000000000000)", "")
        except StatementFailed as error:
            failures.append(error)

    thread = threading.Thread(target=slow)
    started = time.monotonic()
    thread.start()
    while thread.is_alive():  # it may not have begun when it is first told
        chdb.cancel()
        thread.join(0.1)
    assert time.monotonic() - started < 30
    assert [error.code for error in failures] == [394]


def test_the_connections_of_all_threads_are_closed(chdb: ReadOnlyChdb) -> None:
    threads = [threading.Thread(target=ask, args=(chdb, "SELECT 1", "")) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(chdb._opened) == 3, "one more asks for settings"
    chdb.close()
    assert [connection._conn for connection in chdb._opened] == [None] * 3
