"""`understudy topics`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import click

from understudy.schemas.topics import TopicSpec
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.kafka.client_config import changelog, client_config, topics
from understudy.streams.kafka.topic_admin import TopicsReport, ensure_topics
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say


@click.command("topics")
@with_settings
def command(settings: Settings) -> None:
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
    for name in report.created:
        say(f"created   {name}")
    for name in report.existing:
        say(f"existing  {name}")
    for difference in report.differences:
        say(f"differs   {difference}", color="yellow")


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
