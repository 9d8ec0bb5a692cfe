"""Groups of commands whose modules are imported only when they are needed."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from understudy.schemas.rollouts import nearest
from understudy.streams.commands.interrupts import interrupts_end_the_process
from understudy.streams.errors import INTERRUPTED
from understudy.streams.terminal.output import say


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
        with interrupts_end_the_process():
            command: click.Command = import_module(module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name, or say which one may be meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args and not args[0].startswith("-"):
                error.message = f"No such command {args[0]!r}{nearest(args[0], self._summaries)}"
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands with their lines."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summaries[name]) for name in self.list_commands(ctx)])


class Program(CommandGroup):
    """The outermost group: an expected failure of any command ends as message and exit code."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **more: Any
    ) -> Any:
        """Run the program as click does, but write its messages the way of all output."""
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **more)
        sys.exit(self._exit_code(args, **more))

    def _exit_code(self, args: Sequence[str] | None, **more: Any) -> int:
        try:
            code = super().main(args, standalone_mode=False, **more)
        except click.ClickException as error:
            say(_message(error), err=True, end="")
            return error.exit_code
        except click.Abort:
            say("Interrupted", err=True)
            return INTERRUPTED
        return code if isinstance(code, int) else 0

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


def _message(error: click.ClickException) -> str:
    """What click shows, with all its characters: on its way into a text it leaves some out."""
    error.show_color = True
    context = getattr(error, "ctx", None)
    if context is not None:
        context.color = True
    message = io.StringIO()
    error.show(message)
    return message.getvalue()
