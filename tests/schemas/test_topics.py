"""What the topics promise to each other: equal partitions where keys must meet, room for what is
written."""

from __future__ import annotations

import pytest

from understudy.schemas.evaluations import MAX_EVALUATION_BYTES
from understudy.schemas.events import MAX_EVENT_BYTES
from understudy.schemas.feedback import MAX_FEEDBACK_BYTES
from understudy.schemas.topics import KEEP_FOREVER, TopicSpec, understudy_topics

TOPICS = understudy_topics()


def test_names_have_the_prefix_and_are_each_other_s() -> None:
    names = [spec.name for spec in understudy_topics("eu.")]
    assert names == [
        "eu.events", "eu.feedback", "eu.evaluations", "eu.windows", "eu.dead-letters",
        "eu.rollouts", "eu.decisions", "eu.audit",
    ]  # fmt: skip
    assert TOPICS.events.name == "understudy.events"


def test_topics_that_one_worker_joins_have_equally_many_partitions() -> None:
    some = understudy_topics(event_partitions=5, rollout_partitions=7)
    assert some.events.partitions == some.feedback.partitions == some.evaluations.partitions == 5
    assert {s.partitions for s in (some.windows, some.rollouts, some.decisions)} == {7}


def test_the_broker_stamps_what_other_clocks_wrote() -> None:
    stamped = {spec.name for spec in TOPICS if spec.timestamp_type == "LogAppendTime"}
    names = (
        TOPICS.events, TOPICS.feedback, TOPICS.evaluations, TOPICS.windows, TOPICS.audit
    )  # fmt: skip
    assert stamped == {spec.name for spec in names}


def test_what_is_in_force_is_kept_for_ever() -> None:
    for spec in (TOPICS.rollouts, TOPICS.decisions):
        assert spec.config["cleanup.policy"] == "compact"
        assert spec.config["retention.ms"] == str(KEEP_FOREVER)
    for spec in (
        TOPICS.events, TOPICS.feedback, TOPICS.evaluations, TOPICS.windows, TOPICS.dead_letters,
    ):  # fmt: skip
        assert spec.config["cleanup.policy"] == "delete"
        assert spec.retention_ms > 0
    assert TOPICS.audit.config["cleanup.policy"] == "delete"
    assert TOPICS.audit.retention_ms == KEEP_FOREVER


@pytest.mark.parametrize("spec", [TOPICS.rollouts, TOPICS.decisions], ids=lambda spec: spec.name)
def test_compacted_topics_close_segments_soon_enough_to_be_read(spec: TopicSpec) -> None:
    assert int(spec.config["segment.ms"]) <= 3_600_000
    assert int(spec.config["segment.bytes"]) < 1024**3


def test_the_largest_messages_fit() -> None:
    assert TOPICS.events.max_message_bytes > MAX_EVENT_BYTES
    assert TOPICS.feedback.max_message_bytes > MAX_FEEDBACK_BYTES
    assert TOPICS.evaluations.max_message_bytes > MAX_EVALUATION_BYTES
    assert TOPICS.dead_letters.max_message_bytes > 2 * MAX_EVENT_BYTES
