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

    error: BaseException

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        def fail() -> None:
            raise self.error

        return click.Command(cmd_name, callback=fail)


def raising(error: BaseException) -> Program:
    program = _Raising("p", summaries={"x": ""})
    program.error = error
    return program


def test_expected_failures_end_with_a_message_and_bugs_with_a_traceback() -> None:
    program = _Raising("p", summaries={"x": ""})
    program.error = SettingsError("unknown key y")
    result = CliRunner().invoke(program, ["x"])
    assert (result.exit_code, result.stderr) == (2, "Error: unknown key y\n")
    program.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(program, ["x"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("lst", "; did you mean list?"),
        ("shw", "; did you mean show?"),
        ("zzzz", ""),
        ("\x1b[2J", ""),
    ],
)
def test_an_unknown_command_gets_a_suggestion(typed: str, hint: str) -> None:
    group = Program("p", summaries={"list": "List", "show": "Show"})
    result = CliRunner().invoke(group, [typed])
    assert result.exit_code == 2
    assert f"No such command {typed!r}{hint}\n" in result.stderr


def test_an_interrupt_is_a_word_and_130() -> None:
    result = CliRunner().invoke(raising(KeyboardInterrupt()), ["x"])
    assert result.exit_code == 130
    assert result.stderr.split() == ["Interrupted"]


def test_messages_do_not_act_on_the_terminal() -> None:
    result = CliRunner().invoke(raising(click.ClickException("a\x1b[2J\x9b\u202eb")), ["x"])
    assert (result.exit_code, result.stderr) == (1, "Error: a\\x1b[2J\\x9b\\u202eb\n")


def test_without_standalone_mode_exceptions_come_through() -> None:
    with pytest.raises(click.ClickException):
        raising(click.ClickException("a")).main(["x"], standalone_mode=False)
