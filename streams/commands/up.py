"""`understudy up`."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.operator_command import this_user
from understudy.streams.rollouts.policy_diff import read_policy_files
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say


@click.command("up")
@click.option(
    "-f",
    "--file",
    "files",
    metavar="POLICY",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Policy to put in force at the start. May be given several times.",
)
@click.option(
    "--keep",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the ClickHouse data in this new folder, to query it afterwards.",
)
@click.option("--verbose", is_flag=True, help="Log what the worker does, not warnings alone.")
@with_settings
def command(settings: Settings, files: tuple[Path, ...], keep: Path | None, verbose: bool) -> None:
    """Run all of it on this machine, nothing to install: broker, ClickHouse, worker, dashboard.

    For trying Understudy with your own gateway: point it, and other commands, at the addresses
    that are printed. The broker keeps its messages in memory, the newest 20 MB of a topic, and
    everything is gone when you press Ctrl-C; only ClickHouse's data can be kept. With real
    services, use `understudy worker`.

    \b
    Examples:
      understudy up -f policy.yaml
      understudy up --keep results
    """
    from understudy.streams.embedded_service import Addresses, run_embedded_service

    quiet_logs()

    def announce(addresses: Addresses) -> None:
        say(f"Kafka        {addresses.kafka}")
        say(f"ClickHouse   {addresses.clickhouse}   read-only")
        say(f"Dashboard    {addresses.dashboard}")
        if addresses.token is not None:
            say(f"Token        {addresses.token}   to kill, resume and promote")
        for variable, value in addresses.unusual.items():
            say(f"for other commands: export {variable}={value}")
        say("Starting …", err=True)

    run_embedded_service(
        settings,
        read_policy_files(files),
        this_user(),
        keep=keep,
        log_level=logging.INFO if verbose else logging.WARNING,
        on_start=announce,
        on_ready=lambda: say("Ready. Ctrl-C stops it.", err=True),
    )
