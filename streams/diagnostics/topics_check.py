"""Whether the topics are there and are what they should be. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from understudy.schemas.topics import Topics
from understudy.streams.diagnostics.findings import Finding, fail, or_ok, warn
from understudy.streams.kafka.topic_admin import TopicDifference, TopicsFound

TOPICS: Final = "topics"


def check_topics(found: TopicsFound, specs: Topics) -> list[Finding]:
    """Missing topics, and differences by how much they matter."""
    findings = [
        *_missing(found),
        *(_difference(one, specs) for one in found.differences),
        *_partitions_that_must_agree(found, specs),
    ]
    return or_ok(TOPICS, findings, f"{len(found.partitions)} topics are as they should be")


def _missing(found: TopicsFound) -> Iterator[Finding]:
    if found.missing:
        yield fail(TOPICS, f"missing: {', '.join(found.missing)}", "run `understudy topics`")


def _difference(one: TopicDifference, specs: Topics) -> Finding:
    alter = f"kafka-configs.sh --alter --topic {one.topic} --add-config {one.setting}={one.wanted}"
    if one.setting == "cleanup.policy":
        return fail(TOPICS, str(one), f"messages get lost; {alter}")
    if one.setting == "message.timestamp.type" and one.topic in (
        specs.events.name,
        specs.feedback.name,
        specs.evaluations.name,
    ):
        return fail(TOPICS, str(one), f"a wrong clock would close windows; {alter}")
    if one.setting == "partitions":
        return warn(TOPICS, str(one), _partitions_advice(one, specs))
    return warn(TOPICS, str(one), alter)


def _partitions_advice(one: TopicDifference, specs: Topics) -> str:
    if one.topic != specs.events.name:
        return "fine, if meant"
    return (
        f"fine, if meant: at most {one.actual} workers share the load. Change it only while no "
        "gateway writes; pairs under way are torn"
    )


def _partitions_that_must_agree(found: TopicsFound, specs: Topics) -> Iterator[Finding]:
    together = (specs.windows, specs.rollouts, specs.decisions)
    counts = {s.name: found.partitions[s.name] for s in together if s.name in found.partitions}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} has {count}" for name, count in counts.items())
        yield fail(
            TOPICS,
            f"partitions must be as many, but {shown}",
            "these topics are read side by side by key; make the smaller ones anew",
        )
