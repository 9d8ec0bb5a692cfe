"""The least rights that each kind of user needs on a broker with an authorizer.

The worker compares them with what the broker grants it before it starts, `understudy doctor` shows
what is missing, and docs/operations.md lists them; the tests withdraw them one by one. A user that
may read or write may also describe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from understudy.schemas.windows import SOURCES
from understudy.streams.kafka.client_config import changelog, group_of, topic_of, topics
from understudy.streams.settings import Settings

Operation = Literal["Create", "Describe", "DescribeConfigs", "Read", "Write"]
Resource = Literal["topic", "group"]


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One line of an access control list."""

    resource: Resource
    name: str
    operation: Operation

    def __str__(self) -> str:
        return f"{self.operation} on {self.resource} {self.name}"

    @property
    def option(self) -> str:
        """The arguments of `kafka-acls.sh` that grant it."""
        return f"--operation {self.operation} --{self.resource} {self.name}"


def _topic(operation: Operation, names: Iterable[str]) -> list[Right]:
    return [Right("topic", name, operation) for name in names]


def gateway_rights(settings: Settings) -> list[Right]:
    """Of a publisher: it writes events, feedback and choices, and follows decisions."""
    names = topics(settings.kafka)
    return [
        *_topic("Write", (names.events.name, names.feedback.name, names.evaluations.name)),
        *_topic("Read", (names.decisions.name,)),
    ]


def publishing_rights(settings: Settings) -> list[Right]:
    """Of a person who publishes recordings, which must not be older than what the topic holds."""
    sources = [topic_of(settings.kafka, source) for source in SOURCES]
    return [
        *_topic("Read", sources),
        *_topic("Write", sources),
        *(Right("group", group_of(settings.kafka, source), "Describe") for source in SOURCES),
    ]


def pairing_rights(settings: Settings) -> list[Right]:
    """Of a worker that pairs; policies say what it captures."""
    names = topics(settings.kafka)
    return [
        *_topic("Read", (names.rollouts.name,)),
        *_topic("Read", (topic_of(settings.kafka, source) for source in SOURCES)),
        *(Right("group", group_of(settings.kafka, source), "Read") for source in SOURCES),
        *_topic("Write", (names.windows.name, names.dead_letters.name)),
    ]


def deciding_rights(settings: Settings) -> list[Right]:
    """Of a worker that decides, serves the API and alerts."""
    names = topics(settings.kafka)
    kept_in = changelog(settings).name
    shared = (names.rollouts.name, names.decisions.name, names.audit.name, kept_in)
    return [
        *_topic("Read", (names.windows.name, *shared)),
        *_topic("Write", (names.windows.name, names.dead_letters.name, *shared)),
        Right("group", settings.deciding.group_id, "Read"),
        Right("group", settings.alerting.group_id, "Read"),
    ]


def evaluating_rights(settings: Settings) -> list[Right]:
    """Of a worker that evaluates."""
    names = topics(settings.kafka)
    return [
        *_topic("Read", (names.events.name, names.rollouts.name, names.evaluations.name)),
        *_topic("Write", (names.evaluations.name,)),
        Right("group", settings.evaluating.group_id, "Read"),
    ]


def operator_rights(settings: Settings) -> list[Right]:
    """Of a person who starts, stops and promotes rollouts: `understudy rollout …`."""
    names = topics(settings.kafka)
    return [
        *_topic("Read", (names.rollouts.name, names.decisions.name, names.audit.name)),
        *_topic("Write", (names.rollouts.name, names.audit.name)),
    ]


def diagnosing_rights(settings: Settings) -> list[Right]:
    """Of a person who asks what is wrong: `doctor`, `accounting`, `dead-letters list`."""
    names = topics(settings.kafka)
    return [
        *_topic("Read", (names.events.name, names.dead_letters.name)),
        *_topic("Describe", (names.feedback.name, names.evaluations.name, names.windows.name)),
        *_topic("Describe", (names.rollouts.name, names.decisions.name, names.audit.name)),
        *_topic("DescribeConfigs", (spec.name for spec in names)),
        *(Right("group", group_of(settings.kafka, source), "Describe") for source in SOURCES),
    ]


def replaying_rights(settings: Settings) -> list[Right]:
    """Of a person who writes dead letters to their topics again: `dead-letters replay`."""
    sources = [topic_of(settings.kafka, source) for source in SOURCES]
    return [
        *_topic("Read", (topics(settings.kafka).dead_letters.name,)),
        *_topic("Write", sources),
        *(Right("group", group_of(settings.kafka, source), "Describe") for source in SOURCES),
    ]


def installing_rights(settings: Settings) -> list[Right]:
    """Of an administrator who makes the topics: `understudy topics`."""
    names = [spec.name for spec in (*topics(settings.kafka), changelog(settings))]
    return [
        *_topic("Create", names), *_topic("Describe", names), *_topic("DescribeConfigs", names)
    ]  # fmt: skip


LEAST_RIGHTS: Final[Mapping[str, Callable[[Settings], list[Right]]]] = {
    "gateway": gateway_rights,
    "publish": publishing_rights,
    "worker --role pairing": pairing_rights,
    "worker --role deciding": deciding_rights,
    "worker --role evaluating": evaluating_rights,
    "rollout": operator_rights,
    "doctor, accounting, dead-letters list": diagnosing_rights,
    "dead-letters replay": replaying_rights,
    "topics": installing_rights,
}
"""By what the user runs."""
