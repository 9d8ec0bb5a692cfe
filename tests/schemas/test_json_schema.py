"""The JSON Schema files match the records and describe what is really written."""

from __future__ import annotations

import datetime as dt
import json

import jsonschema_rs
import msgspec
import pytest

from understudy.schemas.feedback import Feedback, decode_feedback
from understudy.schemas.json_schema import CONTRACTS, Contract, build, render
from understudy.schemas.window_measures import PairSums, SideSums
from understudy.schemas.windows import WindowRow, windows_message

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def validator(name: str) -> jsonschema_rs.Validator:
    contract = next(c for c in CONTRACTS if c.name == name)
    return jsonschema_rs.validator_for(contract.path.read_text("utf-8"), validate_formats=True)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_each_file_is_a_schema_of_its_dialect(contract: Contract) -> None:
    schema = build(contract)
    assert jsonschema_rs.meta.is_valid(schema)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["$id"] == f"urn:understudy:{contract.name}:{contract.version}"
    assert schema["title"]
    assert schema["description"]
    assert render(contract) == render(contract)


def test_feedback_as_written_is_valid() -> None:
    feedback = Feedback(
        schema_version=1,
        rollout_id="helpdesk-ja",
        pair_id="req-0001",
        mode="interleave",
        side="candidate",
        request_time=NOON,
        feedback_time=NOON + dt.timedelta(minutes=3),
        name="thumbs",
        score_value=1.0,
    )
    payload = msgspec.json.encode(feedback)
    assert decode_feedback(payload) == feedback
    validator("feedback").validate(json.loads(payload))
    assert not validator("feedback").is_valid(json.loads(payload) | {"score_value": 1.5})


def test_a_windows_message_as_written_is_valid() -> None:
    row = WindowRow(
        rollout_id="helpdesk-ja",
        mode="shadow",
        language="ja",
        window_start=NOON,
        window_s=10,
        partition=0,
        version=41,
        stable=SideSums(requests=2, duration_ms_sum=31.5, duration_ms_histogram={-3: 1, 230: 1}),
        pair=PairSums(pairs=2),
    )
    message = windows_message([row], rollout_id="helpdesk-ja", partition=0, version=41)
    document = json.loads(msgspec.json.encode(message))
    validator("windows").validate(document)
    document["columns"]["stable_duration_ms_histogram"] = [{"fast": 1}]
    assert not validator("windows").is_valid(document)
