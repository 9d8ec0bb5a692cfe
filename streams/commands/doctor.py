"""`understudy doctor`."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import json_option
from understudy.streams.diagnostics.examination import examine
from understudy.streams.diagnostics.findings import Finding, Level
from understudy.streams.errors import FAILED, UNREACHABLE
from understudy.streams.settings import Settings
from understudy.streams.terminal.consoles import table_console

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
@json_option
@with_settings
def command(settings: Settings, newest: int, as_json: bool) -> None:
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
    if as_json:
        document = {"status": worst, "findings": [asdict(one) for one in findings]}
        click.echo(json.dumps(document, indent=2))
    else:
        table_console().print(_table(findings))
    raise click.exceptions.Exit(_exit_code(findings, worst))


def _worst(findings: Sequence[Finding]) -> Level:
    levels = {one.level for one in findings}
    return next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.OK)


def _exit_code(findings: Sequence[Finding], worst: Level) -> int:
    if any(one.unreachable for one in findings):
        return UNREACHABLE
    return FAILED if worst is Level.FAIL else 0


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("seen", ratio=3, overflow="fold")
    table.add_column("what to do", ratio=2, overflow="fold")
    for one in findings:
        level = Text(one.level, style=_STYLES[one.level])
        table.add_row(level, Text(one.check), Text(one.seen), Text(one.advice))
    return table
