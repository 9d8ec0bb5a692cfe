"""What `rollout kill`, `resume` and `promote` share: options, and waiting for the decision."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import click

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import Command, CommandKind
from understudy.streams.commands.invocation import quiet_logs
from understudy.streams.commands.options import dry_run_option, rollout_argument
from understudy.streams.errors import CommandError
from understudy.streams.rollouts.audit import Actor
from understudy.streams.rollouts.confirmation import is_answered, rejection_of
from understudy.streams.rollouts.operator_commands import (
    MAX_BY_CHARACTERS,
    check_command,
    check_command_text,
    issue_command,
)
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say
from understudy.streams.terminal.plain_text import one_line
from understudy.streams.terminal.rollout_pages import verdict_line

_POLL_S: Final = 0.3
"""Between two looks at the decisions: soon enough for a person, seldom enough for the broker."""
_DONE: Final[dict[CommandKind, str]] = {
    "kill": "rolled back",
    "resume": "resumed",
    "promote": "promoted",
}


def operator_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The rollout and the options of an operator's command, but for its reason."""
    for option in (
        dry_run_option,
        click.option("--wait", "wait_s", metavar="SECONDS", default=10.0, show_default=True,
                     type=click.FloatRange(0, 3600),
                     help="How long to wait for a decision that answers it; 0: do not wait."),
        click.option("--expects", metavar="SEQUENCE", type=click.IntRange(0),
                     help="Sequence of the decision that you saw; the command is rejected if "
                     "anything has changed since."),
        click.option("--by", metavar="NAME", help="Who issues it; user@host if not given."),
        rollout_argument,
    ):  # fmt: skip
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class OperatorCommand:
    """A command of an operator as the command line has it."""

    rollout_id: str
    kind: CommandKind
    reason: str
    by: str | None
    wait_s: float
    expects: int | None
    dry_run: bool

    def run(self, settings: Settings) -> None:
        """Issue the command, and wait until a decision answers it."""
        quiet_logs()
        registry = RolloutRegistry(settings.kafka)
        shown = f"{self.kind} {one_line(self.rollout_id)}"
        if self.dry_run:
            check_command_text(self.kind, reason=self.reason, by=self.by or "")
            check_command(registry, self.rollout_id, self.kind)
            say(f"would issue: {shown}")
            say("dry run: nothing was written", err=True)
            return
        issued = issue_command(
            registry,
            self.rollout_id,
            self.kind,
            reason=self.reason,
            actor=this_user(self.by),
            expects=self.expects,
        )
        say(f"issued command {issued.number}: {shown}")
        if self.wait_s > 0:
            self._print_result(issued, self._wait(registry, issued))

    def _wait(self, registry: RolloutRegistry, issued: Command) -> Decision | None:
        """A decision that answers the command; None when there is none in time."""
        deadline = time.monotonic() + self.wait_s
        while True:
            now = registry.decisions().get(self.rollout_id)
            if is_answered(issued, now):
                return now
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_S)

    def _print_result(self, issued: Command, answer: Decision | None) -> None:
        if answer is None:
            raise CommandError(
                f"no decision answered the command within {self.wait_s:g} s; it is stored and "
                "will be applied when a deciding worker runs"
            )
        if rejection := rejection_of(issued, answer):
            raise CommandError(f"command {issued.number} was rejected: {one_line(rejection)}")
        say(f"{_DONE[self.kind]}  {verdict_line(answer)}")


def this_user(by: str | None = None) -> Actor:
    """Who sits here, under another name where one was given."""
    return Actor(by=by or user_at_host(), address=user_at_host())


def user_at_host() -> str:
    """Who issues a command, as far as this machine knows."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"[:MAX_BY_CHARACTERS]
