"""`understudy rollout promote`."""

from __future__ import annotations

from typing import Any

import click

from understudy.streams.commands.invocation import with_settings
from understudy.streams.commands.operator_command import OperatorCommand, operator_options
from understudy.streams.settings import Settings


@click.command("promote")
@operator_options
@click.option("--reason", default="", help="Why; stored with the command.")
@with_settings
def command(settings: Settings, /, **options: Any) -> None:
    """Move to the next stage now, whatever the evidence says.

    The exit code is 1 when there is no further stage, when the rollout is rolled back or paused
    (resume it first), or when no decision answers the command in time (--wait). In the last case it
    is stored, and will be applied when a deciding worker runs.

    \b
    Examples:
      understudy rollout show checkout-assistant-2026-11      # what does the evidence say?
      understudy rollout promote checkout-assistant-2026-11
    """
    OperatorCommand(kind="promote", **options).run(settings)
