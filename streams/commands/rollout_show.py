"""`understudy rollout show`."""

from __future__ import annotations

import click

from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import json_option, rollout_argument
from understudy.streams.rollouts.registry import RolloutRegistry, UnknownRollout
from understudy.streams.settings import Settings
from understudy.streams.terminal.consoles import table_console
from understudy.streams.terminal.plain_text import json_text
from understudy.streams.terminal.rollout_pages import rollout_json, rollout_page


@click.command("show")
@rollout_argument
@json_option
@with_settings
def command(settings: Settings, rollout_id: str, as_json: bool) -> None:
    """Show a rollout's policy, verdict, evidence and operators' commands.

    \b
    Examples:
      understudy rollout show checkout-assistant-2026-11
      understudy rollout show checkout-assistant-2026-11 --json | jq .decision.reasons
    """
    quiet_logs()
    registry = RolloutRegistry(settings.kafka)
    record = registry.find(rollout_id)
    if record is None:
        raise UnknownRollout(rollout_id, registry.rollouts())
    decision = registry.decisions().get(rollout_id)
    if as_json:
        click.echo(json_text(rollout_json(record, decision)))
    else:
        table_console().print(rollout_page(record, decision))
