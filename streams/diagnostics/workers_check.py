"""Whether workers run and share the partitions. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from understudy.streams.diagnostics.findings import Finding, fail, numbers, or_ok, warn

WORKERS: Final = "workers"
_STABLE: Final = "STABLE"
"""Kafka's name for a group that is not rebalancing."""


@dataclass(frozen=True, slots=True)
class Member:
    """One worker of the group."""

    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The group as its coordinator describes it."""

    name: str
    state: str
    members: tuple[Member, ...]


def check_workers(group: Group, partitions: int) -> list[Finding]:
    """Nobody there, a rebalance under way, partitions without an owner, idle workers."""
    if not group.members:
        return [fail(WORKERS, f"no worker in the group {group.name}", "start `understudy worker`")]
    if group.state != _STABLE:
        return [warn(WORKERS, f"the group {group.name} is {group.state.lower().replace('_', ' ')}",
                     "look again in a minute; if it goes on, see the workers' logs")]  # fmt: skip
    workers = f"{len(group.members)} in {group.name}"
    idle = sum(not member.partitions for member in group.members)
    owned = {number for member in group.members for number in member.partitions}
    findings = []
    if unowned := set(range(partitions)) - owned:
        seen = f"no worker in {group.name} reads partitions {numbers(unowned)}"
        findings.append(fail(WORKERS, seen, "restart the workers one by one"))
    if idle:
        findings.append(warn(WORKERS, f"{idle} of {workers} have no partition",
                             "stop some, or see them as spare ones"))  # fmt: skip
    return or_ok(WORKERS, findings, f"{workers} share {partitions} partitions")
