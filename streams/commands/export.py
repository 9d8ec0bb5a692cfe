"""`understudy export`."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path
from typing import Final

import click

from understudy.schemas.adapters.test_set_formats import FORMATS as TEST_SETS
from understudy.schemas.adapters.test_set_formats import encode_case
from understudy.schemas.event_time import from_epoch_ms
from understudy.streams.clickhouse.captured_pairs import pairs_by_stratum
from understudy.streams.clickhouse.case_sets import make_test_set
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.sink_errors import SinkError
from understudy.streams.clickhouse.table_export import (
    EXPORTED,
    FORMATS,
    Export,
    export,
    written_whole,
)
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import clickhouse_option, rollout_argument
from understudy.streams.commands.parameter_types import TimeType
from understudy.streams.errors import CommandError
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say

DEFAULT_CASES: Final = 200
"""A test set that runs in minutes, and has some cases of each language and kind."""
PAIRS_PER_CASE: Final = 3
"""Pairs of a stratum that are looked at for each case: many repeat a prompt, or have none."""
DEFAULT_VIEW: Final = "slices"
"""Its rows add up in any way, and are far fewer than comparisons."""


@click.command("export")
@rollout_argument
@click.option(
    "--out",
    "file",
    metavar="FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Where to write; its ending says how: {', '.join(FORMATS)}; of a test set .jsonl.",
)
@click.option(
    "--view",
    type=click.Choice(EXPORTED),
    metavar="NAME",
    default=DEFAULT_VIEW,
    show_default=True,
    help="Table or view to copy, such as comparisons; docs/clickhouse.md lists them.",
)
@click.option(
    "--since",
    "since_ms",
    metavar="WHEN",
    type=TimeType(),
    help="Rows from then on: an age (30m, 6h, 2d) or an ISO time, UTC.",
)
@click.option(
    "--testset",
    type=click.Choice(list(TEST_SETS)),
    metavar="FORMAT",
    help=f"Write a test set made of captured pairs instead: {', '.join(TEST_SETS)}.",
)
@click.option(
    "--cases",
    type=click.IntRange(1, 5_000),
    metavar="N",
    default=DEFAULT_CASES,
    show_default=True,
    help="How many cases of a test set, at most.",
)
@click.option("--until", "until_ms", metavar="WHEN", type=TimeType(), help="Rows from before then.")
@clickhouse_option
@with_settings
def command(
    settings: Settings,
    rollout_id: str,
    file: Path,
    view: str,
    testset: str | None,
    cases: int,
    since_ms: int | None,
    until_ms: int | None,
    url: str | None,
) -> None:
    """Copy what ClickHouse holds of a rollout into a file, for pandas, polars or a spreadsheet.

    Times keep their zone, UTC. The file appears once it is whole, in place of one of that name. It
    is an error if there are no rows.

    \b
    Examples:
      understudy export checkout --out checkout.parquet
      understudy export checkout --view comparisons --since 1d --out checkout.parquet
      understudy export checkout --view language_deltas --out deltas.csv
      understudy export checkout --testset promptfoo --cases 100 --out cases.jsonl

    A test set has each captured prompt once, of all languages, workflows and kinds alike, the worst
    first, with stable's answer as a reference; no ids, times or conversations.
    """
    quiet_logs(logging.ERROR)
    if file.suffix not in FORMATS:
        raise click.UsageError(f"--out {file}: the ending must be one of {', '.join(FORMATS)}")
    where = url or settings.clickhouse.url
    if testset is not None:
        _export_test_set(where, rollout_id, file, testset, cases, (since_ms, until_ms))
        return
    wanted = Export(view, rollout_id, since_ms, until_ms)
    try:
        with closing(connect(where, create=False)) as client:
            rows = export(client, wanted, file)
    except ValueError as error:
        raise click.UsageError(f"--since, --until: {error}") from None
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
    if not rows:
        raise CommandError(f"{view} has no rows of rollout {rollout_id} in that time")
    say(f"{rows:,} rows of {view} in {file}", err=True)


def _export_test_set(
    url: str,
    rollout_id: str,
    file: Path,
    format_name: str,
    most: int,
    span_ms: tuple[int | None, int | None],
) -> None:
    """Write a test set, and say of what it is made."""
    if file.suffix not in (".jsonl", ".ndjson"):
        raise click.UsageError(f"--out {file}: a test set ends with .jsonl")
    since, until = (None if at is None else from_epoch_ms(at) for at in span_ms)
    try:
        with closing(ReadConnection(url)) as connection:
            pairs = pairs_by_stratum(
                connection, rollout_id, since=since, until=until, per_stratum=PAIRS_PER_CASE * most
            )
    except SinkError as error:
        raise CommandError(f"ClickHouse: {error}") from None
    made = make_test_set(pairs, most)
    if not made.cases:
        raise CommandError(
            f"no captured pair of {rollout_id} in that time has a whole prompt: "
            f"{made.pairs} were captured; a policy with `capture: worst` captures them, and the "
            "gateway must send prompts"
        )
    try:
        with written_whole(file) as written:
            written.writelines(encode_case(case, format_name) for case in made.cases)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
    say(
        f"{len(made.cases):,} cases for {format_name} in {file}, of {made.pairs:,} captured pairs "
        f"({made.without_prompt:,} without a whole prompt, {made.repeated:,} repeated)",
        err=True,
    )
