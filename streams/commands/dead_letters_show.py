"""`understudy dead-letters show`."""

from __future__ import annotations

import logging
import sys
from typing import Final

import click

from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.parameter_types import PositionType
from understudy.streams.dead_letters.dead_letter_record import DeadLetterRecord, RecordPosition
from understudy.streams.dead_letters.reading import read_dead_letters
from understudy.streams.dead_letters.selection import Selection
from understudy.streams.errors import WRONG_USAGE, CommandError
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say, say_raw
from understudy.streams.terminal.plain_text import lines, one_line, payload_text

MAX_PAYLOAD: Final = 20_000
"""Characters of a payload: some screenfuls; `--raw` writes all of it."""
_MAX_REASON: Final = 100
_MAX_DETAIL: Final = 2_000
_MAX_KEY: Final = 400


@click.command("show")
@click.argument("event", metavar="TOPIC/PARTITION/OFFSET", type=PositionType())
@click.option("--raw", is_flag=True, help="Write the payload as it is, to a file or a pipe.")
@with_settings
def command(settings: Settings, event: RecordPosition, raw: bool) -> None:
    """Show why an event could not be used, and the event itself.

    The event is named by its position in its topic, as `dead-letters list` prints it. Control
    characters are shown as numbers, so nothing in the payload acts on the terminal.

    \b
    Examples:
      understudy dead-letters show understudy.events/3/1234
      understudy dead-letters show --raw understudy.events/3/1234 > event.json
    """
    quiet_logs(logging.ERROR)
    if raw and sys.stdout.isatty():
        raise CommandError(
            "--raw does not write to a terminal, since a payload may hold control characters; "
            "send it to a file or a pipe",
            WRONG_USAGE,
        )
    record = next(read_dead_letters(settings, Selection(source=event)), None)
    if record is None:
        raise CommandError(
            f"there is no dead letter about {event}; `understudy dead-letters list` lists them"
        )
    if raw:
        say_raw(record.payload or b"")
    else:
        say(_page(record))


def _page(record: DeadLetterRecord) -> str:
    key = "(none)" if record.key is None else record.key.decode("utf-8", "backslashreplace")
    facts = (
        ("event", str(record.source)),
        ("reason", one_line(record.reason, _MAX_REASON)),
        ("detail", one_line(record.detail, _MAX_DETAIL)),
        ("stored", record.stored_at.isoformat(timespec="milliseconds")),
        ("key", one_line(key, _MAX_KEY)),
        ("payload", f"{record.payload_bytes:,} bytes"),
    )
    head = "\n".join(f"{name:8} {value}" for name, value in facts)
    return f"{head}\n\n{lines(payload_text(record.payload), MAX_PAYLOAD)}"
