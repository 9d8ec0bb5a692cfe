"""Workers that do everything: events and ratings in, windows between, decisions out.

Events are compared with the truth of `truth.py`, ratings with a reading of their own, decisions
with what an undisturbed store makes of the windows in Kafka.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.brokers.contract import Broker
from tests.faults.clickhouse_server import ClickHouseServer
from tests.faults.deciding import DecidingRun
from tests.faults.harness import COMPLETE_S, committed_of
from tests.faults.processes import wait_until
from tests.faults.truth import ratings_of
from tests.faults.workload import ROLLOUTS, Message

_ADMIN_S: Final = 15.0
_COUNTS: Final = (
    "events_single", "events_duplicate", "events_late", "stable_feedback_score_count",
    "stable_feedback_positive", "candidate_feedback_score_count", "candidate_feedback_positive",
)  # fmt: skip


class WholePathRun(DecidingRun):
    """Topics, groups and workers of every role."""

    def __init__(self, broker: Broker, clickhouse: ClickHouseServer, **settings: Any) -> None:
        super().__init__(broker, clickhouse, role="all", rollouts=ROLLOUTS, **settings)

    def rate(self, ratings: Iterable[Message]) -> None:
        """Write to the feedback topic, and wait until Kafka has it."""
        for rating in ratings:
            self.write(self.topics.feedback.name, rating.key, rating.value)
        self.flush()

    def wait_until_rated(self) -> None:
        """Wait until all ratings have been read, stored and committed."""
        topic = self.topics.feedback.name
        places = [TopicPartition(topic, number) for number in range(self.partitions)]
        ends = self.ends_of(topic)
        asker = Consumer({**self._config, "group.id": f"{self.group}-feedback"})

        def done() -> bool:
            try:
                found = asker.committed(places, timeout=_ADMIN_S)
            except KafkaException:
                return False
            return all(
                committed_of(p).position >= ends[p.partition] for p in found if ends[p.partition]
            )

        try:
            wait_until(done, "the ratings are complete", COMPLETE_S, self.living[-1])
        finally:
            asker.close()

    def check_whole(self, without_letter: Iterable[tuple[int, int]] = ()) -> str:
        """Fails with every difference; else says what was checked."""
        truth = self.check(without_letter)
        differences = self._rating_differences()
        shown = "\n".join(differences[:12])
        assert not differences, (
            f"{len(differences)} differences in ratings of {self.name}:\n{shown}"
        )
        decided = self.check_decisions()
        ratings = sum(self.ends_of(self.topics.feedback.name).values())
        return f"{self.summary(truth)}; {ratings} ratings; {decided} decisions"

    def _rating_differences(self) -> list[str]:
        rows = self.sql(
            "SELECT *, toUnixTimestamp64Milli(window_start) AS start FROM windows FINAL "
            "WHERE source = 'feedback'"
        )
        names = ("rollout_id", "mode", "language", "workflow", "start", "partition")
        found = {tuple(row[name] for name in names): row for row in rows}
        wanted = ratings_of(self.read(self.topics.feedback.name), self.rules)
        return [
            f"ratings {name}: {column} is {value}, not {wanted[name][column]}"
            for name in found.keys() | wanted.keys()
            for column in _COUNTS
            if (value := int(found.get(name, {}).get(column, 0))) != wanted[name][column]
        ]
