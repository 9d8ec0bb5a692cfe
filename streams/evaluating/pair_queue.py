"""Pairs that wait for a judge, by rollout and evaluator, each within its own budget.

The thread that reads events puts pairs in, the thread that asks takes them out. An evaluator whose
budget is used up, or whose queue is full, keeps no other one waiting.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from understudy.schemas.evaluation_sampling import EvaluationSampling
from understudy.schemas.evaluations import Compared, Evaluation
from understudy.streams.evaluating.budget import Budget
from understudy.streams.evaluating.partition_progress import Ticket
from understudy.streams.evaluating.sampled_pair import SampledPair
from understudy.streams.evaluating.sampling import Chosen

LeftOut = Literal["queue", "budget", "price_unknown", "not_in_policy"]

LaneKey = tuple[str, str]
"""Rollout and evaluator."""


class JudgeTask(NamedTuple):
    """One pair that one evaluator is to judge."""

    pair: SampledPair
    chosen: Chosen
    compared: Compared
    ticket: Ticket
    """Whose turn it is once the pair needs no more, whatever became of it."""
    may_be_asked_already: bool = False
    """By a process that ended without telling, so that what it took is in no record."""

    @property
    def sampling(self) -> EvaluationSampling:
        """What the policy says of its evaluator."""
        return self.chosen.sampling

    @property
    def lane(self) -> LaneKey:
        """Whose pair it is."""
        return self.pair.rollout_id, self.sampling.evaluator

    @property
    def compared_text(self) -> str:
        """The answer that is held against stable's."""
        answers = self.pair.answers
        return answers.candidate if self.compared == "candidate" else answers.control or ""

    @property
    def is_tie(self) -> bool:
        """Whether both answers are the same, so that nobody has to be asked."""
        return self.compared_text == self.pair.answers.stable


Finish = Callable[[JudgeTask, Evaluation | None], None]
"""Takes what became of a task: its record, or None where there is none."""


@dataclass(slots=True)
class _Lane:
    budget: Budget
    is_named: bool = False
    """Whether a policy names it. What others took is known of all."""
    floors: deque[JudgeTask] = field(default_factory=deque)
    """Of rare languages and workflows; these come first."""
    others: deque[JudgeTask] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self.floors) + len(self.others)


class PairQueue:
    """The queues of all evaluators; may be used from several threads."""

    def __init__(self, most_pairs: int, finish: Finish) -> None:
        """Hold up to `most_pairs` of each evaluator in each rollout.

        `finish` is told of every task in the end: here of those that are left out.
        """
        self._most = most_pairs
        self.finish = finish
        self._lanes: dict[LaneKey, _Lane] = {}
        self._turn: deque[LaneKey] = deque()
        self._lock = threading.Lock()
        self.left_out: Counter[tuple[str, LeftOut]] = Counter()
        """Pairs that were not judged, by evaluator and reason."""

    def waiting(self) -> dict[str, int]:
        """Return how many pairs wait, by evaluator."""
        counts: Counter[str] = Counter()
        with self._lock:
            for (_, evaluator), lane in self._lanes.items():
                counts[evaluator] += len(lane)
        return dict(counts)

    def limit(self, key: LaneKey, sampling: EvaluationSampling) -> None:
        """Set the limits of a budget to those of the policy in force."""
        with self._lock:
            lane = self._lane(key)
            lane.budget.usd_per_day = sampling.usd_per_day
            lane.budget.calls_per_minute = sampling.calls_per_minute
            if not lane.is_named:
                lane.is_named = True
                self._turn.append(key)

    def keep_only(self, named: Set[LaneKey]) -> None:
        """Ask nothing more of evaluators that no policy names; leave out what waits of them.

        What their day has cost is remembered, should they come back.
        """
        waiting: list[JudgeTask] = []
        with self._lock:
            for key in [key for key in self._turn if key not in named]:
                lane = self._lanes[key]
                lane.is_named, lane.budget.usd_per_day, lane.budget.calls_per_minute = False, 0.0, 0
                waiting += [*lane.floors, *lane.others]
                lane.floors.clear()
                lane.others.clear()
                self._turn.remove(key)
        for task in waiting:
            self.leave_out(task, "not_in_policy")

    def note_elsewhere(
        self, key: LaneKey, time_s: float, usd: float, calls: int, now_s: float
    ) -> None:
        """Count what another worker or an earlier process took."""
        with self._lock:
            self._lane(key).budget.note_elsewhere(time_s, usd, calls, now_s)

    def put(self, task: JudgeTask) -> None:
        """Queue a task. In a full queue, one of a rare slice takes the place of one that is not."""
        with self._lock:
            lane = self._lane(task.lane)
            is_named = lane.is_named
            dropped: JudgeTask | None = None
            if not is_named:
                dropped = task
            elif len(lane) < self._most:
                (lane.floors if task.chosen.is_floor else lane.others).append(task)
            elif task.chosen.is_floor and lane.others:
                dropped = lane.others.pop()
                lane.floors.append(task)
            else:
                dropped = task
        if dropped is not None:
            self.leave_out(dropped, "queue" if is_named else "not_in_policy")

    def leave_out(self, task: JudgeTask, reason: LeftOut) -> None:
        """Count a task that is not carried out."""
        self.left_out[task.sampling.evaluator, reason] += 1
        self.finish(task, None)

    def take(self, now_s: float, usd: Callable[[JudgeTask], float]) -> JudgeTask | None:
        """Take the next task whose call fits into its budget, and reserve what it may cost.

        `usd` tells the most that a call costs. The lanes take turns. Tasks whose day is used up are
        left out; those of partitions that another worker has now are dropped, since it asks.
        """
        spent: list[JudgeTask] = []
        revoked: list[JudgeTask] = []
        with self._lock:
            found = self._take(now_s, usd, spent, revoked)
        for task in spent:
            self.leave_out(task, "budget")
        for task in revoked:
            self.finish(task, None)
        return found

    def _take(
        self,
        now_s: float,
        usd: Callable[[JudgeTask], float],
        spent: list[JudgeTask],
        revoked: list[JudgeTask],
    ) -> JudgeTask | None:
        for _ in range(len(self._turn)):
            self._turn.rotate(-1)
            lane = self._lanes[self._turn[-1]]
            if not len(lane) or lane.budget.wait_s(now_s) > 0:
                continue
            while len(lane):
                task = (lane.floors or lane.others).popleft()
                if task.ticket.progress.is_revoked:
                    revoked.append(task)
                    continue
                most_usd = usd(task)
                if lane.budget.allows_usd(now_s, most_usd):
                    lane.budget.reserve(now_s, most_usd)
                    return task
                spent.append(task)
        return None

    def try_reserve(self, key: LaneKey, now_s: float, usd: float) -> bool | None:
        """Whether one more call may be made now; None where the day is used up, or the policy
        does not name the evaluator any more.
        """
        with self._lock:
            lane = self._lane(key)
            budget = lane.budget
            if not (lane.is_named and budget.allows_usd(now_s, usd)):
                return None
            if budget.wait_s(now_s) > 0:
                return False
            budget.reserve(now_s, usd)
            return True

    def charge(self, key: LaneKey, reserved_at_s: float, reserved_usd: float, usd: float) -> None:
        """Count what a call did cost."""
        with self._lock:
            self._lane(key).budget.charge(reserved_at_s, reserved_usd, usd)

    def _lane(self, key: LaneKey) -> _Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(Budget(usd_per_day=0.0, calls_per_minute=0))
        return lane
