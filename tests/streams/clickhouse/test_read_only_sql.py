"""What is a statement that only reads: everything else is refused, however it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.streams.clickhouse.read_only_sql import RefusedSql, read_only


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", ("SELECT 1", None)),
        ("SELECT 1;\n", ("SELECT 1", None)),
        ("select 1 format JSON", ("select 1 format JSON", "JSON")),
        ("SELECT 1\n FORMAT Native ;; ", ("SELECT 1   FORMAT Native", "Native")),
        ("-- why\nSELECT /* ; */ 'a;b' -- end", ("SELECT   'a;b'", None)),
        ("(SELECT 1)", ("(SELECT 1)", None)),
        ("WITH 1 AS x SELECT x", ("WITH 1 AS x SELECT x", None)),
        ("SELECT 'it''s \\' file(', `a;b`", ("SELECT 'it''s \\' file(', `a;b`", None)),
        ("SELECT workflow = 'file'", ("SELECT workflow = 'file'", None)),
        ("SELECT {id:String}, 1.5e3, a.1, [x -> x + 1]",
         ("SELECT {id:String}, 1.5e3, a.1, [x -> x + 1]", None)),
        ("SELECT 'é日😀' AS 名", ("SELECT 'é日😀' AS 名", None)),
    ],
)  # fmt: skip
def test_reading(sql: str, expected: tuple[str, str | None]) -> None:
    statement, named = read_only(sql)
    assert (" ".join(statement.split()), named) == (" ".join(expected[0].split()), expected[1])


@pytest.mark.parametrize(
    "sql",
    [
        "", ";", "INSERT INTO t VALUES (1)", "DROP TABLE t", "SYSTEM STOP MERGES",
        "KILL QUERY WHERE 1", "SET readonly = 0", "USE x", "BACKUP TABLE t TO Disk('a', 'b')",
        "SELECT 1; SYSTEM STOP MERGES", "SELECT 1;;SELECT 2", "/* SELECT */ DROP TABLE t",
        "SELECT file('/etc/passwd')", "SELECT FILE ('x')", "SELECT `file`('x')",
        'SELECT "File"(1)', "SELECT file /* */ ('x')", "SELECT * APPLY(file) FROM t",
        "SELECT * FROM file('a.csv')", "SELECT * FROM python('x')",
        "SELECT 1 INTO OUTFILE 'x'", "SELECT `\\x66ile`('x')", "SELECT 1 /* open",
        "SELECT 'open", "SELECT $$file$$", "SELECT “a”", "SELECT 1 # file", "SELECT \\N",
    ],
)  # fmt: skip
def test_refused(sql: str) -> None:
    with pytest.raises(RefusedSql):
        read_only(sql)


@given(st.text(st.sampled_from("SELECT file('\"`;-/*\\\n$# x)"), max_size=60))
def test_what_is_let_through_has_no_comment_left_and_reads_the_same_again(text: str) -> None:
    try:
        statement, named = read_only("SELECT " + text)
    except RefusedSql:
        return
    assert read_only(statement) == (statement, named)
