"""`understudy worker`."""

from __future__ import annotations

import click

from understudy.streams.commands.invocation import with_settings
from understudy.streams.settings import Settings
from understudy.streams.worker import Role, run_worker


@click.command("worker")
@click.option(
    "--role",
    type=click.Choice(["pairing", "deciding", "evaluating", "all"]),
    default="all",
    show_default=True,
    help="Pairing joins and compares events; deciding judges rollouts and serves the API; "
    "evaluating asks a judge model about a sample of the pairs.",
)
@with_settings
def command(settings: Settings, role: Role) -> None:
    """Run the service: pair, compare, store, evaluate and decide, until SIGTERM or Ctrl-C.

    Several workers share the partitions of a topic. On SIGTERM a worker finishes what it has read
    and ends with 0. It ends with 3 when Kafka cannot be reached at the start.

    \b
    Examples:
      understudy worker
      understudy worker --role pairing
      understudy --config production.toml worker --role deciding
      UNDERSTUDY_EVALUATING_API_KEY=your-key understudy worker --role evaluating
    """
    run_worker(settings, role)
