"""What every command does first: settings, and logs that do not repeat its messages."""

from __future__ import annotations

import logging
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from understudy.streams.commands.invocation import (
    quiet_logs,
    settings_of,
    with_json_schemas,
    with_settings,
)
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.settings import Settings


def test_settings_are_loaded_from_the_file_that_the_program_was_given(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[kafka]\nbootstrap_servers = "broker:1"\n')
    seen: list[str] = []

    @click.command()
    @click.option("--word")
    @with_settings
    def command(settings: Settings, word: str) -> None:
        seen.extend([settings.kafka.bootstrap_servers, word])
        meta = click.get_current_context().meta
        assert settings_of(meta) is settings

    result = CliRunner().invoke(command, ["--word", "x"], obj=file)
    assert result.exit_code == 0, result.output
    assert seen == ["broker:1", "x"]
    assert settings_of({}) == Settings()


def test_json_schemas_of_the_command_line_win() -> None:
    assert with_json_schemas(Settings(), None) == Settings()
    assert with_json_schemas(Settings(), "folder").compare.json_schemas == "folder"


def test_librdkafka_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KAFKA_LOGGER, "level", logging.NOTSET)
    quiet_logs()
    assert not KAFKA_LOGGER.isEnabledFor(logging.ERROR)
