"""Groups of commands whose modules are imported only when they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class CommandGroup(click.Group):
    """Commands with a module each, found by name: `rollout apply` in `rollout_apply.py`.

    Listing them imports none of them, so `--help` is quick although some need Kafka, ClickHouse
    and Faust. That is why the line that describes each command belongs to its group.
    """

    def __init__(
        self, *args: Any, summaries: Mapping[str, str], prefix: str = "", **more: Any
    ) -> None:
        """`summaries` describes each command in one line; `prefix` begins its module's name."""
        super().__init__(*args, **more)
        self._summaries = summaries
        self._prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands in alphabetical order."""
        return sorted(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None for an unknown name."""
        if cmd_name not in self._summaries:
            return None
        module = f"{__package__}.{self._prefix}{cmd_name.replace('-', '_')}"
        command: click.Command = import_module(module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands with their lines."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summaries[name]) for name in self.list_commands(ctx)])


class Program(CommandGroup):
    """The outermost group: an expected failure of any command ends as message and exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            from understudy.streams.commands.failures import command_error

            expected = command_error(error, ctx.meta)
            if expected is None:
                raise
            raise expected from None
