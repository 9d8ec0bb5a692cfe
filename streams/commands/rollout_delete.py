"""`understudy rollout delete`."""

from __future__ import annotations

import click

from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.operator_command import this_user
from understudy.streams.commands.options import dry_run_option, rollout_argument
from understudy.streams.rollouts.operator_commands import delete_rollout
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say
from understudy.streams.terminal.plain_text import one_line


@click.command("delete")
@rollout_argument
@dry_run_option
@with_settings
def command(settings: Settings, rollout_id: str, dry_run: bool) -> None:
    """Delete a rollout: its policy, its evidence and its decision, even a rollback.

    What ClickHouse has stored about it stays there.

    \b
    Examples:
      understudy rollout delete checkout-assistant-2026-11 --dry-run
      understudy rollout delete checkout-assistant-2026-11
    """
    quiet_logs()
    registry = RolloutRegistry(settings.kafka)
    if dry_run:
        registry.require(rollout_id)
    else:
        delete_rollout(registry, rollout_id, actor=this_user())
    say(f"{'would delete' if dry_run else 'deleted'} {one_line(rollout_id)}")
    if dry_run:
        say("dry run: nothing was written", err=True)
