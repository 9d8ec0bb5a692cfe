"""`understudy topics`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import click
import msgspec

from understudy.schemas.topics import TopicSpec
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import OutputFormat, output_options
from understudy.streams.kafka.client_config import changelog, client_config, topics
from understudy.streams.kafka.topic_admin import TopicsReport, ensure_topics
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say, say_csv, say_json


@click.command("topics")
@output_options()
@with_settings
def command(settings: Settings, output: OutputFormat) -> None:
    """Create the topics that are missing, and say how existing ones differ from what is wanted.

    Existing topics are not changed, and it does no harm to run this again.

    \b
    Examples:
      understudy topics
      UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS=broker:9092 understudy topics
    """
    quiet_logs(logging.ERROR)
    specs = [*topics(settings.kafka), changelog(settings)]
    report = create_missing_topics(settings, specs, compare=True)
    if output == "json":
        say_json(msgspec.to_builtins(report))
    elif output == "csv":
        say_csv(("topic", "state", "setting", "wanted", "actual"), _rows(report))
    else:
        for name in report.created:
            say(f"created   {name}")
        for name in report.existing:
            say(f"existing  {name}")
        for difference in report.differences:
            say(f"differs   {difference}", color="yellow")


def _rows(report: TopicsReport) -> Iterator[tuple[str, ...]]:
    yield from ((name, "created", "", "", "") for name in report.created)
    yield from ((name, "existing", "", "", "") for name in report.existing)
    for one in report.differences:
        yield one.topic, "differs", one.setting, one.wanted, one.actual


def create_missing_topics(
    settings: Settings, specs: Sequence[TopicSpec], *, compare: bool = False
) -> TopicsReport:
    """Create the topics that are missing. Raises `KafkaException` when there is no broker."""
    return ensure_topics(
        client_config(settings.kafka),
        specs,
        replication_factor=settings.kafka.replication_factor,
        compare=compare,
    )
