"""The deciding core of one rollout: messages of window rows in, decisions out.

    evaluator = RolloutEvaluator(rollout)         # or with encoded state as a second argument
    decision = evaluator.take(message)            # a Decision when there is something new to emit
    state = evaluator.encode_state()              # JSON, for a table

Nothing here reads a clock: times are those of the rows, so the same messages give the same bytes.
"""

from __future__ import annotations

from typing import Final

from understudy.analyzers.guardrails.apply_windows import apply_windows, enter_stage
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.decision_builder import build_decision
from understudy.analyzers.guardrails.evaluate import Evaluation, evaluate
from understudy.analyzers.guardrails.explanations import reasons_for_pause, reasons_for_rollback
from understudy.analyzers.guardrails.state import (
    Latch,
    RolloutState,
    RolloutStatus,
    decode_state,
    encode_state,
)
from understudy.schemas.decisions import Decision
from understudy.schemas.rollouts import Rollout
from understudy.schemas.windows import WindowsMessage

REFRESH_MS: Final = 60_000
"""Event time after which a decision is emitted again although only its numbers have changed: often
enough to watch evidence grow, seldom enough for a compacted topic."""


class RolloutEvaluator:
    """One rollout under one policy. Not thread-safe."""

    def __init__(self, rollout: Rollout, state: bytes | None = None, *, stage: int = 0) -> None:
        """Continue from encoded state, or begin at a stage.

        Raises ValueError when the state belongs to another policy or release: begin anew then.
        """
        if not 0 <= stage < len(rollout.stages):
            raise ValueError(f"the policy has no stage {stage}")
        self.rollout = rollout
        self._checks = checks_of(rollout)
        self._state = (
            RolloutState.begin(rollout, stage) if state is None else decode_state(rollout, state)
        )

    def take(self, message: WindowsMessage) -> Decision | None:
        """Apply a message and evaluate; return the decision when verdict, stage or alerts changed.

        When nothing did for a minute, the decision all the same, marked as a refresh, so that
        readers see how the evidence grows.

        Raises ValueError, no evidence touched, for a message of another rollout or one whose counts
        shrank.
        """
        if message.rollout_id != self.rollout.rollout_id:
            raise ValueError(f"this message is about {message.rollout_id}")
        apply_windows(self.rollout, self._checks, self._state, message)
        return self._decide()

    def advance_clock(self, at_ms: int) -> None:
        """Note when a record or command was written: the time until the first window comes.

        The time must come from the log, so that reading it again gives the same.
        """
        status = self._state.status
        status.record_ms = max(status.record_ms, at_ms)
        status.verdict_since_ms = status.verdict_since_ms or status.now_ms

    def inherit(self, status: RolloutStatus) -> None:
        """Take over a latched rollback and the time, from under another policy or release."""
        mine = self._state.status
        mine.rolled_back = status.rolled_back
        mine.watermark_ms, mine.record_ms = status.watermark_ms, status.record_ms

    def decision(self, *, is_refresh: bool = False) -> Decision:
        """Return the decision as of now, with all evidence; for pages and reports."""
        evaluation = self._evaluate(with_intervals=True)
        return build_decision(self.rollout, self._state, evaluation, is_refresh=is_refresh)

    def kill(self, reason: str) -> Decision | None:
        """Roll back because an operator says so; stays until `resume`."""
        status = self._state.status
        if status.rolled_back is None:
            status.rolled_back = Latch(status.now_ms, [reason])
        return self._decide()

    def resume(self) -> Decision | None:
        """Take back a rollback or a pause; evidence of harm is gathered anew."""
        status = self._state.status
        status.rolled_back = status.paused = None
        for check in self._checks:
            for of_slice in self._state.evidence.values():
                if check.name in of_slice:
                    of_slice[check.name].restart_rollback()
        return self._decide()

    def promote(self) -> Decision | None:
        """Move to the next stage, whatever the evidence; a rollback stays.

        Raises ValueError at the last stage.
        """
        if self._is_last_stage():
            raise ValueError("this is the last stage")
        enter_stage(self._state, self._state.status.stage + 1)
        return self._decide()

    def encode_state(self) -> bytes:
        """Return all state as JSON; see `state`."""
        return encode_state(self._state)

    def _evaluate(self, *, with_intervals: bool) -> Evaluation:
        return evaluate(self.rollout, self._checks, self._state, with_intervals=with_intervals)

    def _decide(self) -> Decision | None:
        """Evaluate, latch, enter the next stage; return a decision if there is something new."""
        evaluation = self._evaluate(with_intervals=False)
        self._latch(evaluation)
        status = self._state.status
        if evaluation.verdict != status.verdict:
            status.verdict = evaluation.verdict
            status.verdict_since_ms = status.now_ms
        signature = evaluation.signature(status.stage)
        is_refresh = signature == status.signature
        if is_refresh and status.now_ms < status.emitted_ms + REFRESH_MS:
            return None
        status.signature, status.emitted_ms = signature, status.now_ms
        decision = self.decision(is_refresh=is_refresh)
        is_automatic = self.rollout.promotion == "automatic" and not self._is_last_stage()
        if evaluation.verdict == "promote" and is_automatic:
            enter_stage(self._state, status.stage + 1)
        return decision

    def _latch(self, evaluation: Evaluation) -> None:
        status = self._state.status
        if evaluation.rolls_back and status.rolled_back is None:
            status.rolled_back = Latch(status.now_ms, reasons_for_rollback(self._state, evaluation))
        if evaluation.pauses and status.paused is None:
            status.paused = Latch(status.now_ms, reasons_for_pause(self._state, evaluation))

    def _is_last_stage(self) -> bool:
        return self._state.status.stage + 1 == len(self.rollout.stages)
