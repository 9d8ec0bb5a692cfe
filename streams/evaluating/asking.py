"""Asks the judge about the pairs that wait: several at once, within budget, with retries.

The judge sees the answers as A and B, stable first or second by the hash of the pair, so that what
it prefers by position cancels out. A share of the pairs is asked in both orders. Nothing here knows
Kafka, and nothing waits for it: a judge that hangs, fails or answers garbage holds up these tasks
alone.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import structlog

from understudy.schemas.evaluations import (
    MAX_EXPLANATION_CHARACTERS,
    Answer,
    Evaluation,
    EvaluationUsage,
    Preference,
    Preferred,
)
from understudy.schemas.redaction.recognizer import Recognizer
from understudy.schemas.redaction.redact import redact_and_cut
from understudy.streams.backoff import pause_s
from understudy.streams.evaluating.call_limit import CallLimit
from understudy.streams.evaluating.judge_answer import (
    Judgement,
    UnreadableJudgement,
    judgement_of,
)
from understudy.streams.evaluating.judge_model import JudgeModel, JudgeReply, JudgeUnavailable
from understudy.streams.evaluating.pair_queue import JudgeTask, LaneKey, PairQueue
from understudy.streams.evaluating.prompts import Prompts, Question, new_nonce
from understudy.streams.pairing.pair_place import place_of

log = structlog.get_logger(__name__)

IDLE_S: Final = 0.05
"""Between two looks at an empty queue: a judge takes longer than that for any answer."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
"""Limits of calls count by the minute mostly."""
STOP_GRACE_S: Final = 3.0
"""For answers under way at a stop; what is cut off is asked again, and paid again."""
WARN_EVERY_S: Final = 60.0
"""A judge that is down stays so for a while; metrics count meanwhile."""
_UNEXPECTED: Final = "internal"


class BudgetSpent(Exception):
    """The day's budget ended between two calls for one pair."""


@dataclass(slots=True)
class AskingTotals:
    """What was asked since the start; read by another thread for metrics."""

    judged: Counter[str] = field(default_factory=Counter)
    """Pairs by evaluator."""
    not_judged: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Pairs that were asked about in vain, by evaluator and reason."""
    calls: Counter[str] = field(default_factory=Counter)
    cost_usd: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    retries: int = 0
    in_flight: int = 0
    cut_off: int = 0
    """Pairs that were being asked about when asking ended: what they took is in no record."""
    failing_since_s: float | None = None
    """Since when no call has been answered, by the monotonic clock; None while some are."""
    failure: str = ""


@dataclass(slots=True)
class _Usage:
    """What one pair took, over all its calls."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    def add(self, reply: JudgeReply, cost_usd: float) -> None:
        self.calls += 1
        self.input_tokens += reply.input_tokens or 0
        self.output_tokens += reply.output_tokens or 0
        self.cost_usd += cost_usd

    def record(self) -> EvaluationUsage:
        return EvaluationUsage(self.input_tokens, self.output_tokens, self.cost_usd)


class Asking:
    """Asks one judge model about the pairs of a queue."""

    def __init__(
        self,
        judge: JudgeModel,
        prompts: Prompts,
        queue: PairQueue,
        *,
        concurrency: int,
        attempts: int,
        clock_s: Callable[[], float] = time.time,
        recognize: Recognizer | None = None,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        """`clock_s` gives seconds since 1970, by which budgets go; `recognize` finds names."""
        self._judge = judge
        self._prompts = prompts
        self._queue = queue
        self._concurrency = concurrency
        self._limit = CallLimit(concurrency)
        self._calls_under_way = 0
        self._attempts = attempts
        self._clock_s = clock_s
        self._recognize = recognize
        self._first_pause_s = first_pause_s
        self._resume_at_s = 0.0
        self._warned_s = float("-inf")
        self._rng = random.Random()
        self._failures: dict[LaneKey, str | None] = {}
        """Why there was no judgement of the last pair that each evaluator was asked about."""
        self.totals = AskingTotals()

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until `stop` is set; then wait a little for what is under way."""
        asking = [asyncio.create_task(self._ask_pairs(stop)) for _ in range(self._concurrency)]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopping, *asking], return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            await asyncio.wait(asking, timeout=STOP_GRACE_S)
            self.totals.cut_off = self.totals.in_flight
        finally:
            for task in (stopping, *asking):
                task.cancel()
            ended = await asyncio.gather(stopping, *asking, return_exceptions=True)
            await self._judge.close()
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    async def _ask_pairs(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            at_s = self._clock_s()
            task = self._take(at_s)
            if task is None:
                await asyncio.sleep(IDLE_S)
            elif task.is_tie:
                self._queue.charge(task.lane, at_s, self._most_usd(task), 0.0)
                self._queue.finish(task, self._tie(task))
                await asyncio.sleep(0)  # others' answers have come meanwhile
            else:
                await self._finish_pair(task, at_s)

    async def _finish_pair(self, task: JudgeTask, at_s: float) -> None:
        self.totals.in_flight += 1
        try:
            record = await self._judge_pair(task, at_s)
        except BudgetSpent:
            self._queue.leave_out(task, "budget")
        else:
            self._failures[task.lane] = record.error
            self._queue.finish(task, record)
        finally:
            self.totals.in_flight -= 1

    def _tie(self, task: JudgeTask) -> Evaluation | None:
        """Return the record of equal answers; None while the judge fails.

        Ties that were recorded where other pairs are not would pull the evidence to one half.
        """
        evaluator, failure = task.sampling.evaluator, self._failures.get(task.lane)
        if failure is not None:
            self.totals.not_judged[evaluator, failure] += 1
            return None
        self.totals.judged[evaluator] += 1
        return msgspec.structs.replace(self._record(task), preferences=(Preference("tie"),))

    def _take(self, at_s: float) -> JudgeTask | None:
        """Take a task, and reserve its first call at `at_s`."""
        is_full = self.totals.in_flight >= self._limit.now
        if is_full or time.monotonic() < self._resume_at_s:
            return None
        return self._queue.take(at_s, self._most_usd)

    def _most_usd(self, task: JudgeTask) -> float:
        return self._judge.most_usd(self._question(task, "stable").utf8_bytes)

    def _question(self, task: JudgeTask, first: Answer) -> Question:
        pair = task.pair
        texts = {"stable": pair.answers.stable, task.compared: task.compared_text}
        second = task.compared if first == "stable" else "stable"
        return self._prompts.question(
            task.sampling.evaluator,
            language=pair.language,
            prompt=pair.answers.prompt or "",
            first=texts[first],
            second=texts[second],
            nonce=new_nonce(),
        )

    async def _judge_pair(self, task: JudgeTask, reserved_at_s: float) -> Evaluation:
        """Ask about a pair, in one order or both; return the judgement, or why there is none.

        The first call was reserved when the pair was taken.
        """
        began_s, usage = time.monotonic(), _Usage()
        if task.may_be_asked_already:
            self._charge_lost_calls(task, usage, reserved_at_s)
        preferences: list[Preference] = []
        reasons: list[str] = []
        model, error = "", ""
        for first in orders_of(task):
            try:
                at_s = None if usage.calls else reserved_at_s
                reply, judgement = await self._ask(task, first, usage, at_s)
            except JudgeUnavailable as failure:
                error = failure.reason
                break
            except UnreadableJudgement as failure:
                error = failure.reason
                reasons.append(failure.said)
                break
            except BudgetSpent:
                if not usage.calls:
                    raise
                error = "budget"
                break
            except Exception as failure:
                # A pair that cannot be judged ends no worker: it would be asked again for ever.
                error = _UNEXPECTED
                log.error("evaluating.pair_failed", evaluator=task.sampling.evaluator,
                          pair_id=task.pair.pair_id, error=_place_of(failure))  # fmt: skip
                break
            model = _printable(reply.model) or model
            preferences.append(Preference(preferred_answer(task, first, judgement), first))
            reasons.append(judgement.reason)
        if preferences:
            self.totals.judged[task.sampling.evaluator] += 1
        else:
            self.totals.not_judged[task.sampling.evaluator, error] += 1
        return msgspec.structs.replace(
            self._record(task),
            preferences=tuple(preferences),
            error=None if preferences else error,
            model=model[:128] or None,
            usage=usage.record(),
            duration_ms=(time.monotonic() - began_s) * 1000.0,
            explanation=self._explanation(reasons) if task.pair.keeps_text else None,
        )

    def _charge_lost_calls(self, task: JudgeTask, usage: _Usage, at_s: float) -> None:
        """Charge what a process may have asked about the pair and took with it, at its most."""
        usd = self._most_usd(task) * len(orders_of(task))
        self._queue.charge(task.lane, at_s, 0.0, usd)
        self.totals.cost_usd[task.sampling.evaluator] += usd
        usage.cost_usd += usd

    def _explanation(self, reasons: Sequence[str]) -> str | None:
        """Return what a judge said as it may be stored: redacted, since it quotes answers.

        Its reasons, and all of an answer that could not be read, so that people see why.
        """
        said = "\n".join(reasons)
        try:
            return redact_and_cut(said, MAX_EXPLANATION_CHARACTERS, self._recognize).text or None
        except Exception as failure:  # a recognizer is somebody else's; its message may quote
            log.error("evaluating.explanation_lost", error=_place_of(failure))
            return None

    def _record(self, task: JudgeTask) -> Evaluation:
        now = dt.datetime.fromtimestamp(self._clock_s(), dt.UTC)
        evaluator, probability = task.sampling.evaluator, task.chosen.probability
        return task.pair.record(evaluator, task.compared, now, probability)

    async def _ask(
        self, task: JudgeTask, first: Answer, usage: _Usage, reserved_at_s: float | None
    ) -> tuple[JudgeReply, Judgement]:
        """Ask in one order, again after a failure that may pass.

        `reserved_at_s` tells when the first call was reserved; None where it is not yet.
        Raises `JudgeUnavailable`, `UnreadableJudgement` and `BudgetSpent`.
        """
        for attempt in range(self._attempts):
            question = self._question(task, first)
            most_usd = self._judge.most_usd(question.utf8_bytes)
            if attempt or reserved_at_s is None:
                reserved_at_s = await self._reserve(task, most_usd)
            at_s = reserved_at_s
            self.totals.calls[task.sampling.evaluator] += 1
            begun_s = time.monotonic()
            try:
                reply = await self._call(question)
            except JudgeUnavailable as failure:
                # What a server has begun to answer it may charge for.
                charged = 0.0
                if failure.reason == "timeout":
                    charged = most_usd
                    self._limit.note_timeout(begun_s, time.monotonic())
                self._charge(task, usage, at_s, most_usd, charged)
                if not failure.is_passing or attempt + 1 == self._attempts:
                    self._note_failure(failure)
                    raise
                await self._pause(failure, attempt)
                continue
            self.totals.failing_since_s = None
            self._limit.note_answer()
            self._charge(task, usage, at_s, most_usd, self._judge.cost_usd(reply, question), reply)
            return reply, judgement_of(reply)
        raise AssertionError("the last attempt returns or raises")

    async def _call(self, question: Question) -> JudgeReply:
        self._calls_under_way += 1
        try:
            return await self._judge.ask(question)
        finally:
            self._calls_under_way -= 1

    async def _reserve(self, task: JudgeTask, usd: float) -> float:
        """Wait until one more call fits into the limit and the minute; return when.

        Raises `BudgetSpent`.
        """
        while True:
            at_s = self._clock_s()
            is_full = self._calls_under_way >= self._limit.now
            fits = not is_full and self._queue.try_reserve(task.lane, at_s, usd)
            if fits is None:
                raise BudgetSpent
            if fits:
                return at_s
            await asyncio.sleep(IDLE_S)

    def _charge(
        self,
        task: JudgeTask,
        usage: _Usage,
        at_s: float,
        reserved_usd: float,
        usd: float,
        reply: JudgeReply | None = None,
    ) -> None:
        self._queue.charge(task.lane, at_s, reserved_usd, usd)
        self.totals.cost_usd[task.sampling.evaluator] += usd
        usage.add(reply or JudgeReply(None), usd)

    async def _pause(self, failure: JudgeUnavailable, attempt: int) -> None:
        """Wait before the next attempt; as long as the judge asks for, all tasks wait."""
        self._note_failure(failure)
        self.totals.retries += 1
        wait_s = pause_s(attempt, self._first_pause_s, LONGEST_PAUSE_S, self._rng)
        if failure.retry_after_s is not None:
            wait_s = max(wait_s, min(failure.retry_after_s, LONGEST_PAUSE_S))
            self._resume_at_s = max(self._resume_at_s, time.monotonic() + wait_s)
        await asyncio.sleep(wait_s)

    def _note_failure(self, failure: JudgeUnavailable) -> None:
        now_s = time.monotonic()
        totals = self.totals
        totals.failing_since_s = totals.failing_since_s or now_s
        totals.failure = str(failure)
        if now_s - self._warned_s >= WARN_EVERY_S:
            self._warned_s = now_s
            log.warning("evaluating.judge_failed", reason=failure.reason, error=str(failure))


def _printable(model: str) -> str:
    """Return a model's name as a record can hold it, whatever a server calls it."""
    return "".join(character for character in model if character.isprintable())


def _place_of(failure: Exception) -> str:
    """Return what failed where; its message may quote an answer."""
    frames = traceback.extract_tb(failure.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(failure).__name__ + where


def orders_of(task: JudgeTask) -> tuple[Answer, ...]:
    """Return which answer is shown first, in each of the orders to be asked."""
    pair, sampling = task.pair, task.sampling
    purpose = f"{sampling.evaluator}/{task.compared}"
    place = place_of(pair.rollout_id, pair.pair_id, f"order/{purpose}")
    orders: tuple[Answer, ...] = ("stable", task.compared)
    if place >= 0.5:
        orders = (task.compared, "stable")
    both = place_of(pair.rollout_id, pair.pair_id, f"both/{purpose}") < sampling.both_orders
    return orders if both else orders[:1]


def preferred_answer(task: JudgeTask, first: Answer, judgement: Judgement) -> Preferred:
    """Return which answer is meant by A or B."""
    if judgement.better == "tie":
        return "tie"
    second: Answer = task.compared if first == "stable" else "stable"
    return first if judgement.better == "A" else second
