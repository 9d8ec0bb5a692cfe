"""`understudy rollout show`."""

from __future__ import annotations

import click

from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import (
    OutputFormat,
    all_slices_option,
    output_options,
    rollout_argument,
)
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.settings import Settings
from understudy.streams.terminal.evidence_table import evidence_documents
from understudy.streams.terminal.output import say_documents_as_csv, say_json, show
from understudy.streams.terminal.rollout_pages import rollout_json, rollout_page


@click.command("show")
@rollout_argument
@all_slices_option
@output_options(csv_help="Print the evidence as CSV.")
@with_settings
def command(settings: Settings, rollout_id: str, all_slices: bool, output: OutputFormat) -> None:
    """Show a rollout's policy, verdict, evidence and operators' commands.

    \b
    Examples:
      understudy rollout show checkout-assistant-2026-11
      understudy rollout show checkout-assistant-2026-11 --json | jq .decision.reasons
    """
    quiet_logs()
    registry = RolloutRegistry(settings.kafka)
    record = registry.require(rollout_id)
    decision = registry.decisions().get(rollout_id)
    if output == "json":
        say_json(rollout_json(record, decision))
    elif output == "csv":
        say_documents_as_csv(() if decision is None else evidence_documents(decision))
    else:
        show(rollout_page(record, decision, all_slices=all_slices))
