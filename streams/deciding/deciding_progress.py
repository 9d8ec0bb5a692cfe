"""What deciding has done and how far it is: written by its event loop, read by probes and metrics.

Plain numbers, replaced one at a time, so that another thread may read them without a lock.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class DecidingProgress:
    """Counts since the process began, and the state of the partitions."""

    messages: Counter[str] = field(default_factory=Counter)
    """Messages applied, by topic."""
    decisions: int = 0
    """Decisions emitted, deletions among them."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    """Messages that became dead letters, by reason."""
    rejected_commands: int = 0
    ignored_messages: int = 0
    """Messages of windows without a policy."""
    is_recovered: bool = False
    """Whether the table is loaded and messages are delivered."""
    lags: Mapping[int, int] | None = None
    """Messages of windows still to apply, by partition held; None while Kafka does not answer."""
    updated_s: float = field(default_factory=time.monotonic)
    """When the event loop last updated all this."""
