"""Groups find commands by name, import them late, and let bugs through."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from understudy.streams.commands.command_group import CommandGroup, Program
from understudy.streams.settings import SettingsError


def test_a_command_is_found_by_its_name_and_prefix() -> None:
    group = CommandGroup("dead-letters", summaries={"list": "List"}, prefix="dead_letters_")
    context = click.Context(group)
    found = group.get_command(context, "list")
    assert found is not None
    assert found.name == "list"
    assert group.get_command(context, "show") is None, "it is not in this group"
    assert group.list_commands(context) == ["list"]


def test_an_unknown_command_is_wrong_usage() -> None:
    result = CliRunner().invoke(Program("p", summaries={}), ["dance"])
    assert result.exit_code == 2
    assert "No such command 'dance'" in result.stderr


class _Raising(Program):
    """Its only command raises."""

    error: Exception

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        def fail() -> None:
            raise self.error

        return click.Command(cmd_name, callback=fail)


def test_expected_failures_end_with_a_message_and_bugs_with_a_traceback() -> None:
    program = _Raising("p", summaries={"x": ""})
    program.error = SettingsError("unknown key y")
    result = CliRunner().invoke(program, ["x"])
    assert (result.exit_code, result.stderr) == (2, "Error: unknown key y\n")
    program.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(program, ["x"], catch_exceptions=False)
