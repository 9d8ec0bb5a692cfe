"""What deciding has done and how far it is: written by its event loop, read by who tells of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """Counts since the process began, and how it stands."""

    messages: Counter[str] = field(default_factory=Counter)
    """Handled, by topic."""
    decisions: int = 0
    """Told, deletions among them."""
    refused: Counter[str] = field(default_factory=Counter)
    """Dead letters by reason."""
    refused_commands: int = 0
    ignored: int = 0
    """Messages of windows without a policy."""
    is_recovered: bool = False
    """Whether the table is there and messages are delivered."""
    lags: Mapping[int, int] | None = None
    """Messages of windows to be handled, by partition held; None while Kafka does not tell."""
    looked_s: float = field(default_factory=time.monotonic)
    """When the event loop last had a look at all this."""
