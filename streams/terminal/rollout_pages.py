"""Rollouts on a terminal and as JSON; nothing in their texts acts on the terminal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import yaml
from rich.console import Group, RenderableType
from rich.text import Text

from understudy.schemas.api import RolloutStatus
from understudy.schemas.audit import AuditRecord
from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import Command, RolloutRecord
from understudy.streams.rollouts.rollout_status import status_of
from understudy.streams.terminal.data_table import Column, DataTable
from understudy.streams.terminal.evidence_table import STYLES, show_decision
from understudy.streams.terminal.plain_text import lines, one_line

NOTHING: Final = "–"
_MAX_NAME: Final = 128
_MAX_SENTENCE: Final = 1_024
_MAX_POLICY: Final = 20_000
"""Characters, so that a table stays a table and a page a page."""
_MIN_REASON: Final = 24
"""Characters to which a reason wraps: a few words a line can be read."""
_MAX_COMMANDS: Final = 10
"""The newest: a screenful leaves room for the evidence."""


def rollouts_table(statuses: Sequence[RolloutStatus]) -> RenderableType:
    """One row for each rollout."""
    table = DataTable(
        [
            Column("rollout", wraps_at=20),
            Column("stage", wraps_at=10),
            Column("verdict"),
            Column("since (UTC)", leaves=1),
            Column("candidate", "right", leaves=2),
            Column("reason", wraps_at=_MIN_REASON),
        ]
    )
    for status in statuses:
        table.add_row(*_row(status))
    return table


def audit_table(records: Sequence[AuditRecord]) -> RenderableType:
    """One row for each change, in the order given."""
    table = DataTable(
        [
            Column("at (UTC)"),
            Column("rollout", wraps_at=20),
            Column("action"),
            Column("by", wraps_at=10),
            Column("from", leaves=1, wraps_at=12),
            Column("reason", leaves=2, wraps_at=_MIN_REASON),
        ]
    )
    for one in records:
        table.add_row(
            moment(one.at.astimezone(dt.UTC)),
            one_line(one.rollout_id, _MAX_NAME),
            one.action,
            one_line(one.by, _MAX_SENTENCE),
            one_line(f"{one.via} {one.forwarded_for or one.address}", _MAX_SENTENCE),
            one_line(one.reason or one.effect, _MAX_SENTENCE),
        )
    return table


def _row(status: RolloutStatus) -> list[str | Text]:
    return [
        one_line(status.rollout_id, _MAX_NAME),
        one_line(status.stage or NOTHING, _MAX_NAME),
        Text(status.verdict, STYLES.get(status.verdict, "dim")),
        moment(status.since),
        NOTHING if status.candidate_share is None else share(status.candidate_share),
        one_line(_first(status.reasons), _MAX_SENTENCE),
    ]


def moment(time: dt.datetime | None) -> str:
    """A time to the second, or a dash."""
    return NOTHING if time is None else f"{time:%Y-%m-%d %H:%M:%S}"


def share(candidate_share: float) -> str:
    """The candidate's share of requests."""
    return f"{100 * candidate_share:g} %"


def _first(reasons: Sequence[str]) -> str:
    return reasons[0] if reasons else ""


def verdict_line(decision: Decision) -> str:
    """The decision in one line."""
    rollout_id, stage = decision.rollout_id, decision.stage.stage.name
    head = (
        f"{one_line(rollout_id, _MAX_NAME)}: {decision.verdict}, stage {one_line(stage, _MAX_NAME)}"
    )
    reason = one_line(_first(decision.reasons), _MAX_SENTENCE)
    return f"{head}, candidate {share(decision.candidate_share)}" + (
        f": {reason}" if reason else ""
    )


def rollout_page(
    record: RolloutRecord, decision: Decision | None, *, all_slices: bool = False
) -> RenderableType:
    """Policy, verdict, evidence and operators' commands."""
    parts: list[RenderableType] = [Text(_policy(record))]
    if decision is None:
        parts.append(Text("WAITING  no decision yet\n", "dim"))
    else:
        if status_of(record, decision).is_outdated:
            parts.append(Text("the decision below was made under an earlier policy\n", "yellow"))
        parts.append(show_decision(decision, all_slices=all_slices))
    if record.commands:
        parts.append(_commands_table(record.commands[-_MAX_COMMANDS:]))
    return Group(*parts)


def _policy(record: RolloutRecord) -> str:
    """The policy as it was written, as YAML."""
    builtins = msgspec.to_builtins(record.manifest)
    text = yaml.safe_dump(builtins, sort_keys=False, allow_unicode=True, width=100)
    return lines(text, _MAX_POLICY)


def _commands_table(commands: Sequence[Command]) -> RenderableType:
    table = DataTable(
        [
            Column("command"),
            Column("at (UTC)"),
            Column("by", wraps_at=12),
            Column("reason", wraps_at=_MIN_REASON),
        ]
    )
    for command in reversed(commands):
        at = command.at.astimezone(dt.UTC)
        cells = (command.kind, moment(at), one_line(command.by, _MAX_NAME),
                 one_line(command.reason, _MAX_SENTENCE))  # fmt: skip
        table.add_row(*cells)
    return table


# JSON


def rollout_json(record: RolloutRecord, decision: Decision | None) -> dict[str, Any]:
    """What `show --json` prints: record and decision as they stand on their topics."""
    return {
        "record": msgspec.to_builtins(record),
        "decision": None if decision is None else _through_json(decision),
    }


def _through_json(decision: Decision) -> Any:
    """Through JSON, whose keys are texts."""
    return msgspec.json.decode(msgspec.json.encode(decision))
