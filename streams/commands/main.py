"""The command `understudy`: which commands there are.

Results go to stdout, logs and progress to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage or
settings, 3 a service (Kafka, ClickHouse) is not there, 4 a verdict that was to fail (`--fail-on`),
130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from understudy.streams.commands.command_group import Program

COMMANDS: Final = {
    "accounting": "Check that every event read from Kafka was counted",
    "compare": "Compare two files of answers, and judge the candidate",
    "dead-letters": "List, show and replay records that could not be used",
    "demo": "Watch a bad candidate get rolled back; needs no services",
    "doctor": "Check Kafka, gateways, workers and ClickHouse",
    "drift": "Tell whether a model changed behind its name",
    "export": "Copy a rollout's rows from ClickHouse to Parquet, CSV or JSON",
    "judge-check": "Ask the judge model about pairs whose better answer is known",
    "migrate": "Create or update the tables in ClickHouse",
    "publish": "Write recorded events, feedback or evaluations to Kafka",
    "query": "Run an SQL statement in ClickHouse",
    "rebuild": "Have workers read the log again and overwrite windows",
    "report": "Write a report on a rollout, as one HTML file",
    "replay": "Analyse recorded events, without Kafka",
    "rollout": "Apply policies, see verdicts, and override them",
    "rollup": "Add stored windows up to minutes and hours",
    "status": "Show how all rollouts fare, those that need you first",
    "topics": "Create the Kafka topics that are missing",
    "up": "Run the whole service on this machine, to try it out",
    "worker": "Run the service: pair, compare, store and decide",
}


@click.group(
    cls=Program,
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 Kafka or ClickHouse cannot "
    "be reached, 4 the verdict is what --fail-on names, 130 interrupted.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file. Without it, understudy.toml in the current folder is read if it exists.",
)
@click.version_option(package_name="understudy")
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Find out what a new model breaks before users do.

    Gateways write to Kafka what a stable and a candidate model answered to the same request.
    Understudy joins these pairs, measures how they differ in each language, stores the sums of
    each time window in ClickHouse, and decides whether to roll back, hold or promote.

    \b
    Try it, nothing to install:   understudy demo
    Two files of answers:         understudy compare stable.csv candidate.csv
    Recorded events, no Kafka:    understudy replay events.ndjson.gz
    Your gateway, no services:    understudy up
    The service:                  understudy topics && understudy worker
    """
    context.obj = config


if __name__ == "__main__":
    sys.exit(main())
