"""`understudy dead-letters list`."""

from __future__ import annotations

import logging
from typing import Any, Final

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from understudy.streams.commands.dead_letters import selection_options
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import json_option
from understudy.streams.dead_letters.dead_letter_record import DeadLetterRecord
from understudy.streams.dead_letters.reading import read_dead_letters
from understudy.streams.dead_letters.selection import DeadLetterSummary, Selection
from understudy.streams.settings import Settings
from understudy.streams.terminal.consoles import table_console
from understudy.streams.terminal.plain_text import json_text, one_line

_MAX_REASON: Final = 40
_MAX_ROLLOUT_ID: Final = 40
_MAX_DETAIL: Final = 300
"""Characters in a table; `show` prints more."""
_NUMERIC: Final = ("dead letters", "bytes")


@click.command("list")
@selection_options
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(0, 10_000),
    help="How many of the newest to list.",
)
@json_option
@with_settings
def command(
    settings: Settings,
    reasons: tuple[str, ...],
    rollout_id: str,
    since_ms: int | None,
    limit: int,
    as_json: bool,
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
    if as_json:
        click.echo(json_text(_document(summary)))
    elif not summary.reasons:
        click.echo("no dead letters")
    else:
        _print(summary)


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


def _print(summary: DeadLetterSummary) -> None:
    console = table_console()
    counts = _table("reason", "dead letters")
    for reason, count in summary.reasons.most_common():
        counts.add_row(Text(one_line(reason, _MAX_REASON)), Text(f"{count:,}"))
    console.print(counts)
    if summary.newest:
        console.print(_newest_table(summary.newest))


def _newest_table(records: list[DeadLetterRecord]) -> Table:
    table = _table("stored (UTC)", "event", "reason", "rollout", "bytes", "detail")
    for record in records:
        cells = (
            f"{record.stored_at:%Y-%m-%d %H:%M:%S}",
            str(record.source),
            one_line(record.reason, _MAX_REASON),
            one_line(record.rollout_id, _MAX_ROLLOUT_ID),
            f"{record.payload_bytes:,}",
            one_line(record.detail, _MAX_DETAIL),
        )
        table.add_row(*map(Text, cells))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        justify = "right" if name in _NUMERIC else "left"
        table.add_column(name, justify=justify, no_wrap=name != "detail", overflow="fold")  # type: ignore[arg-type]
    return table
