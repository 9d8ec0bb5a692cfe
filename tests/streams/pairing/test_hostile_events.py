"""Nothing in the log stops a worker: whatever a valid event says becomes rows, blocks and messages.

Events are drawn from the whole of the contract, at its limits more often than within them, and
taken all the way that a worker takes them: into ClickHouse, and into messages that deciding reads.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from tests.streams.pairing.log import event, opinion
from understudy.schemas.topics import understudy_topics
from understudy.schemas.windows import WindowsMessage
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.pairing.clickhouse_results import ClickHouseResults
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.feedback_partition import FeedbackPartition
from understudy.streams.pairing.kafka_results import KafkaResults
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.partition_state import PartitionState
from understudy.streams.pairing.records import JointOutput, RecordBatch

POLICY = PairingPolicy(join_timeout_s=20, allowed_lateness_s=20, max_join_bytes=400_000)
FAR_MS = 4_200_000_000_000
"""A record timestamp after all times that are read."""

TIMES = (
    "2000-01-01T00:00:00Z", "1999-12-31T12:00:00-13:00", "2099-12-31T23:59:59.999999Z",
    "2026-02-28T23:59:60Z", "2026-06-30T12:00:00.0000001+14:00", "0001-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-14:00", "1970-01-01T00:00:00Z", "2100-01-01T00:00:00+00:01",
)  # fmt: skip
TEXTS = (
    "", " ", "\x00", "a\x00b", "\x1b[31m", "\u202e", "\ufeff", "e\u0301", "😀" * 40, "ᄀ" * 100,
    "'; DROP TABLE windows; --", "\\", '"', "%s%n", "{{}}", "null", "\u2028", "ﷺ" * 60, "a" * 128,
    "-" * 35, "zh-Hans", "en-x-" + "a" * 8, "i-klingon", "x", "\U0010ffff", "\ud7ff",
)  # fmt: skip
OUTPUTS = (
    "", "[" * 5000, "{}", '{"a":' * 200, '{"a": 1e999}', "[1e308, -1e308, 1e-320]", "9" * 5000,
    '{"": {"": {"": 0}}}', '["\\ud800"]', "\x00", "x" * 5000, "```json\n{}\n```", "NaN",
    '{"a": 1, "a": 2}', "[" + "1," * 3000 + "1]", "ﷺ" * 3000, '{"' + "k" * 3000 + '": 1}',
    '[' + '{"i": 1},' * 500 + '{"j": 2}]', "\u202e\u200d" * 500,
)  # fmt: skip
NUMBERS: dict[str, tuple[Any, ...]] = {
    "duration_ms": (0, 0.0, 5e-324, 1e-9, 1.5, 604_800_000.0, 604_799_999.9999999),
    "time_to_first_token_ms": (0, 5e-324, 604_800_000.0),
    "input_tokens": (0, 1, 2**31 - 1),
    "output_tokens": (0, 1, 2**31 - 1),
    "cost_usd": (0, 5e-324, 1e-12, 0.1, 1000.0, 999.9999999999999),
    "status": (0, 200, 408, 504, 999),
    "attempts": (1, 2, 1000),
}


class Drawn:
    """Draws valid events, and some that are not."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def event(self) -> bytes:
        rng = self._rng
        mode, sides = rng.choice(
            (("shadow", ["stable", "candidate"]), ("interleave", ["candidate", "stable"]),
             ("shadow", ["stable", "candidate", "control"]), ("canary", ["candidate"]),
             ("ab", ["stable"]))
        )  # fmt: skip
        changes: dict[str, Any] = {
            "mode": mode, "sides": sides,
            "rollout_id": self._text(("r", "r", "r2")).replace("/", "-") or "r",
            "served": rng.random() < 0.5, "language": self._text((None, "en"))[:35],
            "workflow": self._text((None, "chat")), "request": self._request(),
            "response": self._response(), "error": self._maybe({
                "type": self._text(("timeout",)), "status": self._number("status")}),
            "usage": self._numbers("input_tokens", "output_tokens", "cost_usd"),
            "timing": self._numbers("duration_ms", "time_to_first_token_ms"),
            "fallback": self._maybe({
                "used": rng.random() < 0.5, "model": self._text((None,)),
                "attempts": self._number("attempts"), "final": rng.choice((None, True, False))}),
            "attributes": self._maybe({f"k{n}": "v" * n for n in range(rng.choice((0, 3, 500)))}),
        }  # fmt: skip
        if rng.random() < 0.1:
            changes["request_time"] = rng.choice(TIMES)
        usual = f"p{rng.randrange(40)}"
        name = rng.choice((usual, usual, self._text(("p",)) or "p"))
        return event(name, rng.choice(sides), rng.random() * 90, **changes)

    def opinion(self) -> bytes:
        rng = self._rng
        changes: dict[str, Any] = {
            "language": self._text((None, "en"))[:35], "workflow": self._text((None,)),
            "name": self._text(("thumbs",)), "score_label": self._text((None,)),
            "score_value": rng.choice((0, 1, 5e-324, 0.5, 0.49999999999999994)),
            "mode": rng.choice(("shadow", "interleave", "canary", "ab")),
        }  # fmt: skip
        if rng.random() < 0.1:
            changes[rng.choice(("feedback_time", "request_time"))] = rng.choice(TIMES)
        return opinion(f"p{rng.randrange(40)}", rng.random() * 90, **changes)

    def _text(self, usual: tuple[str | None, ...]) -> Any:
        given = self._rng.choice(usual) if self._rng.random() < 0.6 else self._rng.choice(TEXTS)
        return given or ""

    def _maybe(self, value: Any) -> Any:
        return value if self._rng.random() < 0.3 else None

    def _number(self, name: str) -> Any:
        return self._rng.choice((None, *NUMBERS[name]))

    def _numbers(self, *names: str) -> Any:
        return self._rng.choice((None, {name: self._number(name) for name in names}))

    def _request(self) -> Any:
        rng = self._rng
        return self._maybe({
            "prompt": rng.choice((None, *OUTPUTS)), "schema_id": self._text((None,)),
            "expects": rng.choice(("text", "json", "json_schema")),
            "tools": rng.choice((None, [], ["f"], list(TEXTS))),
        })  # fmt: skip

    def _response(self) -> Any:
        rng = self._rng
        arguments = rng.choice((None, {}, {"a": {"b": [1e308]}}, "{", "{}", [1], OUTPUTS[1]))
        return rng.choice((None, {
            "model": self._text(("m",)), "output": rng.choice((None, "hello", *OUTPUTS)),
            "finish_reason": self._text((None, "stop", "length")), "stream": rng.random() < 0.5,
            "tool_calls": rng.choice((None, [], [
                {"name": rng.choice(TEXTS), "arguments": arguments}] * rng.choice((1, 60)))),
        }))  # fmt: skip


@pytest.fixture(scope="module")
def client(clickhouse_url: str) -> Iterator[Client]:
    """All tables of the release."""
    client = connect(clickhouse_url, database=f"test_{uuid.uuid4().hex[:12]}")
    migrate(client)
    yield client
    client.command(f"DROP DATABASE {client.database}")
    client.close()


class Sent:
    """Stands for the producer; reads what it is given as deciding does."""

    def __init__(self) -> None:
        self.messages = 0

    def send(self, topic: str, value: bytes | None, key: Any = None, **_: Any) -> None:
        self.messages += 1
        if topic.endswith("windows"):
            msgspec.json.decode(value or b"", type=WindowsMessage)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("state_type", "draw"), [
    (Partition, Drawn.event), (FeedbackPartition, Drawn.opinion),
])  # fmt: skip
def test_no_valid_record_stops_a_worker(
    seed: int, state_type: type[PartitionState], draw: Any, client: Client
) -> None:
    drawn, sent = Drawn(seed), Sent()
    state = state_type(0, POLICY)
    loader = Loader(lambda: client)
    store = ClickHouseResults(loader, POLICY.window_ms, state.source)
    results = KafkaResults(sent, understudy_topics())  # type: ignore[arg-type]
    for batch in range(12):
        payloads = [draw(drawn) for _ in range(50)]
        offsets = range(50 * batch, 50 * batch + 50)
        outcome = state.process(RecordBatch(payloads, offsets, [FAR_MS] * 50, [b"\xff/\x00"] * 50))
        changed = state.changed_rows()
        store.put(JointOutput({0: outcome}, outcome.comparisons))
        store.put_rows(changed.rows, {0: state.position})
        results.send_rows([changed])
        results.send_dead_letters(outcome.dead_letters, "events", 0)
        commit = state.safe_commit(state.position)
        assert commit is not None
        assert commit.metadata.encode()
    assert loader.flush(30)
    assert state.tally.accounted() + state.waiting_sides == state.tally.read == 600
    assert state.tally.invalid < 300, "most of what is drawn is valid"
    assert sent.messages
