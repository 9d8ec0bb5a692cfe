"""Events of a gateway: all sides or none, whatever Kafka does, in every process."""

from __future__ import annotations

import asyncio
import datetime as dt
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from tests.waiting import wait_until
from understudy.gateways.privacy import Privacy
from understudy.gateways.publisher import Publisher, publisher_config
from understudy.gateways.request_journal import abandoned_journals
from understudy.schemas.evaluations import Evaluation, Preference, decode_evaluation
from understudy.schemas.events import Event, Response, Side, decode_event, event_key
from understudy.schemas.feedback import Feedback, decode_feedback
from understudy.streams.kafka.embedded_broker import EMBEDDED_PARTITIONS, EmbeddedBroker
from understudy.streams.kafka.partitioner import partition_of

NOWHERE = {"bootstrap.servers": "127.0.0.1:9", "log_level": 0}
"""The discard port: nothing listens there."""
TIME = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)


def event(pair_id: str, side: Side, output: str = "hello") -> Event:
    return Event(
        schema_version=1, rollout_id="r", pair_id=pair_id, mode="shadow", side=side,
        sides=("stable", "candidate"), request_time=TIME, response=Response(output=output),
    )  # fmt: skip


def pair(pair_id: str, output: str = "hello") -> tuple[Event, Event]:
    return event(pair_id, "stable", output), event(pair_id, "candidate", output)


@contextmanager
def publisher(broker: EmbeddedBroker, **options: object) -> Iterator[Publisher]:
    made = Publisher(broker.client_config, **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close(10.0)


def read(broker: EmbeddedBroker, count: int, topic: str = "understudy.events") -> list[Message]:
    """Return that many messages of a topic."""
    consumer = Consumer({**broker.client_config, "group.id": "t", "auto.offset.reset": "earliest"})
    consumer.assign(
        [TopicPartition(topic, n, OFFSET_BEGINNING) for n in range(EMBEDDED_PARTITIONS)]
    )
    found: list[Message] = []

    def has_all() -> bool:
        found.extend(m for m in consumer.consume(500, 0.1) if m.error() is None)
        return len(found) >= count

    wait_until(has_all, f"{count} messages in {topic}")
    consumer.close()
    assert len(found) == count
    return found


def test_config_keeps_the_partitioner_and_takes_the_rest() -> None:
    config = publisher_config({"linger.ms": 50, "partitioner": "murmur2"}, 3 * 1_048_576)
    assert config["linger.ms"] == 50
    assert config["partitioner"] == "murmur2_random"
    assert config["queue.buffering.max.kbytes"] == 3 * 1024
    with pytest.raises(ValueError, match="murmur2_random"):
        publisher_config({"partitioner": "consistent_random"}, 1)


@pytest.mark.embedded
def test_wrong_setting_is_an_error_at_once() -> None:
    with pytest.raises(KafkaException, match="bootstrap"):
        Publisher({"bootstrap.server": "localhost"})


@pytest.mark.embedded
def test_both_sides_reach_one_partition_back_to_back(embedded_broker: EmbeddedBroker) -> None:
    with publisher(embedded_broker) as publishing:
        assert all(publishing.publish(*pair(f"p{n}")) for n in range(50))
        assert publishing.flush(10.0)
        wait_until(lambda: publishing.delivered == 100, "all delivery reports")
        assert (publishing.published, publishing.dropped, publishing.failed) == (100, 0, 0)
    messages = read(embedded_broker, 100)
    found = [decode_event(message.value()) for message in messages]
    assert {e.pair_id: e for e in found if e.side == "stable"} == {
        f"p{n}": event(f"p{n}", "stable") for n in range(50)
    }
    for partition in range(EMBEDDED_PARTITIONS):
        here = [e for e, m in zip(found, messages, strict=True) if m.partition() == partition]
        assert all(
            partition_of(event_key(e).encode(), EMBEDDED_PARTITIONS) == partition for e in here
        )
        assert [e.side for e in here] == ["stable", "candidate"] * (len(here) // 2)


@pytest.mark.embedded
def test_ratings_go_to_the_topic_of_feedback(embedded_broker: EmbeddedBroker) -> None:
    rating = Feedback(
        schema_version=1, rollout_id="r", pair_id="p", mode="ab", side="candidate",
        request_time=TIME, feedback_time=TIME, name="thumbs", score_value=1.0,
    )  # fmt: skip
    with publisher(embedded_broker, topic_prefix="x.") as publishing:
        assert publishing.publish_feedback(rating)
        assert publishing.flush(10.0)
    [message] = read(embedded_broker, 1, "x.feedback")
    assert (message.key(), decode_feedback(message.value())) == (b"r/p", rating)


@pytest.mark.embedded
def test_choices_go_to_the_topic_of_evaluations(embedded_broker: EmbeddedBroker) -> None:
    chosen = Evaluation(
        schema_version=1, rollout_id="r", pair_id="p", mode="interleave", request_time=TIME,
        evaluation_time=TIME, evaluator="users", evaluator_version="1",
        preferences=(Preference("candidate", "stable"),), conversation_id="who",
        explanation="they said",
    )  # fmt: skip
    wrong = msgspec.structs.replace(chosen, preferences=())
    with publisher(embedded_broker, topic_prefix="x.") as publishing:
        assert publishing.publish_evaluations(chosen)
        assert not publishing.publish_evaluations(wrong)
        assert publishing.flush(10.0)
    [message] = read(embedded_broker, 1, "x.evaluations")
    assert (message.key(), decode_evaluation(message.value())) == (b"r/p", chosen)


@pytest.mark.embedded
def test_texts_leave_by_the_rule_and_not_at_all_where_it_fails(
    embedded_broker: EmbeddedBroker,
) -> None:
    def redact(text: str) -> str:
        if text == "secret":
            raise RuntimeError("no such pattern")
        return "redacted"

    with publisher(embedded_broker, privacy=Privacy(output="redact", redact=redact)) as publishing:
        assert publishing.publish(event("p", "stable", "hello"))
        publishing.publish(event("q", "stable"), event("q", "candidate", "secret"))
        assert publishing.flush(10.0)
        assert (publishing.published, publishing.dropped) == (1, 2)
    [message] = read(embedded_broker, 1)
    response = decode_event(message.value()).response
    assert response == Response(output="redacted", output_form="redacted")


@pytest.mark.embedded
def test_redaction_keeps_nobody_waiting(embedded_broker: EmbeddedBroker) -> None:
    """Patterns take milliseconds of a long text, and a model that finds names takes more."""
    may_go_on = threading.Event()
    threads = set()

    def redact(text: str) -> str:
        threads.add(threading.current_thread())
        assert may_go_on.wait(60.0)
        return "redacted"

    with publisher(embedded_broker, privacy=Privacy(output="redact", redact=redact)) as publishing:
        assert all(publishing.publish(*pair(f"p{n}")) for n in range(3))
        assert not publishing.flush(0.0), "nothing has left yet"
        may_go_on.set()
        assert publishing.flush(60.0)
    assert threads.isdisjoint({threading.current_thread()})
    found = [decode_event(message.value()) for message in read(embedded_broker, 6)]
    assert {e.response.output for e in found if e.response} == {"redacted"}


@pytest.mark.embedded
def test_what_waits_to_be_redacted_is_bounded_and_leaves_before_the_end(
    embedded_broker: EmbeddedBroker,
) -> None:
    may_go_on = threading.Event()

    def redact(text: str) -> str:
        assert may_go_on.wait(60.0)
        return "redacted"

    publishing = Publisher(
        embedded_broker.client_config,
        privacy=Privacy(output="redact", redact=redact),
        max_bytes=64 * 1024,
    )
    taken = [publishing.publish(*pair(f"p{n}", "x" * 5_000)) for n in range(20)]
    kept = sum(taken)
    assert 0 < kept < 8
    assert taken == [True] * kept + [False] * (20 - kept)
    assert publishing.dropped == 2 * (20 - kept)
    may_go_on.set()
    assert publishing.close(60.0)
    assert not publishing.publish(*pair("after the end"))
    read(embedded_broker, 2 * kept)


# Kafka away


@pytest.mark.embedded
def test_full_queue_drops_whole_requests_and_nothing_grows() -> None:
    publishing = Publisher(NOWHERE, max_bytes=256 * 1024, exit_timeout_s=0.0)
    taken = [publishing.publish(*pair(f"p{n}", "x" * 1_000)) for n in range(1_000)]
    kept = sum(taken)
    assert 90 < kept < 130, "256 KiB hold about 110 pairs of 2.3 kB"
    assert taken == [True] * kept + [False] * (1_000 - kept)
    assert (publishing.published, publishing.dropped) == (2 * kept, 2 * (1_000 - kept))
    assert not publishing.close()
    assert publishing.failed == 2 * kept
    assert not publishing.publish(*pair("after the end"))


@pytest.mark.embedded
@pytest.mark.parametrize("length", [1_000, 3_000, 9_000, 27_000])
def test_what_a_full_queue_took_arrives_in_whole_pairs(
    embedded_broker: EmbeddedBroker, length: int
) -> None:
    """Where the queue has room for one side, the other waits for room, and nothing passes it."""
    with publisher(embedded_broker, max_bytes=64 * 1024) as publishing:
        kept = sum(publishing.publish(*pair(f"p{n}", "x" * length)) for n in range(300))
        assert 0 < kept < 300
        assert publishing.flush(30.0)
        wait_until(lambda: publishing.delivered == 2 * kept, "the reports")
        assert publishing.publish(*pair("later"))
        assert publishing.flush(30.0)
    sides = Counter(decode_event(m.value()).pair_id for m in read(embedded_broker, 2 * kept + 2))
    assert set(sides.values()) == {2}


# The request path


@pytest.mark.embedded
def test_nothing_is_raised_into_the_request_path(caplog: pytest.LogCaptureFixture) -> None:
    publishing = Publisher(NOWHERE, exit_timeout_s=0.0)
    assert not publishing.publish("no event")  # type: ignore[arg-type]
    assert not publishing.publish()
    assert publishing.dropped == 1
    assert "cannot be written" in caplog.text
    publishing.close()


@pytest.mark.embedded
def test_event_loop_publishes_and_flushes_in_a_thread(embedded_broker: EmbeddedBroker) -> None:
    async def serve() -> bool:
        with publisher(embedded_broker) as publishing:
            taken = [publishing.publish(*pair(f"p{n}")) for n in range(10)]
            assert all(taken)
            return await asyncio.to_thread(publishing.flush, 10.0)

    assert asyncio.run(serve())
    read(embedded_broker, 20)


@pytest.mark.embedded
def test_many_threads_publish_whole_pairs(embedded_broker: EmbeddedBroker) -> None:
    with publisher(embedded_broker) as publishing:
        threads = [
            threading.Thread(
                target=lambda t=t: [publishing.publish(*pair(f"{t}-{n}")) for n in range(50)]
            )
            for t in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert publishing.flush(10.0)
        assert publishing.published == 800
    found = [decode_event(m.value()) for m in read(embedded_broker, 800)]
    assert set(Counter(e.pair_id for e in found).values()) == {2}


# Processes

SCRIPT = """
import datetime as dt, os, sys
from understudy.gateways.publisher import Publisher
from understudy.schemas.events import Event

def pair(pair_id):
    return [Event(schema_version=1, rollout_id="r", pair_id=pair_id, mode="shadow", side=side,
                  sides=("stable", "candidate"),
                  request_time=dt.datetime(2026, 3, 4, tzinfo=dt.UTC))
            for side in ("stable", "candidate")]

publisher = Publisher({"bootstrap.servers": sys.argv[1], "log_level": 0})
"""


def run(script: str, broker: EmbeddedBroker) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT + script, broker.bootstrap_servers],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.embedded
@pytest.mark.slow
def test_end_of_the_process_flushes(embedded_broker: EmbeddedBroker) -> None:
    ended = run(
        "assert all(publisher.publish(*pair(f'p{n}')) for n in range(100))", embedded_broker
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    read(embedded_broker, 200)


@pytest.mark.embedded
@pytest.mark.slow
@pytest.mark.parametrize("ending", ["sys.exit(0)", "publisher.close(); os._exit(0)"])
def test_children_of_a_fork_publish_for_themselves(
    embedded_broker: EmbeddedBroker, ending: str
) -> None:
    ended = run(
        f"""
publisher.publish(*pair("before"))
assert publisher.flush(20)  # a client that connects while a process forks may leave locks behind
children = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        assert publisher.published == 0
        publisher.publish(*pair(f"child {{child}}"))
        {ending}
    children.append(pid)
publisher.publish(*pair("after"))
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
assert publisher.published == 4
""",
        embedded_broker,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    found = Counter(decode_event(m.value()).pair_id for m in read(embedded_broker, 10))
    assert found == dict.fromkeys(["before", "after", "child 0", "child 1", "child 2"], 2)


# Processes that are killed


@pytest.mark.embedded
@pytest.mark.slow
@pytest.mark.parametrize("reached_kafka", [True, False])
def test_requests_of_a_killed_process_are_dropped_by_the_next_one(
    embedded_broker: EmbeddedBroker, tmp_path: Path, reached_kafka: bool
) -> None:
    """Those under way, and those in its queue; not those that Kafka has."""
    ended = run(
        f"""
from understudy.gateways.request_journal import outline_of
import signal
config = {{"bootstrap.servers": sys.argv[1], "linger.ms": {5 if reached_kafka else 60_000}}}
publisher = Publisher(config, journal={str(tmp_path)!r})
for n in range(5):
    publisher.begin(outline_of(pair(f"p{{n}}")[0]))
for n in range(4):
    publisher.publish(*pair(f"p{{n}}"))
if {reached_kafka}:
    assert publisher.flush(60)
os.kill(os.getpid(), signal.SIGKILL)
""",
        embedded_broker,
    )
    assert ended.returncode == -9, ended.stderr
    lost = ["p4"] if reached_kafka else [f"p{n}" for n in range(5)]
    with publisher(embedded_broker, journal=tmp_path) as publishing:
        wait_until(lambda: publishing.delivered == 2 * len(lost), "what was lost is told")
    events = [decode_event(m.value()) for m in read(embedded_broker, 10)]
    dropped = sorted(e.pair_id for e in events if e.error is not None)
    assert dropped == sorted(lost * 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.embedded
def test_sides_that_are_published_apart_leave_nothing_in_the_journal(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with publisher(embedded_broker, journal=tmp_path) as publishing:
        for side in ("candidate", "stable"):
            assert publishing.publish(event("apart", side))  # type: ignore[arg-type]
            assert publishing.flush(60.0)
        assert publishing.publish(event("alone", "stable"))
        assert publishing.flush(60.0)
        journal = publishing._journal
        assert journal is not None
        wait_until(lambda: publishing.delivered == 3, "the reports")
        assert journal.open_requests == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.embedded
def test_a_side_that_is_refused_leaves_nothing_in_the_journal(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    config = {"bootstrap.servers": embedded_broker.bootstrap_servers, "message.max.bytes": 100_000}
    publishing = Publisher(config, journal=tmp_path)
    large = "".join(map(chr, range(0x4E00, 0x9E00))) * 3
    assert publishing.publish(event("p", "stable"), event("p", "candidate", large))
    assert publishing.flush(60.0)
    assert publishing._journal is not None
    wait_until(lambda: publishing.delivered == 1, "the report")
    assert publishing._journal.open_requests == 0
    publishing.close()


@pytest.mark.embedded
def test_what_kafka_did_not_take_before_the_end_is_left_in_the_journal(tmp_path: Path) -> None:
    publishing = Publisher(NOWHERE, journal=tmp_path, exit_timeout_s=0.0, max_bytes=64 * 1024)
    taken = sum(publishing.publish(*pair(f"p{n}", "x" * 5_000)) for n in range(20))
    assert 0 < taken < 20
    assert not publishing.close()
    [left] = abandoned_journals(tmp_path)
    assert len(left.outlines) == taken
    left.close()


@pytest.mark.embedded
def test_children_of_a_fork_have_journals_of_their_own(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    ended = run(
        f"""
from understudy.gateways.request_journal import outline_of
config = {{"bootstrap.servers": sys.argv[1], "log_level": 0}}
publisher = Publisher(config, journal={str(tmp_path)!r})
publisher.begin(outline_of(pair("parent")[0]))
pid = os.fork()
if pid == 0:
    publisher.begin(outline_of(pair("child")[0]))
    assert len(os.listdir({str(tmp_path)!r})) == 2
    publisher.publish(*pair("child"))
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
publisher.publish(*pair("parent"))
""",
        embedded_broker,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert {decode_event(m.value()).error for m in read(embedded_broker, 4)} == {None}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.embedded
def test_a_message_that_is_refused_holds_up_nothing_behind_it(
    embedded_broker: EmbeddedBroker,
) -> None:
    config = {"bootstrap.servers": embedded_broker.bootstrap_servers, "message.max.bytes": 100_000}
    publisher = Publisher(config)
    large = event("large", "candidate", "".join(map(chr, range(0x4E00, 0x9E00))) * 3)
    assert publisher.publish(event("large", "stable"), large)
    assert all(publisher.publish(*pair(f"small {n}")) for n in range(3))
    assert publisher.failed == 1
    assert publisher.close()
