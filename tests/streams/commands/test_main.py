"""The command as people and scripts meet it: help, exit codes, what goes where."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from confluent_kafka import KafkaError, KafkaException

from tests.integration.bad_input import event, pair
from tests.integration.processes import COMMAND, clean_environment, understudy
from understudy.streams.commands.main import main

ESCAPE = b"\x1b["


def commands(group: click.Group = main, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and subcommand by its words."""
    for name, command in group.commands.items():
        yield (*prefix, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*prefix, name))


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("UNDERSTUDY_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    file = tmp_path / "events.ndjson"
    lines = [line for n in range(20) for line in pair(f"p{n}")]
    file.write_bytes(b"\n".join([*lines, b"{", event("alone")]))
    return file


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.mark.parametrize("words", [(), *commands()], ids=" ".join)
def test_help_teaches(words: tuple[str, ...]) -> None:
    told = run(*words, "--help")
    assert told.exit_code == 0
    assert told.stdout.startswith("Usage: ")
    description = told.stdout.split("\n\n")[1].strip()
    assert len(description) > 20
    assert told.stdout == run(*words, "-h").stdout
    assert max(map(len, told.stdout.splitlines())) <= 100


def test_the_first_help_shows_where_to_begin_and_the_exit_codes() -> None:
    told = run("--help").stdout
    for expected in ("understudy demo", "understudy replay", "understudy worker", "Exit codes"):
        assert expected in told
    for name in main.commands:
        assert re.search(rf"^  {name} ", told, re.MULTILINE)
    assert "0 done, 1 failed, 2 wrong usage or settings, 3" in told


def test_every_option_is_described() -> None:
    for words in commands():
        command: Any = main
        for word in words:
            command = command.commands[word]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help or parameter.name == "seed", f"{words} {parameter.name}"


def test_version_names_the_package() -> None:
    assert re.fullmatch(r"\w+, version \d+\.\d+\.\d+\S*\n", run("--version").stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ("dance",),
        ("replay",),
        ("replay", "nowhere.ndjson"),
        ("replay", "--jsn", "events.ndjson"),
        ("replay", "--json-schemas", "nowhere", "events.ndjson"),
        ("query",),
        ("demo", "--pairs", "5"),
        ("--config", "nowhere.toml", "topics"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_says_what(arguments: tuple[str, ...], recording: Path) -> None:
    told = run(*arguments)
    assert told.exit_code == 2
    assert told.stdout == ""
    assert "Error: " in told.stderr
    assert "Traceback" not in told.stderr


def test_wrong_settings_are_2_and_help(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("understudy.toml").write_text("[pairing]\nwindows = 5\n")
    told = run("replay", recording)
    assert told.exit_code == 2
    assert "understudy.toml: unknown key pairing.windows; did you mean" in told.stderr
    Path("understudy.toml").unlink()
    monkeypatch.setenv("UNDERSTUDY_PAIRING_WINDOW_S", "never")
    told = run("replay", recording)
    assert (told.exit_code, told.stdout) == (2, "")
    assert "pairing.window_s" in told.stderr
    monkeypatch.setenv("UNDERSTUDY_PAIRING_WINDOW_S", "10")
    monkeypatch.setenv("UNDERSTUDY_PAIRING_JOIN_TIMEOUT_S", "900")
    assert run("replay", recording).exit_code == 2


def test_a_damaged_recording_is_1(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson.gz"
    file.write_bytes(b"not gzip")
    told = run("replay", "--json", file)
    assert (told.exit_code, told.stdout) == (1, "")
    assert "events.ndjson.gz" in told.stderr


@pytest.mark.parametrize("command", ["topics", "publish"])
def test_no_broker_is_3(command: str, recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody_there(*_: Any, **__: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "Failed to get metadata"))

    monkeypatch.setattr("understudy.streams.commands.publish.ensure_topics", nobody_there)
    monkeypatch.setenv("UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS", "nobody:9092")
    told = run(command, *([recording] if command == "publish" else []))
    assert (told.exit_code, told.stdout) == (3, "")
    assert "nobody:9092" in told.stderr


@pytest.mark.embedded
@pytest.mark.parametrize("arguments", [("query", "SELECT 1"), ("migrate",)], ids=" ".join)
def test_no_clickhouse_is_3(arguments: tuple[str, ...]) -> None:
    told = run(*arguments, "--clickhouse", "clickhouse://127.0.0.1:1/x")
    assert (told.exit_code, told.stdout) == (3, "")
    assert "127.0.0.1:1" in told.stderr


@pytest.mark.parametrize(
    ("url", "expected"),
    [("postgres://host/x", "no ClickHouse URL"), ("chdb://", "names no folder")],
)
def test_a_wrong_clickhouse_url_is_1_and_says_what_would_do(url: str, expected: str) -> None:
    told = run("query", "SELECT 1", "--clickhouse", url)
    assert (told.exit_code, told.stdout) == (1, "")
    assert expected in told.stderr
    assert "chdb://" in told.stderr


def test_query_prints_tables_and_json_lines(clickhouse_url: str) -> None:
    sql = "SELECT 1 AS n, 'a' AS name, toDateTime64('2025-01-01 00:00:00', 3, 'UTC') AS at, "
    sql += "map(toInt32(-3), toUInt64(7)) AS buckets, toUInt128('100000000000000000000') AS big"
    told = run("query", "--json", "--clickhouse", clickhouse_url, sql)
    assert told.exit_code == 0, told.stderr
    assert json.loads(told.stdout) == {
        "n": 1, "name": "a", "at": "2025-01-01T00:00:00+00:00", "buckets": {"-3": 7},
        "big": 10**20,
    }  # fmt: skip
    table = run("query", "--clickhouse", clickhouse_url, "SELECT 1 AS n, '[red]x[/red]' AS markup")
    assert table.exit_code == 0
    assert "[red]x[/red]" in table.stdout


def test_a_wrong_statement_is_1(clickhouse_url: str) -> None:
    told = run("query", "--clickhouse", clickhouse_url, "SELEKT 1")
    assert (told.exit_code, told.stdout) == (1, "")
    assert "Syntax error" in told.stderr
    assert "Traceback" not in told.stderr


def on_terminals(
    arguments: list[str], *, stdout: bool, stderr: bool, **environment: str
) -> tuple[int, bytes, bytes]:
    """Exit code and what was written, with terminals on the ends asked for."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=slave if stdout else subprocess.PIPE,
        stderr=slave if stderr else subprocess.PIPE,
        env={**clean_environment(environment), "TERM": "xterm-256color", "COLUMNS": "150"},
    )
    os.close(slave)
    screen = b""
    while True:
        try:
            part = os.read(master, 65_536)
        except OSError:  # Linux's way to say that the other end is closed
            part = b""
        if not part:
            break
        screen += part
    os.close(master)
    out, err = process.communicate(timeout=30)
    return process.returncode, screen if stdout else out, screen if stderr else err


@pytest.mark.parametrize("terminal", [True, False])
def test_json_on_stdout_is_json_whatever_stderr_is(terminal: bool, recording: Path) -> None:
    code, out, err = on_terminals(
        ["replay", "--json", str(recording)], stdout=False, stderr=terminal
    )
    assert code == 0
    document = json.loads(out)
    assert (document["pairs"], document["events"]["invalid"]) == (20, 1)
    assert out.count(b"\n") == 1
    if not terminal:
        assert err == b""


def test_colours_on_a_terminal_unless_told_otherwise(recording: Path) -> None:
    arguments = ["replay", str(recording)]
    code, out, _ = on_terminals(arguments, stdout=True, stderr=False)
    assert code == 0
    assert ESCAPE in out
    _, out, _ = on_terminals(arguments, stdout=True, stderr=False, NO_COLOR="1")
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m", out)
    _, out, err = on_terminals(arguments, stdout=False, stderr=False)
    assert ESCAPE not in out + err


def test_results_on_stdout_and_the_rest_on_stderr(recording: Path, tmp_path: Path) -> None:
    done = understudy("replay", recording, folder=tmp_path)
    assert done.returncode == 0
    assert b"20 pairs" in done.stdout
    assert b"events/s" not in done.stdout
    assert b"invalid: 1 not_json" in done.stderr


def test_a_closed_pipe_is_no_traceback(recording: Path, tmp_path: Path) -> None:
    command = f"{' '.join(COMMAND)} replay --json {recording} | true"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=clean_environment(), capture_output=True,
        check=False,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr


def test_the_command_is_installed_and_quick_to_start(tmp_path: Path) -> None:
    script = Path(sys.executable).parent / "understudy"
    started = time.monotonic()
    done = subprocess.run([script, "--help"], capture_output=True, check=True, cwd=tmp_path)
    assert b"Usage: understudy" in done.stdout
    assert time.monotonic() - started < 10
