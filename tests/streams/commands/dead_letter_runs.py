"""What tests of `understudy dead-letters …` share."""

from __future__ import annotations

from click.testing import CliRunner, Result

from tests.brokers.contract import Broker
from tests.streams.diagnostics.brokers import Headers
from understudy.schemas.topics import Topics
from understudy.streams.commands.main import main

HOSTILE = b'{"output": "\x1b[2J\\u001b]0;owned\\u0007 \xe2\x80\xae"}'


def headers(
    topics: Topics, reason: str, offset: int, detail: str = "why", topic: str = ""
) -> Headers:
    return [
        ("reason", reason.encode()),
        ("detail", detail.encode()),
        ("topic", (topic or topics.events.name).encode()),
        ("partition", b"1"),
        ("offset", str(offset).encode()),
    ]


def run_dead_letters(broker: Broker, specs: Topics, *arguments: str) -> Result:
    prefix = specs.events.name.removesuffix("events")
    environment = {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "UNDERSTUDY_KAFKA_TOPIC_PREFIX": prefix,
        "UNDERSTUDY_KAFKA_GROUP_ID": f"{prefix}pairing",
    }
    with CliRunner().isolated_filesystem():
        return CliRunner().invoke(main, ["dead-letters", *arguments], env=environment)
