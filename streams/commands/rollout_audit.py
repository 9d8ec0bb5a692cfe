"""`understudy rollout audit`."""

from __future__ import annotations

import click
import msgspec

from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import OutputFormat, output_options
from understudy.streams.rollouts.audit import Audit
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say, say_documents_as_csv, say_json, show
from understudy.streams.terminal.rollout_pages import audit_table


@click.command("audit")
@click.argument("rollout_id", metavar="[ID]", required=False)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000),
              help="How many of the newest to show.")  # fmt: skip
@output_options()
@with_settings
def command(settings: Settings, rollout_id: str | None, limit: int, output: OutputFormat) -> None:
    """Show who applied, deleted, killed, resumed or promoted, when, and from where.

    Also of rollouts that were deleted.

    \b
    Examples:
      understudy rollout audit
      understudy rollout audit checkout-assistant-2026-11 --json
    """
    quiet_logs()
    found = Audit(settings.kafka).read(rollout_id, limit)
    documents = msgspec.to_builtins(found)
    if output == "json":
        say_json(documents)
    elif output == "csv":
        say_documents_as_csv(documents)
    elif not found:
        say("nothing has been changed yet")
    else:
        show(audit_table(found))
