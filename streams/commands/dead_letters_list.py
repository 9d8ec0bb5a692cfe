"""`understudy dead-letters list`."""

from __future__ import annotations

import logging
from typing import Any, Final

import click

from understudy.streams.commands.dead_letters import selection_options
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import OutputFormat, output_options
from understudy.streams.dead_letters.dead_letter_record import DeadLetterRecord
from understudy.streams.dead_letters.reading import read_dead_letters
from understudy.streams.dead_letters.selection import DeadLetterSummary, Selection
from understudy.streams.settings import Settings
from understudy.streams.terminal.data_table import Column, DataTable
from understudy.streams.terminal.output import say, say_documents_as_csv, say_json, show
from understudy.streams.terminal.plain_text import one_line

_MAX_REASON: Final = 40
_MAX_ROLLOUT_ID: Final = 40
_MAX_DETAIL: Final = 300
"""Characters in a table; `show` prints more."""
_MIN_DETAIL: Final = 24
"""Characters to which a detail wraps: a few words a line can be read."""


@click.command("list")
@selection_options
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(0, 10_000),
    help="How many of the newest to list.",
)
@output_options(csv_help="Print the newest as CSV.")
@with_settings
def command(
    settings: Settings,
    reasons: tuple[str, ...],
    rollout_id: str,
    since_ms: int | None,
    limit: int,
    output: OutputFormat,
) -> None:
    """Count dead letters by reason, and list the newest.

    Several dead letters about one event count once.

    \b
    Examples:
      understudy dead-letters list
      understudy dead-letters list --since 1h --reason clock_ahead
      understudy dead-letters list --json | jq .reasons
    """
    quiet_logs(logging.ERROR)
    summary = DeadLetterSummary(limit)
    for record in read_dead_letters(settings, Selection(frozenset(reasons), rollout_id, since_ms)):
        summary.add(record)
    if output == "json":
        say_json(_document(summary))
    elif output == "csv":
        say_documents_as_csv(map(_described, summary.newest))
    elif not summary.reasons:
        say("no dead letters")
    else:
        show(_counts_table(summary), "", _newest_table(summary.newest))


def _document(summary: DeadLetterSummary) -> dict[str, Any]:
    return {
        "total": summary.reasons.total(),
        "reasons": dict(summary.reasons),
        "newest": [_described(record) for record in summary.newest],
    }


def _described(record: DeadLetterRecord) -> dict[str, Any]:
    return {
        "event": str(record.source),
        "reason": record.reason,
        "detail": record.detail,
        "stored_at": record.stored_at.isoformat(timespec="milliseconds"),
        "rollout_id": record.rollout_id,
        "key": None if record.key is None else record.key.decode("utf-8", "backslashreplace"),
        "payload_bytes": record.payload_bytes,
    }


def _counts_table(summary: DeadLetterSummary) -> DataTable:
    table = DataTable([Column("reason"), Column("dead letters", "right")])
    for reason, count in summary.reasons.most_common():
        table.add_row(one_line(reason, _MAX_REASON), f"{count:,}")
    return table


def _newest_table(records: list[DeadLetterRecord]) -> DataTable:
    table = DataTable(
        [
            Column("stored (UTC)", leaves=2),
            Column("event"),
            Column("reason"),
            Column("rollout", leaves=1),
            Column("bytes", "right", leaves=3),
            Column("detail", wraps_at=_MIN_DETAIL),
        ]
    )
    for record in records:
        table.add_row(
            f"{record.stored_at:%Y-%m-%d %H:%M:%S}",
            str(record.source),
            one_line(record.reason, _MAX_REASON),
            one_line(record.rollout_id, _MAX_ROLLOUT_ID),
            f"{record.payload_bytes:,}",
            one_line(record.detail, _MAX_DETAIL),
        )
    return table
