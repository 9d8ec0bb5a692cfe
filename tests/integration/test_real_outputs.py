"""Publish → Kafka → worker → ClickHouse, every figure held against the oracle.

The same tests run on real model outputs, where those can be had, and on the simulated gateway's.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import xxhash

from tests.brokers.contract import Broker
from tests.integration.oracle import Report, Request, differences, join
from tests.integration.path import WholePath, run_whole_path
from tests.integration.real_outputs import real_events
from tests.integration.topic_log import partition_of
from understudy.analyzers.compare.language import detect_language
from understudy.analyzers.windows.rows import latest, row_key, total
from understudy.schemas.topics import Topics, understudy_topics
from understudy.schemas.windows import WindowsMessage
from understudy.streams.demo.simulator import simulate
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.replay.report import report

pytestmark = pytest.mark.integration

PAIRS_PER_FILE = 300
SIMULATED_PAIRS = 2200
SIMULATED_FROM = dt.datetime(2025, 3, 3, tzinfo=dt.UTC)
ORACLE = Report(detect_language)


@pytest.fixture(scope="module", params=["simulated", pytest.param("real", marks=pytest.mark.data)])
def path(
    request: pytest.FixtureRequest, kafka_broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WholePath]:
    """One run for all tests of a recording."""
    if request.param == "real":
        lines = real_events(request.getfixturevalue("model_outputs_dir"), PAIRS_PER_FILE)
    else:
        lines = simulated_lines(SIMULATED_PAIRS)
    folder: Path = tmp_path_factory.mktemp(request.param)
    topics = _own_topics(kafka_broker, folder.name)
    return run_whole_path(lines, kafka_broker, topics, folder)


def _own_topics(broker: Broker, name: str) -> Topics:
    topics = understudy_topics(f"{name}-{dt.datetime.now(dt.UTC):%H%M%S%f}.", event_partitions=3)
    ensure_topics({"bootstrap.servers": broker.bootstrap_servers}, topics)
    return topics


def simulated_lines(pairs: int) -> list[bytes]:
    """What the simulated gateway writes, with more disorder than it has by itself."""
    messages = simulate(seed=3, pairs=pairs, healthy=False, start=SIMULATED_FROM, rate_per_s=8.0)
    lines = [message.payload for message in messages]
    for number, place in enumerate(range(100, len(lines), 400)):
        line = lines[place]
        lines.insert(place + 1, (line, line[:99], b"{}", line.replace(b'"s', b'"x'))[number % 4])
    return lines


def test_the_recording_has_everything_in_it(path: WholePath) -> None:
    """Else the other tests prove less than they seem to."""
    account = path.account
    assert len(account.pairs) > 2000
    assert min(map(len, (account.unmatched, account.duplicate, account.invalid))) > 0
    assert account.late
    assert any("control" in pair.sides for pair in account.pairs)
    languages = {ORACLE.slice_of(pair)[2] for pair in account.pairs}
    assert {"en", "de", "ja", "ar", "zh-Hans"} <= languages


def test_report_from_clickhouse_equals_the_oracle(path: WholePath) -> None:
    expected = ORACLE.document(path.account)
    assert differences(expected, report(path.windows, sum(map(len, path.log)))) == []


def test_report_of_replay_equals_the_oracle(path: WholePath) -> None:
    """Replay takes events by their times; a line without a time stays after the one before it."""
    moment, timed = "", []
    for line in path.lines:
        found = re.search(rb'"request_time": ?"([^"]+)"', line)
        moment = found[1].decode() if found else moment
        timed.append((moment, line))
    ordered = [line for _, line in sorted(timed, key=lambda one: one[0])]
    counted = {k: v for k, v in path.replayed.items() if k not in ("invalid", "order")}
    assert differences(ORACLE.document(join(ordered)), counted) == []


def test_every_window_equals_the_oracle(path: WholePath) -> None:
    """Per partition, window and slice; the same names, and the same figures."""
    expected: dict[tuple[object, ...], list[Request]] = {}
    for number, account in enumerate(path.accounts):
        for request in account.pairs + account.singles:
            name = (*ORACLE.slice_of(request), request.window_ms, number)
            expected.setdefault(name, []).append(request)
    compared = {
        (r.rollout_id, r.mode, r.language, r.workflow or None, _ms(r.window_start), r.partition): r
        for r in path.windows
        if r.stable.requests or r.candidate.requests
    }
    assert compared.keys() == expected.keys()
    for name, requests in expected.items():
        (rollout,) = report([compared[name]], 0)["rollouts"]
        _, found = rollout["slices"]
        assert differences(ORACLE.slice(*name[1:4], requests), found) == [], name  # type: ignore[arg-type]


def _ms(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


def test_controls_equal_the_oracle(path: WholePath) -> None:
    controls = [pair for pair in path.account.pairs if "control" in pair.sides]
    whole = total(path.windows).control
    outputs = [
        [(p.sides[s].get("response") or {}).get("output") for s in ("stable", "control")]
        for p in controls
        if not any(p.sides[s].get("error") for s in ("stable", "control"))
    ]
    texts = [(stable, control) for stable, control in outputs if stable and control]
    assert whole.pairs == len(controls)
    assert whole.answered == len(outputs)
    assert (whole.texts, whole.identical) == (len(texts), sum(a == b for a, b in texts))


def test_every_event_is_accounted_for_in_each_partition(path: WholePath) -> None:
    for number, account in enumerate(path.accounts):
        mine = [row for row in path.windows if row.partition == number]
        counted = msgspec.to_builtins(total(mine).events)
        assert account.accounted() == account.read == len(path.log[number])
        assert sum(counted.values()) + len(account.pending) == account.read
        assert counted.get("late", 0) == len(account.late)
        assert counted.get("duplicate", 0) == len(account.duplicate)


def test_closed_says_whether_more_may_come(path: WholePath) -> None:
    """A window is closed once the watermark has left it 130 s behind."""
    for number, account in enumerate(path.accounts):
        watermark = max(request.time_ms for request in account.pairs + account.singles)
        for row in (r for r in path.windows if r.partition == number and r.pair.pairs):
            gone = _ms(row.window_start) + 10_000 + 130_000 <= watermark
            assert row.closed >= gone, row.window_start


def test_the_topic_and_clickhouse_hold_the_same_windows(path: WholePath) -> None:
    messages = [msgspec.json.decode(r.value, type=WindowsMessage) for r in path.windows_topic]
    from_topic = latest(row for message in messages for row in message.rows)
    streamed, stored = ({row_key(row): row for row in rows} for rows in (from_topic, path.windows))
    assert streamed.keys() == stored.keys()
    assert [key for key, row in streamed.items() if row != stored[key]] == []
    assert {r.key for r in path.windows_topic} == {m.rollout_id.encode() for m in messages}


def test_one_comparison_for_each_request(path: WholePath) -> None:
    account = path.account
    expected = Counter(
        (next(iter(request.sides.values()))["rollout_id"], pair_id, len(request.sides))
        for request in account.pairs + account.singles
        for pair_id in {side["pair_id"] for side in request.sides.values()}
    )
    found = Counter(
        (row["rollout_id"], row["pair_id"],
         row["has_stable"] + row["has_candidate"] + row["has_control"])
        for row in path.comparisons
    )  # fmt: skip
    assert found == expected
    answered = [row for row in path.comparisons if row["pair_answered"]]
    pairs = [request.sides for request in account.pairs]
    both = [p for p in pairs if not p["stable"].get("error") and not p["candidate"].get("error")]
    assert len(answered) == len(both)


def test_hashes_are_those_of_the_outputs(path: WholePath) -> None:
    hashes = {
        (row["rollout_id"], row["pair_id"], side): row[f"{side}_output_hash"]
        for row in path.comparisons
        for side in ("stable", "candidate")
    }
    texts = 0
    for request in path.account.pairs + path.account.singles:
        for side in request.sides.keys() & {"stable", "candidate"}:
            event = request.sides[side]
            output = not event.get("error") and event["response"].get("output")
            expected = xxhash.xxh64_intdigest(output.encode()) if output else 0
            assert hashes[event["rollout_id"], event["pair_id"], side] == expected
            texts += bool(output)
    assert path.hashes == {"compared": texts, "wrong": 0}


def test_comparisons_hold_no_text(path: WholePath) -> None:
    """Only measures and hashes: nothing that a user or a model wrote."""
    longest = max(
        (str(value) for row in path.comparisons for name, value in row.items()
         if isinstance(value, str) and not name.endswith(("_id", "_time", "_start", "_model"))),
        key=len,
    )  # fmt: skip
    assert len(longest) <= 64, longest


def test_unmatched_and_late_sides_have_their_rows(path: WholePath) -> None:
    account = path.account
    expected = Counter(
        (event["rollout_id"], event["pair_id"], event["side"], reason)
        for reason, some in (("timeout", account.unmatched), ("late", account.late))
        for event, _ in some
    )
    found = Counter(
        (row["rollout_id"], row["pair_id"], row["side"], row["reason"]) for row in path.unmatched
    )
    assert found == expected


def test_dead_letters_say_where_they_came_from_and_why(path: WholePath) -> None:
    expected = {
        (number, offset): (reason, path.log[number][offset].value)
        for number, account in enumerate(path.accounts)
        for reason, offset in account.invalid
    }
    found = {}
    for letter in path.dead_letters:
        headers = {name: value.decode() for name, value in letter.headers.items()}
        assert headers["topic"] == path.topics.events.name
        assert headers["detail"]
        place = (int(headers["partition"]), int(headers["offset"]))
        assert place not in found
        found[place] = (headers["reason"], letter.value)
    assert found == expected


def test_publish_keys_and_partitions_like_the_java_client(path: WholePath) -> None:
    records = [record for log in path.log for record in log]
    assert sorted(record.value for record in records) == sorted(path.lines)
    keyed = [record for record in records if record.key is not None]
    assert len(keyed) > 0.98 * len(records)
    for record in keyed:
        assert record.key is not None
        assert partition_of(record.key, len(path.log)) == record.partition
    printed = rf"{len(path.lines):,} events written to \S+ in [\d.]+ s\n"
    assert re.match(printed, path.published.decode())


def test_the_worker_ends_well_and_prints_nothing_on_stdout(path: WholePath) -> None:
    assert path.exit_code == 0
    assert path.worker_stdout == b""


def test_the_oracle_would_notice(path: WholePath) -> None:
    """An answer changed by hand shows as a difference, so agreement means something."""
    pairs = [p for p in path.account.pairs if not any(s.get("error") for s in p.sides.values())]
    some = [pair for pair in pairs if pair.sides["stable"]["response"].get("output")][:20]
    honest = ORACLE.slice("shadow", None, None, some)
    assert differences(honest, ORACLE.slice("shadow", None, None, some)) == []
    for change in (
        {"error": {"type": "made up"}},
        {"response": {**some[0].sides["candidate"]["response"], "output": "something else"}},
        {"usage": {**some[0].sides["candidate"]["usage"], "cost_usd": 0.5}},
        {"timing": {"duration_ms": 1e6}},
    ):
        sides = {**some[0].sides, "candidate": {**some[0].sides["candidate"], **change}}
        forged = [replace(some[0], sides=sides), *some[1:]]
        assert differences(honest, ORACLE.slice("shadow", None, None, forged)), change
