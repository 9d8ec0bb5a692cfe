"""The deciding core of one rollout: messages of window rows in, decisions out.

    evaluator = RolloutEvaluator(rollout)         # or with what was kept as a second argument
    decision = evaluator.take(message)            # a Decision when there is something new to tell
    kept = evaluator.to_builtins()                # for a table; JSON can hold it

Nothing here reads a clock: times are those of the rows, so the same messages give the same bytes.
"""

from __future__ import annotations

from typing import Any, Final

from understudy.analyzers.guardrails.apply_windows import enter_stage, fold
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.decision_builder import tell
from understudy.analyzers.guardrails.evaluate import Judgement, judge_rollout
from understudy.analyzers.guardrails.explanations import reasons_for_pause, reasons_for_rollback
from understudy.analyzers.guardrails.state import Latch, RolloutState
from understudy.schemas.decisions import Decision
from understudy.schemas.rollouts import Rollout
from understudy.schemas.windows import WindowsMessage

REFRESH_MS: Final = 60_000
"""Event time after which a decision is told again although only its numbers have changed."""


class RolloutEvaluator:
    """One rollout under one policy. Not thread-safe."""

    def __init__(
        self, rollout: Rollout, kept: dict[str, Any] | None = None, *, stage: int = 0
    ) -> None:
        """Go on from what was kept, or begin at a stage.

        Raises ValueError when what was kept belongs to another policy or release: begin anew then.
        """
        if not 0 <= stage < len(rollout.stages):
            raise ValueError(f"the policy has no stage {stage}")
        self.rollout = rollout
        self._checks = checks_of(rollout)
        self._state = (
            RolloutState.begin(rollout, stage)
            if kept is None
            else RolloutState.from_builtins(rollout, kept)
        )

    def take(self, message: WindowsMessage) -> Decision | None:
        """Fold a message and judge; the decision when verdict, stage or alerts changed.

        When nothing did for a minute, the decision all the same, marked as a refresh: whoever reads
        it sees how the evidence grows.

        Raises ValueError, no evidence touched, for a message of another rollout or one whose counts
        shrank.
        """
        if message.rollout_id != self.rollout.rollout_id:
            raise ValueError(f"this message is about {message.rollout_id}")
        fold(self.rollout, self._checks, self._state, message)
        return self._judged()

    def advance_clock(self, at_ms: int) -> None:
        """A record or a command was written then, epoch milliseconds: the time until windows come.

        It must stand in the log, so that reading again gives the same.
        """
        standing = self._state.standing
        standing.told_ms = max(standing.told_ms, at_ms)
        standing.verdict_since_ms = standing.verdict_since_ms or standing.now_ms

    def decision(self, *, is_refresh: bool = False) -> Decision:
        """The decision as of now, with all evidence; for pages and reports."""
        judgement = self._judge(with_intervals=True)
        return tell(self.rollout, self._checks, self._state, judgement, is_refresh=is_refresh)

    def kill(self, why: str) -> Decision | None:
        """Roll back because an operator says so; stays until `resume`."""
        if self._state.standing.rolled_back is None:
            self._state.standing.rolled_back = Latch(self._state.standing.now_ms, [why])
        return self._judged()

    def resume(self) -> Decision | None:
        """Take back a rollback or a pause; evidence of harm is gathered anew."""
        standing = self._state.standing
        standing.rolled_back = standing.paused = None
        for check in self._checks:
            for of_slice in self._state.slices.values():
                if check.name in of_slice:
                    of_slice[check.name].forgive(check.test)
        return self._judged()

    def promote(self) -> Decision | None:
        """Move to the next stage, whatever the evidence; a rollback stays.

        Raises ValueError at the last stage.
        """
        if self._state.standing.stage + 1 >= len(self.rollout.stages):
            raise ValueError("this is the last stage")
        enter_stage(self._state, self._state.standing.stage + 1)
        return self._judged()

    def to_builtins(self) -> dict[str, Any]:
        """All state, as JSON can hold it; see `state`."""
        return self._state.to_builtins()

    def _judge(self, *, with_intervals: bool) -> Judgement:
        return judge_rollout(self.rollout, self._checks, self._state, with_intervals=with_intervals)

    def _judged(self) -> Decision | None:
        """Judge, latch, move on; a decision if there is something new to tell."""
        judgement = self._judge(with_intervals=False)
        self._latch(judgement)
        standing = self._state.standing
        if judgement.verdict != standing.verdict:
            standing.verdict = judgement.verdict
            standing.verdict_since_ms = standing.now_ms
        signature = judgement.signature(standing.stage)
        is_refresh = signature == standing.signature
        if is_refresh and standing.now_ms < standing.shown_ms + REFRESH_MS:
            return None
        standing.signature, standing.shown_ms = signature, standing.now_ms
        decision = self.decision(is_refresh=is_refresh)
        self._move_on(judgement)
        return decision

    def _latch(self, judgement: Judgement) -> None:
        standing = self._state.standing
        if judgement.rolls_back and standing.rolled_back is None:
            reasons = reasons_for_rollback(self._checks, self._state, judgement)
            standing.rolled_back = Latch(standing.now_ms, reasons)
        if judgement.pauses and standing.paused is None:
            reasons = reasons_for_pause(self._checks, self._state, judgement)
            standing.paused = Latch(standing.now_ms, reasons)

    def _move_on(self, judgement: Judgement) -> None:
        """To the next stage, where the policy says that nobody need be asked."""
        is_last = self._state.standing.stage + 1 == len(self.rollout.stages)
        if judgement.verdict == "promote" and self.rollout.promotion == "automatic" and not is_last:
            enter_stage(self._state, self._state.standing.stage + 1)
