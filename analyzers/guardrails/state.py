"""The state of a rollout between two messages, and its MessagePack.

State is one document, of which the rows of open windows may be left out and encoded by themselves:
most of them do not change from one checkpoint to the next. `version`, `policy_hash` and `status`
keep their place and meaning from one release to the next: what an operator or a breach latched
outlives all evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, get_origin

import msgspec
import numpy as np
from msgspec import field

from understudy.analyzers.guardrails.check_evidence import CheckEvidence
from understudy.analyzers.guardrails.check_stacks import CheckStacks
from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.design_effect import DesignEffect
from understudy.analyzers.guardrails.evidence_path import EvidencePath
from understudy.analyzers.guardrails.measured_since import MeasuredSince, rests_on_field
from understudy.analyzers.guardrails.open_sums import OpenSums
from understudy.analyzers.guardrails.read_ahead import ReadAhead
from understudy.analyzers.guardrails.row_layout import layouts_of
from understudy.analyzers.guardrails.slice_table import SliceTable
from understudy.analyzers.guardrails.slices import Arrivals
from understudy.analyzers.guardrails.stage_counts import StageCounts
from understudy.analyzers.guardrails.tail_thresholds import TailThreshold, TailThresholds
from understudy.analyzers.guardrails.window_store import (
    PackedRows,
    PackedStore,
    RowKey,
    RowPlace,
    WindowStore,
    pack_rows,
    pack_store,
    unpack_store,
)
from understudy.analyzers.sequential.bets import FloatArray
from understudy.schemas.decisions import Verdict
from understudy.schemas.rollouts import Rollout, policy_hash
from understudy.schemas.windows import SOURCES, Source

STATE_VERSION: Final = 13
"""Rises with every change of the layout below; state of another version is not read."""


class Latch(msgspec.Struct, frozen=True, array_like=True):
    """A rollback or pause that stays until an operator resumes: since when, and why."""

    since_ms: int
    reasons: list[str]
    checks: list[str] = []
    """Those whose evidence led to it; none where an operator did."""


class RolloutStanding(msgspec.Struct, array_like=True):
    """The stage and verdict of a rollout. Times are epoch milliseconds of event time."""

    stage: int = 0
    watermark_ms: int = 0
    newest_window_ms: int = -1
    """Start of the newest window of events seen."""
    rolled_back: Latch | None = None
    paused: Latch | None = None
    verdict: Verdict = "hold"
    verdict_since_ms: int = 0
    signature: str = ""
    """Of the last decision; another one is emitted when it changes."""
    record_ms: int = 0
    """When the newest record or command was written."""
    emitted_ms: int = 0
    """Event time as of the last decision that was emitted."""
    decided_ms: int = 0
    """Time of what was applied last: event time of windows, or when a record or command was
    written."""
    newest_window_end_ms: int = 0
    """End of the newest window of events seen."""
    created_ms: int = 0
    """When the rollout's first record was written."""
    sequence: int = 0
    """Number of the last decision that was emitted."""
    changed_sequence: int = 0
    """Number of the last decision that changed anything but numbers, or of the one that will show
    a stage that was entered after it."""
    last_command: int = 0
    """Number of the last command applied or rejected."""
    rejections: dict[int, str] = field(default_factory=dict)
    """Number of a recent command that was rejected to the reason."""
    forgiven_through_ms: int = -1
    """Windows that start at or before this were known when an operator resumed."""
    looked_ms: int = 0
    """When the message was written that the last look came with."""
    awaits_look: bool = False
    """Whether messages have come since then."""

    @property
    def event_ms(self) -> int:
        """Event time; before the first window, the time of the record or of the last command."""
        return self.watermark_ms or self.record_ms

    @property
    def now_ms(self) -> int:
        """The time that a decision is dated by."""
        return self.decided_ms or self.event_ms


class StateHeader(msgspec.Struct):
    """What every release can read of a state."""

    version: int
    policy_hash: str
    status: RolloutStanding


class EncodedState(msgspec.Struct):
    """State of one rollout under one policy, as it is encoded."""

    policy_hash: str
    version: int
    status: RolloutStanding
    stage: StageCounts
    arrivals: Arrivals
    tail_thresholds: TailThresholds
    measured_since: MeasuredSince
    stores: dict[Source, PackedStore]
    evidence: dict[str, CheckEvidence]
    """By check."""
    effects: dict[str, DesignEffect]
    """By check."""
    is_folded: bool
    """Whether a window was folded since the last look."""
    passed: list[FloatArray]
    """See `RolloutState`."""


class RowName(NamedTuple):
    """A row of an open window."""

    source: Source
    partition: int
    key: RowKey


class EncodedRows(msgspec.Struct, frozen=True):
    """Rows of open windows that were left out of a state."""

    by_source: dict[Source, PackedRows]

    def names(self) -> list[RowName]:
        """Which rows these are."""
        return [
            RowName(source, partition, key)
            for source, rows in self.by_source.items()
            for partition, key in zip(rows.partitions, rows.keys, strict=True)
        ]


class RolloutState:
    """State of one rollout under one policy, and what is derived from it."""

    def __init__(
        self,
        checks: Sequence[Check],
        encoded: EncodedState,
        *,
        parts: Sequence[EncodedRows] = (),
        mirrors: bool = False,
    ) -> None:
        """`parts` are rows left out of the encoded state, older versions first.

        `mirrors` says whether the policy mirrors requests while it serves the candidate.
        """
        self._mirrors = mirrors
        self.checks = tuple(checks)
        self.evaluators = frozenset(check.evaluator for check in checks)
        """Whose evaluations are looked at; those of others are not even kept."""
        self.resting_on_field = {source: _resting_on_field(checks, source) for source in SOURCES}
        """By source, metrics that rest on a field of the events, each once, in their order."""
        self.policy_hash = encoded.policy_hash
        self.status = encoded.status
        self.stage = encoded.stage
        self.arrivals = encoded.arrivals
        self.tail_thresholds = encoded.tail_thresholds
        self.measured_since = encoded.measured_since
        self.stores = {source: _store(source, encoded, parts) for source in SOURCES}
        self.evidence = encoded.evidence
        self.effects = encoded.effects
        self.layouts = layouts_of(self.checks)
        self.is_folded, self.passed = encoded.is_folded, encoded.passed
        """Log rollback evidence of all cells, see `CheckStacks`, after each window folded since the
        last look but the newest: prefixes that no look has seen."""
        self.changed_from_ms: int | None = None
        """Start of the first window of events of which some row has changed since a look; None
        for none."""
        self._make_tables()
        self.ahead = {source: ReadAhead(layout) for source, layout in self.layouts.items()}
        """Rows of messages that come next, read already."""
        self._cover_slices()

    @classmethod
    def begin(cls, rollout: Rollout, checks: Sequence[Check], stage: int = 0) -> RolloutState:
        """Return the state before any window."""
        encoded = EncodedState(
            policy_hash=policy_hash(rollout),
            version=STATE_VERSION,
            status=RolloutStanding(stage=stage),
            stage=StageCounts(),
            arrivals=Arrivals(),
            tail_thresholds={},
            measured_since=MeasuredSince(),
            stores={},
            evidence={},
            effects={},
            is_folded=False,
            passed=[],
        )
        return cls(checks, encoded, mirrors=rollout.mirrors)

    def cover_arrivals(self) -> None:
        """Give each slice that the checks cover by now a place in all arrays."""
        before = self.stacks
        self._make_tables()
        self.passed = [self._covered(before.names, one) for one in self.passed]
        self._cover_slices()
        for ahead in self.ahead.values():
            ahead.clear()

    def _cover_slices(self) -> None:
        for check, slices in zip(self.checks, self.table.of_check, strict=True):
            known = self.evidence.get(check.name) or CheckEvidence.begin(check.test, ())
            self.evidence[check.name] = known.covering(check.test, slices)
            effect = self.effects.get(check.name) or DesignEffect.begin(check.test, ())
            self.effects[check.name] = effect.covering(slices)

    def _make_tables(self) -> None:
        self.table = SliceTable(self.checks, self.arrivals, mirrors=self._mirrors)
        self.stacks = CheckStacks(self.checks, self.table, self.layouts)
        self.sums = {
            source: OpenSums(layout, self.table) for source, layout in self.layouts.items()
        }
        """Of open windows, by source."""
        self.paths = {
            source: EvidencePath(stacks, self.layouts[source])
            for source, stacks in self.stacks.of_source.items()
            if stacks
        }
        """What the last look found in them."""
        self.judged_tails: dict[str, set[str]] = {}
        """The measures whose tails are judged, by slice."""
        for check, slices in zip(self.checks, self.table.of_check, strict=True):
            for name in slices if check.is_tail else ():
                self.judged_tails.setdefault(name, set()).add(check.metric.measure)

    def note_fold(self) -> None:
        """Keep what the fold before has left, unless a look has seen it; call it before a fold."""
        if self.is_folded:
            self.passed.append(self.stacks.log_evidence(self.evidence))
        self.is_folded = True

    def note_look(self) -> None:
        """Forget what was folded until now: a look has seen it."""
        self.is_folded, self.passed = False, []

    def _covered(self, names: Sequence[str], evidence: FloatArray) -> FloatArray:
        """Return evidence of cells that had these names as that of the present cells."""
        known = dict(zip(names, evidence.tolist(), strict=True))
        return np.array([known.get(name, -np.inf) for name in self.stacks.names])

    def tail_threshold(self, slice_name: str, measure: str) -> TailThreshold:
        """Return where stable's tail begins in a slice, as far as that was learnt."""
        return self.tail_thresholds.get(slice_name, {}).get(measure) or TailThreshold()

    def newest_start_ms(self) -> int:
        """Return the start of the newest window of any source; -1 before any."""
        starts = [store.newest_start_ms() for store in self.stores.values()]
        return max(-1, self.status.newest_window_ms, *starts)

    def versions(self, source: Source) -> dict[int, int]:
        """Return the versions applied, by partition of a source, in their order."""
        partitions = self.stores[source].partitions
        return {number: rows.version for number, rows in sorted(partitions.items())}

    def open_rows(self) -> list[RowName]:
        """Return the rows of windows that were not folded."""
        return [
            RowName(source, *place)
            for source, store in self.stores.items()
            for place in store.open_rows()
        ]

    def changed_rows(self) -> set[RowName]:
        """Return which rows of open windows have changed since `note_saved`."""
        return {
            RowName(source, *place)
            for source, store in self.stores.items()
            for place in store.changed
        }

    def note_saved(self) -> None:
        """Begin anew to note which rows change."""
        for store in self.stores.values():
            store.changed.clear()

    def encoded(self, *, with_open_rows: bool = True) -> EncodedState:
        """Return the state as it is encoded, with or without the rows of open windows."""
        return EncodedState(
            policy_hash=self.policy_hash,
            version=STATE_VERSION,
            status=self.status,
            stage=self.stage,
            arrivals=self.arrivals,
            tail_thresholds=self.tail_thresholds,
            measured_since=self.measured_since,
            stores={
                source: pack_store(store, with_open=with_open_rows)
                for source, store in self.stores.items()
            },
            evidence=self.evidence,
            effects=self.effects,
            is_folded=self.is_folded,
            passed=self.passed,
        )


def _resting_on_field(checks: Sequence[Check], source: Source) -> list[str]:
    names = (check.metric.name for check in checks if check.source == source)
    return [name for name in dict.fromkeys(names) if rests_on_field(name)]


def _store(source: Source, encoded: EncodedState, parts: Sequence[EncodedRows]) -> WindowStore:
    if source not in encoded.stores:
        return WindowStore()
    own = [part.by_source[source] for part in parts if source in part.by_source]
    return unpack_store(encoded.stores[source], own)


def _encode_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return list(value.shape), np.ascontiguousarray(value, dtype="<f8").tobytes()
    raise NotImplementedError(f"state holds a {type(value).__name__}")


def _decode_array(kind: Any, value: Any) -> Any:
    if get_origin(kind) is not np.ndarray:
        raise NotImplementedError(f"state holds a {kind}")
    shape, numbers = value
    return np.frombuffer(numbers, dtype="<f8").reshape(shape).copy()


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_encode_array)
_DECODER: Final = msgspec.msgpack.Decoder(EncodedState, dec_hook=_decode_array)
_ROWS_DECODER: Final = msgspec.msgpack.Decoder(EncodedRows)
_HEADER_DECODER: Final = msgspec.msgpack.Decoder(StateHeader)


def encode_state(state: RolloutState, *, with_open_rows: bool = True) -> bytes:
    """Return the state as MessagePack, with or without the rows of open windows.

    An array is its shape and the bytes of its numbers.
    """
    return _ENCODER.encode(state.encoded(with_open_rows=with_open_rows))


def encode_rows(state: RolloutState, rows: Iterable[RowName]) -> bytes:
    """Return rows of open windows, to be left out of the state."""
    by_source: dict[Source, list[RowPlace]] = {}
    for row in rows:
        by_source.setdefault(row.source, []).append((row.partition, row.key))
    packed = {source: pack_rows(state.stores[source], own) for source, own in by_source.items()}
    return _ENCODER.encode(EncodedRows(packed))


def decode_rows(payload: bytes) -> EncodedRows:
    """Return the rows that `encode_rows` wrote."""
    return _ROWS_DECODER.decode(payload)


def decode_state(
    rollout: Rollout, checks: Sequence[Check], payload: bytes, parts: Iterable[bytes] = ()
) -> RolloutState:
    """Return the state that `encode_state` wrote, with the rows that were left out of it.

    Of rows that are in several parts the last one counts. Raises ValueError when another policy or
    another release wrote it: begin anew then.
    """
    header = decode_header(payload)
    if header.version != STATE_VERSION or header.policy_hash != policy_hash(rollout):
        raise ValueError("this state belongs to another policy or release")
    rows = [decode_rows(part) for part in parts]
    state = RolloutState(checks, _DECODER.decode(payload), parts=rows, mirrors=rollout.mirrors)
    if any(len(evidence) != state.stacks.n_cells for evidence in state.passed):
        raise ValueError("this state has evidence of other checks or slices")
    return state


def decode_header(payload: bytes) -> StateHeader:
    """Return what every release can read of a state."""
    return _HEADER_DECODER.decode(payload)
