"""The state of one partition: each rule of pairing, one case each."""

from __future__ import annotations

import datetime as dt
import gc
import random
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.streams.pairing.log import EPOCH, Log, event
from tests.streams.pairing.random_logs import random_log
from understudy.analyzers.compare.arrays import select
from understudy.analyzers.windows.drawn_rows import window_rows
from understudy.analyzers.windows.rows import latest, total
from understudy.schemas.events import InvalidReason
from understudy.schemas.windows import WindowRow
from understudy.streams.pairing import event_partition
from understudy.streams.pairing.commit_rule import CommitMetadata
from understudy.streams.pairing.comparison import Comparisons
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.records import RecordBatch

PUSH = 45.0
"""A request this late moves the watermark past the timeout and the lateness of second 0."""
YEAR_1 = "0001-01-01T00:00:00+01:00"


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        pytest.param([event("a"), event("a", "candidate")], {"paired": 2}, id="pair"),
        pytest.param([event("a", "candidate"), event("a")], {"paired": 2}, id="other order"),
        pytest.param([event("a")], {}, id="waits"),
        pytest.param([event("a"), event("b", at_s=30.0)], {}, id="just waits at the timeout"),
        pytest.param(
            [event("a"), event("b", at_s=30.001)], {"unmatched_stable": 1}, id="past the timeout"
        ),
        pytest.param(
            [event("a"), event("b", at_s=30.0), event("a", "candidate")],
            {"paired": 2},
            id="joins at the timeout",
        ),
        pytest.param(
            [event("a"), event("b", at_s=30.001), event("a", "candidate")],
            {"unmatched_stable": 1, "late": 1},
            id="late after the timeout",
        ),
        pytest.param([event("a"), event("a")], {"duplicate": 1}, id="duplicate while waiting"),
        pytest.param(
            [event("a"), event("a", "candidate"), event("a"), event("a", "candidate")],
            {"paired": 2, "duplicate": 2},
            id="duplicates of a pair",
        ),
        pytest.param(
            [event("a"), event("b", at_s=PUSH), event("a")],
            {"unmatched_stable": 1, "late": 1},
            id="late copy is late, not duplicate",
        ),
        pytest.param(
            [event("a"), event("a", "candidate", at_s=5.001)], {"invalid": 1}, id="other time"
        ),
        pytest.param(
            [event("a"), event("a", "candidate", mode="interleave")],
            {"invalid": 1},
            id="other mode",
        ),
        pytest.param(
            [event("a"), event("a", "candidate", language="ja")],
            {"invalid": 1},
            id="other language",
        ),
        pytest.param(
            [event("a", language="zh-CN"), event("a", "candidate", language="zh-Hans")],
            {"paired": 2},
            id="same language written otherwise",
        ),
        pytest.param(
            [event("a", language=None), event("a", "candidate", language="ja")],
            {"paired": 2},
            id="language on one side",
        ),
        pytest.param(
            [event("a", workflow="x"), event("a", "candidate")], {"invalid": 1}, id="workflow"
        ),
        pytest.param(
            [event("a", mode="canary", sides=["stable"])], {"single": 1}, id="single in canary"
        ),
        pytest.param(
            [event("a", "candidate", mode="ab", sides=["candidate"])] * 2,
            {"single": 1, "duplicate": 1},
            id="single twice",
        ),
        pytest.param([event("a"), b"{", None, b"[]"], {"invalid": 3}, id="invalid"),
        pytest.param([b"{", event("a")], {"invalid": 1}, id="invalid before the first watermark"),
        pytest.param([event("a"), event("b", at_s=50 * 365 * 86400.0)], {"invalid": 1}, id="2076"),
        pytest.param(
            [event("a"), event("b", request_time="2000-01-01T00:00:00Z")], {"late": 1}, id="2000"
        ),
        pytest.param([event("a"), event("b", request_time=YEAR_1)], {"invalid": 1}, id="year 1"),
        pytest.param([event("b", request_time=YEAR_1), event("a")], {"invalid": 1}, id="1 first"),
        pytest.param([event("a", rollout_id="nobody-knows-it")], {}, id="unknown rollout"),
        pytest.param([event("a"), event("a", "candidate", at_s=5.0)], {"paired": 2}, id="skewed"),
        pytest.param([event("a", at_s=5.0), event("a", "candidate")], {"paired": 2}, id="skew −"),
        pytest.param(
            [event("a"), event("a", at_s=0.003), event("a", "candidate")],
            {"paired": 2, "duplicate": 1},
            id="skewed copy",
        ),
        pytest.param(
            [event("a"), event("a", "candidate"), event("a", at_s=30.001)],
            {"paired": 2},
            id="used again beyond the timeout, nothing between",
        ),
        pytest.param(
            [event("a"), event("a", "candidate"), event("a", at_s=20.0), event("a", at_s=49.9)],
            {"paired": 2, "invalid": 2},
            id="used again within the timeout of what was refused",
        ),
    ],
)
def test_every_event_ends_in_one_place(payloads: list[bytes], expected: dict[str, int]) -> None:
    together = Log().read(*payloads)
    assert together.events == expected
    assert together.balance() == 0
    apart = Log()
    for payload in payloads:
        apart.read(payload)
    assert apart.events == expected
    assert apart.balance() == 0


def failed(attempts: int | None = None, final: bool | None = None, **changes: Any) -> bytes:
    """A failed attempt of the candidate."""
    fallback = {"attempts": attempts, "final": final}
    fields = {"side": "candidate", "response": None, "error": {"type": "timeout"}, **changes}
    return event("a", fallback=fallback, **fields)


def answered(attempts: int | None = None, final: bool | None = None, **changes: Any) -> bytes:
    fallback = {"attempts": attempts, "final": final}
    return event("a", **{"side": "candidate", "fallback": fallback, **changes})


CANARY = {"mode": "canary", "sides": ["candidate"]}
GRACE = event("b", at_s=2.0)
"""Ends the grace of whatever was read at second 0."""


@pytest.mark.parametrize(
    ("payloads", "expected", "errors"),
    [
        ([event("a"), failed(1), answered(2)], {"paired": 2, "superseded": 1}, 0),
        ([failed(1), answered(2), event("a")], {"paired": 2, "superseded": 1}, 0),
        ([failed(1), event("a"), answered(2)], {"paired": 2, "superseded": 1}, 0),
        ([event("a"), failed(1), failed(2), answered(3)], {"paired": 2, "superseded": 2}, 0),
        ([event("a"), failed(1), failed(2, final=True), answered(3)],
         {"paired": 2, "superseded": 1, "duplicate": 1}, 1),
        ([event("a"), failed(1), failed(1), answered(2)],
         {"paired": 2, "superseded": 1, "duplicate": 1}, 0),
        ([event("a"), failed(2), answered(1), GRACE], {"paired": 2, "duplicate": 1}, 1),
        ([event("a"), failed(1), GRACE, answered(2)], {"paired": 2, "duplicate": 1}, 1),
        ([event("a"), failed(1), event("b", at_s=1.999), answered(2)],
         {"paired": 2, "superseded": 1}, 0),
        ([event("a"), failed(1), GRACE], {"paired": 2}, 1),
        ([event("a"), failed(1)], {}, 0),
        ([event("a"), failed()], {"paired": 2}, 1),
        ([event("a"), failed(), answered(2)], {"paired": 2, "duplicate": 1}, 1),
        ([event("a"), failed(1, final=True)], {"paired": 2}, 1),
        ([event("a"), failed(1, final=False), event("b", at_s=30.0), answered(2)],
         {"paired": 2, "superseded": 1}, 0),
        ([event("a"), failed(1, final=False), event("b", at_s=30.001)], {"paired": 2}, 1),
        ([event("a"), answered(1, final=False), event("b", at_s=30.001)], {"paired": 2}, 1),
        ([event("a"), failed(final=False), answered(final=True)],
         {"paired": 2, "superseded": 1}, 0),
        ([event("a"), failed(final=False), failed(final=False), answered()],
         {"paired": 2, "superseded": 1, "duplicate": 1}, 0),
        ([failed(1, final=False), event("b", at_s=30.001)], {"unmatched_candidate": 1}, 0),
        ([event("a"), failed(1), answered(2, mode="interleave")], {"invalid": 1}, 0),
        ([failed(1, **CANARY), answered(2, **CANARY)], {"single": 1, "superseded": 1}, 0),
        ([failed(1, **CANARY), GRACE, answered(2, **CANARY)], {"single": 1, "duplicate": 1}, 1),
        ([failed(1, final=False, **CANARY), event("b", at_s=30.001)], {"single": 1}, 1),
        ([failed(1, **CANARY)], {}, 0),
    ],
)  # fmt: skip
def test_a_later_attempt_replaces_an_earlier_one(
    payloads: list[bytes], expected: dict[str, int], errors: int
) -> None:
    together = Log().read(*payloads)
    apart = Log()
    for payload in payloads:
        apart.read(payload)
    for log in (together, apart):
        assert log.events == expected
        assert total(latest(log.rows)).candidate.errors == errors
        assert log.balance() == 0


def test_twenty_of_twenty_requests_that_succeed_at_the_second_attempt_are_no_errors() -> None:
    log = Log()
    for number in range(20):
        failure = {"response": None, "error": {"type": "500"}, "fallback": {"attempts": 1}}
        log.read(
            event(f"p{number}", at_s=number),
            event(f"p{number}", "candidate", at_s=number, **failure),
            event(f"p{number}", "candidate", at_s=number, fallback={"attempts": 2}),
        )
    assert log.events == {"paired": 40, "superseded": 20}
    whole = total(latest(log.rows))
    assert (whole.candidate.errors, whole.candidate.retries, whole.pair.pairs) == (0, 20, 20)


def test_a_pair_has_the_time_of_the_side_that_is_read_first() -> None:
    log = Log().read(event("a", at_s=11.0), event("a", "candidate", at_s=9.0))
    log.read(event("b", at_s=12.0), event("b", "candidate", at_s=12.0))
    (pairs,) = [row for row in latest(log.rows) if row.pair.pairs]
    assert pairs.window_start == EPOCH + dt.timedelta(seconds=10)
    assert (pairs.pair.pairs, pairs.pair.request_time_skewed) == (2, 1)
    at_s = [ms / 1000 - EPOCH.timestamp() for one in log.outcomes for some in one.comparisons
            for ms in some.requests.request_time_ms.tolist()]  # fmt: skip
    assert at_s == [11.0, 12.0]


def test_a_side_given_up_counts_with_its_pair() -> None:
    """The window of its own time may have closed: the pair waited for its own timeout."""
    log = Log().read(event("a", at_s=10.0, sides=SIDES3))
    log.read(event("a", "control", at_s=9.9, sides=SIDES3), event("push", at_s=40.0))
    assert log.events == {}
    log.read(event("push2", at_s=40.001))
    counted = [row for row in latest(log.rows) if row.events.unmatched_control]
    assert [row.window_start for row in counted] == [EPOCH + dt.timedelta(seconds=10)]


@pytest.mark.parametrize(
    ("time", "is_read"),
    [
        ("0001-01-01T00:00:00+01:00", False),
        ("1800-06-01T00:00:00Z", False),
        ("1999-12-31T23:59:59.999Z", False),
        ("2000-01-01T00:30:00+01:00", False),
        ("2000-01-01T00:00:00Z", True),
        ("1999-12-31T23:30:00-01:00", True),
        ("2099-12-31T23:59:59.999Z", True),
        ("2099-12-31T23:30:00-01:00", False),
        ("2100-01-01T00:30:00+01:00", True),
        ("2100-01-01T00:00:00Z", False),
        ("9999-12-31T23:59:59.999-14:00", False),
    ],
)
def test_times_that_no_clock_shows_are_dead_letters(time: str, is_read: bool) -> None:
    log = Log().read(event("a", request_time=time), timestamp_s=1e10)
    assert log.reasons == ([] if is_read else [InvalidReason.TIME_RANGE])
    assert log.state.waiting_sides == is_read


def test_which_bound_gave_a_side_up_does_not_depend_on_where_batches_are_cut() -> None:
    filler = event("filler", mode="canary", sides=["stable"])
    policy = PairingPolicy(join_timeout_s=30, allowed_lateness_s=30, max_join_bytes=3 * len(filler))
    payloads = [
        event("far"), filler, filler, b"{", filler, event("timed-out", at_s=1.0), filler,
        event("push", at_s=33.0), filler, filler, filler, filler,
        event("far", "candidate", at_s=33.0), event("push2", at_s=70.0),
    ]  # fmt: skip
    expected = reasons_of(Log(policy).read(*payloads))
    assert {(0, "memory"), (5, "timeout"), (7, "memory")} <= expected
    for cut in range(1, len(payloads)):
        for further in range(cut, len(payloads)):
            log = Log(policy).read(*payloads[:cut]).read(*payloads[cut:further])
            assert reasons_of(log.read(*payloads[further:])) == expected, (cut, further)


def reasons_of(log: Log) -> set[tuple[int, str]]:
    """Offsets of unmatched sides, and why."""
    return {(one.side.offset, one.reason) for out in log.outcomes for one in out.unmatched}


SIDES3 = ["stable", "candidate", "control"]


@pytest.mark.parametrize(
    ("sides", "expected", "pairs", "controls"),
    [
        (["stable", "candidate", "control"], {"paired": 3}, 1, 1),
        (["control", "candidate", "stable"], {"paired": 3}, 1, 1),
        (["stable", "candidate"], {"paired": 2}, 1, 0),
        (["stable", "control"], {"unmatched_stable": 1, "unmatched_control": 1}, 0, 0),
        (["control"], {"unmatched_control": 1}, 0, 0),
    ],
)
def test_control_sides(
    sides: list[str], expected: dict[str, int], pairs: int, controls: int
) -> None:
    log = Log().read(*(event("a", side, sides=SIDES3) for side in sides))
    log.read(event("push", at_s=PUSH))
    whole = total(latest(log.rows))
    assert log.events == expected
    assert (whole.pair.pairs, whole.control.pairs) == (pairs, controls)


FAILED: dict[str, Any] = {"response": None, "error": {"type": "timeout"}}
UNFINISHED: dict[str, Any] = {"response": None, "fallback": {"attempts": 1, "final": False}}


def lost_in(log: Log) -> dict[str, int]:
    """Non-zero counts of requests that lost a side, over all windows."""
    pair = msgspec.to_builtins(total(latest(log.rows)).pair)
    return {name: count for name, count in pair.items() if name.startswith("lost_")}


@pytest.mark.parametrize(
    ("came", "lost"),
    [
        ([("stable", {})], {"lost_candidate": 1}),
        ([("candidate", {})], {"lost_stable": 1}),
        ([("stable", FAILED)], {"lost_candidate": 1, "lost_candidate_stable_errors": 1}),
        ([("candidate", FAILED)], {"lost_stable": 1, "lost_stable_candidate_errors": 1}),
        ([("stable", UNFINISHED)], {"lost_candidate": 1, "lost_candidate_stable_errors": 1}),
        ([("stable", {}), ("stable", {})], {"lost_candidate": 1}),
        ([("stable", {}), ("candidate", {})], {}),
        ([("stable", {}), ("candidate", {"workflow": "other"})], {}),
    ],
)
def test_a_side_that_never_came_is_lost(
    came: list[tuple[str, dict[str, Any]]], lost: dict[str, int]
) -> None:
    """One that came and disagrees is no loss but a dead letter."""
    log = Log().read(*(event("a", side, **changes) for side, changes in came))
    log.read(event("push", at_s=PUSH))
    assert lost_in(log) == lost
    assert log.balance() == 0


@pytest.mark.parametrize("first", ["stable", "candidate"])
def test_a_request_with_a_control_is_lost_once(first: str) -> None:
    missing = {"stable": "lost_candidate", "candidate": "lost_stable"}[first]
    sides = {"sides": SIDES3}
    log = Log().read(event("a", "control", **sides, **FAILED), event("a", first, **sides))
    log.read(event("b", "control", **sides), event("push", at_s=PUSH))
    assert lost_in(log) == {missing: 1}


def test_sides_alone_for_want_of_memory_or_for_lateness_are_not_lost() -> None:
    policy = PairingPolicy(join_timeout_s=30, allowed_lateness_s=30, max_join_bytes=1)
    log = Log(policy).read(event("a"), event("b"), event("push", at_s=20.0))
    assert log.events == {"unmatched_stable": 3}
    log = Log().read(event("push", at_s=PUSH), event("a"), event("b", "candidate"))
    assert log.events == {"late": 2}
    assert lost_in(log) == {}


def test_a_lost_side_counts_in_the_window_and_slice_of_its_request() -> None:
    log = Log().read(event("a", at_s=11.0, language="ja", workflow="chat"))
    log.read(event("push", at_s=41.001))
    (row,) = [row for row in latest(log.rows) if row.pair.lost_candidate]
    assert (row.language, row.workflow) == ("ja", "chat")
    assert row.window_start == EPOCH + dt.timedelta(seconds=10)


def test_a_window_closes_once_at_the_record_that_passed_it() -> None:
    log = Log().read(event("a"), event("a", "candidate"), event("b", at_s=39.999))
    assert [row.closed for row in log.rows if row.window_start == EPOCH] == [False]
    log.read(event("c", at_s=39.99999), event("d", at_s=40.0), event("e", at_s=41.0))
    closed = [row for row in log.rows if row.closed]
    assert [(row.window_start, row.version) for row in closed] == [(EPOCH, 5)]
    assert closed[0].pair.pairs == 1


def test_late_and_invalid_count_where_the_watermark_stands() -> None:
    log = Log().read(event("b", at_s=PUSH), event("a"), b"{")
    counted = [row for row in latest(log.rows) if row.events.late or row.events.invalid]
    assert {row.window_start for row in counted} == {EPOCH + dt.timedelta(seconds=40)}


def test_a_clock_ahead_cannot_close_windows() -> None:
    log = Log().read(event("a"), timestamp_s=0.0)
    log.read(event("b", at_s=5.001), timestamp_s=0.0)
    assert log.reasons == [InvalidReason.CLOCK_AHEAD]
    log.read(event("a", "candidate"), timestamp_s=0.0)
    assert log.events == {"paired": 2, "invalid": 1}


def test_the_join_looks_back_a_bounded_number_of_bytes() -> None:
    first, filler = event("a"), event("filler", mode="canary", sides=["stable"])
    policy = PairingPolicy(
        join_timeout_s=30, allowed_lateness_s=30, max_join_bytes=len(first) + len(filler) - 1
    )
    assert Log(policy).read(first, event("a", "candidate")).events == {"paired": 2}
    for batches in (1, 3):
        log = Log(policy)
        payloads = [first, filler, event("a", "candidate")]
        if batches == 1:
            log.read(*payloads)
        else:
            for payload in payloads:
                log.read(payload)
        assert log.events == {"unmatched_stable": 1, "single": 1}
        assert log.state.waiting_sides == 1
        assert log.balance() == 0


def test_a_reused_pair_id_is_a_new_request() -> None:
    log = Log().read(event("a"), event("x", at_s=PUSH), event("a", at_s=PUSH))
    log.read(event("a", "candidate", at_s=PUSH))
    assert log.events == {"unmatched_stable": 1, "paired": 2}


def test_an_analyzer_that_raises_spoils_only_its_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    from understudy.analyzers.compare import sides

    honest = sides.check_json

    def check(outputs: Any, *args: Any, **kwargs: Any) -> Any:
        if "poison" in outputs:
            raise ZeroDivisionError("no such luck")
        return honest(outputs, *args, **kwargs)

    monkeypatch.setattr(sides, "check_json", check)
    poison = {"response": {"output": "poison"}}
    log = Log().read(
        *(event(p, side, **(poison if p == "c" else {}))
          for p in "abcde" for side in ("stable", "candidate"))
    )  # fmt: skip
    assert log.events == {"paired": 8, "invalid": 2}
    letters = log.outcomes[0].dead_letters
    assert [(d.reason, d.offset) for d in letters] == [("analyzer_failed", 4),
                                                      ("analyzer_failed", 5)]  # fmt: skip
    assert letters[0].detail == "ZeroDivisionError: no such luck"


def _rows_of(comparisons: list[Comparisons]) -> list[str]:
    """Each comparison as text, in an order of its own."""
    told = []
    for some in comparisons:
        parts = [some.requests, some.stable, some.candidate, some.pair]
        for row in range(len(some)):
            of_row = [select(part, [row]) for part in parts if part is not None]
            controls = np.flatnonzero(some.control_rows == row).tolist()
            control = select(some.control, controls) if some.control and controls else None
            told.append(repr((of_row, control)))
    return sorted(told)


def rows_of(state: Partition) -> list[WindowRow]:
    return window_rows(state.draw_rows())


@pytest.mark.parametrize("seed", range(4))
def test_partitions_that_are_processed_together_are_what_each_is_alone(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(event_partition, "COMPARED_TOGETHER", 10)  # several comparisons a batch
    policy = PairingPolicy(
        window_s=2, join_timeout_s=6, allowed_lateness_s=7, request_time_tolerance_s=1
    )
    rng = random.Random(seed)
    logs = {number: random_log(rng, 80) for number in range(5)}
    alone = {number: Partition(number, policy) for number in logs}
    together = {number: Partition(number, policy) for number in logs}
    while any(logs.values()):
        taken = {}
        for number in rng.sample(range(5), rng.randrange(1, 6)):
            cut = rng.randrange(1, 40)
            payloads, logs[number] = logs[number][:cut], logs[number][cut:]
            first, n = alone[number].position, len(payloads)
            taken[number] = RecordBatch(payloads, range(first, first + n), [10**15] * n, [None] * n)
        joint = Partition.process_together([(together[n], taken[n]) for n in taken])
        for number, records in taken.items():
            expected = alone[number].process(records)
            output = joint.of([number])
            assert _rows_of(output.comparisons) == _rows_of(expected.comparisons)
            assert output.batches[number].unmatched == expected.unmatched
            assert output.batches[number].dead_letters == expected.dead_letters
            assert together[number].tally == alone[number].tally
            if rng.random() < 0.5:
                assert window_rows(together[number].draw_rows()) == window_rows(
                    alone[number].draw_rows()
                )
    for number in alone:
        assert rows_of(together[number]) == rows_of(alone[number])
        position = alone[number].position
        assert together[number].safe_commit(position) == alone[number].safe_commit(position)


def test_what_an_earlier_run_closed_is_not_counted_again() -> None:
    second_0 = CommitMetadata(
        closed_until_ms=int(EPOCH.timestamp() * 1000), position=6, watermark_ms=None
    )
    log = Log(start_offset=2, resumed=second_0)
    log.read(event("a", at_s=5), b"{", event("n", at_s=15), event("a", "candidate", at_s=5))
    log.read(event("n", "candidate", at_s=15))
    assert log.events == {"paired": 2}
    assert log.state.tally.replayed == 2
    assert log.reasons == []


@pytest.mark.parametrize("position", [1, 2])
def test_data_for_a_closed_window_is_late_beyond_what_was_flushed(position: int) -> None:
    """Only after a loss: the committed offset was deleted, reading goes on at the position."""
    frozen = CommitMetadata(
        closed_until_ms=int(EPOCH.timestamp() * 1000), position=position, watermark_ms=None
    )
    log = Log(start_offset=position, resumed=frozen).read(event("a", at_s=5))
    (row,) = log.rows
    assert row.events.late == 1
    assert row.window_start == EPOCH + dt.timedelta(seconds=10)


def test_the_policy_refuses_windows_that_close_before_their_joins() -> None:
    with pytest.raises(ValueError, match="must outlive"):
        PairingPolicy(join_timeout_s=60, allowed_lateness_s=59)


@pytest.mark.parametrize("invalid", [b'{"schema_version": 7}', b'{"pair_id": ', b"[]", b""])
def test_an_invalid_record_keeps_no_batch_alive(invalid: bytes) -> None:
    """Not until garbage is collected: a batch is megabytes, and old garbage waits long."""
    gc.collect()
    gc.disable()
    try:
        before = batches_alive()
        Partition(0, PairingPolicy()).process(RecordBatch([invalid], [0], [0], [None]))
        assert batches_alive() == before
    finally:
        gc.enable()


def batches_alive() -> int:
    return sum(isinstance(one, RecordBatch) for one in gc.get_objects())
