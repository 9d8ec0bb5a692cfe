"""The command `understudy`.

Results go to stdout, logs and progress to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage or
settings, 3 a service (Kafka, ClickHouse) is not there, 4 a verdict that was to fail (`--fail-on`).
"""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from understudy.schemas.windows import SOURCES, Source
from understudy.streams.errors import WRONG_USAGE, CommandError
from understudy.streams.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from understudy.streams.dead_letters.selection import Selection


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 Kafka or ClickHouse away, "
    "4 the verdict of --fail-on.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file; understudy.toml in this folder is read when there is one.",
)
@click.version_option(package_name="understudy")
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Find out what a new model breaks before users do.

    Gateways write what a stable and a candidate model answered to Kafka. Understudy joins the
    pairs, measures how they differ per language, and keeps windowed sums in ClickHouse.

    \b
    Try it, nothing to install:   understudy demo
    Recorded events, no Kafka:    understudy replay events.ndjson.gz
    The service:                  understudy topics && understudy worker
    """
    context.obj = config


def _settings(context: click.Context) -> Settings:
    try:
        return load_settings(context.obj, os.environ)
    except SettingsError as error:
        raise CommandError(str(error), WRONG_USAGE) from None


_FILES = click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
_CLICKHOUSE = click.option(
    "--clickhouse", "url", metavar="URL", help="clickhouse://host:8123/database or chdb://PATH."
)


@main.command()
@_FILES
@_CLICKHOUSE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--json-schemas",
    type=click.Path(exists=True, file_okay=False),
    help="Folder of <schema_id>.json files to validate outputs by.",
)
@click.option(
    "--policy",
    metavar="POLICY",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Judge the recording by a policy and print the verdict.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["rollback", "hold"]),
    help="Exit with code 4 on this verdict; on a rollback in either case.",
)
@click.pass_context
def replay(
    context: click.Context,
    files: tuple[Path, ...],
    url: str | None,
    as_json: bool,
    json_schemas: str | None,
    policy: Path | None,
    fail_on: Literal["rollback", "hold"] | None,
) -> None:
    """Run recorded events through the analysis, without Kafka.

    FILE is NDJSON with one event a line, plain, .gz or .zst; several files are read side by side
    in the order of their request times.

    \b
      understudy replay events.ndjson.gz
      understudy replay --json stable.ndjson candidate.ndjson | jq .pairs
      understudy replay events.ndjson.zst --clickhouse chdb://results
      understudy replay smoke.ndjson --policy policy.yaml --fail-on rollback
    """
    from understudy.streams.commands.replay import replay_files

    if fail_on is not None and policy is None:
        raise click.UsageError("--fail-on needs a --policy to judge by")
    replay_files(
        _settings(context),
        files,
        url,
        as_json=as_json,
        json_schemas=json_schemas,
        policy_file=policy,
        fail_on=fail_on,
    )


@main.group()
def rollout() -> None:
    """Policies: what is compared, and what may get worse by how much."""


@rollout.command()
@click.option(
    "-f",
    "--file",
    "policy",
    metavar="POLICY",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The policy, YAML.",
)
@click.argument(
    "files",
    nargs=-1,
    metavar="[FILE]...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--since", metavar="WHEN", help="Windows that start then or later: an age (30m, 6h, "
              "2d) or an ISO time, UTC.")  # fmt: skip
@click.option("--until", metavar="WHEN", help="Windows that start before then.")
@_CLICKHOUSE
@click.option("--rollout-id", metavar="ID", help="Try the policy on this rollout's data instead.")
@click.option("--stage", help="Begin at this stage; the first in the data's mode otherwise.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--json-schemas",
    type=click.Path(exists=True, file_okay=False),
    help="Folder of <schema_id>.json files to validate the outputs in files by.",
)
@click.pass_context
def backtest(
    context: click.Context,
    policy: Path,
    files: tuple[Path, ...],
    since: str | None,
    until: str | None,
    url: str | None,
    rollout_id: str | None,
    stage: str | None,
    as_json: bool,
    json_schemas: str | None,
) -> None:
    """Show when a policy would have decided what, before it has any power.

    FILE is a recording, as for replay. Without one, the windows that ClickHouse keeps are judged:
    all of the rollout, or those from --since until --until.

    A window in ClickHouse is judged as it was in the end, once when it ends and again when it
    closes; a worker sees it grow. So the time of a verdict differs from a worker's by about a
    window, or a slow answer's wait. Counts at the end are the same.

    \b
      understudy rollout backtest -f policy.yaml events.ndjson.gz
      understudy rollout backtest -f policy.yaml --since 2d
      understudy rollout backtest -f policy.yaml --since 2026-11-01 --until 2026-11-02T12:00
      understudy rollout backtest -f policy.yaml --clickhouse chdb://results --rollout-id search-v2
    """
    from understudy.streams.commands.backtest import backtest_files, backtest_windows, policy_to_try

    of_windows = {"--since": since, "--until": until, "--clickhouse": url}
    given = [name for name, value in of_windows.items() if value is not None]
    if files and given:
        raise click.UsageError(f"{given[0]} is about ClickHouse: give it or files, not both")
    if json_schemas is not None and not files:
        raise click.UsageError("--json-schemas needs files: windows hold no outputs to validate")
    settings = _settings(context)
    tried = policy_to_try(policy, rollout_id)
    if files:
        backtest_files(
            settings, tried, files, stage=stage, as_json=as_json, json_schemas=json_schemas
        )
        return
    since_ms, until_ms = _when(since), _when(until)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise click.UsageError("--until must lie after --since")
    backtest_windows(
        settings,
        tried,
        url or settings.clickhouse.url,
        since_ms=since_ms,
        until_ms=until_ms,
        stage=stage,
        as_json=as_json,
    )


def _when(text: str | None) -> int | None:
    """An age or a time as epoch milliseconds."""
    from understudy.streams.dead_letters.selection import since_ms

    try:
        return None if text is None else since_ms(text, dt.datetime.now(dt.UTC))
    except ValueError as error:
        raise CommandError(str(error), WRONG_USAGE) from None


_ROLLOUT = click.argument("rollout_id", metavar="ID")
_DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Say what would be done, and write nothing."
)
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@rollout.command("apply")
@click.option(
    "-f",
    "--file",
    "policies",
    metavar="POLICY",
    required=True,
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Policies, YAML, one or several in a file; - is stdin. May be repeated.",
)
@_DRY_RUN
@click.pass_context
def apply_policies(context: click.Context, policies: tuple[Path, ...], dry_run: bool) -> None:
    """Put policies in force: begin rollouts, or change those under way.

    Prints created, unchanged, reworded (it means the same), or what changes in the policy spelled
    out. A policy that means something else begins the evidence anew; a rollback stays, and so does
    what operators asked for. Either all policies can be read, or nothing is written.

    \b
      understudy rollout apply -f policy.yaml --dry-run
      understudy rollout apply -f checkout.yaml -f search.yaml
      envsubst < policy.yaml | understudy rollout apply -f -
    """
    from understudy.streams.commands.rollout import apply_files

    apply_files(_settings(context), policies, dry_run=dry_run)


@rollout.command("list")
@_AS_JSON
@click.pass_context
def list_rollouts(context: click.Context, as_json: bool) -> None:
    """Print each rollout's stage and verdict; waiting where nothing was decided yet.

    \b
      understudy rollout list
      understudy rollout list --json | jq -r '.[] | select(.verdict == "rollback") | .rollout_id'
    """
    from understudy.streams.commands.rollout import list_rollouts

    list_rollouts(_settings(context), as_json=as_json)


@rollout.command("show")
@_ROLLOUT
@_AS_JSON
@click.pass_context
def show_rollout(context: click.Context, rollout_id: str, as_json: bool) -> None:
    """Print a rollout's policy, verdict, evidence and what operators asked for.

    \b
      understudy rollout show checkout-assistant-2026-11
    """
    from understudy.streams.commands.rollout import show_rollout

    show_rollout(_settings(context), rollout_id, as_json=as_json)


def _telling(command: Any) -> Any:
    """The options of what operators ask for."""
    for option in (
        _DRY_RUN,
        click.option("--wait", "wait_s", metavar="SECONDS", default=10.0, show_default=True,
                     type=click.FloatRange(0, 3600),
                     help="Wait so long for a decision that shows it; 0 for not at all."),
        click.option("--by", metavar="NAME", help="Who asks; user@host otherwise."),
        _ROLLOUT,
    ):  # fmt: skip
        command = option(command)
    return command


@rollout.command("kill")
@_telling
@click.option("--reason", required=True, help="Why; shown wherever the rollback is.")
@click.pass_context
def kill_rollout(context: click.Context, /, rollout_id: str, reason: str, **options: Any) -> None:
    """Roll back now, whatever the evidence; stays until somebody resumes.

    Ends with 1 when no decision shows it in time: what was asked is kept then, and obeyed once a
    deciding worker runs.

    \b
      understudy rollout kill checkout-assistant-2026-11 --reason "answers in the wrong tone"
    """
    from understudy.streams.commands.rollout import tell_rollout

    tell_rollout(_settings(context), rollout_id, "kill", reason=reason, **options)


@rollout.command("resume")
@_telling
@click.option("--reason", default="", help="Why; kept with what was asked.")
@click.pass_context
def resume_rollout(context: click.Context, /, rollout_id: str, reason: str, **options: Any) -> None:
    """Take back a rollback or a pause; evidence of harm is gathered anew.

    \b
      understudy rollout resume checkout-assistant-2026-11 --reason "prompt fixed"
    """
    from understudy.streams.commands.rollout import tell_rollout

    tell_rollout(_settings(context), rollout_id, "resume", reason=reason, **options)


@rollout.command("promote")
@_telling
@click.option("--reason", default="", help="Why; kept with what was asked.")
@click.pass_context
def promote_rollout(
    context: click.Context, /, rollout_id: str, reason: str, **options: Any
) -> None:
    """Move to the next stage, whatever the evidence; a rollback stays.

    \b
      understudy rollout show checkout-assistant-2026-11      # what does the evidence say?
      understudy rollout promote checkout-assistant-2026-11
    """
    from understudy.streams.commands.rollout import tell_rollout

    tell_rollout(_settings(context), rollout_id, "promote", reason=reason, **options)


@rollout.command("delete")
@_ROLLOUT
@_DRY_RUN
@click.pass_context
def delete_rollout(context: click.Context, rollout_id: str, dry_run: bool) -> None:
    """Forget a rollout: its policy, its evidence and its decision, a rollback included.

    \b
      understudy rollout delete checkout-assistant-2026-11
    """
    from understudy.streams.commands.rollout import delete_rollout

    delete_rollout(_settings(context), rollout_id, dry_run=dry_run)


@main.command()
@_FILES
@click.option(
    "--to",
    "source",
    type=click.Choice(SOURCES),
    default="events",
    show_default=True,
    help="The topic: events, or feedback for what users thought.",
)
@click.pass_context
def publish(context: click.Context, files: tuple[Path, ...], source: Source) -> None:
    """Write recorded events or feedback to Kafka, with the right key and partitioner.

    \b
      understudy publish events.ndjson.gz
      understudy publish --to feedback thumbs.ndjson
    """
    from understudy.streams.commands.publish import publish_files

    publish_files(_settings(context), files, source)


@main.command()
@click.option(
    "--role",
    type=click.Choice(["pairing", "deciding", "all"]),
    default="all",
    show_default=True,
    help="Pairing joins and compares events, deciding judges rollouts and serves the API.",
)
@click.pass_context
def worker(context: click.Context, role: Literal["pairing", "deciding", "all"]) -> None:
    """Run the service: join, compare, load and decide until told to stop (SIGTERM, Ctrl-C)."""
    from understudy.streams.worker import run_worker

    run_worker(_settings(context), role)


@main.command()
@click.option("--seed", default=7, show_default=True, help="Another seed, another day.")
@click.option(
    "--pairs",
    default=20_000,
    show_default=True,
    type=click.IntRange(100, 1_000_000),
    help="Mirrored requests to simulate.",
)
@click.option("--healthy", is_flag=True, help="Let nothing be wrong with the candidate.")
@click.option(
    "--keep",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the ClickHouse data here, to query it afterwards.",
)
@click.option(
    "--print-policy", is_flag=True, help="Print the policy that the demo judges by, and end."
)
def demo(seed: int, pairs: int, healthy: bool, keep: Path | None, print_policy: bool) -> None:
    """Watch a rollout go wrong and be rolled back, in one process, with nothing installed.

    A simulated gateway mirrors requests in nine languages to two models. After a healthy start the
    candidate breaks one thing in one language. The evidence grows until the rollout is rolled back;
    then the gateway stops mirroring. With --healthy nothing breaks, and the verdict is to promote.
    Broker and ClickHouse run inside this process, everything else is the service itself.

    Ends with 0 when the verdict is the right one, and on hold, since few requests (--pairs) show
    nothing; with 1 when it is wrong or something failed.

    \b
      understudy demo
      understudy demo --healthy
      understudy demo --print-policy > policy.yaml
    """
    from understudy.streams.demo.run import policy_text, run_demo

    if print_policy:
        click.echo(policy_text(), nl=False)
        return
    run_demo(seed=seed, pairs=pairs, healthy=healthy, keep=keep)


@main.command()
@click.argument("sql")
@_CLICKHOUSE
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def query(context: click.Context, sql: str, url: str | None, as_json: bool) -> None:
    """Ask ClickHouse, a server or an embedded folder.

    \b
      understudy query "SELECT language, sum(pair_pairs) FROM windows FINAL GROUP BY language"
      understudy query --clickhouse chdb://results "SHOW TABLES"
    """
    from understudy.streams.commands.query import run_query

    run_query(url or _settings(context).clickhouse.url, sql, as_json=as_json)


@main.command()
@_CLICKHOUSE
@click.pass_context
def migrate(context: click.Context, url: str | None) -> None:
    """Bring the tables in ClickHouse up to date; safe to run by several at a time."""
    from understudy.streams.commands.query import run_migrations

    run_migrations(url or _settings(context).clickhouse.url)


@main.command()
@click.pass_context
def topics(context: click.Context) -> None:
    """Create the topics that are missing, and say how existing ones differ."""
    from understudy.streams.commands.publish import create_topics

    create_topics(_settings(context))


@main.command()
@_CLICKHOUSE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def accounting(context: click.Context, url: str | None, as_json: bool) -> None:
    """Hold the events read from Kafka against those accounted for in ClickHouse.

    The difference is 0 when all is stored: each event read is in a pair, single, unmatched,
    duplicate, late, invalid, or waits for its partner.
    """
    from understudy.streams.diagnostics.accounting import run_accounting

    settings = _settings(context)
    run_accounting(settings, url or settings.clickhouse.url, as_json=as_json)


@main.command()
@click.option("--newest", default=500, show_default=True, type=click.IntRange(1, 100_000),
              help="How many events of each partition to look at.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def doctor(context: click.Context, newest: int, as_json: bool) -> None:
    """Look at broker, topics, gateways, workers and ClickHouse, and say what to do.

    Changes nothing. Ends with 0 when nothing needs action, 1 when something does, 3 when Kafka or
    ClickHouse cannot be reached.
    """
    from understudy.streams.diagnostics.doctor import run_doctor

    run_doctor(_settings(context), newest=newest, as_json=as_json)


@main.group("dead-letters")
def dead_letters() -> None:
    """See the events and feedback that could not be used, and write them again."""


def _selecting(command: Any) -> Any:
    """The options that choose among dead letters."""
    for option in (
        click.option("--since", metavar="WHEN", help="An age (30m, 6h, 2d) or an ISO time, UTC."),
        click.option("--rollout", metavar="ID", help="Of one rollout."),
        click.option("--reason", "reasons", multiple=True, metavar="REASON",
                     help="Of this reason; may be repeated."),
    ):  # fmt: skip
        command = option(command)
    return command


def _selection(
    reasons: tuple[str, ...], rollout: str | None, since: str | None, event: str | None = None
) -> Selection:
    from understudy.streams.dead_letters.selection import Selection, parse_place

    try:
        place = parse_place(event) if event else None
    except ValueError as error:
        raise CommandError(str(error), WRONG_USAGE) from None
    return Selection(frozenset(reasons), rollout or "", _when(since or None), place)


@dead_letters.command("list")
@_selecting
@click.option("--limit", default=20, show_default=True, type=click.IntRange(0, 10_000),
              help="How many of the newest to print.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def list_dead_letters(
    context: click.Context,
    reasons: tuple[str, ...],
    rollout: str | None,
    since: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Count dead letters by reason, and print the newest."""
    from understudy.streams.commands.dead_letters import list_letters

    list_letters(_settings(context), _selection(reasons, rollout, since), limit, as_json=as_json)


@dead_letters.command("show")
@click.argument("event", metavar="TOPIC/PARTITION/OFFSET")
@click.option("--raw", is_flag=True, help="The payload as it is, to a file or pipe.")
@click.pass_context
def show_dead_letter(context: click.Context, event: str, raw: bool) -> None:
    """Print why an event could not be used, and the event, safe to look at.

    The event is named by where it stood, as `dead-letters list` prints it.
    """
    from understudy.streams.commands.dead_letters import show_letter

    place = _selection((), None, None, event).place
    assert place is not None
    show_letter(_settings(context), place, raw=raw)


@dead_letters.command("replay")
@_selecting
@click.option("--event", metavar="PLACE", help="One event, TOPIC/PARTITION/OFFSET.")
@click.option("--all", "everything", is_flag=True, help="Without any filter.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@click.option("--include-late", is_flag=True, help="Those, too, that would count as late.")
@click.pass_context
def replay_dead_letters(
    context: click.Context,
    reasons: tuple[str, ...],
    rollout: str | None,
    since: str | None,
    event: str | None,
    everything: bool,
    dry_run: bool,
    include_late: bool,
) -> None:
    """Write dead letters to the topic that they came from again, with the same key.

    Without --reason: clock_ahead, analyzer_failed, too_large and unsupported_version, for the rest
    is wrong in itself. What this release would refuse again is left out, and so is what is so old
    that it would count as late.

    \b
      understudy dead-letters replay --all --dry-run
      understudy dead-letters replay --reason analyzer_failed --since 30m
    """
    from understudy.streams.commands.dead_letters import replay_letters

    filtered = bool(reasons or rollout or since or event)
    if filtered == everything:
        raise CommandError("say which: --reason, --rollout, --since, --event, or else --all",
                           WRONG_USAGE)  # fmt: skip
    replay_letters(_settings(context), _selection(reasons, rollout, since, event),
                   dry_run=dry_run, include_late=include_late)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
