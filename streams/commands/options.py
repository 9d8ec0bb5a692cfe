"""Options and arguments that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

EXISTING_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)

files_argument: Final[Decorator[Any]] = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=EXISTING_FILE
)
clickhouse_option: Final[Decorator[Any]] = click.option(
    "--clickhouse", "url", metavar="URL", help="clickhouse://host:8123/database or chdb://FOLDER."
)
json_option: Final[Decorator[Any]] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document."
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
