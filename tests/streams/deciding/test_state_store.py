"""The store: records and commands, restarts from the table, what is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tests.analyzers.guardrails.world import ROLLOUT, Harm, World, replaced
from tests.streams.deciding.fake_port import write
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision, decode_decision, encode_decision
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.rollouts import RolloutManifest, compile_manifest
from understudy.schemas.window_measures import PairSums, SideSums
from understudy.schemas.windows import WindowsMessage
from understudy.streams.deciding.log_place import LogPlace
from understudy.streams.deciding.snapshots import decision_in, decode_snapshot, encode_snapshot
from understudy.streams.deciding.state_store import (
    MOST_TOGETHER,
    InvalidMessage,
    NotInMemory,
    Output,
    ReplayDiverged,
    RolloutStateStore,
)

KEY = ROLLOUT.encode()
AT = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
BROKEN = World(harm=Harm(bad={"error": 0.08}))
WRITTEN_MS = 1_772_366_400_000
"""2026-03-01 12:00, before `AT`."""
FIRST_MS = WRITTEN_MS + 1


def manifest(margin: str = "1pp", stages: str = "[shadow, 5%, 25%]") -> RolloutManifest:
    return read_manifest(f"""
rollout_id: {ROLLOUT}
models: {{stable: a, candidate: b}}
independent_requests: true
stages: {stages}
guardrails: [{{metric: error_rate, max_increase: {margin}}}]
""")


RECORD = RolloutRecord(manifest=manifest())


def moment(epoch_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(epoch_ms / 1000, dt.UTC)


def at(message: WindowsMessage) -> LogPlace:
    """A place in the topic of windows."""
    return LogPlace(0, message.version, WRITTEN_MS + message.version)


class DecisionProcessor:
    """Does with steps what the app does; `restart` is a crash."""

    def __init__(self) -> None:
        self.table: dict[bytes, bytes] = {}
        self.emitted: list[Decision | None] = []
        self.store = RolloutStateStore(self.table)
        self._offset = 0

    def restart(self) -> None:
        self.store = RolloutStateStore(self.table)

    def apply(self, record: RolloutRecord | None) -> Output:
        value = None if record is None else encode_rollout_record(record)
        self._offset += 1
        place = LogPlace(0, self._offset, WRITTEN_MS + self._offset)
        return self.do(self.store.apply_record(KEY, value, place))

    def windows(self, messages: Sequence[WindowsMessage], *, saves: bool = True) -> None:
        for message in messages:
            output = self.store.apply_windows(KEY, msgspec.json.encode(message), at(message))
            self.do(output, saves=saves)

    def do(self, output: Output, *, saves: bool = True) -> Output:
        self.emitted += [
            None if value is None else decode_decision(value) for value in output.decisions
        ]
        if output.is_state_changed and saves:
            for writes in self.store.checkpoint(output.key):
                write(self.table, writes)
            self.store.mark_saved(output.key)
        return output

    @property
    def last(self) -> Decision:
        assert self.emitted[-1] is not None
        return self.emitted[-1]


def undisturbed(messages: Sequence[WindowsMessage], written_ms: int = FIRST_MS) -> list[Decision]:
    """What an evaluator decides from a record on that is never interrupted."""
    evaluator = RolloutEvaluator(compile_manifest(RECORD.manifest))
    evaluator.advance_clock(written_ms)
    begun = evaluator.announce(LogPlace(0, written_ms - WRITTEN_MS, written_ms).cause("rollouts"))
    taken = [evaluator.take(message, at(message).cause("windows")) for message in messages]
    return [begun, *(decision for decision in taken if decision is not None)]


def test_decisions_are_those_of_an_evaluator_whenever_it_restarts() -> None:
    messages = BROKEN.messages(3, 20)
    processor = DecisionProcessor()
    processor.apply(RECORD)
    for message in messages:
        processor.windows([message])
        processor.restart()
    assert processor.emitted == undisturbed(messages)
    assert processor.last.verdict == "rollback"


def test_a_snapshot_gives_the_decision_as_of_now() -> None:
    evaluator = RolloutEvaluator(compile_manifest(RECORD.manifest))
    evaluator.advance_clock(FIRST_MS)
    evaluator.announce()
    processor = DecisionProcessor()
    processor.apply(RECORD)
    for message in BROKEN.messages(3, 6):
        processor.windows([message])
        evaluator.take(message)
        assert decision_in(processor.table, KEY) == evaluator.decision()


def test_a_crash_before_the_table_is_written_emits_the_same_again() -> None:
    messages = BROKEN.messages(3, 20)
    processor = DecisionProcessor()
    processor.apply(RECORD)
    for message in messages:
        processor.windows([message], saves=False)
        processor.restart()
        processor.windows([message, message])
    assert [
        one for at, one in enumerate(processor.emitted) if one not in processor.emitted[:at]
    ] == undisturbed(messages)


def test_without_a_policy_windows_are_ignored_and_those_that_follow_count() -> None:
    messages = BROKEN.messages(3, 20)
    processor = DecisionProcessor()
    for message in messages[:5]:
        output = processor.store.apply_windows(KEY, msgspec.json.encode(message), at(message))
        assert output == Output(KEY, is_without_policy=True)
    assert processor.table == {}
    processor.apply(RECORD)
    processor.windows(messages[5:])
    assert processor.emitted == undisturbed(messages[5:])


def test_what_was_read_before_a_policy_does_not_count_when_it_is_read_again() -> None:
    """After a kill: what another rollout's message keeps from being committed."""
    messages = BROKEN.messages(3, 20)
    processor = DecisionProcessor()
    for message in messages[:5]:
        processor.store.apply_windows(KEY, msgspec.json.encode(message), at(message))
    processor.apply(RECORD)
    processor.restart()
    processor.windows(messages)
    assert processor.emitted == undisturbed(messages[5:])


def test_what_was_read_before_partitions_changed_hands_is_forgotten() -> None:
    """Another worker may have read less, or the topic may be another one."""
    messages = BROKEN.messages(3, 20)
    processor = DecisionProcessor()
    for message in messages[:5]:
        processor.store.apply_windows(KEY, msgspec.json.encode(message), at(message))
    processor.store.clear()
    processor.apply(RECORD)
    processor.windows(messages)
    assert processor.emitted == undisturbed(messages)


def test_each_command_is_applied_once() -> None:
    processor = DecisionProcessor()
    processor.apply(RECORD)
    processor.windows(World().messages(4, 3))
    killed = RECORD.with_command("kill", AT, reason="users complain", by="anna")
    processor.apply(killed)
    assert processor.last.verdict == "rollback"
    assert "killed by anna: users complain" in processor.last.reasons[0]
    resumed = killed.with_command("resume", AT, reason="", by="anna")
    processor.restart()
    processor.apply(resumed)
    assert processor.last.verdict != "rollback"
    emitted = len(processor.emitted)
    processor.restart()
    processor.apply(resumed)
    assert len(processor.emitted) == emitted


def test_promote_moves_on_and_is_refused_at_the_last_stage() -> None:
    processor = DecisionProcessor()
    processor.apply(RECORD)
    record = RECORD
    for stage in ("5%", "25%"):
        record = record.with_command("promote", AT, reason="", by="anna")
        processor.apply(record)
        assert processor.last.stage.stage.name == stage
    output = processor.apply(record.with_command("promote", AT, reason="", by="anna"))
    assert output.rejections == ("3 promote: this is the last stage",)
    assert (processor.last.stage.stage.name, processor.last.last_command) == ("25%", 3)
    assert processor.last.rejections == {3: "this is the last stage"}


def test_a_policy_is_answered_at_once_with_the_time_of_its_record() -> None:
    processor = DecisionProcessor()
    output = processor.apply(RECORD)
    (emitted,) = map(decode_decision, filter(None, output.decisions))
    assert (emitted.verdict, emitted.stage.requests, emitted.partitions) == ("hold", 0, {})
    assert emitted.decided_at == emitted.since == moment(FIRST_MS)
    assert all(evidence.units == 0 for evidence in emitted.evidence)
    assert processor.apply(RECORD).decisions == ()
    changed = processor.apply(RolloutRecord(manifest=manifest("2pp")))
    assert len(changed.decisions) == 1
    assert processor.last.decided_at == processor.last.since == moment(WRITTEN_MS + 3)
    assert processor.last.policy_hash != emitted.policy_hash


def test_before_any_window_commands_count_from_when_they_were_given() -> None:
    processor = DecisionProcessor()
    processor.apply(RECORD)
    record = RECORD.with_command("kill", AT, reason="", by="anna")
    processor.apply(record)
    assert (processor.last.verdict, processor.last.decided_at, processor.last.since) == (
        "rollback",
        AT,
        AT,
    )
    later = AT + dt.timedelta(minutes=5)
    record = record.with_command("resume", later, reason="", by="anna")
    processor.restart()
    processor.apply(record)
    assert (processor.last.verdict, processor.last.decided_at, processor.last.since) == (
        "hold",
        later,
        later,
    )
    processor.apply(record.with_command("promote", later, reason="", by="anna"))
    assert processor.last.decided_at == later


def test_commands_while_event_time_stands_still_have_times_and_places_of_their_own() -> None:
    """After a rollback no windows come: what operators do then is all that there is to see."""
    processor = DecisionProcessor()
    processor.apply(RECORD)
    processor.windows(BROKEN.messages(3, 20))
    record = RECORD
    for minute, kind in enumerate(("resume", "kill", "resume", "kill", "resume"), 1):
        at_minute = AT + dt.timedelta(minutes=minute)
        record = record.with_command(kind, at_minute, reason=kind, by="anna")  # type: ignore[arg-type]
        processor.apply(record)
        assert processor.last.decided_at == processor.last.since == at_minute
        assert processor.last.verdict == ("rollback" if kind == "kill" else "hold")
        assert processor.last.command is not None
        assert (processor.last.command.number, processor.last.command.at) == (minute, at_minute)
        assert processor.last.cause is not None
        assert (processor.last.cause.topic, processor.last.cause.offset) == ("rollouts", 1 + minute)
    emitted = [one for one in processor.emitted if one is not None]
    assert [one.sequence for one in emitted] == list(range(1, len(emitted) + 1))
    assert len({encode_decision(one) for one in emitted}) == len(emitted)
    assert {one.rollout_created_at for one in emitted} == {moment(FIRST_MS)}


def test_a_command_that_changes_nothing_is_answered_too() -> None:
    processor = DecisionProcessor()
    processor.apply(RECORD)
    killed = RECORD.with_command("kill", AT, reason="tone", by="")
    processor.apply(killed.with_command("kill", AT, reason="again", by=""))
    first, second = processor.emitted[-2:]
    assert first is not None
    assert second is not None
    assert (first.last_command, second.last_command) == (1, 2)
    assert (second.verdict, second.reasons, second.is_refresh) == (
        "rollback", ["killed by an operator: tone"], False,
    )  # fmt: skip


def test_two_promotions_in_view_of_one_decision_move_one_stage() -> None:
    processor = DecisionProcessor()
    processor.apply(RECORD)
    seen = processor.last.sequence
    once = RECORD.with_command("promote", AT, reason="", by="anna", expects=seen)
    processor.apply(once.with_command("promote", AT, reason="", by="ben", expects=seen))
    assert processor.last.stage.index == 1
    assert list(processor.last.rejections) == [2]
    assert "in view of decision 1, and something has changed" in processor.last.rejections[2]
    again = once.with_command("promote", AT, reason="", by="ben", expects=seen)
    again = again.with_command("promote", AT, reason="", by="ben", expects=processor.last.sequence)
    processor.apply(again)
    assert (processor.last.stage.index, processor.last.last_command) == (2, 3)


def test_a_refresh_does_not_reject_what_an_operator_saw() -> None:
    processor = DecisionProcessor()
    processor.apply(RECORD)
    quiet = World(requests=5)
    processor.windows(quiet.messages(1, 1))
    seen = processor.last.sequence
    processor.windows(quiet.messages(1, 30)[1:])
    assert processor.last.is_refresh
    assert processor.last.sequence > seen
    processor.apply(RECORD.with_command("promote", AT, reason="", by="", expects=seen))
    assert processor.last.stage.index == 1


def test_a_stage_entered_automatically_rejects_a_promotion_from_before_it() -> None:
    automatic = RolloutRecord(
        manifest=msgspec.structs.replace(manifest("3pp"), promotion="automatic", min_requests=100,
                                         min_duration="1m")
    )  # fmt: skip
    processor = DecisionProcessor()
    processor.apply(automatic)
    for message in World().messages(1, 60):
        processor.windows([message])
        if processor.last.verdict == "promote":
            break
    assert processor.last.stage.index == 0
    seen = processor.last.sequence
    processor.apply(automatic.with_command("promote", AT, reason="", by="", expects=seen))
    assert (processor.last.stage.index, list(processor.last.rejections)) == (1, [1])


def test_a_rolled_back_rollout_is_not_promoted() -> None:
    """Its resumption would serve users a stage that nobody has looked at."""
    processor = DecisionProcessor()
    processor.apply(RECORD)
    killed = RECORD.with_command("kill", AT, reason="tone", by="")
    promoted = killed.with_command("promote", AT, reason="", by="")
    processor.apply(promoted)
    assert processor.last.rejections == {2: "the rollout is rolled back; resume it first"}
    processor.apply(promoted.with_command("resume", AT, reason="", by=""))
    assert (processor.last.verdict, processor.last.stage.index) == ("hold", 0)


def test_windows_have_a_time_of_their_own() -> None:
    """Recorded ones may be older than the record; a latch from before them keeps its date."""
    messages = World().messages(4, 3)
    processor = DecisionProcessor()
    processor.apply(RECORD.with_command("kill", AT + dt.timedelta(days=9), reason="", by=""))
    processor.windows(messages[:2])
    processor.apply(msgspec.structs.replace(RECORD, manifest=manifest("2pp")))
    assert processor.last.decided_at == moment(WRITTEN_MS + 2)
    processor.windows(messages[2:])
    assert processor.last.decided_at == messages[2].watermark
    assert processor.last.since == AT + dt.timedelta(days=9)


def test_a_table_of_the_release_before_is_understood() -> None:
    """Its status lacks the last fields."""
    processor = DecisionProcessor()
    processor.apply(RECORD)
    processor.windows(BROKEN.messages(3, 20))
    entry = decode_snapshot(processor.table[KEY])
    state = msgspec.msgpack.decode(entry.state)
    del state["status"][-7:]
    entry = msgspec.structs.replace(entry, state=msgspec.Raw(msgspec.msgpack.encode(state)))
    processor.table[KEY] = encode_snapshot(entry)
    processor.restart()
    processor.apply(RolloutRecord(manifest=manifest("2pp")))
    assert processor.last.is_latched
    assert processor.last.decided_at == moment(WRITTEN_MS + 2)
    processor.windows(BROKEN.messages(3, 21)[20:])
    assert processor.last.decided_at == BROKEN.messages(3, 21)[-1].watermark


def test_an_older_record_that_is_read_again_changes_nothing() -> None:
    processor = DecisionProcessor()
    processor.apply(RECORD)
    newer = RolloutRecord(manifest=manifest("2pp"))
    processor.apply(newer)
    before = dict(processor.table)
    output = processor.store.apply_record(
        KEY, encode_rollout_record(RECORD), LogPlace(0, 1, FIRST_MS)
    )
    assert not output.is_state_changed
    assert processor.table == before


def test_a_topic_made_anew_is_applied_although_offsets_fall() -> None:
    processor = DecisionProcessor()
    for _ in range(5):
        processor.apply(RECORD)
    newer = encode_rollout_record(RolloutRecord(manifest=manifest("2pp")))
    assert processor.store.apply_record(
        KEY, newer, LogPlace(0, 0, WRITTEN_MS + 99)
    ).is_state_changed


def test_a_changed_policy_keeps_latch_stage_and_applied_commands() -> None:
    record = RECORD.with_command("promote", AT, reason="", by="anna")
    processor = DecisionProcessor()
    processor.apply(record)
    processor.windows(BROKEN.messages(3, 20))
    assert processor.last.is_latched
    changed = msgspec.structs.replace(record, manifest=manifest("2pp", "[shadow, 1%, 5%]"))
    processor.apply(changed)
    assert processor.last.is_latched
    assert processor.last.verdict == "rollback"
    assert (processor.last.stage.index, processor.last.stage.stage.name) == (2, "5%")
    assert all(evidence.units == 0 for evidence in processor.last.evidence)
    processor.apply(changed.with_command("resume", AT, reason="", by="anna"))
    assert processor.last.verdict != "rollback"


def test_a_deleted_rollout_leaves_nothing_and_may_begin_again() -> None:
    processor = DecisionProcessor()
    processor.apply(RECORD.with_command("kill", AT, reason="", by=""))
    processor.apply(None)
    assert processor.table == {}
    assert processor.emitted[-1] is None
    processor.apply(RECORD)
    processor.windows(World().messages(4, 3))
    assert processor.last.verdict != "rollback"


def test_a_rollout_that_was_dropped_from_memory_is_not_one_that_was_deleted() -> None:
    processor = DecisionProcessor()
    processor.apply(RECORD)
    processor.store.clear()
    with pytest.raises(NotInMemory):
        processor.store.snapshot(KEY)
    output = processor.store.apply_record(KEY, None, LogPlace(0, 9, WRITTEN_MS + 9))
    assert output.is_state_changed
    assert processor.store.snapshot(KEY) is None
    message = BROKEN.messages(3, 1)[0]
    assert processor.store.apply_windows(
        KEY, msgspec.json.encode(message), at(message)
    ).is_without_policy, "though the table still holds it"
    processor.do(output)
    with pytest.raises(NotInMemory):
        processor.store.snapshot(KEY)


def _with_columns(columns: bytes) -> bytes:
    """Two rows with further columns."""
    place = b'"rollout_id":"helpdesk","partition":0,"version":1'
    times = b'"window_start":["2026-03-02T12:00:00Z","2026-03-02T12:00:10Z"],"window_s":[10,10]'
    return (
        b"{" + place + b',"columns":{' + times
        + b',"language":["en","en"],"version":[1,1],' + columns + b"}}"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "payload", "why"),
    [
        (KEY, None, "has no value"),
        (KEY, b"\xff", "malformed"),
        (KEY, b"{}", "missing required field"),
        (KEY, b'{"rollout_id":"x","partition":0,"version":1,"columns":{}}', "key is not its"),
        (
            None,
            b'{"rollout_id":"helpdesk","partition":0,"version":1,"columns":{}}',
            "key is not its",
        ),
        (
            KEY,
            b'{"schema_version":9,"rollout_id":"helpdesk","partition":0,"version":1,"columns":{}}',
            "schema_version is 9",
        ),
        (
            KEY,
            b'{"schema_version":1,"rollout_id":"helpdesk","partition":0,"version":1,"rows":[]}',
            "schema_version is 1; this release reads 2",
        ),
        (KEY, _with_columns(b'"pair_pairs":[1]'), "a value for each of 2 rows"),
        (KEY, _with_columns(b'"pair_pairs":[1,-1]'), "`int` >= 0"),
        (KEY, _with_columns(b'"pair_pairs":[1,2.5]'), "Expected `int`, got `float`"),
        (KEY, _with_columns(b'"pair_pairs":2'), "Expected `array`, got `int`"),
        (KEY, _with_columns(b'"mode":["canary","both"]'), "Invalid enum value 'both'"),
        (
            KEY,
            b'{"rollout_id":"helpdesk","partition":0,"version":1,"columns":{"pair_pairs":[1]}}',
            "a value for each of 0 rows",
        ),
        (KEY, b'{"rollout_id":"helpdesk","more":' + b"[" * 5_000, "recursion depth"),
    ],
)
def test_bad_windows_are_invalid(key: bytes | None, payload: bytes | None, why: str) -> None:
    """In their own turn: to announce them does no harm."""
    store = DecisionProcessor().store
    store.announce([(key, payload)])
    with pytest.raises(InvalidMessage, match=why):
        store.apply_windows(key, payload, LogPlace(0, 0, 0))


@pytest.mark.parametrize("poison", [ValueError("half-way"), ZeroDivisionError("half-way")])
def test_what_fails_half_way_is_undone_though_the_table_is_behind(
    poison: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = BROKEN.messages(3, 20)
    calm, processor = DecisionProcessor(), DecisionProcessor()
    calm.apply(RECORD)
    calm.windows(messages)
    processor.apply(RECORD)
    processor.windows(messages[:4], saves=False)
    add = RolloutEvaluator.add

    def taken(
        evaluator: RolloutEvaluator, message: WindowsMessage, *others: Any
    ) -> Decision | None:
        decision = add(evaluator, message, *others)
        if message.version == messages[4].version:
            raise poison
        return decision

    with monkeypatch.context() as patch:
        patch.setattr(RolloutEvaluator, "add", taken)
        with pytest.raises(InvalidMessage if isinstance(poison, ValueError) else ZeroDivisionError):
            processor.windows(messages[4:5])
    processor.windows(messages[4:])
    assert processor.emitted == calm.emitted
    assert processor.table == calm.table


def test_messages_that_cannot_be_taken_again_stop_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Going on would forget what they said."""
    messages = BROKEN.messages(3, 3)
    processor = DecisionProcessor()
    processor.apply(RECORD)
    processor.windows(messages[:2], saves=False)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(RolloutEvaluator, "add", fail)
    with pytest.raises(ReplayDiverged):
        processor.windows(messages[2:])


def test_what_is_announced_is_applied_in_its_turn_or_never() -> None:
    messages = BROKEN.messages(3, 20)
    calm, processor = DecisionProcessor(), DecisionProcessor()
    for one in (calm, processor):
        one.apply(RECORD)
    calm.windows(messages)
    payloads = [msgspec.json.encode(message) for message in messages]
    for start in range(0, 20, 5):
        unknown = [(b"nobody", payloads[0]), (None, b"no JSON"), (KEY, None)]
        processor.store.announce([*unknown, *((KEY, one) for one in payloads[start : start + 8])])
        for message, payload in zip(messages[start : start + 5], payloads[start:], strict=False):
            processor.do(processor.store.apply_windows(KEY, payload, at(message)))
    assert processor.emitted == calm.emitted
    assert processor.table == calm.table


def test_more_than_are_read_together_may_be_announced() -> None:
    messages = BROKEN.messages(3, 2 * MOST_TOGETHER + 3)
    calm, processor = DecisionProcessor(), DecisionProcessor()
    for one in (calm, processor):
        one.apply(RECORD)
    calm.windows(messages)
    payloads = [msgspec.json.encode(message) for message in messages]
    announced = [*payloads[:MOST_TOGETHER], b"no JSON", *payloads[MOST_TOGETHER:]]
    processor.store.announce([(KEY, one) for one in announced])
    for message, payload in zip(messages, payloads, strict=True):
        if message is messages[MOST_TOGETHER]:
            with pytest.raises(InvalidMessage):
                processor.store.apply_windows(KEY, b"no JSON", at(message))
        processor.do(processor.store.apply_windows(KEY, payload, at(message)))
    assert processor.emitted == calm.emitted
    assert processor.table == calm.table


def test_what_was_not_saved_is_read_again_and_decided_the_same() -> None:
    messages = BROKEN.messages(3, 20)
    calm, processor = DecisionProcessor(), DecisionProcessor()
    for one in (calm, processor):
        one.apply(RECORD)
    calm.windows(messages)
    for start in range(0, 20, 4):
        processor.windows(messages[start : start + 3], saves=False)
        processor.restart()
        processor.windows(messages[start : start + 4])
    assert list(dict.fromkeys(map(encode_decision, filter(None, processor.emitted)))) == [
        encode_decision(one) for one in calm.emitted if one
    ]
    assert processor.table == calm.table


def test_counts_that_shrink_are_invalid_and_change_nothing() -> None:
    processor = DecisionProcessor()
    processor.apply(RECORD)
    (early,) = BROKEN.messages(3, 1)
    rows = [msgspec.structs.replace(row, closed=False) for row in early.rows]
    processor.windows([replaced(early, rows)])
    before = dict(processor.table)
    for row in rows:
        row.version += 1
        row.pair = PairSums()
        row.stable = SideSums()
        row.candidate = SideSums()
    fewer = replaced(early, rows, version=early.version + 1)
    with pytest.raises(InvalidMessage, match="holds less"):
        processor.windows([fewer])
    assert processor.table == before
    processor.windows(BROKEN.messages(3, 20))
    assert processor.last.verdict == "rollback"


@pytest.mark.parametrize(
    ("key", "payload"),
    [
        (None, encode_rollout_record(RECORD)),
        (b"other", encode_rollout_record(RECORD)),
        (KEY, b"no JSON"),
        (KEY, encode_rollout_record(RolloutRecord(manifest=manifest(), schema_version=7))),
        (KEY, encode_rollout_record(RECORD).replace(b"error_rate", b"errors_rate")),
    ],
)
def test_bad_records_are_invalid(key: bytes | None, payload: bytes) -> None:
    with pytest.raises(InvalidMessage):
        DecisionProcessor().store.apply_record(key, payload, LogPlace(0, 0, 0))


def test_equal_states_give_equal_bytes() -> None:
    messages = BROKEN.messages(3, 10)
    first, second = DecisionProcessor(), DecisionProcessor()
    for processor in (first, second):
        processor.apply(RECORD)
        processor.windows(messages)
    assert first.table == second.table
    assert [encode_decision(one) for one in first.emitted if one] == [
        encode_decision(one) for one in second.emitted if one
    ]


def test_messages_that_a_snapshot_includes_change_no_byte_of_it() -> None:
    """They come again after a crash; a number must not turn from an integer into a float."""
    messages = BROKEN.messages(3, 10)
    processor = DecisionProcessor()
    processor.apply(RECORD)
    processor.windows(messages)
    before = dict(processor.table)
    processor.restart()
    processor.windows(messages)
    assert processor.table == before
