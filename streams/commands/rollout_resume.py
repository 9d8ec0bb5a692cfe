"""`understudy rollout resume`."""

from __future__ import annotations

from typing import Any

import click

from understudy.streams.commands.invocation import with_settings
from understudy.streams.commands.operator_command import OperatorCommand, operator_options
from understudy.streams.settings import Settings


@click.command("resume")
@operator_options
@click.option("--reason", default="", help="Why; stored with the command.")
@with_settings
def command(settings: Settings, /, **options: Any) -> None:
    """Lift a rollback or a pause; evidence of harm is gathered anew.

    The exit code is 1 when there is nothing to lift, or when no decision answers the command in
    time (--wait). In the last case it is stored, and will be applied when a deciding worker runs.

    \b
    Examples:
      understudy rollout resume checkout-assistant-2026-11 --reason "prompt fixed"
    """
    OperatorCommand(kind="resume", **options).run(settings)
