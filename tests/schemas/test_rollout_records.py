"""The record in the topic of rollouts: commands are numbered, bounded and survive the wire."""

import datetime as dt

from understudy.schemas.rollout_records import (
    MAX_COMMANDS,
    RolloutRecord,
    decode_rollout_record,
    encode_rollout_record,
)
from understudy.schemas.rollouts import Models, RolloutManifest

AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
RECORD = RolloutRecord(manifest=RolloutManifest("r", Models("a", "b")))


def test_commands_are_numbered_and_survive_the_wire() -> None:
    record = RECORD.with_command("kill", AT, reason="bad", by="ann").with_command(
        "resume", AT, reason="", by="bo"
    )

    back = decode_rollout_record(encode_rollout_record(record))

    assert back == record
    assert [(c.number, c.kind) for c in back.commands] == [(1, "kill"), (2, "resume")]
    assert [c.kind for c in back.commands_after(1)] == ["resume"]


def test_old_commands_are_forgotten_and_numbers_go_on() -> None:
    record = RECORD
    for _ in range(MAX_COMMANDS + 5):
        record = record.with_command("kill", AT, reason="", by="")

    assert len(record.commands) == MAX_COMMANDS
    assert record.last_number == MAX_COMMANDS + 5
