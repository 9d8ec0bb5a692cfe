"""`understudy drift`."""

from __future__ import annotations

import logging
import math
from contextlib import closing

import click

from understudy.analyzers.drift.change_sentences import (
    change,
    compared_periods,
    summary,
    values,
)
from understudy.analyzers.drift.periods import (
    HOURS_OF_DAY,
    MS_OF_HOUR,
    RECENT_HOURS,
    Hours,
)
from understudy.analyzers.drift.side_drift import DriftFinding
from understudy.analyzers.guardrails.formatting import (
    format_count,
    printable,
)
from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.events import Side
from understudy.streams.clickhouse.drift_watch import SideLook, look_at
from understudy.streams.clickhouse.hourly_traffic import SIDES
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import clickhouse_option, rollout_argument
from understudy.streams.commands.parameter_types import TimeType
from understudy.streams.errors import VERDICT, CommandError
from understudy.streams.settings import Settings
from understudy.streams.terminal.data_table import Column, DataTable
from understudy.streams.terminal.output import say, say_json, show


@click.command("drift")
@rollout_argument
@click.option(
    "--side", type=click.Choice(SIDES), help="Look at one side alone; without it, at both."
)
@click.option(
    "--recent", "recent_hours", metavar="HOURS", type=click.IntRange(1, 168),
    default=RECENT_HOURS, show_default=True, help="How long the recent period is.",
)  # fmt: skip
@click.option(
    "--reference", "reference_days", metavar="DAYS", type=click.IntRange(5, 366),
    help="How long the period before is; else the candidate's first 14 days, and 28 of stable.",
)  # fmt: skip
@click.option(
    "--until", "until_ms", metavar="WHEN", type=TimeType(),
    help="Look as of then: an age (6h, 2d) or an ISO time, UTC; else at the newest hour.",
)  # fmt: skip
@click.option("--all", "all_findings", is_flag=True, help="Print all metrics, changed or not.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--fail-on-drift", is_flag=True, help="End with exit code 4 where something changed.")
@clickhouse_option
@with_settings
def command(
    settings: Settings,
    rollout_id: str,
    side: Side | None,
    recent_hours: int,
    reference_days: int | None,
    until_ms: int | None,
    url: str | None,
    all_findings: bool,
    as_json: bool,
    fail_on_drift: bool,
) -> None:
    """Tell whether a model answers otherwise than it did, although its name is the same.

    The candidate's last day is held against its first days, stable's against the weeks before it,
    each language, workflow and hour of the day or week with itself, so that a change in the
    traffic's mix is none in the models. The periods are not randomised: it finds changes and not
    their causes, and decides nothing.

    \b
    Examples:
      understudy drift checkout
      understudy drift checkout --side stable --all
      understudy drift checkout --fail-on-drift --json      each hour, by cron
    """
    quiet_logs(logging.ERROR)
    until = None if until_ms is None else until_ms // MS_OF_HOUR
    reference = None if reference_days is None else reference_days * HOURS_OF_DAY
    with closing(ReadConnection(url or settings.clickhouse.url)) as connection:
        looks = [
            look_at(connection, rollout_id, one, until=until, recent=recent_hours,
                    reference=reference)
            for one in ([side] if side else SIDES)
        ]  # fmt: skip
    if not any(one.hours for one in looks):
        raise CommandError(f"there are no windows of rollout {printable(rollout_id)}")
    if as_json:
        say_json({"rollout_id": rollout_id, "sides": [_document(one) for one in looks]})
    else:
        for one in looks:
            _show(one, all_findings=all_findings)
    if fail_on_drift and any(one.drift is None or one.drift.alerts for one in looks if one.hours):
        raise click.exceptions.Exit(VERDICT)


# What is said


def _show(look: SideLook, *, all_findings: bool) -> None:
    say(f"{look.side.capitalize()}: {summary(look.drift, look.hours)}")
    if look.drift is None:
        return
    say(compared_periods(look.drift))
    chosen = look.drift.findings if all_findings else look.drift.alerts
    if chosen:
        show(_table(chosen))


def _table(findings: tuple[DriftFinding, ...]) -> DataTable:
    table = DataTable([
        Column("metric"), Column("language"), Column("before", "right"), Column("now", "right"),
        Column("change, 95 %", "right"), Column("chance", "right", leaves=2),
        Column("requests", "right", leaves=3),
    ])  # fmt: skip
    for one in findings:
        table.add_row(
            one.metric.title, one.language or "all", *values(one), change(one),
            f"{one.found.p_value:.1e}",
            format_count(one.found.values_after), style="bold" if one.is_alert else "",
        )  # fmt: skip
    return table


def _document(look: SideLook) -> dict[str, object]:
    drift = look.drift
    if drift is None:
        return {"side": look.side, "hours": look.hours, "compared": False}
    return {
        "side": look.side,
        "hours": look.hours,
        "compared": True,
        "drifted": bool(drift.alerts),
        "recent": _times(drift.periods.recent),
        "reference": _times(drift.periods.reference),
        "prompt_tokens_change": drift.prompt_tokens_change,
        "left_out": drift.left_out,
        "findings": [_finding(one) for one in drift.findings],
    }


def _times(hours: Hours) -> dict[str, str]:
    return {
        name: from_epoch_ms(hour * MS_OF_HOUR).isoformat()
        for name, hour in zip(("since", "until"), hours, strict=True)
    }


def _finding(one: DriftFinding) -> dict[str, object]:
    return {
        "metric": one.metric.name,
        "language": one.language or None,
        "before": one.before,
        "after": one.after,
        "change": _known(one.change),
        "interval": [_known(end) for end in one.interval],
        "is_relative": one.is_relative,
        "p_value": one.found.p_value,
        "tested_at": one.tested_at,
        "alert": one.is_alert,
        "values_before": one.found.values_before,
        "values_after": one.found.values_after,
        "stretches": one.found.stretches,
    }


def _known(value: float) -> float | None:
    """JSON has no number for a relative change of 0."""
    return value if math.isfinite(value) else None
