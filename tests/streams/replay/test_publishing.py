"""Publishing: keys as the service expects them, and a forecast of what becomes of the records."""

from __future__ import annotations

import pytest

from tests.integration.bad_input import DEEP, event
from understudy.streams.kafka.partitioner import partition_of
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.publishing import Publisher, TooLate, key_of

NOON_MS = 1_741_003_200_000
POLICY = PairingPolicy(join_timeout_s=120)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (event("p"), b"r/p"),
        (event("p/q"), b"r/p/q"),
        (event("日本"), "r/日本".encode()),
        (event("p", conversation_id="c/1", turn=2), b"r/c/1"),
        (event("p", conversation_id="c", turn=0), b"r/c"),
        (event("p", conversation_id=None), b"r/p"),
        (event("p", conversation_id=""), b"r/p"),
        (event("p", conversation_id=7), b"r/"),
        (event("p", schema_version=9), b"r/p"),
        (event("p", side="both"), b"r/p"),
        (event("p", pair_id=7), b"r/"),
        (event("p", pair_id=...), b"r/"),
        (event("p", rollout_id=7), None),
        (event("p", rollout_id=...), None),
        (b"[]", None),
        (b"{", None),
        (b"\xff", None),
        (b"[" * DEEP, None),
        (b"", None),
    ],
)
def test_the_key_is_rollout_and_conversation_or_pair(line: bytes, key: bytes | None) -> None:
    assert key_of(line) == key


def test_a_rating_has_the_key_of_its_pair() -> None:
    assert key_of(event("p", conversation_id="c", turn=2), "feedback") == b"r/p"


def at(second: int) -> bytes:
    moment = f"2025-03-03T12:{second // 60:02}:{second % 60:02}Z"
    return event(f"p{second}", request_time=moment)


def published(
    lines: list[bytes], newest_ms: dict[int, int | None], *, include_late: bool = False
) -> tuple[Publisher, list[bytes]]:
    sent: list[bytes] = []
    publisher = Publisher("events", POLICY, newest_ms, lambda line, _: sent.append(line))
    publisher.publish(iter(lines), include_late=include_late)
    return publisher, sent


def test_what_the_partition_holds_decides_what_is_late() -> None:
    lines = [at(second) for second in range(0, 400, 10)]
    newest = {0: NOON_MS + 200_000, 1: None}
    publisher, sent = published(lines, newest, include_late=True)
    late = [
        line
        for second, line in zip(range(0, 400, 10), lines, strict=True)
        if second < 80 and partition_of(key_of(line) or b"", 2) == 0
    ]
    assert 0 < publisher.publication.late == len(late) < 8
    assert sent == lines


def test_late_events_are_refused_before_the_first_is_sent() -> None:
    lines = [*(at(60 * n) for n in range(13)), *(at(780 + n) for n in range(27))]
    sent: list[bytes] = []
    newest: dict[int, int | None] = {0: NOON_MS + 900_000}
    publisher = Publisher("events", POLICY, newest, lambda line, _: sent.append(line))
    with pytest.raises(TooLate, match="13 of the 40 oldest events lie more than 120 s before"):
        publisher.publish(iter(lines), include_late=False)
    assert sent == []


def test_few_late_events_are_written_and_counted() -> None:
    publisher, sent = published([at(0), *(at(600 + n) for n in range(30))], {0: NOON_MS + 500_000})
    assert (publisher.publication.late, len(sent)) == (1, 31)


def test_nothing_is_late_in_an_empty_topic() -> None:
    assert published([at(0)], {})[0].publication.late == 0
    assert published([at(0)], {0: None})[0].publication.late == 0
