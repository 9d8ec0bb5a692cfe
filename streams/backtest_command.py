"""`understudy rollout backtest`: when a policy would have decided what."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import click
import orjson
from rich.console import Console

from understudy.streams.deciding.evidence_table import show_decision, timeline
from understudy.streams.errors import CommandError
from understudy.streams.logs import configure_logs
from understudy.streams.policy_trial import PolicyTrial, decision_json, read_policy_file, widen
from understudy.streams.progress import file_progress
from understudy.streams.recordings import RecordingError, read_recordings
from understudy.streams.replay import replay
from understudy.streams.replay_command import pairing_policy
from understudy.streams.settings import Settings


def backtest_files(
    settings: Settings,
    policy: Path,
    files: Sequence[Path],
    *,
    stage: str | None,
    as_json: bool,
    json_schemas: str | None,
) -> None:
    """Replay files through a policy and print its decisions over event time."""
    configure_logs(logging.WARNING)
    trial = PolicyTrial(read_policy_file(policy), stage)
    pairing = pairing_policy(settings, json_schemas)
    try:
        with file_progress(files, "replaying") as progress:
            lines = read_recordings(files, progress)
            replay(lines, pairing, int(time.time() * 1000), None, trial)
    except RecordingError as error:
        raise CommandError(str(error)) from None
    _print(trial, as_json=as_json)


def _print(trial: PolicyTrial, *, as_json: bool) -> None:
    outcome = trial.outcome()
    if as_json:
        told = [decision_json(decision) for decision in trial.decisions]
        click.echo(orjson.dumps({"timeline": told, "decision": decision_json(outcome)}))
        return
    console = Console()
    widen(console)
    console.print(timeline(trial.decisions))
    console.print(show_decision(outcome))
