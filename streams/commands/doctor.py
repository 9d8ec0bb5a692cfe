"""`understudy doctor`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

import click
from rich.text import Text

from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import OutputFormat, output_options
from understudy.streams.diagnostics.examination import examine
from understudy.streams.diagnostics.findings import Finding, Level
from understudy.streams.errors import FAILED, UNREACHABLE
from understudy.streams.settings import Settings
from understudy.streams.terminal.data_table import Column, DataTable
from understudy.streams.terminal.output import say_documents_as_csv, say_json, show

_MIN_SENTENCE: Final = 20
"""Characters to which sentences wrap: two or three words a line."""
_STYLES: Final = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


@click.command("doctor")
@click.option(
    "--newest",
    metavar="COUNT",
    default=500,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="How many of the newest events of each partition to check.",
)
@output_options()
@with_settings
def command(settings: Settings, newest: int, output: OutputFormat) -> None:
    """Check Kafka, topics, gateways, workers and ClickHouse, and say what to do.

    Nothing is changed. The exit code is 0 when nothing needs action, 1 when something does, and 3
    when Kafka or ClickHouse cannot be reached.

    \b
    Examples:
      understudy doctor
      understudy doctor --json | jq '.findings[] | select(.level != "ok")'
    """
    quiet_logs(logging.ERROR)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    findings = examine(settings, newest=newest)
    worst = _worst(findings)
    documents = [asdict(one) for one in findings]
    if output == "json":
        say_json({"status": worst, "findings": documents})
    elif output == "csv":
        say_documents_as_csv(documents)
    else:
        show(_table(findings))
    raise click.exceptions.Exit(_exit_code(findings, worst))


def _worst(findings: Sequence[Finding]) -> Level:
    levels = {one.level for one in findings}
    return next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.OK)


def _exit_code(findings: Sequence[Finding], worst: Level) -> int:
    if any(one.unreachable for one in findings):
        return UNREACHABLE
    return FAILED if worst is Level.FAIL else 0


def _table(findings: Sequence[Finding]) -> DataTable:
    table = DataTable(
        [
            Column("level"),
            Column("check"),
            Column("seen", wraps_at=_MIN_SENTENCE),
            Column("what to do", wraps_at=_MIN_SENTENCE),
        ]
    )
    for one in findings:
        table.add_row(Text(one.level, _STYLES[one.level]), one.check, one.seen, one.advice)
    return table
