"""`understudy demo`."""

from __future__ import annotations

from pathlib import Path

import click

from understudy.streams.demo.record import record
from understudy.streams.demo.run import policy_text, run_demo
from understudy.streams.demo.simulator import RegressionKind
from understudy.streams.terminal.output import say


@click.command("demo")
@click.option(
    "--seed",
    default=7,
    show_default=True,
    help="Seed of the simulated requests; the same seed gives the same requests.",
)
@click.option(
    "--pairs",
    default=20_000,
    show_default=True,
    type=click.IntRange(100, 1_000_000),
    help="How many mirrored requests to simulate.",
)
@click.option(
    "--regression",
    "kind",
    type=click.Choice(["json", "quality"]),
    default="json",
    show_default=True,
    help="What breaks: the form of JSON answers, or what answers say and nothing else.",
)
@click.option("--healthy", is_flag=True, help="Simulate a candidate with nothing wrong.")
@click.option(
    "--keep",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the ClickHouse data in this new folder, to query it afterwards.",
)
@click.option(
    "--serve",
    is_flag=True,
    help="Open the dashboard in this process, and keep it open until Ctrl-C.",
)
@click.option(
    "--record",
    "recording",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the simulated events to this new file (plain, .gz or .zst), and exit.",
)
@click.option("--print-policy", is_flag=True, help="Print the policy of the demo, and exit.")
def command(
    seed: int,
    pairs: int,
    kind: RegressionKind,
    healthy: bool,
    keep: Path | None,
    serve: bool,
    recording: Path | None,
    print_policy: bool,
) -> None:
    """Watch a rollout go wrong and be rolled back, in one process, with nothing installed.

    A simulated gateway mirrors requests in nine languages to two models. After a healthy start,
    the candidate breaks one thing in one language. The evidence grows until the rollout is rolled
    back; then the gateway stops mirroring. With --regression quality only what answers say gets
    worse, which a judge finds that runs in this process. With --healthy nothing breaks, and the
    verdict is to promote. Kafka and ClickHouse are small ones inside this process; everything else
    is the service itself.

    The exit code is 0 when the verdict is right, and when it is hold, since a few requests
    (--pairs) show nothing; it is 1 when the verdict is wrong or something failed.

    \b
    Examples:
      understudy demo
      understudy demo --healthy
      understudy demo --regression quality
      understudy demo --serve
      understudy demo --print-policy > policy.yaml
      understudy demo --record events.ndjson.zst
      understudy rollout backtest -f policy.yaml events.ndjson.zst
    """
    if print_policy:
        say(policy_text(kind), end="")
        return
    if recording is not None:
        written = record(recording, seed=seed, pairs=pairs, healthy=healthy, kind=kind)
        say(f"{written:,} events of {pairs:,} requests written to {recording}")
        return
    run_demo(seed=seed, pairs=pairs, healthy=healthy, keep=keep, serve=serve, kind=kind)
