"""`understudy replay`: files in, a report out."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
import msgspec
import orjson
from rich.console import Console

from understudy.schemas.decisions import Decision
from understudy.schemas.windows import WindowRow
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.migrate import client_opener
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.errors import VERDICT, WRONG_USAGE, CommandError
from understudy.streams.logs import configure_logs
from understudy.streams.pairing.clickhouse_results import ClickHouseResults
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.records import Outcome
from understudy.streams.replay.policy_trial import (
    FailOn,
    PolicyTrial,
    decision_json,
    fails,
    print_decision,
    read_policy_file,
)
from understudy.streams.replay.recordings import RecordingError, read_recordings, total_bytes
from understudy.streams.replay.replay_events import ReplayResult, ReplaySink, replay
from understudy.streams.replay.report import report
from understudy.streams.settings import Settings, SettingsError
from understudy.streams.terminal.progress import file_progress
from understudy.streams.terminal.report_table import print_report

_PARTITION: Final = 0
CLOSE_DEADLINE_S: Final = 60.0


class _ClickHouseSink:
    """Replay results into ClickHouse."""

    def __init__(self, results: ClickHouseResults) -> None:
        self._results = results

    def put(self, outcome: Outcome, rows: list[WindowRow], position: int) -> None:
        self._results.put(_PARTITION, outcome)
        self._results.put_rows(_PARTITION, rows, position)


def replay_files(
    settings: Settings,
    files: Sequence[Path],
    url: str | None,
    *,
    as_json: bool,
    json_schemas: str | None,
    policy_file: Path | None = None,
    fail_on: FailOn | None = None,
) -> None:
    """Replay files and print the report on stdout, with a policy its verdict too.

    Ends the process with the code `VERDICT` when the verdict is what `fail_on` says, or worse.
    """
    configure_logs(logging.WARNING)
    trial = None if policy_file is None else PolicyTrial(read_policy_file(policy_file))
    policy = pairing_policy(settings, json_schemas)
    started = time.monotonic()
    try:
        with file_progress(total_bytes(files), "replaying") as progress, _sink(url, policy) as sink:
            result = replay(read_recordings(files, progress), policy, _now_ms(), sink, trial)
    except RecordingError as error:
        raise CommandError(str(error)) from None
    except (SinkBusy, SinkBroken) as error:
        raise CommandError(f"ClickHouse: {error}") from None
    decision = None if trial is None else trial.outcome()
    _print(result, decision, as_json=as_json, took_s=time.monotonic() - started)
    if decision is not None and fails(decision, fail_on):
        raise click.exceptions.Exit(VERDICT)


def _print(
    result: ReplayResult, decision: Decision | None, *, as_json: bool, took_s: float
) -> None:
    document = report(result.rows, result.tally.read)
    if as_json:
        if decision is not None:
            document["decision"] = decision_json(decision)
        click.echo(orjson.dumps(document))
        return
    print_report(document, Console())
    if decision is not None:
        print_decision(decision, Console())
    rate = result.tally.read / took_s if took_s else 0.0
    click.echo(f"{took_s:.1f} s, {rate:,.0f} events/s", err=True)
    for reason, count in sorted(result.dead_letters.items()):
        click.echo(f"invalid: {count:,} {reason}", err=True)


def pairing_policy(settings: Settings, json_schemas: str | None) -> PairingPolicy:
    """How to join and compare, with schemas from a folder if given. Raises `CommandError`."""
    if json_schemas is not None:
        compare = msgspec.structs.replace(settings.compare, json_schemas=json_schemas)
        settings = msgspec.structs.replace(settings, compare=compare)
    try:
        return PairingPolicy.from_settings(settings)
    except SettingsError as error:
        raise CommandError(str(error), WRONG_USAGE) from None


@contextmanager
def _sink(url: str | None, policy: PairingPolicy) -> Iterator[ReplaySink | None]:
    """ClickHouse where a URL was given; inserts happen in this thread."""
    if url is None:
        yield None
        return
    loader = Loader(client_opener(url))
    yield _ClickHouseSink(ClickHouseResults(loader, policy.window_ms))
    loader.close(CLOSE_DEADLINE_S)


def _now_ms() -> int:
    return int(time.time() * 1000)
