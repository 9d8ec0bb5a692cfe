"""Rollouts on a terminal and as JSON. Nothing in their texts acts on the terminal."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import Command, RolloutRecord
from understudy.schemas.rollouts import PolicyError, compile_manifest, policy_hash
from understudy.streams.deciding.evidence_table import STYLES, show_decision
from understudy.streams.operating.plain_text import lines, one_line

WAITING: Final = "waiting"
_NAME: Final = 64
_REASON: Final = 72
_TEXT: Final = 1_024
_POLICY: Final = 20_000
_COMMANDS: Final = 10
_BEGINNING: Final = dt.datetime(1971, 1, 1, tzinfo=dt.UTC)
"""Nothing was decided before; a rollout killed before its first window is dated 1970."""


def rollouts_table(
    records: Mapping[str, RolloutRecord], decisions: Mapping[str, Decision]
) -> RenderableType:
    """One row for each rollout."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("rollout", "stage", "verdict", "since (UTC)"):
        table.add_column(name, no_wrap=True)
    table.add_column("candidate", justify="right", no_wrap=True)
    table.add_column("reason")
    for rollout_id, record in records.items():
        table.add_row(*_row(rollout_id, record, decisions.get(rollout_id)))
    return table


def _row(rollout_id: str, record: RolloutRecord, decision: Decision | None) -> list[Text]:
    name = Text(one_line(rollout_id, _NAME))
    if decision is None:
        return [name, Text(_first_stage(record)), Text(WAITING, "dim"), *map(Text, "––"), Text()]
    return [
        name,
        Text(one_line(decision.stage.stage.name, _NAME)),
        Text(decision.verdict, STYLES[decision.verdict]),
        Text(moment(decision.since)),
        Text(share(decision)),
        Text(one_line(_reason(decision), _REASON)),
    ]


def _first_stage(record: RolloutRecord) -> str:
    try:
        return one_line(compile_manifest(record.manifest).stages[0].name, _NAME)
    except PolicyError:
        return "–"


def moment(time: dt.datetime) -> str:
    """To the second, or a dash for a time before anything was seen."""
    return f"{time:%Y-%m-%d %H:%M:%S}" if time > _BEGINNING else "–"


def share(decision: Decision) -> str:
    """What the candidate gets."""
    return f"{100 * decision.candidate_share:g} %"


def _reason(decision: Decision) -> str:
    return decision.reasons[0] if decision.reasons else ""


def verdict_line(decision: Decision) -> str:
    """The decision in one line."""
    rollout_id, stage = decision.rollout_id, decision.stage.stage.name
    head = f"{one_line(rollout_id, _NAME)}: {decision.verdict}, stage {one_line(stage, _NAME)}"
    reason = one_line(_reason(decision), _TEXT)
    return f"{head}, candidate {share(decision)}" + (f": {reason}" if reason else "")


def rollout_page(record: RolloutRecord, decision: Decision | None) -> RenderableType:
    """Policy, verdict, evidence and what operators asked for."""
    parts: list[RenderableType] = [Text(_policy(record))]
    if decision is None:
        parts.append(Text(f"{WAITING.upper()}  nothing was decided yet\n", "dim"))
    else:
        if _is_outdated(record, decision):
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


def _is_outdated(record: RolloutRecord, decision: Decision) -> bool:
    try:
        return policy_hash(compile_manifest(record.manifest)) != decision.policy_hash
    except PolicyError:
        return True


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


def rollouts_json(
    records: Mapping[str, RolloutRecord], decisions: Mapping[str, Decision]
) -> list[dict[str, Any]]:
    """What `list --json` prints: the same as the table, and what scripts ask for."""
    return [_summary(name, record, decisions.get(name)) for name, record in records.items()]


def _summary(rollout_id: str, record: RolloutRecord, decision: Decision | None) -> dict[str, Any]:
    if decision is None:
        return {"rollout_id": rollout_id, "stage": _first_stage(record), "verdict": WAITING,
                "since": None, "candidate_share": None, "is_latched": None, "is_paused": None,
                "reasons": []}  # fmt: skip
    return {
        "rollout_id": rollout_id,
        "stage": decision.stage.stage.name,
        "verdict": decision.verdict,
        "since": decision.since.isoformat() if decision.since > _BEGINNING else None,
        "candidate_share": decision.candidate_share,
        "is_latched": decision.is_latched,
        "is_paused": decision.is_paused,
        "reasons": decision.reasons,
    }


def rollout_json(record: RolloutRecord, decision: Decision | None) -> dict[str, Any]:
    """What `show --json` prints: record and decision as they stand on their topics."""
    return {
        "record": msgspec.to_builtins(record),
        "decision": None if decision is None else _through_json(decision),
    }


def _through_json(decision: Decision) -> Any:
    """Through JSON, whose keys are texts."""
    return msgspec.json.decode(msgspec.json.encode(decision))


def json_text(document: Any) -> str:
    """JSON in ASCII, without any character that a terminal obeys."""
    return json.dumps(document, ensure_ascii=True).replace("\x7f", "\\u007f")
