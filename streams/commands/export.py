"""`understudy export`."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path
from typing import Final

import click

from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.table_export import EXPORTED, FORMATS, Export, export
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import clickhouse_option, rollout_argument
from understudy.streams.commands.parameter_types import TimeType
from understudy.streams.errors import CommandError
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say

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
    help=f"Where to write; its ending says how: {', '.join(FORMATS)}.",
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
@click.option("--until", "until_ms", metavar="WHEN", type=TimeType(), help="Rows from before then.")
@clickhouse_option
@with_settings
def command(
    settings: Settings,
    rollout_id: str,
    file: Path,
    view: str,
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
    """
    quiet_logs(logging.ERROR)
    if file.suffix not in FORMATS:
        raise click.UsageError(f"--out {file}: the ending must be one of {', '.join(FORMATS)}")
    wanted = Export(view, rollout_id, since_ms, until_ms)
    where = url or settings.clickhouse.url
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
