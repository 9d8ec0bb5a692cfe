"""Ratings go to the side that the user was served."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from tests.gateways.rig import AT, Model, Rig, allocation
from tests.gateways.virtual_time import run
from understudy.gateways.receipt import Receipt
from understudy.gateways.request_context import RequestContext
from understudy.schemas.feedback import Feedback, decode_feedback

LATER = AT + dt.timedelta(minutes=3)


def receipt_of(rig: Rig, **context: Any) -> Receipt:
    receipt = Receipt()

    async def asked() -> None:
        await rig.router.call(RequestContext(receipt=receipt, pair_id="p1", **context), "hi")
        await rig.drained()

    run(asked())
    return receipt


@pytest.mark.parametrize(
    ("mode", "share", "side"),
    [("shadow", 0.0, "stable"), ("ab", 1.0, "candidate"), ("interleave", 1.0, "candidate")],
)
def test_the_served_side_is_rated(mode: Any, share: float, side: Any) -> None:
    receipt = receipt_of(
        Rig(allocation(mode, share), workflow="chat"), conversation_id="c1", turn=2, language="de"
    )
    stored = msgspec.json.decode(msgspec.json.encode(receipt), type=Receipt)
    rating = stored.feedback("thumbs", 1.0, label="up", at=LATER)
    assert rating is not None
    assert decode_feedback(msgspec.json.encode(rating)) == Feedback(
        schema_version=1, rollout_id="checkout", pair_id="p1", mode=mode, side=side,
        request_time=AT, feedback_time=LATER, name="thumbs", score_value=1.0, score_label="up",
        conversation_id="c1", turn=2, language="de", workflow="chat",
    )  # fmt: skip


def test_stable_that_serves_alone_is_not_rated() -> None:
    assert receipt_of(Rig(None)).feedback("thumbs", 1.0) is None


def test_stable_that_serves_instead_of_a_candidate_is_not_rated_in_its_place() -> None:
    failing = Model("candidate", 0.0, ValueError())
    assert receipt_of(Rig(allocation("ab", 1.0), candidate=failing)).feedback("x", 0.0) is None
