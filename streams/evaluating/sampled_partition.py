"""The state of one partition of events: which requests are sampled, and their sides. Pure.

Of a request that is not sampled a few fields are read and nothing is kept. The sides of those that
are go through the same join as in pairing, so a pair is here what it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import (
    MAX_LABEL_CHARACTERS,
    MAX_LANGUAGE_CHARACTERS,
    PAIRED_MODES,
    Event,
    Identifier,
    InvalidEvent,
    PairId,
    RequestTime,
    decode_side,
)
from understudy.streams.evaluating.partition_progress import PartitionProgress
from understudy.streams.evaluating.sampling import Chosen, RolloutSampler, SliceName
from understudy.streams.pairing.join import Duplicate, Join, JoinOutput, Side
from understudy.streams.pairing.pair_place import place_of
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.records import RecordBatch

Samplers = Mapping[str, RolloutSampler]
"""By rollout; of those that are evaluated."""
Complete = Callable[[PartitionProgress, str, list[Event], tuple[Chosen, ...]], None]
"""Takes a whole request: its key, its sides and who is to judge it."""


class _Header(msgspec.Struct, gc=False):
    """What sampling needs to know of an event."""

    rollout_id: Identifier
    pair_id: PairId
    mode: str
    side: str
    request_time: msgspec.Raw
    """Decoded where it is needed."""
    language: str | None = None
    workflow: str | None = None

    @property
    def slice_name(self) -> SliceName:
        """Names that no event can have count as none, as where such an event is salvaged."""
        language, workflow = self.language or "", self.workflow or ""
        return (
            language if len(language) <= MAX_LANGUAGE_CHARACTERS else "",
            workflow if len(workflow) <= MAX_LABEL_CHARACTERS else "",
        )


class _NotJoined(Exception):
    """An event that is late, or from the future."""


_decode_header: Final = msgspec.json.Decoder(_Header).decode
_decode_time: Final = msgspec.json.Decoder(RequestTime).decode


@dataclass(slots=True)
class SampledPartition:
    """One partition that a worker reads."""

    policy: PairingPolicy
    progress: PartitionProgress
    complete: Complete
    unmatched: int = 0
    """Sampled requests of which a side never came."""
    watermark_ms: int | None = None
    """Largest request time among the sampled events."""
    _join: Join = field(init=False)
    _chosen: dict[str, tuple[Chosen, ...]] = field(default_factory=dict)
    """Who is to judge the requests that wait for a side."""

    def __post_init__(self) -> None:
        self._join = Join(self.policy)

    def read(self, records: RecordBatch, samplers: Samplers) -> int:
        """Take the next records; return how many were sampled."""
        joined, sampled = JoinOutput(), 0
        for payload, offset, timestamp_ms, key in zip(
            records.payloads, records.offsets, records.timestamps_ms, records.keys, strict=True
        ):
            if payload and _may_be_evaluated(key, samplers):
                sampled += self._take(payload, offset, timestamp_ms, samplers, joined)
        if records.offsets:
            self.progress.position = records.offsets[-1] + 1
            self.progress.timestamp_ms = max(self.progress.timestamp_ms, *records.timestamps_ms)
        if self.watermark_ms is not None:
            self._join.expire(self.watermark_ms, joined)
        self._hand_on(joined)
        return sampled

    def _take(
        self,
        payload: bytes,
        offset: int,
        timestamp_ms: int,
        samplers: Samplers,
        joined: JoinOutput,
    ) -> bool:
        """Whether a record is of a sampled request; if so, it goes into the join."""
        try:
            header = _decode_header(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False  # pairing tells what is wrong with it
        sampler = samplers.get(header.rollout_id)
        if sampler is None or header.mode not in PAIRED_MODES:
            return False
        place = place_of(header.rollout_id, header.pair_id)
        if not sampler.may_choose(place):
            return False
        try:
            time_ms = to_epoch_ms(_decode_time(header.request_time))
        except msgspec.DecodeError:
            return False
        key = f"{header.rollout_id}/{header.pair_id}"
        waiting = self._chosen.get(key)
        slice_name = header.slice_name
        chosen = waiting or sampler.choose(place, slice_name, time_ms)
        if not chosen:
            if header.side == "stable" and self._is_in_time(time_ms, timestamp_ms):
                sampler.count_request(place, slice_name, time_ms)
            return False
        try:
            event, wanted = decode_side(payload, self.policy.max_event_bytes)
            self._add(Side(event, offset), wanted, timestamp_ms, len(payload), joined)
        except (InvalidEvent, Duplicate, _NotJoined):
            return True
        if header.side == "stable":
            sampler.count_request(place, slice_name, time_ms)
        if waiting is None:
            sampler.count_chosen(chosen, place, slice_name, time_ms)
        self._chosen[key] = chosen
        self.progress.begin(key, offset, timestamp_ms)
        return True

    def _add(
        self, side: Side, wanted: int, timestamp_ms: int, log_bytes: int, joined: JoinOutput
    ) -> None:
        """Join one side, judged by the watermark before it. Raises as the join does."""
        time_ms = to_epoch_ms(side.event.request_time)
        before = self.watermark_ms
        if self._is_ahead(time_ms, timestamp_ms):
            raise _NotJoined
        if before is None or time_ms > before:
            steps = joined.steps
            self.watermark_ms = steps.rise(time_ms, side.offset + 1, self._join.log_bytes)
            before = time_ms if before is None else before
        self._join.log_bytes += log_bytes
        if time_ms < before - self.policy.join_timeout_ms:
            raise _NotJoined
        self._join.add(side, wanted, time_ms, before, joined)

    def _is_in_time(self, time_ms: int, timestamp_ms: int) -> bool:
        """Whether the join would take an event of this time."""
        if self._is_ahead(time_ms, timestamp_ms):
            return False
        return (
            self.watermark_ms is None or time_ms >= self.watermark_ms - self.policy.join_timeout_ms
        )

    def _is_ahead(self, time_ms: int, timestamp_ms: int) -> bool:
        return time_ms > timestamp_ms + self.policy.max_clock_skew_ms

    def _hand_on(self, joined: JoinOutput) -> None:
        for entry in joined.complete:
            chosen = self._chosen.pop(entry.key, ())
            events = entry.events()
            entry.release()
            self.complete(self.progress, entry.key, events, chosen)
            self.progress.end(entry.key)
        for request in joined.given_up:
            event = request.sides[0].event
            key = f"{event.rollout_id}/{event.pair_id}"
            self._chosen.pop(key, None)
            self.unmatched += 1
            self.progress.end(key)


def _may_be_evaluated(key: bytes | None, samplers: Samplers) -> bool:
    """Whether a record's key names a rollout that is evaluated, or none."""
    if not key:
        return True
    rollout = key.partition(b"/")[0].decode("utf-8", "replace")
    return rollout in samplers
