"""The AsyncAPI document matches the records, the topics and what the decoder accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from understudy.schemas.asyncapi import FILE, build, render
from understudy.schemas.examples import ValidEvent, invalid_events, valid_events
from understudy.schemas.json_schema import FOLDER
from understudy.schemas.topics import understudy_topics

DRAFT_07 = "http://json-schema.org/draft-07/schema#"


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, inner in node.items():
            if name == "$ref":
                yield inner
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def resolve(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def test_the_file_is_up_to_date() -> None:
    assert (FOLDER / FILE).read_text("utf-8") == render()


def test_a_gateway_sends_events_feedback_and_choices_and_receives_decisions() -> None:
    operations = build()["operations"]

    assert {name: one["action"] for name, one in operations.items()} == {
        "sendEvents": "send",
        "sendFeedback": "send",
        "sendEvaluations": "send",
        "receiveDecisions": "receive",
    }


def test_every_reference_leads_somewhere() -> None:
    document = build()
    found = set(references(document))

    assert found
    for reference in found:
        assert resolve(document, reference), reference


def test_topics_are_those_that_the_service_makes() -> None:
    topics = {spec.name: spec for spec in understudy_topics()}

    for channel in build()["channels"].values():
        spec = topics[channel["address"]]
        kafka = channel["bindings"]["kafka"]
        assert kafka["partitions"] == spec.partitions
        assert kafka["topicConfiguration"]["cleanup.policy"] == [spec.cleanup_policy]


def payload_schema(name: str) -> jsonschema_rs.Validator:
    """A message's payload as a schema of its own, in the draft that AsyncAPI builds on."""
    schemas = build()["components"]["schemas"]
    root = {"$schema": DRAFT_07, "allOf": [{"$ref": f"#/components/schemas/{name}"}]}
    return jsonschema_rs.validator_for({**root, "components": {"schemas": schemas}})


@pytest.mark.parametrize("example", valid_events(), ids=lambda one: one.name)
def test_examples_of_events_are_valid_messages(example: ValidEvent) -> None:
    payload_schema("Event").validate(json.loads(example.payload))


def test_events_whose_sides_contradict_their_mode_are_none() -> None:
    refused = [one for one in invalid_events() if one.reason == "sides" and one.schema_refuses]

    assert refused
    for one in refused:
        assert not payload_schema("Event").is_valid(json.loads(one.payload)), one.name
