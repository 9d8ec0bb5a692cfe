"""A registry in whose way somebody else comes."""

from __future__ import annotations

from collections.abc import Callable

from understudy.streams.rollouts.registry import Place, RolloutRegistry
from understudy.streams.settings import KafkaSettings


class Interrupted(RolloutRegistry):
    """Somebody else does something between its first reading and its first write."""

    def __init__(self, settings: KafkaSettings, meanwhile: Callable[[], object]) -> None:
        super().__init__(settings)
        self._meanwhile: Callable[[], object] | None = meanwhile

    def _write(self, rollout_id: str, value: bytes | None) -> Place:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super()._write(rollout_id, value)
