"""What a user was served, for the rating that the user may give later.

    receipt = Receipt()
    answer = await router.call(RequestContext(user_id="u1", receipt=receipt), prompt)
    …
    if (rating := receipt.feedback("thumbs", 1.0)) is not None:
        publisher.publish_feedback(rating)

A receipt is a msgspec record, so it can be stored as JSON until then.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from understudy.schemas.events import SCHEMA_VERSION, Mode, Side
from understudy.schemas.feedback import Feedback


class Receipt(msgspec.Struct, omit_defaults=True):
    """Filled in by the Router; empty where the request made no event."""

    rollout_id: str | None = None
    pair_id: str = ""
    mode: Mode = "shadow"
    side: Side | None = None
    """Whose answer the user got; None where that answer is no side's."""
    request_time: dt.datetime | None = None
    conversation_id: str | None = None
    turn: int | None = None
    language: str | None = None
    workflow: str | None = None

    def feedback(
        self, name: str, score: float, *, label: str | None = None, at: dt.datetime | None = None
    ) -> Feedback | None:
        """Return the rating of the served answer; None where no side would have it.

        `name` says what was asked, `score` is between 0 (worst) and 1; `at` is now unless given.
        """
        if self.rollout_id is None or self.request_time is None or self.side is None:
            return None
        if self.side == "control":
            return None
        return Feedback(
            schema_version=SCHEMA_VERSION,
            rollout_id=self.rollout_id,
            pair_id=self.pair_id,
            mode=self.mode,
            side=self.side,
            request_time=self.request_time,
            feedback_time=at or dt.datetime.now(dt.UTC),
            name=name,
            score_value=score,
            score_label=label,
            conversation_id=self.conversation_id,
            turn=self.turn,
            language=self.language,
            workflow=self.workflow,
        )
