"""`understudy rollout list`."""

from __future__ import annotations

import click
import msgspec

from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import OutputFormat, output_options
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.rollouts.rollout_status import statuses
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say, say_documents_as_csv, say_json, show
from understudy.streams.terminal.rollout_pages import rollouts_table


@click.command("list")
@output_options()
@with_settings
def command(settings: Settings, output: OutputFormat) -> None:
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
    documents = msgspec.to_builtins(found)
    if output == "json":
        say_json(documents)
    elif output == "csv":
        say_documents_as_csv(documents)
    elif not found:
        say("no rollouts; `understudy rollout apply -f POLICY` starts one")
    else:
        show(rollouts_table(found))
