"""`understudy rollout apply`, `list`, `show`, `kill`, `resume`, `promote`, `delete`."""

from __future__ import annotations

import getpass
import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
import msgspec
from confluent_kafka import KafkaException
from rich.console import Console

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import CommandKind
from understudy.streams.errors import FAILED, UNREACHABLE, WRONG_USAGE, CommandError
from understudy.streams.logs import KAFKA_LOGGER, configure_logs
from understudy.streams.replay.policy_trial import widen
from understudy.streams.rollouts.command_results import is_done
from understudy.streams.rollouts.operator_commands import (
    MAX_BY,
    CommandRejected,
    InvalidCommandText,
    apply_policy,
    ask,
    check_ask,
    check_words,
)
from understudy.streams.rollouts.policy_diff import Outcome, UnusablePolicy, read_policy_files
from understudy.streams.rollouts.registry import (
    CannotChange,
    NoTopic,
    RolloutStore,
    UnknownRollout,
)
from understudy.streams.rollouts.rollout_status import statuses
from understudy.streams.settings import Settings
from understudy.streams.terminal.plain_text import one_line
from understudy.streams.terminal.rollout_pages import (
    json_text,
    rollout_json,
    rollout_page,
    rollouts_table,
    verdict_line,
)

_POLL_S: Final = 0.3
_MESSAGE: Final = 2_000
_STYLES: Final = {"-": "red", "+": "green"}
_DONE: Final[dict[CommandKind, str]] = {
    "kill": "rolled back",
    "resume": "resumed",
    "promote": "promoted",
}


@contextmanager
def _errors(settings: Settings) -> Iterator[None]:
    """What may go wrong, as messages and exit codes."""
    configure_logs(logging.WARNING)
    KAFKA_LOGGER.setLevel(logging.CRITICAL)
    try:
        yield
    except KafkaException as error:
        where = settings.kafka.bootstrap_servers
        reason = error.args[0]
        # librdkafka's own errors are negative; what the broker answers is not
        code = UNREACHABLE if reason.code() < 0 else FAILED
        raise CommandError(f"Kafka at {where}: {reason}", code) from None
    except UnknownRollout as error:
        raise CommandError(one_line(str(error), _MESSAGE), WRONG_USAGE) from None
    except InvalidCommandText as error:
        raise CommandError(f"--{error}", WRONG_USAGE) from None
    except (NoTopic, CannotChange, CommandRejected) as error:
        raise CommandError(one_line(str(error), _MESSAGE)) from None
    except ValueError as error:
        raise CommandError(one_line(str(error), _MESSAGE), WRONG_USAGE) from None


def _known(store: RolloutStore, rollout_id: str) -> None:
    if store.find(rollout_id) is None:
        raise UnknownRollout(rollout_id, store.rollouts())


# Applying


def apply_files(settings: Settings, paths: Sequence[Path], *, dry_run: bool) -> None:
    """Put the policies of files in force, once all of them have been read."""
    try:
        files = read_policy_files(paths)
    except UnusablePolicy as error:
        raise CommandError(one_line(str(error), _MESSAGE), WRONG_USAGE) from None
    store = RolloutStore(settings.kafka)
    with _errors(settings):
        for file in files:
            _print_outcome(apply_policy(store, file, dry_run=dry_run), dry_run=dry_run)
    _say_if_dry(dry_run)


def _print_outcome(result: Outcome, *, dry_run: bool) -> None:
    is_planned = dry_run and result.effect != "unchanged"
    effect = f"would be {result.effect}" if is_planned else result.effect
    click.echo(f"{effect:9} {one_line(result.rollout_id, _MESSAGE)}")
    for line in result.lines:
        text = f"  {line}"
        click.echo(text if _is_plain() else click.style(text, fg=_STYLES.get(line[:1])))
    if result.note:
        click.echo(f"  {one_line(result.note, _MESSAGE)}")


def _is_plain() -> bool:
    """Whether colours are unwanted (no-color.org); where there is no terminal, click knows."""
    return bool(os.environ.get("NO_COLOR"))


def _say_if_dry(dry_run: bool) -> None:
    if dry_run:
        click.echo("dry run: nothing was written", err=True)


# Looking


def list_rollouts(settings: Settings, *, as_json: bool) -> None:
    """Print one line for each rollout."""
    store = RolloutStore(settings.kafka)
    with _errors(settings):
        found = statuses(store.rollouts(), store.decisions())
    if as_json:
        click.echo(json_text(msgspec.to_builtins(found)))
    elif not found:
        click.echo("no rollouts; `understudy rollout apply -f POLICY` begins one")
    else:
        console = Console()
        widen(console)
        console.print(rollouts_table(found))


def show_rollout(settings: Settings, rollout_id: str, *, as_json: bool) -> None:
    """Print all there is about one rollout."""
    store = RolloutStore(settings.kafka)
    with _errors(settings):
        record = store.find(rollout_id)
        if record is None:
            raise UnknownRollout(rollout_id, store.rollouts())
        decision = store.decisions().get(rollout_id)
    if as_json:
        click.echo(json_text(rollout_json(record, decision)))
        return
    console = Console()
    widen(console)
    console.print(rollout_page(record, decision))


# Telling


def tell_rollout(
    settings: Settings,
    rollout_id: str,
    kind: CommandKind,
    *,
    reason: str,
    by: str | None,
    wait_s: float,
    dry_run: bool,
) -> None:
    """Ask for something, and wait until a decision shows that it was done."""
    store = RolloutStore(settings.kafka)
    with _errors(settings):
        if dry_run:
            check_words(kind, reason=reason, by=by or "")
            check_ask(store, rollout_id, kind)
            click.echo(f"would ask to {kind} {one_line(rollout_id, _MESSAGE)}")
            _say_if_dry(dry_run)
            return
        asked = ask(store, rollout_id, kind, reason=reason, by=by or who())
        number = asked.command.number
        click.echo(f"asked to {kind} {one_line(rollout_id, _MESSAGE)} (command {number})")
        if wait_s > 0:
            _report(_answer(store, rollout_id, kind, asked.before, wait_s), kind, wait_s)


def _answer(
    store: RolloutStore,
    rollout_id: str,
    kind: CommandKind,
    before: Decision | None,
    wait_s: float,
) -> Decision | None:
    """The decision that shows it; None when there is none in time."""
    deadline = time.monotonic() + wait_s
    while True:
        now = store.decisions().get(rollout_id)
        if is_done(kind, before, now):
            return now
        if time.monotonic() >= deadline:
            return None
        time.sleep(_POLL_S)


def _report(answer: Decision | None, kind: CommandKind, wait_s: float) -> None:
    if answer is not None:
        click.echo(f"{_DONE[kind]}  {verdict_line(answer)}")
        return
    raise CommandError(
        f"nobody answered in {wait_s:g} s; is a deciding worker running? What was asked is kept, "
        "and obeyed once one runs"
    )


def who() -> str:
    """Who is asking, as far as the machine knows."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}"[:MAX_BY]


# Deleting


def delete_rollout(settings: Settings, rollout_id: str, *, dry_run: bool) -> None:
    """Forget a rollout, its evidence and its decision."""
    store = RolloutStore(settings.kafka)
    with _errors(settings):
        if dry_run:
            _known(store, rollout_id)
        else:
            store.delete(rollout_id)
    click.echo(f"{'would delete' if dry_run else 'deleted'} {one_line(rollout_id, _MESSAGE)}")
    _say_if_dry(dry_run)
