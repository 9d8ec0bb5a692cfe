"""`understudy rollout apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from understudy.analyzers.guardrails.evaluator_power import evaluator_sentences
from understudy.analyzers.guardrails.power_sentences import assumption, power_sentences
from understudy.schemas.rollouts import Rollout, evaluation_sampling
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.operator_command import this_user
from understudy.streams.commands.options import dry_run_option
from understudy.streams.rollouts.operator_commands import apply_policy
from understudy.streams.rollouts.policy_diff import PolicyDiff, PolicyFile, read_policy_files
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say
from understudy.streams.terminal.plain_text import one_line

_EFFECT_WIDTH: Final = len("unchanged")
_PLANNED_WIDTH: Final = len("would be reworded")
_COLORS: Final = {"-": "red", "+": "green"}


@click.command("apply")
@click.option(
    "-f",
    "--file",
    "files",
    metavar="POLICY",
    required=True,
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Policy in YAML, one or several in a file; - is stdin. May be given several times.",
)
@dry_run_option
@with_settings
def command(settings: Settings, files: tuple[Path, ...], dry_run: bool) -> None:
    """Start rollouts, or change them, from policy files.

    Prints for each policy whether it is created, unchanged, reworded (other words, same meaning)
    or changed, and every difference; and of a new meaning after how many requests its guardrails
    find which harm. When the meaning changes, the evidence begins anew; a
    rollback stays in force, and so do operators' commands. If one policy cannot be read, none is
    applied.

    \b
    Examples:
      understudy rollout apply -f policy.yaml --dry-run
      understudy rollout apply -f checkout.yaml -f search.yaml
      envsubst < policy.yaml | understudy rollout apply -f -
    """
    quiet_logs()
    policies = read_policy_files(files)
    registry = RolloutRegistry(settings.kafka)
    for policy in policies:
        diff = apply_policy(registry, policy, dry_run=dry_run, actor=this_user())
        _print(diff, dry_run=dry_run)
        if diff.effect in ("created", "changed"):
            _print_power(policy.rollout)
        if diff.effect != "unchanged":
            _print_evaluators(policy)
    if dry_run:
        say("dry run: nothing was written", err=True)


def _print(diff: PolicyDiff, *, dry_run: bool) -> None:
    is_planned = dry_run and diff.effect != "unchanged"
    effect = f"would be {diff.effect}" if is_planned else diff.effect
    width = _PLANNED_WIDTH if dry_run else _EFFECT_WIDTH
    say(f"{effect:{width}} {one_line(diff.rollout_id)}")
    for line in diff.lines:
        is_heading = line.startswith(("--- ", "+++ "))
        say(f"  {line}", color=None if is_heading else _COLORS.get(line[:1]))
    if diff.note:
        say(f"  {one_line(diff.note)}")


def _print_evaluators(policy: PolicyFile) -> None:
    """Say what guardrails on preferences find, and what the budget of their evaluators can."""
    for sentence in evaluator_sentences(policy.rollout, evaluation_sampling(policy.manifest)):
        say(f"  {sentence}")


def _print_power(rollout: Rollout) -> None:
    """Say beforehand what the guardrails find, and how soon."""
    sentences = power_sentences(rollout)
    for sentence in sentences:
        say(f"  {sentence}")
    if sentences:
        say(f"  ({assumption(rollout)})")
