"""Events go in, evaluations come out: the whole worker on a broker in this process."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tests.streams.evaluating.scripted_judge import JudgeServer, ScriptedModel, scripted
from tests.streams.pairing.log import EPOCH, event
from tests.waiting import wait_until
from understudy.schemas.evaluations import (
    Evaluation,
    decode_evaluation,
    evaluation_identity,
    preference_value,
)
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import (
    CommandKind,
    RolloutRecord,
    encode_rollout_record,
)
from understudy.schemas.topics import understudy_topics
from understudy.streams.errors import CommandError
from understudy.streams.evaluating import live_policies
from understudy.streams.evaluating.evaluating_runner import (
    EvaluatingParts,
    configured_judge,
    run_evaluating,
)
from understudy.streams.evaluating.event_reader import EventReader
from understudy.streams.evaluating.judge_model import JudgeModel
from understudy.streams.evaluating.live_policies import LivePolicies
from understudy.streams.kafka.client_config import consumer_config, producer_config, topics
from understudy.streams.kafka.compacted_topic import FellBehind
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.producer import BufferedProducer
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.kafka.topic_reader import TopicReader
from understudy.streams.settings import (
    EvaluatingSettings,
    KafkaSettings,
    Settings,
    load_settings,
)

pytestmark = pytest.mark.embedded

POLICY = """
rollout_id: r
models: {stable: a, candidate: b}
evaluate:
  - evaluator: helpfulness@1
    share: 100%
    floor_per_hour: 0
    both_orders: 50%
    control_share: 100%
    budget: {usd_per_day: 1000, calls_per_minute: 100000}
  - {evaluator: number_agreement@1, share: 100%, floor_per_hour: 0}
  - {evaluator: people@7, share: 100%}
"""


class Installation:
    """Topics on a mock broker, with what is written to and read from them."""

    def __init__(self, broker: EmbeddedBroker, **evaluating: Any) -> None:
        kafka = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers,
            client={"log_level": 0, "group.protocol": "consumer", "fetch.wait.max.ms": 20},
        )
        self.settings = Settings(kafka=kafka, evaluating=EvaluatingSettings(**evaluating))
        ensure_topics(broker.client_config, list(understudy_topics(event_partitions=2)))
        self.producer = BufferedProducer(producer_config(kafka))
        self.topics = topics(kafka)

    def set(self, **evaluating: Any) -> None:
        changed = msgspec.structs.replace(self.settings.evaluating, **evaluating)
        self.settings = msgspec.structs.replace(self.settings, evaluating=changed)

    def apply(self, policy: str) -> None:
        record = RolloutRecord(manifest=read_manifest(policy))
        self.producer.send(
            self.topics.rollouts.name, encode_rollout_record(record), record.manifest.rollout_id
        )
        self.producer.flush(10)

    def command(self, policy: str, *kinds: CommandKind) -> None:
        """Write what operators order, as the registry does: into the rollout's record."""
        record = RolloutRecord(manifest=read_manifest(policy))
        for kind in kinds:
            record = record.with_command(kind, EPOCH, reason="a test", by="anna")
            self.producer.send(
                self.topics.rollouts.name, encode_rollout_record(record), record.manifest.rollout_id
            )
        self.producer.flush(10)

    def delete(self, rollout_id: str) -> None:
        self.producer.send(self.topics.rollouts.name, None, rollout_id)
        self.producer.flush(10)

    def publish(self, *payloads: bytes) -> None:
        for payload in payloads:
            fields = msgspec.json.decode(payload)
            key = f"{fields['rollout_id']}/{fields.get('conversation_id') or fields['pair_id']}"
            self.producer.send(self.topics.events.name, payload, key)
        self.producer.flush(10)

    def evaluations(self) -> list[Evaluation]:
        name = self.topics.evaluations.name
        with TopicReader(self.settings.kafka, name) as reader:
            messages = list(reader.read(reader.bounds()))
        return [decode_evaluation(message.value()) for message in messages]  # type: ignore[arg-type]

    @contextmanager
    def worker(self, judge: JudgeModel | None = None) -> Iterator[EvaluatingParts]:
        stop = threading.Event()
        exposed: list[EvaluatingParts] = []
        failures: list[BaseException] = []

        @contextmanager
        def expose(parts: EvaluatingParts) -> Iterator[None]:
            exposed.append(parts)
            yield

        def run() -> None:
            try:
                run_evaluating(self.settings, stop, judge=judge, expose=expose)
            except BaseException as failure:
                failures.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            wait_until(lambda: bool(exposed or failures), "the worker starts")
            if failures:
                raise failures[0]
            yield exposed[0]
        finally:
            stop.set()
            thread.join(30)
        assert not thread.is_alive()
        if failures:
            raise failures[0]


def pair(number: int, at_s: float = 0.0, **changes: Any) -> list[bytes]:
    """Three sides that state a number each; the candidate's differs."""
    shared = {
        "sides": ["stable", "candidate", "control"],
        "request": {"prompt": f"How many are {number}?"},
        **changes,
    }
    name = f"p{number}"
    said = {"stable": f"There are {number}.", "candidate": f"I count {number + 1}."}
    said["control"] = f"It is {number} in all."
    return [
        event(name, side, at_s, response={"output": text}, **shared) for side, text in said.items()
    ]


def stable_wins(request: str, first: str, second: str) -> str:
    """A judge that can count."""
    number = request.split()[-1].rstrip("?")
    good = [f" {number}" in answer for answer in (first, second)]
    return "tie" if good[0] == good[1] else "A" if good[0] else "B"


def test_every_sampled_pair_is_judged_once(embedded_broker: EmbeddedBroker) -> None:
    here = Installation(embedded_broker)
    here.apply(POLICY)
    here.publish(*(side for number in range(40) for side in pair(number, number)))
    with here.worker(ScriptedModel(stable_wins)) as parts:
        wait_until(lambda: parts.reader.counts["written"] >= 120, "all are judged")
        wait_until(lambda: parts.reader.unfinished == 0, "all is finished")
    found = here.evaluations()
    by_kind = Counter((one.evaluator, one.compared) for one in found)
    assert by_kind == {
        ("helpfulness", "candidate"): 40,
        ("helpfulness", "control"): 40,
        ("number_agreement", "candidate"): 40,
    }
    for one in found:
        if one.scores is not None:
            assert (one.scores.stable, one.scores.candidate) == (1.0, 0.0)
        else:
            assert preference_value(one) == (0.0 if one.compared == "candidate" else 0.5)
            assert one.model == "scripted-1"
            assert one.usage is not None
            assert one.usage.cost_usd == pytest.approx(0.001 * len(one.preferences))
        assert one.sampling_share == 1.0
        assert one.language == "en"
        assert one.explanation is None
    orders = Counter(
        one.preferences[0].first for one in found if one.preferences and len(one.preferences) == 1
    )
    assert min(orders["stable"], orders["candidate"]) > 3, orders
    both = [one for one in found if len(one.preferences) == 2]
    assert 20 < len(both) < 60


def test_a_restart_asks_nothing_again(embedded_broker: EmbeddedBroker) -> None:
    here = Installation(embedded_broker)
    here.apply(POLICY)
    here.publish(*(side for number in range(10) for side in pair(number, number)))
    judge = ScriptedModel(stable_wins)
    with here.worker(judge) as parts:
        wait_until(lambda: parts.reader.counts["written"] >= 30, "all are judged")
    calls = len(judge.asked)
    here.publish(*pair(99, 20))
    with here.worker(judge) as parts:
        wait_until(lambda: parts.reader.counts["written"] >= 3, "the new pair is judged")
    assert Counter(one.pair_id for one in here.evaluations()).most_common(1)[0][1] == 3
    assert len(judge.asked) - calls <= 4


def test_a_group_that_is_reset_judges_nothing_again(embedded_broker: EmbeddedBroker) -> None:
    here = Installation(embedded_broker)
    here.apply(POLICY)
    here.publish(*(side for number in range(10) for side in pair(number, number)))
    judge = ScriptedModel(stable_wins)
    with here.worker(judge) as parts:
        wait_until(lambda: parts.reader.counts["written"] >= 30, "all are judged")
    calls = len(judge.asked)
    here.set(group_id="another")
    with here.worker(judge) as parts:
        wait_until(lambda: parts.reader.counts["pairs"] >= 10, "all is read again")
        wait_until(lambda: parts.reader.unfinished == 0, "all is finished")
    assert len(judge.asked) == calls
    assert len(here.evaluations()) == 30


def test_the_budget_of_a_day_holds_over_restarts(embedded_broker: EmbeddedBroker) -> None:
    here = Installation(embedded_broker, concurrency=4)
    here.apply(POLICY.replace("usd_per_day: 1000", "usd_per_day: 0.0205"))
    here.publish(*(side for number in range(60) for side in pair(number, number)))
    judge = ScriptedModel(stable_wins)
    for group in ("first", "second", "third"):  # each reads all of it
        here.set(group_id=group)
        with here.worker(judge) as parts:
            wait_until(lambda: parts.reader.counts["pairs"] == 60, "all pairs are read")
            wait_until(lambda: parts.reader.unfinished == 0, "all is finished")
    assert spent_usd(here) == pytest.approx(0.02)
    assert len(judge.asked) == 20


ONE_CALL_A_PAIR = """
rollout_id: r
models: {stable: a, candidate: b}
evaluate:
  - evaluator: helpfulness@1
    share: 100%
    floor_per_hour: 0
    both_orders: 0%
    control_share: 0%
    budget: {usd_per_day: 10, calls_per_minute: 100000}
"""


def spent_usd(here: Installation) -> float:
    return sum(one.usage.cost_usd or 0 for one in here.evaluations() if one.usage)


def test_calls_that_died_with_a_process_are_charged(embedded_broker: EmbeddedBroker) -> None:
    """As many as can be in flight; where a process ended in order, none."""
    here = Installation(embedded_broker, concurrency=4)
    here.apply(ONE_CALL_A_PAIR)
    here.publish(*(side for number in range(10) for side in pair(number, number)))
    group = here.settings.evaluating.group_id
    killed = Consumer({**consumer_config(here.settings.kafka), "group.id": group})
    name = here.topics.events.name
    killed.commit(offsets=[TopicPartition(name, n, 0) for n in range(4)], asynchronous=False)
    killed.close()
    judge = ScriptedModel(stable_wins)
    with here.worker(judge) as parts:
        wait_until(lambda: parts.reader.counts["written"] >= 10, "all are judged")
    assert spent_usd(here) == pytest.approx(0.001 * (10 + 4))
    here.publish(*(side for number in range(20, 25) for side in pair(number, number)))
    with here.worker(judge) as parts:
        wait_until(lambda: parts.reader.counts["written"] >= 5, "the others are judged")
    assert spent_usd(here) == pytest.approx(0.001 * (10 + 4 + 5))
    assert len(judge.asked) == 15


def every_other_alike(count: int) -> Iterator[bytes]:
    for number in range(count):
        if number % 2:
            yield from pair(number, number)
        else:
            same: dict[str, Any] = {"response": {"output": "same"}, "request": {"prompt": "x"}}
            for side in ("stable", "candidate"):
                yield event(f"p{number}", side, number, sides=["stable", "candidate"], **same)


def test_a_spent_budget_does_not_leave_ties_alone(embedded_broker: EmbeddedBroker) -> None:
    """The candidate loses each pair that differs, half of all: it deserves 0.25."""
    here = Installation(embedded_broker, concurrency=2)
    here.apply(ONE_CALL_A_PAIR)
    here.publish(*every_other_alike(200))
    with here.worker(ScriptedModel(stable_wins, usd=2.0)) as parts:
        wait_until(lambda: parts.reader.counts["pairs"] == 200, "all pairs are read")
        wait_until(lambda: parts.reader.unfinished == 0, "all is finished")
    values = [preference_value(one) for one in here.evaluations()]
    assert values.count(0.0) == 5
    assert values.count(0.5) <= 30, "those of 100 that came before the money was spent: about five"


def test_without_prices_nothing_is_recorded(embedded_broker: EmbeddedBroker) -> None:
    here = Installation(embedded_broker)
    here.apply(ONE_CALL_A_PAIR)
    here.publish(*every_other_alike(20))
    judge = ScriptedModel(stable_wins)
    judge.is_priced = False
    with here.worker(judge) as parts:
        wait_until(lambda: parts.queue.left_out["helpfulness@1", "price_unknown"] == 20, "all")
    assert here.evaluations() == []


def test_a_judge_that_hangs_keeps_no_other_evaluator_waiting(
    embedded_broker: EmbeddedBroker,
) -> None:
    here = Installation(embedded_broker, concurrency=2, queue_pairs=5)
    here.apply(POLICY)
    here.publish(*(side for number in range(30) for side in pair(number, number)))
    with here.worker(ScriptedModel(stable_wins, pause_s=3600)) as parts:
        wait_until(lambda: parts.reader.counts["written"] >= 30, "all numbers are compared")
        wait_until(
            lambda: parts.queue.left_out["helpfulness@1", "queue"] >= 50, "what does not fit"
        )
        waiting = parts.queue.waiting()["helpfulness@1"]
        assert 3 <= waiting <= 5, "two may have been taken after it was full"
    assert {one.evaluator for one in here.evaluations()} == {"number_agreement"}


def test_the_real_client_asks_an_endpoint(embedded_broker: EmbeddedBroker) -> None:
    pytest.importorskip("openai", reason="needs the extra evaluating")
    with JudgeServer(scripted(stable_wins)) as server:
        here = Installation(
            embedded_broker,
            base_url=server.base_url,
            model="local",
            api_key="secret-key",
            input_usd_per_million_tokens=2.0,
            output_usd_per_million_tokens=10.0,
        )
        here.apply(POLICY)
        here.publish(*(side for number in range(5) for side in pair(number, number)))
        with here.worker() as parts:
            wait_until(lambda: parts.reader.counts["written"] >= 15, "all are judged")
        assert server.headers[0]["Authorization"] == "Bearer secret-key"
        assert {body["model"] for body in server.requests} == {"local"}
    judged = [one for one in here.evaluations() if one.preferences and one.model]
    assert len(judged) == 10
    for one in judged:
        assert one.usage is not None
        assert one.usage.cost_usd == pytest.approx(len(one.preferences) * (100 * 2 + 20 * 10) / 1e6)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"model": ""}, "name its model"), ({"api_key": "sk-…"}, "ASCII characters alone")],
)
def test_a_judge_that_cannot_be_asked_is_refused_at_the_start(
    changes: dict[str, str], said: str
) -> None:
    given = {"base_url": "http://127.0.0.1:9/v1", "model": "m", **changes}
    with pytest.raises(CommandError, match=said):
        configured_judge(Settings(evaluating=EvaluatingSettings(**given)))  # type: ignore[arg-type]


def test_policies_that_come_later_are_followed(embedded_broker: EmbeddedBroker) -> None:
    here = Installation(embedded_broker)
    with here.worker(ScriptedModel(stable_wins)) as parts:
        here.publish(*pair(1))
        assert parts.reader.partitions == 0
        here.apply(POLICY)
        wait_until(lambda: parts.reader.counts["written"] >= 3, "the pair is judged")
    assert {one.pair_id for one in here.evaluations()} == {"p1"}


class Policy:
    """A message with a policy of `r`, or its deletion."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    def key(self) -> bytes:
        return b"r"

    def value(self) -> bytes | None:
        if self._text is None:
            return None
        return encode_rollout_record(RolloutRecord(manifest=read_manifest(self._text)))


class Follower:
    """Gives messages a look at a time; then it has caught up, or falls behind."""

    def __init__(self, *looks: list[Policy], is_cut_off: bool = False) -> None:
        self.looks = list(looks)
        self.is_cut_off = is_cut_off

    def take(self, _: float) -> list[Policy]:
        return self.looks.pop(0) if self.looks else []

    def has_caught_up(self, _: float) -> bool:
        if self.is_cut_off and not self.looks:
            raise FellBehind("the topic was made again")
        return not self.looks

    def close(self) -> None:
        pass


def test_policies_that_were_replaced_do_not_come_back_when_all_are_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    share = POLICY.replace("share: 100%, floor_per_hour: 0", "share: 50%, floor_per_hour: 0")
    first = Follower([Policy(POLICY)], [Policy(share)], [])
    again = Follower([Policy(POLICY)], [Policy(share)])
    deleted = Follower([Policy(share)], [Policy(None)])
    followers = [first, again, deleted]
    monkeypatch.setattr(live_policies, "TopicFollower", lambda *_: followers.pop(0))
    policies = LivePolicies(KafkaSettings())
    assert [policies.follow() for _ in range(3)] == [False, False, True]
    newest = dict(policies.rollouts)
    assert newest["r"].samplings[1].share == 0.5
    first.is_cut_off = True
    assert [policies.follow() for _ in range(3)] == [False, False, False]
    assert policies.rollouts == newest
    again.is_cut_off = True
    assert [policies.follow(), policies.follow()] == [False, False]
    assert policies.rollouts == newest, "it counts until all is read"
    assert policies.follow()
    assert policies.rollouts == {}


def test_an_evaluator_that_leaves_the_policy_is_not_asked_any_more(
    embedded_broker: EmbeddedBroker,
) -> None:
    here = Installation(embedded_broker, concurrency=1)
    here.apply(ONE_CALL_A_PAIR)
    here.publish(*(side for number in range(30) for side in pair(number, number)))
    judge = ScriptedModel(stable_wins, pause_s=0.2)
    with here.worker(judge) as parts:
        wait_until(lambda: parts.reader.counts["pairs"] == 30, "all pairs are read")
        here.apply("rollout_id: r\nmodels: {stable: a, candidate: b}\n")
        wait_until(lambda: parts.reader.unfinished == 0, "nothing waits")
        left_out = parts.queue.left_out["helpfulness@1", "not_in_policy"]
    assert len(judge.asked) + left_out == 30
    assert left_out > 0


def test_two_workers_share_the_pairs_and_the_budget(embedded_broker: EmbeddedBroker) -> None:
    here = Installation(embedded_broker, concurrency=2)
    here.apply(POLICY.replace("usd_per_day: 1000", "usd_per_day: 0.0505"))
    judge = ScriptedModel(stable_wins, pause_s=0.5)
    with here.worker(judge) as one, here.worker(judge) as other:
        both = (one.reader, other.reader)
        # A rebalance with calls in flight would have them made, and counted, by both.
        wait_until(lambda: all(0 < reader.partitions < 4 for reader in both), "both read")
        here.publish(*(side for number in range(120) for side in pair(number, number)))
        wait_until(lambda: sum(reader.counts["pairs"] for reader in both) >= 120, "all are read")
        wait_until(lambda: sum(reader.unfinished for reader in both) == 0, "all is finished")
    found = here.evaluations()
    assert Counter(Counter(map(evaluation_identity, found)).values()).keys() == {1}
    assert sum(one.evaluator == "number_agreement" for one in found) == 120
    # The budget pays for 50 calls. Four may be in flight, and each worker reads within a second of
    # the four that the other finishes in it.
    assert 50 <= len(judge.asked) <= 50 + 4 + 2 * 4


FLOOR_ALONE = ONE_CALL_A_PAIR.replace("share: 100%", "share: 0%").replace(
    "floor_per_hour: 0", "floor_per_hour: 20"
)


def rare(first: int, count: int) -> list[bytes]:
    """Pairs of a rare language, all within an hour."""
    sides = [pair(number, number, language="sw") for number in range(first, first + count)]
    return [side for some in sides for side in some]


def test_a_floor_holds_over_restarts(embedded_broker: EmbeddedBroker) -> None:
    here = Installation(embedded_broker)
    here.apply(FLOOR_ALONE)
    for life in range(3):
        here.publish(*rare(100 * life, 30))
        with here.worker(ScriptedModel(stable_wins)) as parts:
            # The last seconds are read again, but for what is finished.
            wait_until(lambda: parts.reader.counts["read"] >= 90, "all is read")
            wait_until(lambda: parts.reader.unfinished == 0, "all is finished")
    found = here.evaluations()
    assert len(found) == 20
    assert all(one.sampling_share and one.sampling_share > 0.2 for one in found)


def test_a_floor_outlives_kill_resume_and_deletion(embedded_broker: EmbeddedBroker) -> None:
    """What was chosen in the hour stays so, whatever is done to the rollout meanwhile."""
    here = Installation(embedded_broker)
    here.apply(FLOOR_ALONE)
    here.publish(*rare(0, 10))
    judge = ScriptedModel(stable_wins)
    with here.worker(judge) as parts:
        counts = parts.reader.counts
        wait_until(lambda: counts["written"] == 10, "all are judged")
        here.command(FLOOR_ALONE, "kill", "resume")
        here.publish(*rare(100, 5))
        wait_until(lambda: counts["written"] == 15, "commands change nothing")
        here.delete("r")
        wait_until(lambda: not parts.reader.evaluated, "the rollout is gone")
        here.publish(*rare(200, 5))
        wait_until(lambda: counts["read"] >= 60, "what comes now is passed over")
        here.apply(FLOOR_ALONE)
        wait_until(lambda: parts.reader.evaluated, "it is there again")
        here.publish(*rare(300, 30))
        wait_until(lambda: counts["read"] >= 150, "all is read")
        wait_until(lambda: parts.reader.unfinished == 0, "all is finished")
    found = [evaluation_identity(one) for one in here.evaluations()]
    assert len(found) == len(set(found)) == len(judge.asked) == 20


def test_two_workers_share_a_floor(embedded_broker: EmbeddedBroker) -> None:
    here = Installation(embedded_broker)
    here.apply(FLOOR_ALONE)
    judge = ScriptedModel(stable_wins)
    with here.worker(judge) as one, here.worker(judge) as other:
        both = (one.reader, other.reader)
        counts = [reader.counts for reader in both]
        wait_until(
            lambda: all(0 < reader.partitions < 4 for reader in both), "both have partitions"
        )
        for step in range(6):
            here.publish(*rare(20 * step, 20))
            read = 60 * (step + 1)
            wait_until(lambda n=read: sum(one["read"] for one in counts) >= n, "all is read")
            wait_until(lambda: sum(reader.unfinished for reader in both) == 0, "all is finished")
            wait_until(
                lambda: [n["noted"] for n in counts] == [n["written"] for n in reversed(counts)],
                "each knows what the other did",
            )
    assert min(one["written"] for one in counts) > 2
    assert 20 <= len(here.evaluations()) <= 30


def examples() -> list[dict[str, str]]:
    """The environments that the documentation gives to run a judge with."""
    page = (Path(__file__).parents[3] / "docs/evaluators.md").read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    found = [dict(re.findall(r"^export (\w+)=(\S+)$", block, re.MULTILINE)) for block in blocks]
    return [one for one in found if one]


@pytest.mark.parametrize("environment", examples(), ids=["a model of your own", "a hosted one"])
def test_the_examples_of_the_documentation_run(
    embedded_broker: EmbeddedBroker, environment: dict[str, str]
) -> None:
    """With another URL, which is all that differs."""
    pytest.importorskip("openai", reason="needs the extra evaluating")
    with JudgeServer(scripted(stable_wins)) as server:
        given = {**environment, "UNDERSTUDY_EVALUATING_BASE_URL": server.base_url}
        here = Installation(embedded_broker)
        loaded = load_settings(None, given)
        here.settings = msgspec.structs.replace(here.settings, evaluating=loaded.evaluating)
        here.apply(POLICY)
        here.publish(*pair(1))
        with here.worker() as parts:
            wait_until(lambda: parts.reader.counts["written"] >= 3, "the pair is judged")
        models = {body["model"] for body in server.requests}
    assert models == {environment["UNDERSTUDY_EVALUATING_MODEL"]}
    judged = [one for one in here.evaluations() if one.model]
    assert {one.usage is not None and one.error is None for one in judged} == {True}


class FatalMessage:
    """What a consumer returns once when its group has fenced it, and nothing after that."""

    def error(self) -> KafkaError:
        return KafkaError(KafkaError._FATAL, "fenced by another consumer", fatal=True)


def test_a_consumer_that_is_fenced_ends_its_process_rather_than_stand_still() -> None:
    reader = object.__new__(EventReader)
    reader._topic = "understudy.events"
    with pytest.raises(KafkaException, match="fenced"):
        reader._process([cast(Any, FatalMessage())])
