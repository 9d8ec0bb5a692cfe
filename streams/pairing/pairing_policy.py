"""The times and limits that pairing works by; frozen, and the same for every partition."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from understudy.analyzers.compare.options import CompareOptions
from understudy.schemas.events import MAX_EVENT_BYTES
from understudy.streams.pairing.capture_choices import CaptureChoices, CaptureLimits
from understudy.streams.settings import Settings, SettingsError, load_recognizer

_LEAST_S: Final = 0.001
"""Times are whole milliseconds."""


@dataclass(frozen=True, slots=True)
class PairingPolicy:
    """How long the join waits, how windows are cut, how much memory it may take."""

    window_s: int = 10
    """Length of a window in whole seconds."""
    join_timeout_s: float = 120.0
    """How far the watermark may pass a side before its partner is given up."""
    allowed_lateness_s: float = 130.0
    """How far the watermark passes a window's end before the window closes."""
    max_clock_skew_s: float = 60.0
    """How far a `request_time` may lie after its record's Kafka timestamp."""
    request_time_tolerance_s: float = 5.0
    """How far apart the request times of two sides of one request may lie, up to the timeout."""
    retry_grace_s: float = 2.0
    """How far the watermark may rise before a failed attempt counts as the last one."""
    max_event_bytes: int = MAX_EVENT_BYTES
    """Larger events are invalid."""
    max_join_bytes: int = 256 * 1024 * 1024
    """How many bytes of one partition's log the join looks back at."""
    compare: CompareOptions = field(default_factory=CompareOptions)
    captures: CaptureChoices = field(default_factory=CaptureChoices, compare=False)
    """Which rollouts capture pairs; follows their policies, and changes no window."""

    def __post_init__(self) -> None:
        if self.window_s < 1:
            raise ValueError(f"window_s must be at least 1, not {self.window_s}")
        if self.join_timeout_s <= 0:
            raise ValueError(f"join_timeout_s must be above 0, not {self.join_timeout_s}")
        if self.allowed_lateness_s < self.join_timeout_s:
            raise ValueError(
                f"allowed_lateness_s ({self.allowed_lateness_s}) must be at least "
                f"join_timeout_s ({self.join_timeout_s}): a window must outlive its joins"
            )
        if self.request_time_tolerance_s < 0:
            raise ValueError(
                f"request_time_tolerance_s must be at least 0, not {self.request_time_tolerance_s}"
            )
        if self.retry_grace_s < 0:
            raise ValueError(f"retry_grace_s must be at least 0, not {self.retry_grace_s}")

    @classmethod
    def from_settings(cls, settings: Settings) -> PairingPolicy:
        """The policy that settings describe. Raises `SettingsError`."""
        pairing = settings.pairing
        try:
            return cls(
                window_s=pairing.window_s,
                join_timeout_s=pairing.join_timeout_s,
                allowed_lateness_s=pairing.allowed_lateness_s,
                max_clock_skew_s=pairing.max_clock_skew_s,
                request_time_tolerance_s=pairing.request_time_tolerance_s,
                retry_grace_s=pairing.retry_grace_s,
                max_event_bytes=pairing.max_event_bytes,
                max_join_bytes=pairing.max_join_bytes,
                compare=settings.compare_options(),
                captures=CaptureChoices(
                    CaptureLimits.from_settings(settings.capture),
                    recognize=load_recognizer(settings.redaction.recognizer),
                ),
            )
        except ValueError as error:
            raise SettingsError(f"[pairing] {error}") from None

    @property
    def without_waiting(self) -> PairingPolicy:
        """The same for records that wait for no other: windows close as soon as they are over."""
        return replace(
            self, join_timeout_s=_LEAST_S, allowed_lateness_s=_LEAST_S, request_time_tolerance_s=0.0
        )

    @property
    def window_ms(self) -> int:
        """Length of a window in milliseconds."""
        return self.window_s * 1000

    @property
    def join_timeout_ms(self) -> int:
        """The join timeout in whole milliseconds."""
        return round(self.join_timeout_s * 1000)

    @property
    def allowed_lateness_ms(self) -> int:
        """The lateness in whole milliseconds."""
        return round(self.allowed_lateness_s * 1000)

    @property
    def max_clock_skew_ms(self) -> int:
        """The tolerated clock skew in whole milliseconds."""
        return round(self.max_clock_skew_s * 1000)

    @property
    def request_time_tolerance_ms(self) -> int:
        """The tolerance between sides in whole milliseconds; the join looks back no further."""
        return min(round(self.request_time_tolerance_s * 1000), self.join_timeout_ms)

    @property
    def retry_grace_ms(self) -> int:
        """The wait for a further attempt in whole milliseconds."""
        return round(self.retry_grace_s * 1000)

    @property
    def turn_interval_ms(self) -> int:
        """Within which only the first requests of a conversation form pairs with other turns."""
        return max(1, self.join_timeout_ms // 12)

    @property
    def _influence_ms(self) -> int:
        """How far after the time of a missing record windows may lack something.

        The record touches sides up to a join timeout and a tolerance after it. Answers up to a join
        timeout later are held against those, and what became of these is multiplied with what
        became of turns up to a join timeout later still. Which turns these are depends on those
        before them within an interval.
        """
        beyond_ms = self.join_timeout_ms + self.request_time_tolerance_ms
        return beyond_ms + self.answer_reach_ms + self.turn_reach_ms + self.turn_interval_ms

    @property
    def answer_reach_ms(self) -> int:
        """How far apart two requests may lie whose answers are held against each other."""
        return self.join_timeout_ms

    @property
    def turn_reach_ms(self) -> int:
        """How far apart two turns of a conversation may lie that form a pair."""
        return self.join_timeout_ms

    @property
    def horizon_ms(self) -> int:
        """How far the committed offset trails the watermark: what recovery reads again.

        All windows are closed that may lack something by what lies before the committed offset.
        """
        return self.window_ms + self.allowed_lateness_ms + self._influence_ms

    def complete_from_ms(self, timestamp_ms: int) -> int:
        """Return from when on windows are whole in a log whose first record has this timestamp.

        What came before that record was stored before it, and made at most the clock skew later
        than that.
        """
        reach_ms = timestamp_ms + self.max_clock_skew_ms + self._influence_ms
        return reach_ms - reach_ms % self.window_ms + self.window_ms
