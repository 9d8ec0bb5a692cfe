"""Says when decisions grow too old to act upon, and when they are fresh again."""

from __future__ import annotations

import datetime as dt
import logging

from understudy.gateways.allocation import FULL_SHARE, Allocation

log = logging.getLogger(__name__)


class StaleDecisions:
    """Which rollouts of a gateway act on a decision that is too old; logs each change."""

    def __init__(self) -> None:
        self._rollouts: set[str] = set()

    def note(self, allocation: Allocation | None, now: dt.datetime) -> None:
        """Take what is in force for a rollout, as `in_force` returns it."""
        if allocation is None or allocation.is_stale == (allocation.rollout_id in self._rollouts):
            return
        name = allocation.rollout_id
        if not allocation.is_stale:
            self._rollouts.discard(name)
            log.warning("rollout %s: there is a fresh decision again", name)
            return
        self._rollouts.add(name)
        keeps = allocation.candidate_share >= FULL_SHARE
        log.warning(
            "rollout %s: the newest decision is %.0f s old; %s until there is a fresh one",
            name, allocation.age_s(now),
            "the candidate keeps all requests" if keeps else "stable serves alone",
        )  # fmt: skip
