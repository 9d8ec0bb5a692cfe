"""No message is delivered before the table of its partition has been loaded.

Upstream: `App._on_partitions_revoked` pauses the partitions that the worker holds, and recovery
resumes them. A worker that held none before has nothing paused, so messages are delivered to it
while the table is still empty, and count as windows without a policy.
"""

from __future__ import annotations

import faust
from faust.types import TP


class PauseUntilRecovered(faust.App):
    """Pauses what is assigned at once; recovery resumes it."""

    async def _on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self.consumer.pause_partitions(assigned)
        await super()._on_partitions_assigned(assigned, generation_id)
