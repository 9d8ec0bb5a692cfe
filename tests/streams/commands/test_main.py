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
from understudy.streams.commands import command_group
from understudy.streams.commands.main import main

ESCAPE = b"\x1b["


def commands(
    group: click.Group = main, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and subcommand with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*above, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))


COMMANDS = dict(commands())
GROUPS: dict[tuple[str, ...], click.Group] = {
    (): main,
    **{words: one for words, one in COMMANDS.items() if isinstance(one, click.Group)},
}


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


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=" ".join)
def test_help_teaches(words: tuple[str, ...]) -> None:
    shown = run(*words, "--help")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("Usage: ")
    description = shown.stdout.split("\n\n")[1].strip()
    assert len(description) > 20
    assert shown.stdout == run(*words, "-h").stdout
    assert max(map(len, shown.stdout.splitlines())) <= 100
    assert f"  understudy {' '.join(words)}".rstrip() in shown.stdout, "an example"


@pytest.mark.parametrize("columns", [80, 100, 200])
@pytest.mark.parametrize("words", [(), *COMMANDS], ids=" ".join)
def test_no_line_of_help_is_cut(words: tuple[str, ...], columns: int) -> None:
    text = CliRunner().invoke(main, [*words, "--help"], terminal_width=columns).stdout
    _usage, *described = text.splitlines()
    assert not [line for line in described if line.rstrip().endswith(("...", "…"))]


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_a_group_describes_each_command_on_one_line_of_80_columns(words: tuple[str, ...]) -> None:
    text = CliRunner().invoke(main, [*words, "--help"], terminal_width=80).stdout
    listed = text.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == list(
        GROUPS[words].list_commands(click.Context(main))
    )


def test_a_command_is_in_the_file_of_its_name() -> None:
    for words, command in COMMANDS.items():
        assert command.callback is not None
        name = "_".join(words).replace("-", "_")
        assert command.callback.__module__ == f"understudy.streams.commands.{name}"
        assert command.name == ("command" if isinstance(command, click.Group) else words[-1])


def test_every_command_that_the_program_calls_is_listed() -> None:
    """A file with a command that no group lists would never be found."""
    package = Path(command_group.__file__).parent
    found = {f.stem for f in package.glob("*.py") if "@click.command(" in f.read_text("utf-8")}
    assert found <= {"_".join(words).replace("-", "_") for words in COMMANDS}


def test_the_first_help_shows_where_to_begin_and_the_exit_codes() -> None:
    shown = run("--help").stdout
    for expected in ("understudy demo", "understudy replay", "understudy worker", "Exit codes"):
        assert expected in shown
    for name in main.list_commands(click.Context(main)):
        assert re.search(rf"^  {name} ", shown, re.MULTILINE)
    assert "0 done, 1 failed, 2 wrong usage or settings, 3" in shown


def test_listing_the_commands_imports_none_of_them() -> None:
    script = (
        "import sys; from understudy.streams.commands.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'confluent_kafka', 'clickhouse_connect', 'faust', 'numpy', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_replay_imports_nothing_that_a_file_of_events_needs_none_of() -> None:
    """It starts in half a second of CPU; what each import below takes is a tenth of it."""
    script = (
        "import sys, understudy.streams.commands.main, understudy.streams.commands.replay\n"
        "heavy = {'confluent_kafka', 'clickhouse_connect', 'faust', 'rich', 'importlib.metadata',"
        " 'understudy.schemas.redaction.redact', 'understudy.schemas.adapters.detect'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_option_is_described() -> None:
    for words, command in COMMANDS.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{words} {parameter.name}"


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
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_settings_are_2_and_help(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("understudy.toml").write_text("[pairing]\nwindows = 5\n")
    result = run("replay", recording)
    assert result.exit_code == 2
    assert "understudy.toml: unknown key pairing.windows; did you mean" in result.stderr
    Path("understudy.toml").unlink()
    monkeypatch.setenv("UNDERSTUDY_PAIRING_WINDOW_S", "never")
    result = run("replay", recording)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "pairing.window_s" in result.stderr
    monkeypatch.setenv("UNDERSTUDY_PAIRING_WINDOW_S", "10")
    monkeypatch.setenv("UNDERSTUDY_PAIRING_JOIN_TIMEOUT_S", "900")
    assert run("replay", recording).exit_code == 2


def test_a_damaged_recording_is_1(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson.gz"
    file.write_bytes(b"\x1f\x8b but not gzip")
    result = run("replay", "--json", file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "events.ndjson.gz" in result.stderr


@pytest.mark.parametrize("command", ["topics", "publish"])
def test_no_broker_is_3(command: str, recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_broker(*_: Any, **__: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "Failed to get metadata"))

    monkeypatch.setattr("understudy.streams.commands.topics.ensure_topics", no_broker)
    monkeypatch.setenv("UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS", "nobody:9092")
    result = run(command, *([recording] if command == "publish" else []))
    assert (result.exit_code, result.stdout) == (3, "")
    assert "nobody:9092" in result.stderr


@pytest.mark.embedded
@pytest.mark.parametrize("arguments", [("query", "SELECT 1"), ("migrate",)], ids=" ".join)
def test_no_clickhouse_is_3(arguments: tuple[str, ...]) -> None:
    result = run(*arguments, "--clickhouse", "clickhouse://127.0.0.1:1/x")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "127.0.0.1:1" in result.stderr


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


def test_colours_on_a_terminal_unless_no_color_is_set(recording: Path) -> None:
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
