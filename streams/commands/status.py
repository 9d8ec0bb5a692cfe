"""`understudy status`."""

from __future__ import annotations

import datetime as dt
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

import click
import msgspec
from confluent_kafka import KafkaException
from rich.live import Live

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.commands.interrupts import interrupts_set
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import OutputFormat, output_options
from understudy.streams.errors import VERDICT
from understudy.streams.http.materialized_view import MaterializedView
from understudy.streams.http.view_feed import view_topics, view_update
from understudy.streams.kafka.compacted_topic import FellBehind, TopicFollower
from understudy.streams.kafka.explanations import explain
from understudy.streams.rollouts.attention import NOTHING, RolloutRow, by_attention
from understudy.streams.rollouts.registry import RolloutRegistry, UnknownRollout
from understudy.streams.rollouts.rollout_status import status_of
from understudy.streams.settings import KafkaSettings, Settings
from understudy.streams.terminal.consoles import table_console
from understudy.streams.terminal.output import say, say_documents_as_csv, say_json, show
from understudy.streams.terminal.status_screen import StatusScreen

FailOn = Literal["rollback", "need"]
REDRAW_S: Final = 1.0
"""A clock of seconds stands on the screen, and silence is measured by it."""
RETRY_S: Final = 2.0
"""Between attempts to read the topics, so that a broker that is away is not flooded."""
Rollouts = Mapping[str, tuple[RolloutRecord, Decision | None]]


@click.command("status")
@click.argument("rollout_ids", nargs=-1, metavar="[ID]...")
@click.option("--watch", is_flag=True, help="Stay and show changes.")
@click.option(
    "--fail-on",
    type=click.Choice(["rollback", "need"]),
    help="Exit with 4 if a rollout is rolled back, or if one needs an operator; in either case if "
    "it is unknown how one fares.",
)
@output_options()
@with_settings
def command(
    settings: Settings,
    rollout_ids: tuple[str, ...],
    watch: bool,
    fail_on: FailOn | None,
    output: OutputFormat,
) -> None:
    """Show how all rollouts fare, those that need an operator first.

    \b
    A rollout needs an operator when it is rolled back or paused, when something alerts, when it
    could be promoted, and when nobody knows how it fares: no decision under the newest policy, or
    no window for ten minutes.

    With --watch the screen stays and follows each change, until Ctrl-C; where the output is no
    terminal, each change is a line.

    \b
    Examples:
      understudy status
      understudy status --watch
      understudy status checkout-assistant-2026-11 --fail-on rollback || page-someone
      understudy status --json | jq -r '.[] | select(.needs_operator) | .rollout_id'
    """
    if watch and (output != "table" or fail_on is not None):
        raise click.UsageError("--watch stays; leave it out with --json, --csv and --fail-on")
    quiet_logs()
    if watch:
        stop = threading.Event()
        with interrupts_set(stop):
            _watch(settings.kafka, rollout_ids, stop)
        return
    registry = RolloutRegistry(settings.kafka)
    decisions = registry.decisions()
    found = {name: (record, decisions.get(name)) for name, record in registry.rollouts().items()}
    _check_known(found, rollout_ids)
    rows = _rows(_wanted(found, rollout_ids))
    _print(rows, decisions, output)
    if _fails(rows, fail_on):
        raise click.exceptions.Exit(VERDICT)


def _check_known(found: Rollouts, rollout_ids: tuple[str, ...]) -> None:
    """Raise `UnknownRollout` for an id that no rollout has."""
    for rollout_id in rollout_ids:
        if rollout_id not in found:
            raise UnknownRollout(rollout_id, found)


def _wanted(found: Rollouts, rollout_ids: tuple[str, ...]) -> Rollouts:
    """The rollouts that were asked for; all where none was named."""
    return {name: one for name, one in found.items() if not rollout_ids or name in rollout_ids}


def _rows(found: Rollouts) -> list[RolloutRow]:
    statuses = [status_of(record, decision) for record, decision in found.values()]
    return by_attention(statuses, dt.datetime.now(dt.UTC))


def _print(rows: list[RolloutRow], decisions: Mapping[str, Decision], output: OutputFormat) -> None:
    if output == "json":
        say_json([_document(row) for row in rows])
    elif output == "csv":
        say_documents_as_csv([_document(row) for row in rows])
    elif not rows:
        say("no rollouts; `understudy rollout apply -f POLICY` starts one")
    else:
        show(StatusScreen(rows, decisions))


def _document(row: RolloutRow) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(row.status),
        "needs_operator": row.needs_operator,
        "need": row.need if row.needs_operator else "",
    }


def _fails(rows: list[RolloutRow], fail_on: FailOn | None) -> bool:
    """Whether some rollout is as bad as the one to fail on, or may be: no data is never a pass."""
    if fail_on is None:
        return False
    if fail_on == "need":
        return not rows or any(row.needs_operator for row in rows)
    return not rows or any(row.status.verdict == "rollback" or row.is_unknown for row in rows)


def _watch(kafka: KafkaSettings, rollout_ids: tuple[str, ...], stop: threading.Event) -> None:
    console = table_console()
    if not console.is_terminal or console.is_dumb_terminal:
        _follow(kafka, rollout_ids, stop, _ChangePrinter())
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def draw(found: Rollouts, problem: str) -> None:
            decisions = {name: made for name, (_, made) in found.items() if made is not None}
            now = dt.datetime.now(dt.UTC)
            live.update(StatusScreen(_rows(found), decisions, now, problem), refresh=True)

        _follow(kafka, rollout_ids, stop, draw)


class _ChangePrinter:
    """Prints a line for each change of what is said about a rollout, for a file or a pipe."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...]] = {}

    def __call__(self, found: Rollouts, problem: str) -> None:
        if problem:
            say(problem, err=True)
        for row in _rows(found):
            status = row.status
            key = (status.verdict, status.stage or NOTHING, row.share, row.need)
            if self._known.get(status.rollout_id) != key:
                at = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
                say("  ".join([at, status.rollout_id, *key, row.reason]).rstrip())
            self._known[status.rollout_id] = key
        sys.stdout.flush()


def _follow(
    kafka: KafkaSettings,
    rollout_ids: tuple[str, ...],
    stop: threading.Event,
    changed: Callable[[Rollouts, str], None],
) -> None:
    """Call back each second until `stop`. Raises what the first attempt to read raises."""
    found: Rollouts | None = None
    while not stop.is_set():
        try:
            for everything in _snapshots(kafka, stop):
                if found is None:
                    _check_known(everything, rollout_ids)
                found = _wanted(everything, rollout_ids)
                changed(found, "")
        except (KafkaException, FellBehind, TimeoutError) as error:
            if found is None:
                raise
            why = explain(error, kafka) if isinstance(error, KafkaException) else str(error)
            changed(found, f"Not up to date, trying again: {why}")
        stop.wait(RETRY_S)


def _snapshots(kafka: KafkaSettings, stop: threading.Event) -> Iterator[Rollouts]:
    """All rollouts as they are, from when the topics were read to their ends on."""
    kinds = view_topics(kafka)
    view = MaterializedView()
    with TopicFollower(kafka, kinds) as follower:
        while not stop.is_set():
            view.apply([view_update(kinds, message) for message in follower.take(REDRAW_S)])
            if follower.has_caught_up(time.monotonic()):
                view.mark_complete()
            if view.is_complete:
                yield {name: (one.record, one.decision) for name, one in view.all().items()}
