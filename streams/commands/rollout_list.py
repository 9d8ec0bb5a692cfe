"""`understudy rollout list`."""

from __future__ import annotations

import click
import msgspec

from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import json_option
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.rollouts.rollout_status import statuses
from understudy.streams.settings import Settings
from understudy.streams.terminal.consoles import table_console
from understudy.streams.terminal.plain_text import json_text
from understudy.streams.terminal.rollout_pages import rollouts_table


@click.command("list")
@json_option
@with_settings
def command(settings: Settings, as_json: bool) -> None:
    """List rollouts with their stages and verdicts.

    The verdict is `waiting` until the first decision.

    \b
    Examples:
      understudy rollout list
      understudy rollout list --json | jq -r '.[] | select(.verdict == "rollback") | .rollout_id'
    """
    quiet_logs()
    registry = RolloutRegistry(settings.kafka)
    found = statuses(registry.rollouts(), registry.decisions())
    if as_json:
        click.echo(json_text(msgspec.to_builtins(found)))
    elif not found:
        click.echo("no rollouts; `understudy rollout apply -f POLICY` starts one")
    else:
        table_console().print(rollouts_table(found))
