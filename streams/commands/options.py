"""Options and arguments that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]
OutputFormat = Literal["table", "json", "csv"]

EXISTING_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)

RECORDING: Final = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
"""A file, a pipe, or `-` for stdin."""

files_argument: Final[Decorator[Any]] = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=RECORDING
)
clickhouse_option: Final[Decorator[Any]] = click.option(
    "--clickhouse", "url", metavar="URL", help="clickhouse://host:8123/database or chdb://FOLDER."
)
all_slices_option: Final[Decorator[Any]] = click.option(
    "--all", "all_slices", is_flag=True, help="Print all slices, however many there are."
)
json_schemas_option: Final[Decorator[Any]] = click.option(
    "--json-schemas",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False),
    help="Validate outputs by the <schema_id>.json files of this folder.",
)
dry_run_option: Final[Decorator[Any]] = click.option(
    "--dry-run", is_flag=True, help="Say what would be done, and write nothing."
)
rollout_argument: Final[Decorator[Any]] = click.argument("rollout_id", metavar="ID")


def output_options(
    json_help: str = "Print one JSON document.", csv_help: str = "Print the table as CSV."
) -> Decorator[Any]:
    """`--json` and `--csv`, as the argument `output`; the later one counts."""

    def decorated(function: Function) -> Function:
        for name, text in (("csv", csv_help), ("json", json_help)):
            option = click.option(
                f"--{name}", "output", flag_value=name, default="table", help=text, type=str
            )
            function = option(function)
        return function

    return decorated
