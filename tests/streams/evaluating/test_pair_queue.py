"""Who is asked next, and what is left out."""

from __future__ import annotations

from tests.streams.evaluating.pairs import sampled, task
from understudy.streams.evaluating.pair_queue import JudgeTask, PairQueue
from understudy.streams.evaluating.partition_progress import PartitionProgress

NOW = 1_000_000.0


def free(_: JudgeTask) -> float:
    return 0.0


def queue_of(most: int, *tasks: JudgeTask) -> tuple[PairQueue, list[JudgeTask]]:
    finished: list[JudgeTask] = []
    queue = PairQueue(most, lambda one, record: finished.append(one))
    for one in tasks:
        queue.limit(one.lane, one.sampling)
        queue.put(one)
    return queue, finished


def test_first_in_first_out_but_rare_slices_before() -> None:
    first, rare, last = task(), task(is_floor=True), task()
    queue, _ = queue_of(10, first, rare, last)
    assert [queue.take(NOW, free) for _ in range(4)] == [rare, first, last, None]


def test_what_does_not_fit_is_left_out_and_counted() -> None:
    tasks = [task() for _ in range(3)]
    queue, finished = queue_of(2, *tasks)
    assert finished == tasks[2:]
    assert queue.left_out["helpfulness@1", "queue"] == 1
    assert queue.waiting() == {"helpfulness@1": 2}


def test_a_rare_slice_takes_the_place_of_another() -> None:
    common, rare, rarer = task(), task(is_floor=True), task(is_floor=True)
    queue, finished = queue_of(1, common, rare, rarer)
    assert finished == [common, rarer]
    assert queue.take(NOW, free) is rare


def test_an_evaluator_without_budget_keeps_no_other_waiting() -> None:
    slow = task(evaluator="slow@1", calls_per_minute=1)
    slow_too = task(evaluator="slow@1", calls_per_minute=1)
    other = task(sampled(rollout_id="s"), evaluator="slow@1", calls_per_minute=1)
    quick = task(evaluator="quick@1")
    queue, finished = queue_of(10, slow, slow_too, other, quick)
    found = [queue.take(NOW, free) for _ in range(4)]
    assert set(map(id, found)) == set(map(id, (slow, other, quick, None)))
    assert queue.take(NOW + 61, free) is slow_too
    assert finished == []


def test_what_the_day_does_not_pay_is_left_out() -> None:
    tasks = [task(usd_per_day=1.0) for _ in range(3)]
    queue, finished = queue_of(10, *tasks)
    assert queue.take(NOW, lambda _: 0.6) is tasks[0]
    assert queue.take(NOW, lambda _: 0.6) is None
    assert finished == tasks[1:]
    assert queue.left_out["helpfulness@1", "budget"] == 2
    assert queue.try_reserve(tasks[0].lane, NOW, 0.6) is None
    queue.charge(tasks[0].lane, NOW, 0.6, 0.1)
    assert queue.try_reserve(tasks[0].lane, NOW, 0.6)


def test_a_call_waits_for_the_minute() -> None:
    one = task(calls_per_minute=1)
    queue, _ = queue_of(10, one)
    assert queue.take(NOW, free) is one
    assert queue.try_reserve(one.lane, NOW + 1, 0.0) is False
    assert queue.try_reserve(one.lane, NOW + 61, 0.0) is True


def test_what_others_took_is_known_before_the_policy() -> None:
    one = task(usd_per_day=1.0)
    queue, finished = queue_of(10)
    queue.note_elsewhere(one.lane, NOW, 0.9, 1, NOW)
    queue.limit(one.lane, one.sampling)
    queue.put(one)
    assert queue.take(NOW, lambda _: 0.2) is None
    assert finished == [one]


def test_what_another_worker_has_now_is_not_asked() -> None:
    """Both would ask, and pay, after a rebalance."""
    revoked, kept = task(), task(sampled("kept"))
    progress = PartitionProgress(1, position=0)
    progress.begin("p", 0, 0)
    revoked = revoked._replace(ticket=progress.add_task("p"))
    queue, finished = queue_of(10, revoked, kept)
    progress.is_revoked = True
    assert [queue.take(NOW, free) for _ in range(2)] == [kept, None]
    assert finished == [revoked]
    assert not queue.left_out


def test_what_the_policy_does_not_name_any_more_is_left_out() -> None:
    gone = [task(evaluator="gone@1", usd_per_day=1.0) for _ in range(3)]
    kept = task(evaluator="kept@1")
    queue, finished = queue_of(10, *gone, kept)
    under_way = queue.take(NOW, lambda _: 0.6)
    queue.keep_only({kept.lane})
    assert under_way is gone[0]
    assert queue.try_reserve(gone[0].lane, NOW, 0.0) is None, "nor again"
    assert finished == gone[1:]
    queue.put(late := task(evaluator="gone@1"))
    assert finished[-1] is late
    assert queue.left_out == {("gone@1", "not_in_policy"): 3}
    assert [queue.take(NOW, free) for _ in range(2)] == [kept, None]
    queue.limit(gone[0].lane, gone[0].sampling)
    assert queue.try_reserve(gone[0].lane, NOW, 0.6) is None, "what the day cost is not forgotten"
    assert queue.try_reserve(gone[0].lane, NOW, 0.4)


def test_evaluators_without_a_policy_take_no_turn() -> None:
    one = task()
    queue, _ = queue_of(10, one)
    for number in range(100):
        queue.note_elsewhere((f"ended-{number}", "helpfulness@1"), NOW, 0.1, 1, NOW)
    assert len(queue._turn) == 1
    assert queue.take(NOW, free) is one
