"""The AsyncAPI 3.0 description of what a gateway writes to Kafka and reads from it.

The application that the document describes is a gateway: it sends events and feedback and receives
decisions. Evaluations come from evaluators, and of gateways from those that let users choose.
`python -m understudy.schemas.generate` writes the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from understudy.schemas.decisions import Decision
from understudy.schemas.evaluations import Evaluation
from understudy.schemas.events import Event
from understudy.schemas.feedback import Feedback
from understudy.schemas.json_parts import Schema, components
from understudy.schemas.json_schema import CONTRACTS, FOLDER
from understudy.schemas.topics import PARTITIONER, TopicSpec, understudy_topics

FILE: Final = "asyncapi.json"
VERSION: Final = "3.0.0"
KAFKA_BINDING: Final = "0.5.0"
_REFERENCE: Final = "#/components/schemas/{name}"
_DESCRIPTION: Final = f"""\
What a gateway writes to Kafka and reads from it. Values are JSON in UTF-8, keys text in UTF-8. \
Partitions are chosen by the murmur2 hash of the key (`{PARTITIONER}` in librdkafka): both sides \
of a request have to reach one partition. Names of topics are those of the default prefix."""
_KEY: Final = (
    "`rollout_id/conversation_id` where the event names a conversation, else `rollout_id/pair_id`."
)


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic as a gateway sees it."""

    name: str
    action: Literal["send", "receive"]
    record: type[msgspec.Struct]
    topic: TopicSpec
    key: str
    summary: str


def channels() -> tuple[Channel, ...]:
    """All topics that a gateway knows."""
    topics = understudy_topics()
    return (
        Channel(
            "events", "send", Event, topics.events, _KEY,
            "What one side of one request answered; an event per side.",
        ),
        Channel(
            "feedback", "send", Feedback, topics.feedback, "`rollout_id/pair_id`.",
            "One rating of an answer by a user.",
        ),
        Channel(
            "evaluations", "send", Evaluation, topics.evaluations, "`rollout_id/pair_id`.",
            "What an evaluator says about the two answers of one pair: which is better, or a score "
            "for each. The first record of a pair, an evaluator and its version counts.",
        ),
        Channel(
            "decisions", "receive", Decision, topics.decisions, "`rollout_id`.",
            "The newest decision about each rollout: which share of requests its candidate gets. "
            "The topic is compacted: read it from the beginning, without a consumer group.",
        ),
    )  # fmt: skip


def build() -> Schema:
    """The whole document."""
    found = channels()
    names, schemas = components([one.record for one in found], _REFERENCE)
    refinements = {contract.record: contract.refine for contract in CONTRACTS}
    for channel, name in zip(found, names, strict=True):
        refinements[channel.record](schemas[name])
    named = dict(zip(found, names, strict=True))
    return {
        "asyncapi": VERSION,
        "info": {"title": "Understudy gateway", "version": "1", "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": {one.name: _channel(one, name) for one, name in named.items()},
        "operations": {_operation_name(one): _operation(one, name) for one, name in named.items()},
        "components": {
            "messages": {name: _message(one, name) for one, name in named.items()},
            "schemas": _as_draft_07(schemas),
        },
    }


def render() -> str:
    """The text of the file."""
    return msgspec.json.format(msgspec.json.encode(build()), indent=2).decode() + "\n"


def files() -> Mapping[Path, str]:
    """The file and its text, by path."""
    return {FOLDER / FILE: render()}


def _operation_name(channel: Channel) -> str:
    return f"{channel.action}{channel.name.capitalize()}"


def _channel(channel: Channel, name: str) -> Schema:
    topic = channel.topic
    kafka = {
        "topic": topic.name,
        "partitions": topic.partitions,
        "topicConfiguration": {
            "cleanup.policy": [topic.cleanup_policy],
            "retention.ms": topic.retention_ms,
            "max.message.bytes": topic.max_message_bytes,
        },
        "bindingVersion": KAFKA_BINDING,
    }
    return {
        "address": topic.name,
        "summary": channel.summary,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {"kafka": kafka},
    }


def _operation(channel: Channel, name: str) -> Schema:
    return {
        "action": channel.action,
        "summary": channel.summary,
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "messages": [{"$ref": f"#/channels/{channel.name}/messages/{name}"}],
    }


def _message(channel: Channel, name: str) -> Schema:
    key = {"type": "string", "description": channel.key}
    return {
        "name": name,
        "contentType": "application/json",
        "summary": channel.summary,
        "payload": {"$ref": _REFERENCE.format(name=name)},
        "bindings": {"kafka": {"key": key, "bindingVersion": KAFKA_BINDING}},
    }


def _as_draft_07(node: Any) -> Any:
    """JSON Schemas in the draft that AsyncAPI builds on, where lists of items have another name."""
    if isinstance(node, list):
        return [_as_draft_07(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {name: _as_draft_07(one) for name, one in node.items() if name != "prefixItems"}
    if "prefixItems" in node:
        return {**kept, "items": _as_draft_07(node["prefixItems"]), "additionalItems": False}
    return kept
