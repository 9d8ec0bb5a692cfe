"""A decision as a gate: may the tool that rolls out continue? Pure.

Gates fail closed: without events, and when the newest ones are old by the wall clock, the answer is
neither yes nor no. A rollback never ages.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from understudy.analyzers.guardrails.evaluate import ANY_SLICE
from understudy.analyzers.guardrails.formatting import printable
from understudy.analyzers.sequential.verdict import SUSPECTED_HARM
from understudy.schemas.api import Gate
from understudy.schemas.decisions import Decision
from understudy.schemas.rollouts import PolicyError, Rollout, compile_manifest, nearest, policy_hash
from understudy.streams.http.materialized_view import (
    MaterializedView,
    RolloutView,
    UnreadableRecord,
)

INCOMPLETE: Final = Gate(
    "inconclusive", None, 0.0, "this worker has not read the topics to their ends yet"
)


class UnknownStage(ValueError):
    """A question about a stage that the policy does not have."""


@dataclass(frozen=True, slots=True)
class Present:
    """The time by the wall clock, and how old the newest window may be for a gate to open."""

    now: dt.datetime
    max_age: dt.timedelta


def gate_of(view: MaterializedView, rollout_id: str, stage: str | None, present: Present) -> Gate:
    """The gate of a rollout, whether or not a rollout of that id exists.

    Raises `UnknownStage`, unless the rollout is rolled back.
    """
    if not view.is_complete:
        return INCOMPLETE
    try:
        rollout = view.find(rollout_id)
        view.newest_decision(rollout_id)  # an unreadable one is not the same as none
    except UnreadableRecord as error:
        return _unknown(str(error))
    if rollout is None:
        return _unknown(f"there is no rollout {rollout_id}")
    return gate(rollout, stage, present)


def gate(view: RolloutView, stage: str | None, present: Present) -> Gate:
    """Pass once the stage is over or may end; it is the last one unless named.

    Raises `UnknownStage`, unless the rollout is rolled back.
    """
    decision = view.decision
    if decision is not None and decision.verdict == "rollback":
        return Gate("fail", False, 0.0, _reason(decision))
    try:
        rollout = compile_manifest(view.record.manifest)
    except PolicyError as error:
        return _unknown(f"this release cannot use the policy: {error.problem}")
    target = _place_of(rollout, stage)
    if decision is None:
        return _unknown("there is no decision about this rollout yet")
    if decision.policy_hash != policy_hash(rollout):
        return _unknown("the newest decision was made under an earlier policy")
    if problem := staleness(decision, present):
        return _unknown(problem)
    return _progress(rollout, decision, target)


def staleness(decision: Decision, present: Present) -> str:
    """Why the newest window says nothing about the present; empty when it does."""
    until = decision.windows_until
    if until is None:
        return "no event has been counted yet"
    age = present.now - until
    if age > present.max_age:
        return f"the newest window ended {_minutes(age)} ago; events have ceased, or lag behind"
    if -age > present.max_age:
        return f"the newest window ends {_minutes(-age)} from now; a clock is wrong"
    return ""


def says_something(decision: Decision, present: Present) -> bool:
    """Whether a decision says something about the present: a rollback always does."""
    return decision.verdict == "rollback" or not staleness(decision, present)


def _minutes(age: dt.timedelta) -> str:
    return f"{age / dt.timedelta(minutes=1):,.0f} min"


def _place_of(rollout: Rollout, stage: str | None) -> int:
    names = [one.name for one in rollout.stages]
    if stage is None:
        return len(names) - 1
    if stage not in names:
        known = ", ".join(names)
        raise UnknownStage(
            printable(
                f"the policy has no stage {stage}{nearest(stage, names)}; it has {known}"
                if stage
                else f"stage is empty; leave it out, or name one of {known}"
            )
        )
    return names.index(stage)


def _progress(rollout: Rollout, decision: Decision, target: int) -> Gate:
    if decision.is_paused:
        return _unknown(_reason(decision), _score(decision))
    at = decision.stage.index
    if at > target:
        return Gate("pass", True, 1.0, f"already in stage {printable(decision.stage.stage.name)}")
    has_all_requests = at + 1 == len(rollout.stages) and decision.stage.stage.share >= 1.0
    if at == target and (decision.verdict == "promote" or has_all_requests):
        return Gate("pass", True, 1.0, _reason(decision))
    is_suspected = any(name.startswith(SUSPECTED_HARM) for name in decision.missing)
    ok = None if decision.quality.breaches or is_suspected else True
    return Gate("inconclusive", ok, _score(decision), _reason(decision))


def _unknown(reason: str, score: float = 0.0) -> Gate:
    return Gate("inconclusive", None, score, printable(reason))


def _score(decision: Decision) -> float:
    required = [one.status for one in decision.evidence if one.required]
    without_slices = sum(name.endswith(f"/{ANY_SLICE}") for name in decision.missing)
    return required.count("pass") / (len(required) + without_slices) if required else 0.0


def _reason(decision: Decision) -> str:
    return printable(decision.reasons[0]) if decision.reasons else ""
