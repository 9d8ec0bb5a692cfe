"""Rollouts on a terminal and as JSON. Nothing in their texts acts on the terminal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from understudy.schemas.api import RolloutStatus
from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import Command, RolloutRecord
from understudy.streams.rollouts.rollout_status import status_of
from understudy.streams.terminal.evidence_table import STYLES, show_decision
from understudy.streams.terminal.plain_text import lines, one_line

NOTHING: Final = "–"
_NAME: Final = 64
_REASON: Final = 72
_TEXT: Final = 1_024
_POLICY: Final = 20_000
_COMMANDS: Final = 10


def rollouts_table(statuses: Sequence[RolloutStatus]) -> RenderableType:
    """One row for each rollout."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("rollout", "stage", "verdict", "since (UTC)"):
        table.add_column(name, no_wrap=True)
    table.add_column("candidate", justify="right", no_wrap=True)
    table.add_column("reason")
    for status in statuses:
        table.add_row(*_row(status))
    return table


def _row(status: RolloutStatus) -> list[Text]:
    return [
        Text(one_line(status.rollout_id, _NAME)),
        Text(one_line(status.stage or NOTHING, _NAME)),
        Text(status.verdict, STYLES.get(status.verdict, "dim")),
        Text(moment(status.since)),
        Text(NOTHING if status.candidate_share is None else share(status.candidate_share)),
        Text(one_line(_first(status.reasons), _REASON)),
    ]


def moment(time: dt.datetime | None) -> str:
    """To the second, or a dash."""
    return NOTHING if time is None else f"{time:%Y-%m-%d %H:%M:%S}"


def share(candidate_share: float) -> str:
    """What the candidate gets."""
    return f"{100 * candidate_share:g} %"


def _first(reasons: Sequence[str]) -> str:
    return reasons[0] if reasons else ""


def verdict_line(decision: Decision) -> str:
    """The decision in one line."""
    rollout_id, stage = decision.rollout_id, decision.stage.stage.name
    head = f"{one_line(rollout_id, _NAME)}: {decision.verdict}, stage {one_line(stage, _NAME)}"
    reason = one_line(_first(decision.reasons), _TEXT)
    return f"{head}, candidate {share(decision.candidate_share)}" + (
        f": {reason}" if reason else ""
    )


def rollout_page(record: RolloutRecord, decision: Decision | None) -> RenderableType:
    """Policy, verdict, evidence and what operators asked for."""
    parts: list[RenderableType] = [Text(_policy(record))]
    if decision is None:
        parts.append(Text("WAITING  nothing was decided yet\n", "dim"))
    else:
        if status_of(record, decision).is_outdated:
            parts.append(Text("what follows was decided under an earlier policy\n", "yellow"))
        parts.append(show_decision(_harmless(decision)))
    if record.commands:
        parts.append(_commands_table(record.commands[-_COMMANDS:]))
    return Group(*parts)


def _policy(record: RolloutRecord) -> str:
    """The policy as it was written, as YAML."""
    builtins = msgspec.to_builtins(record.manifest)
    text = yaml.safe_dump(builtins, sort_keys=False, allow_unicode=True, width=100)
    return lines(text, _POLICY)


def _harmless(decision: Decision) -> Decision:
    """The decision with reasons as single lines: operators' words are among them."""
    return msgspec.structs.replace(
        decision,
        reasons=[one_line(reason, _TEXT) for reason in decision.reasons],
        alerts=[one_line(alert, _TEXT) for alert in decision.alerts],
        evidence=[
            msgspec.structs.replace(one, note=one_line(one.note, _TEXT))
            for one in decision.evidence
        ],
    )


def _commands_table(commands: Sequence[Command]) -> RenderableType:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("asked", "at (UTC)", "by"):
        table.add_column(name, no_wrap=True)
    table.add_column("reason")
    for command in reversed(commands):
        at = command.at.astimezone(dt.UTC)
        cells = (command.kind, moment(at), one_line(command.by, _NAME),
                 one_line(command.reason, _TEXT))  # fmt: skip
        table.add_row(*map(Text, cells))
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
