"""`understudy rollout quality`."""

from __future__ import annotations

import datetime as dt
from contextlib import closing

import click
import msgspec

from understudy.schemas.event_time import from_epoch_ms
from understudy.streams.clickhouse.answer_quality import read_answer_quality
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import (
    OutputFormat,
    clickhouse_option,
    output_options,
    rollout_argument,
)
from understudy.streams.commands.parameter_types import TimeType
from understudy.streams.dashboard.answers_page import EvaluatorPart, answers_part
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.settings import Settings
from understudy.streams.terminal.data_table import Column, DataTable
from understudy.streams.terminal.output import say, say_documents_as_csv, say_json, show

_DAY = dt.timedelta(days=1)
_MIN_SENTENCE = 20
"""Characters to which sentences wrap: two or three words a line."""
_STYLES = {"worse": "yellow", "better": "green"}


@click.command("quality")
@rollout_argument
@click.option(
    "--since",
    "since_ms",
    metavar="WHEN",
    type=TimeType(),
    help="Pairs requested from then on: an age (6h, 2d) or an ISO time, UTC; the last day of "
    "windows without it.",
)
@clickhouse_option
@output_options()
@with_settings
def command(
    settings: Settings, rollout_id: str, since_ms: int | None, url: str | None, output: OutputFormat
) -> None:
    """Show what evaluators say of a rollout's answers, by language, and what that did cost.

    Preferences or scores of both sides with intervals, how many pairs were judged, how many in
    vain, what was spent, and each evaluator's own noise: what it says of stable and its second run.
    The figures are those of the dashboard's page Answers; verdicts rest on the guardrails.

    \b
    Examples:
      understudy rollout quality checkout-assistant-2026-11
      understudy rollout quality checkout-assistant-2026-11 --since 7d --json
    """
    quiet_logs()
    registry = RolloutRegistry(settings.kafka)
    registry.require(rollout_id)
    decision = registry.decisions().get(rollout_id)
    until = (decision.windows_until if decision else None) or dt.datetime.now(dt.UTC)
    since = until - _DAY if since_ms is None else from_epoch_ms(since_ms)
    if since >= until:
        raise click.UsageError(f"--since must be before the newest window, {until:%Y-%m-%dT%H:%M}")
    with closing(ReadConnection(url or settings.clickhouse.url)) as connection:
        found = read_answer_quality(connection, rollout_id, since, until)
    if output == "json":
        say_json(msgspec.to_builtins(found))
    elif output == "csv":
        say_documents_as_csv([msgspec.to_builtins(one) for one in found.evaluators])
    else:
        _print(answers_part(found.evaluators, decision))


def _print(parts: list[EvaluatorPart]) -> None:
    if not parts:
        say("No pair requested in this span of time has been judged.")
    for part in parts:
        say(part.evaluator)
        for sentence in part.summary:
            say(f"  {sentence}")
        show(answers_table(part))


def answers_table(part: EvaluatorPart) -> DataTable:
    """Return what an evaluator says, by language."""
    table = DataTable([
        Column("language"), Column("candidate's answers", wraps_at=_MIN_SENTENCE),
        Column("stable → candidate", "right"), Column("95 % interval", "right"),
        Column("pairs", "right"), Column("spent", "right", leaves=2),
        Column("guardrail", leaves=1, wraps_at=_MIN_SENTENCE),
    ])  # fmt: skip
    for row in part.rows:
        named = f"{row.guardrail}: {row.guardrail_words}" if row.guardrail else "–"
        table.add_row(
            row.language, f"{row.sign} {row.words}", row.sides, row.interval, row.pairs, row.cost,
            named, style=_STYLES.get(row.finding, ""),
        )  # fmt: skip
    return table
