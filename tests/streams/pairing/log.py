"""A partition's log in tests: small events, fed to a state in batches."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from understudy.analyzers.windows.drawn_rows import window_rows
from understudy.analyzers.windows.rows import latest, total
from understudy.schemas.windows import WindowRow
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.partition_state import PartitionState
from understudy.streams.pairing.records import BatchOutput, RecordBatch

EPOCH = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
POLICY = PairingPolicy(window_s=10, join_timeout_s=30, allowed_lateness_s=30, max_clock_skew_s=5)


def event(pair_id: str, side: str = "stable", at_s: float = 0.0, **changes: Any) -> bytes:
    """A small valid event, `at_s` seconds after the epoch of these tests."""
    fields: dict[str, Any] = {
        "schema_version": 1,
        "rollout_id": "r",
        "pair_id": pair_id,
        "mode": "shadow",
        "side": side,
        "sides": ["stable", "candidate"],
        "request_time": (EPOCH + dt.timedelta(seconds=at_s)).isoformat(),
        "language": "en",
        "response": {"output": "hello"},
    }
    return msgspec.json.encode({**fields, **changes})


def opinion(
    pair_id: str, at_s: float = 0.0, score: float = 1.0, side: str = "candidate", **changes: Any
) -> bytes:
    """What a user thought, told `at_s` seconds after the epoch of these tests."""
    fields: dict[str, Any] = {
        "schema_version": 1,
        "rollout_id": "r",
        "pair_id": pair_id,
        "mode": "canary",
        "side": side,
        "request_time": (EPOCH - dt.timedelta(hours=1)).isoformat(),
        "feedback_time": (EPOCH + dt.timedelta(seconds=at_s)).isoformat(),
        "name": "thumbs",
        "score_value": score,
        "language": "en",
    }
    return msgspec.json.encode({**fields, **changes})


def judgement(
    pair_id: str,
    at_s: float = 0.0,
    preferred: str | None = "candidate",
    requested_s: float | None = None,
    **changes: Any,
) -> bytes:
    """What an evaluator said, `at_s` seconds after the epoch of these tests."""
    requested = at_s if requested_s is None else requested_s
    fields: dict[str, Any] = {
        "schema_version": 1,
        "rollout_id": "r",
        "pair_id": pair_id,
        "mode": "shadow",
        "request_time": (EPOCH + dt.timedelta(seconds=requested)).isoformat(),
        "evaluation_time": (EPOCH + dt.timedelta(seconds=at_s)).isoformat(),
        "evaluator": "helpfulness",
        "evaluator_version": "1",
        "language": "en",
    }
    if preferred is not None:
        fields["preferences"] = [{"preferred": preferred, "first": "stable"}]
    return msgspec.json.encode({**fields, **changes})


class Log:
    """A partition's log, fed to a state in batches."""

    def __init__(
        self,
        policy: PairingPolicy = POLICY,
        state: type[PartitionState] = Partition,
        **start: Any,
    ) -> None:
        self.state = state(3, policy, **start)
        self.rows: list[WindowRow] = []
        self.outcomes: list[BatchOutput] = []

    def read(self, *payloads: bytes | None, timestamp_s: float | None = None) -> Log:
        first = self.state.position
        n = len(payloads)
        stamp = EPOCH + dt.timedelta(seconds=1e6 if timestamp_s is None else timestamp_s)
        self.outcomes.append(
            self.state.process(
                RecordBatch(
                    payloads,
                    range(first, first + n),
                    [int(stamp.timestamp() * 1000)] * n,
                    [b"r/key"] * n,
                )
            )
        )
        self.rows += window_rows(self.state.draw_rows())
        return self

    @property
    def events(self) -> dict[str, int]:
        """Non-zero event counts over all windows, latest rows only."""
        counts: dict[str, int] = msgspec.to_builtins(total(latest(self.rows)).events)
        return {name: count for name, count in counts.items() if count}

    @property
    def reasons(self) -> list[str]:
        return [d.reason for outcome in self.outcomes for d in outcome.dead_letters]

    def balance(self) -> int:
        """Events read that ended nowhere and do not wait."""
        return self.state.tally.read - sum(self.events.values()) - self.state.waiting_sides
