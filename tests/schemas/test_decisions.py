"""Decisions on the wire: equal ones are equal bytes, and others are refused."""

from __future__ import annotations

import msgspec
import pytest

from tests.streams.demo.decisions import decision, evidence
from understudy.schemas.decisions import decode_decision, encode_decision


def test_a_decision_survives_the_wire() -> None:
    made = decision("rollback", evidence(log_rollback=3.5), evidence(log_rollback=None))
    assert decode_decision(encode_decision(made)) == made


def test_equal_decisions_are_equal_bytes() -> None:
    assert encode_decision(decision("hold")) == encode_decision(decision("hold"))
    assert encode_decision(decision("hold")) != encode_decision(decision("promote"))


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "maybe"},
        {"decided_at": "2026-03-02T12:00:00"},
        {"evidence": [{}]},
        {"partitions": {"x": 1}},
    ],
)
def test_what_is_no_decision_is_refused(changes: dict[str, object]) -> None:
    document = msgspec.json.decode(encode_decision(decision("hold")))
    with pytest.raises(msgspec.DecodeError):
        decode_decision(msgspec.json.encode({**document, **changes}))


def test_counts_are_never_negative() -> None:
    made = decision("hold", msgspec.structs.replace(evidence(), statistics={"pairs": -1}))
    with pytest.raises(msgspec.DecodeError):
        decode_decision(encode_decision(made))
