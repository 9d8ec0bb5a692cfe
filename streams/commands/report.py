"""`understudy report`."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from pathlib import Path

import click

from understudy.schemas.event_time import from_epoch_ms
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.commands.html_report import html_option, pairs_option, write_report
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import clickhouse_option, rollout_argument
from understudy.streams.commands.parameter_types import TimeType
from understudy.streams.dashboard.addresses import rollout_address
from understudy.streams.dashboard.rollout_report import RolloutSource, rollout_report
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.settings import Settings

_DAY = dt.timedelta(days=1)


@click.command("report")
@rollout_argument
@html_option(required=True)
@click.option(
    "--since",
    "since_ms",
    metavar="WHEN",
    type=TimeType(),
    help="Traffic and course of evidence from then on: an age (6h, 2d) or an ISO time, UTC; the "
    "last day of windows without it.",
)
@pairs_option()
@clickhouse_option
@with_settings
def command(
    settings: Settings,
    rollout_id: str,
    html_file: Path,
    since_ms: int | None,
    most_pairs: int,
    url: str | None,
) -> None:
    """Write a report on a rollout: one HTML file to attach to a change request.

    It holds the verdict with its reasons and evidence, how the evidence grew, tables and charts of
    each language, the worst captured pairs, what was counted on both sides, decisions and commands,
    the policy, and what was not measured. It opens without a network and prints well. The evidence
    is all that there is since the rollout began; what was counted is of the last day, or since
    --since.

    Policy and verdict come from Kafka, all else from ClickHouse. Where ClickHouse cannot be asked,
    the report says what it lacks.

    \b
    Examples:
      understudy report checkout-assistant-2026-11 --html report.html
      understudy report checkout-assistant-2026-11 --since 7d --html - > report.html
    """
    quiet_logs()
    registry = RolloutRegistry(settings.kafka)
    record = registry.require(rollout_id)
    decision = registry.decisions().get(rollout_id)
    until = (decision.windows_until if decision else None) or dt.datetime.now(dt.UTC)
    since = until - _DAY if since_ms is None else from_epoch_ms(since_ms)
    if since >= until:
        raise click.UsageError(f"--since must be before the newest window, {until:%Y-%m-%dT%H:%M}")
    source = RolloutSource(record, decision, since, until, most_pairs)
    address = rollout_address(settings.http.public_url, rollout_id)
    with closing(ReadConnection(url or settings.clickhouse.url)) as connection:
        write_report(rollout_report(source, connection, address), html_file)
