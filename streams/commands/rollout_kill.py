"""`understudy rollout kill`."""

from __future__ import annotations

from typing import Any

import click

from understudy.streams.commands.invocation import with_settings
from understudy.streams.commands.operator_command import OperatorCommand, operator_options
from understudy.streams.settings import Settings


@click.command("kill")
@operator_options
@click.option("--reason", required=True, help="Why; shown wherever the rollback is shown.")
@with_settings
def command(settings: Settings, /, **options: Any) -> None:
    """Roll back now, whatever the evidence says; it stays in force until an operator resumes.

    The exit code is 1 when no decision answers the command in time (--wait). The command is
    stored then, and will be applied when a deciding worker runs.

    \b
    Examples:
      understudy rollout kill checkout-assistant-2026-11 --reason "answers in the wrong tone"
      understudy rollout kill checkout-assistant-2026-11 --reason "pager" --by anna --wait 0
    """
    OperatorCommand(kind="kill", **options).run(settings)
