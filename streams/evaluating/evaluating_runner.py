"""`understudy worker --role evaluating`: one thread reads events, another asks the judge."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

import structlog

from understudy.analyzers.evaluators.embeddings import embedding_evaluators
from understudy.analyzers.evaluators.scoring import SCORING, ScoringEvaluator
from understudy.streams.errors import WRONG_USAGE, CommandError
from understudy.streams.evaluating.asking import STOP_GRACE_S, Asking, AskingTotals
from understudy.streams.evaluating.evaluation_log import EvaluationLog
from understudy.streams.evaluating.evaluation_plan import EvaluationPlan
from understudy.streams.evaluating.event_reader import EventReader, Finished
from understudy.streams.evaluating.judge_model import JudgeModel
from understudy.streams.evaluating.openai_judge import OpenAIJudge
from understudy.streams.evaluating.pair_queue import PairQueue
from understudy.streams.evaluating.prompts import PromptError, Prompts, load_prompts
from understudy.streams.evaluating.static_embeddings import load_embeddings
from understudy.streams.settings import Settings, SettingsError, load_recognizer

log = structlog.get_logger(__name__)

_ASKING_STOP_TIMEOUT_S: Final = STOP_GRACE_S + 2.0
"""For connections to close after the grace."""


@dataclass(frozen=True, slots=True)
class EvaluatingParts:
    """What evaluating exposes."""

    reader: EventReader
    queue: PairQueue
    plan: EvaluationPlan
    asking: Asking | None
    """None without a judge model."""

    @property
    def asked(self) -> AskingTotals:
        """What a judge model was asked; nothing without one."""
        return AskingTotals() if self.asking is None else self.asking.totals


Expose = Callable[[EvaluatingParts], AbstractContextManager[object]]


def run_evaluating(
    settings: Settings,
    stop: threading.Event,
    *,
    judge: JudgeModel | None = None,
    expose: Expose | None = None,
    clock_s: Callable[[], float] = time.time,
) -> None:
    """Evaluate until `stop` is set; `judge` replaces the one of the settings.

    `clock_s` gives seconds since 1970: evaluations are dated by it, and budgets go by it.

    Raises `SettingsError` and `CommandError` for settings that cannot be used, and whatever makes
    going on impossible.
    """
    prompts = configured_prompts(settings)
    model = judge if judge is not None else configured_judge(settings)
    finished: Finished = Finished()
    queue = PairQueue(
        settings.evaluating.queue_pairs, lambda task, record: finished.put((task, record))
    )
    plan = EvaluationPlan(_scoring(), prompts.rubrics.keys() if model is not None else frozenset())
    asking = None
    if model is not None:
        asking = Asking(model, prompts, queue, concurrency=settings.evaluating.concurrency,
                        attempts=settings.evaluating.attempts, clock_s=clock_s,
                        recognize=load_recognizer(settings.redaction.recognizer))  # fmt: skip
    worker = uuid.uuid4().hex
    with EvaluationLog(settings.kafka, worker) as evaluations:
        may_ask = model is not None and model.is_priced
        reader = EventReader(settings, plan, queue, finished, evaluations, may_ask=may_ask,
                             clock_s=clock_s)  # fmt: skip
        parts = EvaluatingParts(reader, queue, plan, asking)
        with nullcontext() if expose is None else expose(parts):
            _announce(settings, plan, may_ask=may_ask)
            thread = _AskingThread(asking)
            try:
                reader.run(stop, thread)
            finally:
                thread.end()


def configured_prompts(settings: Settings) -> Prompts:
    """Return the prompts that the settings name. Raises `SettingsError`."""
    try:
        return load_prompts(settings.evaluating.prompts)
    except PromptError as error:
        raise SettingsError(f"[evaluating] prompts: {error}") from None


def _scoring() -> dict[str, ScoringEvaluator]:
    """Evaluators that need no judge; those on embeddings where the extra is installed."""
    embed = load_embeddings()
    return dict(SCORING) | (embedding_evaluators(embed) if embed is not None else {})


def configured_judge(settings: Settings) -> JudgeModel | None:
    """Return the judge that the settings name; None for none. Raises `CommandError`."""
    evaluating = settings.evaluating
    if not evaluating.base_url:
        return None
    if not evaluating.model:
        raise CommandError("[evaluating] base_url names an endpoint; name its model, too",
                           WRONG_USAGE)  # fmt: skip
    return OpenAIJudge(evaluating)


def _announce(settings: Settings, plan: EvaluationPlan, *, may_ask: bool) -> None:
    log.info("evaluating.evaluators", scoring=sorted(plan.scoring), judging=sorted(plan.judging),
             model=settings.evaluating.model)  # fmt: skip
    if plan.judging and not may_ask:
        log.error("evaluating.price_unknown", why="set [evaluating] input_usd_per_million_tokens "
                  "and output_usd_per_million_tokens, to 0 for a model of your own")  # fmt: skip


class _AskingThread:
    """The thread in which a judge is asked."""

    def __init__(self, asking: Asking | None) -> None:
        self._asking = asking
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._is_running = threading.Event()
        self._thread = threading.Thread(target=self._run, name="understudy-judge", daemon=True)
        if asking is not None:
            self._thread.start()
            self._is_running.wait()

    def _run(self) -> None:
        try:
            asyncio.run(self._ask())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._is_running.set()

    async def _ask(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._is_running.set()
        if self._asking is not None:
            await self._asking.run(self._ended)

    def end(self) -> bool:
        """Stop asking, and wait a little for what is under way; whether all of it ended."""
        if self._thread.is_alive() and self._loop is not None and self._ended is not None:
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(_ASKING_STOP_TIMEOUT_S)
        cut_off = 0 if self._asking is None else self._asking.totals.cut_off
        return not (cut_off or self._thread.is_alive())

    def raise_failure(self) -> None:
        """Raise what ended the thread, if a failure did."""
        if self._failure is not None:
            raise self._failure
