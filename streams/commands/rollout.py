"""`understudy rollout`: which commands it has."""

from __future__ import annotations

from typing import Final

import click

from understudy.streams.commands.command_group import CommandGroup

COMMANDS: Final = {
    "apply": "Start rollouts, or change them, from policy files",
    "audit": "Show who changed which rollout, when and from where",
    "backtest": "Show what a policy would have decided on recorded data",
    "delete": "Delete a rollout with its evidence and its decision",
    "kill": "Roll back now, whatever the evidence says",
    "list": "List rollouts with their stages and verdicts",
    "promote": "Move to the next stage now, whatever the evidence says",
    "quality": "Show what evaluators say of the answers",
    "resume": "Lift a rollback or a pause",
    "show": "Show a rollout's policy, verdict and evidence",
}


@click.group(cls=CommandGroup, summaries=COMMANDS, prefix="rollout_")
def command() -> None:
    """Manage rollouts: what is compared, and by how much it may get worse.

    A rollout compares a candidate model with a stable one. Its policy names the two models, the
    stages of traffic, and the guardrails: which measure may get worse by how much.

    \b
    Try a policy:     understudy rollout backtest -f policy.yaml events.ndjson.gz
    Put it in force:  understudy rollout apply -f policy.yaml
    See the verdict:  understudy rollout show checkout-assistant-2026-11
    """
