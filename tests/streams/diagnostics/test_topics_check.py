"""Topics that are missing or differ from their specs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.streams.diagnostics.samples import FAIL, OK, WARN, levels
from understudy.schemas.topics import understudy_topics
from understudy.streams.diagnostics.findings import Level
from understudy.streams.diagnostics.topics_check import check_topics
from understudy.streams.kafka.topic_admin import TopicDifference, TopicsFound

SPECS = understudy_topics()
EVENTS = SPECS.events.name
TIMESTAMPS = "message.timestamp.type"
ALL = TopicsFound((), (), {spec.name: spec.partitions for spec in SPECS})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ALL, [OK]),
        (replace(ALL, missing=(EVENTS,)), [FAIL]),
        (TopicsFound((EVENTS,), (), {}), [FAIL]),
        (replace(ALL, differences=(TopicDifference(EVENTS, "retention.ms", "1", "2"),)), [WARN]),
        (replace(ALL, differences=(TopicDifference(EVENTS, "partitions", "12", "4"),)), [WARN]),
        (replace(ALL, differences=(TopicDifference(EVENTS, "cleanup.policy", "a", "b"),)), [FAIL]),
        (
            replace(ALL, differences=(TopicDifference(EVENTS, TIMESTAMPS, "a", "b"),)),
            [FAIL],
        ),
        (
            replace(
                ALL,
                differences=(TopicDifference(SPECS.windows.name, TIMESTAMPS, "a", "b"),),
            ),
            [WARN],
        ),
        (
            replace(
                ALL,
                differences=(TopicDifference(SPECS.feedback.name, TIMESTAMPS, "a", "b"),),
            ),
            [FAIL],
        ),
        (replace(ALL, partitions={**ALL.partitions, EVENTS: 6}), [OK]),
        (replace(ALL, partitions={**ALL.partitions, SPECS.rollouts.name: 6}), [FAIL]),
        (replace(ALL, partitions={**ALL.partitions, SPECS.dead_letters.name: 6}), [OK]),
    ],
)
def test_topics(found: TopicsFound, expected: list[Level]) -> None:
    assert levels(check_topics(found, SPECS)) == expected
