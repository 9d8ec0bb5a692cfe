"""Which rollouts capture pairs, and how much of them. Pure.

A policy says whether; from when on, its record. Windows that begin later than that by a minute are
captured: by then every worker knows the policy, so that a window is captured whole or not at all,
by whichever worker reads it. What is switched off is dropped at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.rollouts import Capture
from understudy.streams.pairing.capture_memory import CaptureMemory
from understudy.streams.settings import CaptureSettings

if TYPE_CHECKING:  # the rules of redaction take long to import
    from understudy.schemas.redaction.recognizer import Recognizer

KNOWN_BY_ALL_MS: Final = 60_000
"""After a policy was written: workers read it within a second, clocks differ by less than this."""
_FROM_THE_BEGINNING: Final = -(1 << 62)


@dataclass(frozen=True, slots=True)
class CaptureChoice:
    """What one rollout captures, in windows that begin at a time or later."""

    capture: Capture
    from_ms: int


@dataclass(frozen=True, slots=True)
class CaptureLimits:
    """How much is captured; the same in all workers, or their rows differ."""

    pairs_per_kind: int = 3
    pairs_per_window: int = 16
    sampled_per_window: int = 64
    sample_share: float = 0.01
    max_text_bytes: int = 8_192
    max_bytes: int = 256 * 1024 * 1024

    @classmethod
    def from_settings(cls, settings: CaptureSettings) -> CaptureLimits:
        """Return the limits that settings describe."""
        return cls(
            settings.pairs_per_kind,
            settings.pairs_per_window,
            settings.sampled_per_window,
            settings.sample_share,
            settings.max_text_bytes,
            settings.max_bytes,
        )


@dataclass(slots=True)
class CaptureChoices:
    """What is captured now; another thread replaces the choices as policies come."""

    limits: CaptureLimits = field(default_factory=CaptureLimits)
    by_rollout: Mapping[str, CaptureChoice] = field(default_factory=dict)
    """Of rollouts that capture anything; never changed in place."""
    by_default: Capture = "none"
    """Of rollouts that are not among those: workers leave it, a report on a file sets it."""
    recognize: Recognizer | None = None
    """Finds what rules cannot redact."""
    memory: CaptureMemory = field(default_factory=CaptureMemory)

    @property
    def is_anything(self) -> bool:
        """Whether some rollout captures."""
        return bool(self.by_rollout) or self.by_default != "none"

    def of(self, rollout_id: str, window_start_ms: int) -> Capture:
        """What is captured of a window."""
        choice = self.by_rollout.get(rollout_id)
        if choice is None:
            return self.by_default
        if window_start_ms < choice.from_ms:
            return "none"
        return choice.capture


def take_over(
    choices: dict[str, CaptureChoice], rollout_id: str, record: RolloutRecord | None
) -> None:
    """Write into choices what a record says; without one, or without capture, that is nothing."""
    choices.pop(rollout_id, None)
    if record is not None and record.manifest.capture != "none":
        choices[rollout_id] = choice_of(record)


def choice_of(record: RolloutRecord) -> CaptureChoice:
    """Return what a rollout's record chooses."""
    since = record.capture_since
    from_ms = _FROM_THE_BEGINNING if since is None else to_epoch_ms(since) + KNOWN_BY_ALL_MS
    return CaptureChoice(record.manifest.capture, from_ms)
