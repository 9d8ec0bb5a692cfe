"""A URL says where ClickHouse is; what is wrong with it is said without the password."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from understudy.streams.clickhouse.connect import DEFAULT_DATABASE, connect, parse_url
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("clickhouse://", {"interface": "http", "host": "localhost", "port": 8123}),
        ("clickhouse://ch:9001/metrics", {"host": "ch", "port": 9001, "username": "default"}),
        ("clickhouse://ch?secure=true", {"interface": "https", "port": 8443}),
        ("clickhouses://ch/metrics?verify=false", {"interface": "https", "verify": "false"}),
        ("clickhouse://[::1]:8123", {"host": "::1"}),
        (
            "clickhouse://me%40work:p%3A%2Fw@ch/metrics?connect_timeout=3",
            {"username": "me@work", "password": "p:/w", "connect_timeout": "3"},
        ),
        ("chdb:///var/lib/understudy", {"interface": "chdb", "path": "/var/lib/understudy"}),
        ("chdb://data/here", {"path": "data/here"}),
        ("chdb://:memory:", {"path": ":memory:"}),
        ("chdb:///with%20space?database=metrics", {"path": "/with space"}),
    ],
)
def test_urls(url: str, expected: dict[str, Any]) -> None:
    target = parse_url(url)
    assert expected.items() <= target.arguments.items()
    assert target.database == ("metrics" if "metrics" in url else DEFAULT_DATABASE)


def test_what_is_no_option_is_a_setting() -> None:
    target = parse_url("clickhouse://ch?max_execution_time=60&async_insert=1&compress=lz4")
    assert target.settings == {"max_execution_time": "60", "async_insert": 0}
    assert target.arguments["compress"] == "lz4"
    assert parse_url("chdb://x?max_threads=1").settings["max_threads"] == "1"


def test_the_argument_wins_over_the_url() -> None:
    assert parse_url("clickhouse://ch/metrics", database="other").database == "other"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgres://u:secret@db", "postgres:// is no ClickHouse URL"),
        ("u:secret@localhost:8123", "text without :// is no ClickHouse URL"),
        ("chdb://", "names no folder"),
        ("clickhouse://u:secret@ch:99999/db", "port"),
        ("clickhouse://u:secret@ch/a-b", "'a-b' is no database name"),
        ("clickhouse://u:secret@ch/x`; DROP", "no database name"),
    ],
)
def test_wrong_urls_are_told_without_the_password(url: str, message: str) -> None:
    with pytest.raises(SinkBroken, match=message) as told:
        connect(url)
    assert "secret" not in str(told.value)


@pytest.mark.embedded
def test_a_server_that_is_away() -> None:
    with pytest.raises(SinkBusy) as told:
        connect("clickhouse://u:secret@127.0.0.1:1/metrics", timeout_s=1)
    assert str(told.value) == "clickhouse://127.0.0.1:1 cannot be reached: Connection refused"


def test_chdb_in_two_folders(clickhouse_url: str, tmp_path: Path) -> None:
    if not clickhouse_url.startswith("chdb://"):
        pytest.skip("ClickHouse is a server in this run")
    client = connect(clickhouse_url, database="test_one_folder")
    with pytest.raises(SinkBroken, match="one chDB folder at a time"):
        connect(f"chdb://{tmp_path / 'another'}")
    client.command("DROP DATABASE test_one_folder")
    client.close()


def test_nothing_is_made_unless_wanted(
    clickhouse_url: str, clickhouse_database: str, tmp_path: Path
) -> None:
    with pytest.raises(SinkBroken, match="has no database"):
        connect(clickhouse_url, database=f"{clickhouse_database}_not", create=False)
    with pytest.raises(SinkBroken, match="is no folder yet"):
        connect(f"chdb://{tmp_path / 'nowhere'}", create=False)
    assert list(tmp_path.iterdir()) == []
    connect(clickhouse_url, database=clickhouse_database, create=False).close()
    missing = f"{clickhouse_database}_not"
    client = connect(clickhouse_url, database=missing, create=False, needs_database=False)
    assert client.command("SELECT currentDatabase()") != missing
    assert not client.command(f"EXISTS DATABASE {missing}")
    client.close()


def test_without_the_embedded_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "chdb" or "chdb" in n]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "chdb", None)
    with pytest.raises(SinkBroken, match=r"pip install 'understudy\[embedded\]'"):
        connect(f"chdb://{tmp_path}")


def test_the_database_is_made_and_is_the_current_one(
    clickhouse_url: str, clickhouse_database: str
) -> None:
    name = f"{clickhouse_database}_made"
    for _ in range(2):
        client = connect(clickhouse_url, database=name)
        assert client.query("SELECT currentDatabase()").first_row == (name,)
        client.close()
    client = connect(clickhouse_url, database=name)
    client.command(f"DROP DATABASE {name}")
    client.close()


def test_a_cluster_is_named_in_the_url() -> None:
    target = parse_url("clickhouse://host:8123/logs?cluster=main-1&max_threads=2")
    assert (target.cluster, target.database) == ("main-1", "logs")
    assert target.settings["max_threads"] == "2"
    assert "cluster" not in target.settings
    assert parse_url("clickhouse://host:8123/logs").cluster == ""
    with pytest.raises(SinkBroken, match="name of a cluster"):
        parse_url("clickhouse://host/logs?cluster=a%60b")
    with pytest.raises(SinkBroken, match="no cluster"):
        parse_url("chdb://folder?cluster=main")
