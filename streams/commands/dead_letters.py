"""`understudy dead-letters`: list, show and replay what could not be used."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import click
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from understudy.schemas.windows import SOURCES, Source
from understudy.streams.dead_letters.forecast import Fate, Forecast, Forecaster
from understudy.streams.dead_letters.reading import read_letters
from understudy.streams.dead_letters.selection import (
    REPLAY_CAN_HELP,
    REPLAYED_FROM,
    Digest,
    Letter,
    Place,
    Selection,
)
from understudy.streams.errors import FAILED, UNREACHABLE, WRONG_USAGE, CommandError
from understudy.streams.kafka.client_config import producer_config, topic_of, topics
from understudy.streams.logs import KAFKA_LOGGER, configure_logs
from understudy.streams.pairing.group_positions import positions_of
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.settings import Settings
from understudy.streams.terminal.plain_text import lines, one_line, payload_text

DELIVERY_TIMEOUT_S: Final = 60.0
SHOWN_CHARACTERS: Final = 20_000
_DETAIL_SHOWN: Final = 300
_KEY_SHOWN: Final = 400
_EXAMPLES: Final = 20
_WIDTH_IN_FILES: Final = 160


@contextmanager
def _broker_errors(settings: Settings) -> Iterator[None]:
    configure_logs(logging.ERROR)
    KAFKA_LOGGER.setLevel(logging.CRITICAL)
    try:
        yield
    except KafkaException as error:
        where = settings.kafka.bootstrap_servers
        raise CommandError(f"Kafka at {where}: {error.args[0]}", UNREACHABLE) from None


def list_letters(settings: Settings, selection: Selection, limit: int, *, as_json: bool) -> None:
    """Print how many there are of each reason, and the newest."""
    digest = Digest(limit)
    with _broker_errors(settings):
        for letter in read_letters(settings, selection):
            digest.add(letter)
    if as_json:
        click.echo(_json({"total": digest.reasons.total(), "reasons": dict(digest.reasons),
                          "newest": [_described(letter) for letter in digest.newest]}))  # fmt: skip
        return
    _print_digest(digest)


def _described(letter: Letter) -> dict[str, Any]:
    return {
        "place": str(letter.place),
        "reason": letter.reason,
        "detail": letter.detail,
        "stored_at": letter.stored_at.isoformat(timespec="milliseconds"),
        "rollout_id": letter.rollout_id,
        "key": None if letter.key is None else letter.key.decode("utf-8", "backslashreplace"),
        "payload_bytes": letter.size,
    }


def _json(document: dict[str, Any]) -> str:
    """JSON in ASCII, without any character that a terminal obeys."""
    return json.dumps(document, ensure_ascii=True).replace("\x7f", "\\u007f")


def _print_digest(digest: Digest) -> None:
    if not digest.reasons:
        click.echo("no dead letters")
        return
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_IN_FILES
    counts = _table("reason", "dead letters")
    for reason, count in digest.reasons.most_common():
        counts.add_row(Text(one_line(reason, 40)), Text(f"{count:,}"))
    console.print(counts)
    if digest.newest:
        console.print(_newest_table(digest.newest))


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        numeric = name in ("dead letters", "bytes")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=name != "detail",
                         overflow="fold")  # fmt: skip
    return table


def _newest_table(letters: list[Letter]) -> Table:
    table = _table("written (UTC)", "event", "reason", "rollout", "bytes", "detail")
    for letter in letters:
        cells = (
            f"{letter.stored_at:%Y-%m-%d %H:%M:%S}",
            str(letter.place),
            one_line(letter.reason, 40),
            one_line(letter.rollout_id, 40),
            f"{letter.size:,}",
            one_line(letter.detail, _DETAIL_SHOWN),
        )
        table.add_row(*map(Text, cells))
    return table


def show_letter(settings: Settings, place: Place, *, raw: bool) -> None:
    """Print one letter whole, or its payload as it is."""
    with _broker_errors(settings):
        letter = next(read_letters(settings, Selection(place=place)), None)
    if letter is None:
        raise CommandError(f"no dead letter is kept about {place}")
    if raw:
        if sys.stdout.isatty():
            raise CommandError("--raw is for files and pipes; the payload may hold anything",
                               WRONG_USAGE)  # fmt: skip
        click.echo(letter.payload or b"", nl=False)
        return
    click.echo(_whole(letter))


def _whole(letter: Letter) -> str:
    key = "(none)" if letter.key is None else letter.key.decode("utf-8", "backslashreplace")
    facts = (
        ("event", str(letter.place)),
        ("reason", one_line(letter.reason, 100)),
        ("detail", one_line(letter.detail, 2000)),
        ("written", letter.stored_at.isoformat(timespec="milliseconds")),
        ("key", one_line(key, _KEY_SHOWN)),
        ("payload", f"{letter.size:,} bytes"),
    )
    head = "\n".join(f"{name:8} {value}" for name, value in facts)
    return f"{head}\n\n{lines(payload_text(letter.payload), SHOWN_CHARACTERS)}"


# Replaying


@dataclass(slots=True)
class _Replay:
    """What a replay does and has done."""

    sent: Counter[str] = field(default_factory=Counter)
    """By topic; of a dry run, what would have been sent."""
    delivered: Counter[str] = field(default_factory=Counter)
    refused_by_broker: Counter[str] = field(default_factory=Counter)
    fates: Counter[Fate] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def told(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.delivered[message.topic() or ""] += 1
        else:
            self.refused_by_broker[error.str()] += 1

    def note(self, letter: Letter, fate: Fate, why: str) -> None:
        self.fates[fate] += 1
        if len(self.examples) < _EXAMPLES:
            because = f": {one_line(why, 200)}" if why else ""
            self.examples.append(f"{fate:8} {letter.place} {one_line(letter.reason, 40)}{because}")


def replay_letters(
    settings: Settings, selection: Selection, *, dry_run: bool, include_late: bool
) -> None:
    """Write letters of a selection to their topics again, and wait until they are there."""
    if not selection.reasons and selection.place is None:
        selection = _with_default_reasons(selection)
    replay = _Replay()
    with _broker_errors(settings):
        forecasters = _forecasters(settings)
        producer = _producer(settings)
        for letter in read_letters(settings, selection):
            topic = _topic_for(letter, settings)
            forecast = _forecast(forecasters.get(topic), letter)
            replay.note(letter, forecast.fate, forecast.why)
            wanted = forecast.fate is Fate.READ or (include_late and forecast.fate is Fate.LATE)
            replay.sent[topic] += wanted
            if wanted and not dry_run:
                _send(producer, topic, letter, forecast.key, replay)
        left = producer.flush(DELIVERY_TIMEOUT_S)
    _report(replay, settings, dry_run=dry_run, include_late=include_late)
    if left:
        raise CommandError(f"{left:,} records were not delivered in {DELIVERY_TIMEOUT_S:.0f} s",
                           UNREACHABLE)  # fmt: skip
    if replay.refused_by_broker:
        raise SystemExit(FAILED)


def _with_default_reasons(selection: Selection) -> Selection:
    return Selection(frozenset(REPLAY_CAN_HELP), selection.rollout_id, selection.since_ms,
                     selection.place)  # fmt: skip


def _now_ms() -> int:
    return round(dt.datetime.now(dt.UTC).timestamp() * 1000)


def _topic_for(letter: Letter, settings: Settings) -> str:
    """Where a letter came from; events is the best guess about one that does not tell."""
    specs = topics(settings.kafka)
    return specs.events.name if letter.place.topic == specs.dead_letters.name else (
        letter.place.topic
    )  # fmt: skip


def _forecasters(settings: Settings) -> dict[str, Forecaster]:
    """By topic, of those that pairing reads."""
    return {topic_of(settings.kafka, source): _forecaster(settings, source) for source in SOURCES}


def _forecaster(settings: Settings, source: Source) -> Forecaster:
    policy = PairingPolicy.from_settings(settings)
    positions = positions_of(settings.kafka, source)
    if not positions:
        name = topic_of(settings.kafka, source)
        raise CommandError(f"there is no topic {name}; `understudy topics` creates it")
    watermarks = {
        one.partition: one.metadata.watermark_ms
        for one in positions
        if one.metadata is not None and one.metadata.watermark_ms is not None
    }
    return Forecaster(policy.max_event_bytes, policy.max_clock_skew_ms, policy.join_timeout_ms,
                      len(positions), watermarks, source)  # fmt: skip


def _forecast(forecaster: Forecaster | None, letter: Letter) -> Forecast:
    if forecaster is None:
        return Forecast(Fate.REFUSED, letter.key or b"", "neither an event nor feedback")
    return forecaster.forecast(letter, _now_ms())


def _producer(settings: Settings) -> Producer:
    config = {**producer_config(settings.kafka),
              "message.timeout.ms": int(DELIVERY_TIMEOUT_S * 1e3)}  # fmt: skip
    return Producer(config, logger=KAFKA_LOGGER)


def _send(producer: Producer, topic: str, letter: Letter, key: bytes, replay: _Replay) -> None:
    headers: list[tuple[str, str | bytes | None]] = [(REPLAYED_FROM, str(letter.place).encode())]
    while True:
        try:
            producer.produce(topic, letter.payload, key, headers=headers, on_delivery=replay.told)
        except BufferError:
            producer.poll(0.1)
        except KafkaException as error:
            replay.refused_by_broker[error.args[0].str()] += 1
            return
        else:
            producer.poll(0)
            return


def _report_topics(replay: _Replay, settings: Settings, *, dry_run: bool) -> None:
    """How many went where; of feedback only when there was some."""
    specs = topics(settings.kafka)
    counts, go = (replay.sent, "would go to") if dry_run else (replay.delivered, "to")
    click.echo(f"{counts[specs.events.name]:,} events {go} {specs.events.name}")
    if counts[specs.feedback.name]:
        click.echo(f"{counts[specs.feedback.name]:,} feedback records {go} {specs.feedback.name}")


def _report(replay: _Replay, settings: Settings, *, dry_run: bool, include_late: bool) -> None:
    if dry_run:
        for example in replay.examples:
            click.echo(example)
    fates = replay.fates
    _report_topics(replay, settings, dry_run=dry_run)
    if fates[Fate.LATE] and include_late:
        click.echo(f"{fates[Fate.LATE]:,} of them count as late and are not measured", err=True)
    elif fates[Fate.LATE]:
        click.echo(f"{fates[Fate.LATE]:,} left out: so old that they would count as late "
                   "(--include-late writes them all the same)", err=True)  # fmt: skip
    if fates[Fate.REFUSED]:
        click.echo(f"{fates[Fate.REFUSED]:,} left out: this release would refuse them again",
                   err=True)  # fmt: skip
    for why, count in replay.refused_by_broker.items():
        click.echo(f"{count:,} refused by the broker: {why}", err=True)
