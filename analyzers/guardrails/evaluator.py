"""The deciding core of one rollout: messages of window rows in, decisions out.

    evaluator = RolloutEvaluator(rollout)         # or with encoded state as a second argument
    decision = evaluator.add(message, written_ms) # a Decision when there is something new to emit
    state = evaluator.encode_state()              # bytes, for a table

Nothing here reads a clock: times are those of the rows, so the same messages give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from understudy.analyzers.guardrails.apply_windows import apply_windows, enter_stage
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.closed_rows import ClosedRows
from understudy.analyzers.guardrails.closed_windows import (
    FEW_MORE,
    FEWEST_WINDOWS,
    MOST_WINDOWS,
    ClosedFold,
    known_until,
    starts_of,
)
from understudy.analyzers.guardrails.decision_builder import build_decision
from understudy.analyzers.guardrails.evaluate import Evaluation, evaluate, thresholds_of
from understudy.analyzers.guardrails.explanations import latch_of
from understudy.analyzers.guardrails.look import Look, look
from understudy.analyzers.guardrails.quiet_look import LastLook
from understudy.analyzers.guardrails.state import (
    Latch,
    RolloutStanding,
    RolloutState,
    RowName,
    decode_state,
    encode_rows,
    encode_state,
)
from understudy.schemas.decisions import Cause, CausingCommand, Decision
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.rollout_records import MAX_COMMANDS, Command
from understudy.schemas.rollouts import Rollout
from understudy.schemas.windows import WindowsMessage

LOOK_INTERVAL_MS: Final = 1_000
"""Time between two looks, by when messages were written: partitions flush their rows every second,
each in a message of its own, and a look costs more than all of them."""
REFRESH_MS: Final = 60_000
"""Event time after which a decision is emitted again although only its numbers have changed: often
enough to watch evidence grow, seldom enough for a compacted topic."""


class CommandRejected(ValueError):
    """A command that cannot be applied as things stand; the message says why."""


class RolloutEvaluator:
    """One rollout under one policy. Not thread-safe."""

    def __init__(
        self,
        rollout: Rollout,
        state: bytes | None = None,
        *,
        parts: Iterable[bytes] = (),
        stage: int = 0,
    ) -> None:
        """Begin at a stage, or continue from encoded state and the parts of it that were left out.

        Raises ValueError when the state belongs to another policy or release: begin anew then.
        """
        if not 0 <= stage < len(rollout.stages):
            raise ValueError(f"the policy has no stage {stage}")
        self.rollout = rollout
        self._checks = checks_of(rollout)
        self._windows_at_once = FEWEST_WINDOWS
        self._last_look: LastLook | None = None
        """None where none was."""
        self._state = (
            RolloutState.begin(rollout, self._checks, stage)
            if state is None
            else decode_state(rollout, self._checks, state, parts)
        )

    def add(
        self,
        message: WindowsMessage,
        written_ms: int,
        cause: Cause | None = None,
        following: Sequence[WindowsMessage] = (),
    ) -> Decision | None:
        """Apply a message, and evaluate when a look is due; return a decision as `take` does.

        That follows from the messages alone, so whoever reads them again looks at the same ones: a
        look is due a second after the last one, by when messages were written, with the first
        message of a new window, and with one without rows, which asks for it. What comes between
        waits for the next: see `awaits_look`.

        `following` are messages that come next, where they are known: then all cost less to read.
        """
        status = self._state.status
        newest_ms = status.newest_window_ms
        self._take_rows(message, following)
        is_due = (
            message.asks_for_look
            or abs(written_ms - status.looked_ms) >= LOOK_INTERVAL_MS  # clocks may differ
            or status.newest_window_ms > newest_ms
        )
        if not is_due:
            status.awaits_look = True
            return None
        status.looked_ms = written_ms
        return self.look(cause)

    @property
    def awaits_look(self) -> bool:
        """Whether messages have come that no look has seen."""
        return self._state.status.awaits_look

    def look(self, cause: Cause | None = None) -> Decision | None:
        """Evaluate what has come; return the decision as `take` does."""
        if self._is_quiet():
            self._state.status.awaits_look = False
            return None
        # Without a record and before the first event there is no time to date a decision by.
        return self._decide(cause) if self._state.status.now_ms else None

    def take(self, message: WindowsMessage, cause: Cause | None = None) -> Decision | None:
        """Apply a message and look; return the decision when verdict, stage or alerts changed.

        When nothing did for a minute, the decision all the same, marked as a refresh, so that
        readers see how the evidence grows.

        Raises ValueError, no evidence touched, for a message of another rollout or one whose counts
        shrank.
        """
        self._take_rows(message)
        return self.look(cause)

    def take_closed(self, rows: Sequence[ClosedRows]) -> list[Decision]:
        """Take windows that are complete and later than those before, with a look after each.

        Return the decisions that `take` would have returned of messages that hold a window each,
        without those that only refresh. Raises ValueError for counts that cannot be.
        """
        starts, decisions = starts_of(rows), list[Decision]()
        done = 0
        while done < len(starts):
            at_once = self._windows_at_once
            if at_once == MOST_WINDOWS and len(starts) - done <= at_once + FEW_MORE:
                at_once += FEW_MORE
            ahead = starts[done : done + at_once]
            some = [one.between(ahead) for one in rows]
            ahead = ahead[: known_until(self._state, some, ahead)]
            some = [one.between(ahead) for one in some]
            fold = ClosedFold(self.rollout, self._state, some, ahead)
            n_taken, decision = self._take_until_news(fold)
            decisions += [decision] if decision is not None and not decision.is_refresh else []
            done += n_taken
            at_once = FEWEST_WINDOWS if decision else min(2 * self._windows_at_once, MOST_WINDOWS)
            self._windows_at_once = at_once
        self._last_look = None  # folding many windows at once keeps no path
        return decisions

    def advance_clock(self, at_ms: int) -> None:
        """Note when a record or command was written: the time until a window comes.

        The time must come from the log, so that reading it again gives the same.
        """
        status = self._state.status
        status.created_ms = status.created_ms or at_ms
        status.record_ms = max(status.record_ms, at_ms)
        status.decided_ms = at_ms
        status.verdict_since_ms = status.verdict_since_ms or at_ms

    def inherit(self, status: RolloutStanding) -> None:
        """Take over what outlives the evidence, from under another policy or release.

        That is a latched rollback, the time, the numbering of decisions, and commands.
        """
        mine = self._state.status
        mine.rolled_back = status.rolled_back
        mine.watermark_ms, mine.record_ms = status.watermark_ms, status.record_ms
        mine.decided_ms, mine.created_ms = status.decided_ms, status.created_ms
        mine.newest_window_end_ms = status.newest_window_end_ms
        mine.sequence, mine.changed_sequence = status.sequence, status.changed_sequence
        mine.last_command, mine.rejections = status.last_command, status.rejections
        mine.forgiven_through_ms = status.forgiven_through_ms

    def decision(self) -> Decision:
        """Return the decision as of now, with all evidence; for pages and reports."""
        return self._build(is_refresh=False)

    def announce(self, cause: Cause | None = None) -> Decision:
        """Return the decision to emit for a policy, before there is any evidence under it."""
        return self._numbered(is_refresh=False, cause=cause)

    def apply_command(self, command: Command, cause: Cause | None = None) -> Decision:
        """Apply a command, or reject it; the decision to emit says which."""
        status = self._state.status
        self.advance_clock(to_epoch_ms(command.at))
        status.last_command = max(status.last_command, command.number)
        try:
            self._check_expectation(command)
            self._apply(command)
        except CommandRejected as error:
            status.rejections[command.number] = str(error)
            for number in sorted(status.rejections)[:-MAX_COMMANDS]:
                del status.rejections[number]
        answered = CausingCommand(
            number=command.number,
            kind=command.kind,
            reason=command.reason,
            by=command.by,
            at=command.at,
        )
        return self._decide_anyway(cause, answered)

    def kill(self, reason: str) -> Decision | None:
        """Roll back because an operator says so; stays until `resume`."""
        self._kill(reason)
        return self._decide()

    def resume(self) -> Decision | None:
        """Take back a rollback or a pause; evidence of harm is gathered anew.

        Raises `CommandRejected` where there is neither: evidence would be lost for nothing.
        """
        self._resume()
        return self._decide()

    def promote(self) -> Decision | None:
        """Move to the next stage, whatever the evidence.

        Raises `CommandRejected` at the last stage, and while the rollout is rolled back or paused.
        """
        self._promote()
        return self._decide()

    def encode_state(self, *, with_open_rows: bool = True) -> bytes:
        """Return all state as bytes, or without the rows of open windows; see `state`."""
        return encode_state(self._state, with_open_rows=with_open_rows)

    def encode_rows(self, rows: Iterable[RowName]) -> bytes:
        """Return rows of open windows as bytes: a part of the state."""
        return encode_rows(self._state, rows)

    def open_rows(self) -> list[RowName]:
        """Return the rows of open windows."""
        return self._state.open_rows()

    def changed_rows(self) -> set[RowName]:
        """Return which rows of open windows have changed since `note_saved`."""
        return self._state.changed_rows()

    def note_saved(self) -> None:
        """Begin anew to note which rows change."""
        self._state.note_saved()

    def _take_rows(self, message: WindowsMessage, following: Sequence[WindowsMessage] = ()) -> None:
        if message.rollout_id != self.rollout.rollout_id:
            raise ValueError(f"this message is about {message.rollout_id}")
        apply_windows(self.rollout, self._state, message, following)

    # Commands

    def _check_expectation(self, command: Command) -> None:
        """Reject what was issued in view of a decision that does not hold any more."""
        status, expects = self._state.status, command.expects
        if expects is None or status.changed_sequence <= expects <= status.sequence:
            return
        raise CommandRejected(
            f"it was issued in view of decision {expects}, and something has changed since; the "
            f"newest is {status.sequence}"
        )

    def _apply(self, command: Command) -> None:
        if command.kind == "kill":
            self._kill(_why_killed(command))
        elif command.kind == "resume":
            self._resume()
        else:
            self._promote()
        self._state.status.changed_sequence = self._state.status.sequence + 1

    def _kill(self, reason: str) -> None:
        status = self._state.status
        if status.rolled_back is None:
            status.rolled_back = Latch(status.now_ms, [reason])

    def _resume(self) -> None:
        status = self._state.status
        if status.rolled_back is None and status.paused is None:
            raise CommandRejected("the rollout is neither rolled back nor paused")
        status.rolled_back = status.paused = None
        status.forgiven_through_ms = self._state.newest_start_ms()
        for evidence in self._state.evidence.values():
            evidence.restart_rollback()
        self._state.note_look()

    def _promote(self) -> None:
        """A stage entered behind a rollback would serve users as soon as someone resumes."""
        if self._state.status.rolled_back is not None:
            raise CommandRejected("the rollout is rolled back; resume it first")
        if self._state.status.paused is not None:
            raise CommandRejected("the rollout is paused; resume it first")
        if self._is_last_stage():
            raise CommandRejected("this is the last stage")
        enter_stage(self._state, self._state.status.stage + 1)

    # Decisions

    def _evaluate(self, *, with_results: bool, seen: Look | None = None) -> Evaluation:
        return evaluate(self.rollout, self._state, with_results=with_results, seen=seen)

    def _take_until_news(self, fold: ClosedFold) -> tuple[int, Decision | None]:
        """Take windows up to one that changes something; return how many, and the decision."""
        status, standing = self._state.status, None
        for step in range(fold.n):
            fold.note(step)
            before, standing = standing, self._stage_standing()
            if fold.may_differ(step) or standing != before:
                evaluation = evaluate(
                    self.rollout, self._state, with_results=False, seen=fold.look(step)
                )
                if self._is_news(evaluation):
                    fold.take(step + 1)
                    return step + 1, self._decide()
            if status.event_ms - status.emitted_ms >= REFRESH_MS:
                status.sequence += 1  # of a decision that only refreshes
                status.emitted_ms = status.event_ms
        fold.take(fold.n)
        return fold.n, None

    def _stage_standing(self) -> tuple[object, ...]:
        """Return what a verdict asks of the stage's progress, and alerts of its data."""
        status, counts = self._state.status, self._state.stage
        thresholds = thresholds_of(self.rollout, self.rollout.stages[status.stage])
        totals = counts.totals
        return (
            totals.requests >= thresholds.min_requests,
            totals.duration_s >= thresholds.min_duration_s,
            totals.quality.breaches(thresholds),
            list(counts.changed_models),
            status.event_ms < status.emitted_ms,
        )

    def _is_news(self, evaluation: Evaluation) -> bool:
        """Return whether a decision, or entering a stage, may follow from an evaluation."""
        status = self._state.status
        is_automatic = self.rollout.promotion == "automatic" and not self._is_last_stage()
        is_promotion = evaluation.verdict == "promote" and is_automatic
        has_changed = evaluation.signature(status.stage) != status.signature
        return has_changed or is_promotion or status.event_ms < status.emitted_ms

    def _is_quiet(self) -> bool:
        """Whether a look would find what the last one found, and no refresh is due."""
        status = self._state.status
        return (
            self._last_look is not None
            and 0 <= status.event_ms - status.emitted_ms < REFRESH_MS
            and not self._last_look.may_differ(self.rollout, self._state)
        )

    def _decide(self, cause: Cause | None = None) -> Decision | None:
        """Evaluate, latch, enter the next stage; return a decision if there is something new."""
        evaluation, seen = self._judged()
        status = self._state.status
        is_refresh = evaluation.signature(status.stage) == status.signature
        decision = None
        if not (is_refresh and 0 <= status.event_ms - status.emitted_ms < REFRESH_MS):
            decision = self._emit(evaluation, seen, is_refresh=is_refresh, cause=cause)
        self._state.note_look()
        return decision

    def _decide_anyway(self, cause: Cause | None, command: CausingCommand) -> Decision:
        """The same, with a decision in any case."""
        decision = self._emit(*self._judged(), is_refresh=False, cause=cause, command=command)
        self._state.note_look()
        return decision

    def _judged(self) -> tuple[Evaluation, Look]:
        """What the evidence says now; latched, and the verdict noted."""
        seen = look(self.rollout, self._state)
        evaluation = self._evaluate(with_results=False, seen=seen)
        self._last_look = LastLook(self._state, evaluation)
        self._state.changed_from_ms = None
        self._latch(evaluation, seen)
        status = self._state.status
        status.awaits_look = False
        if evaluation.verdict != status.verdict or not status.verdict_since_ms:
            status.verdict = evaluation.verdict
            status.verdict_since_ms = status.now_ms
        return evaluation, seen

    def _emit(
        self,
        evaluation: Evaluation,
        seen: Look,
        *,
        is_refresh: bool,
        cause: Cause | None,
        command: CausingCommand | None = None,
    ) -> Decision:
        status = self._state.status
        signature = evaluation.signature(status.stage)
        has_changed = signature != status.signature
        status.signature, status.emitted_ms = signature, status.event_ms
        decision = self._numbered(
            is_refresh=is_refresh, cause=cause, command=command, has_changed=has_changed, seen=seen
        )
        is_automatic = self.rollout.promotion == "automatic" and not self._is_last_stage()
        if evaluation.verdict == "promote" and is_automatic:
            enter_stage(self._state, status.stage + 1)
            status.changed_sequence = status.sequence + 1
        return decision

    def _numbered(
        self,
        *,
        is_refresh: bool,
        cause: Cause | None,
        command: CausingCommand | None = None,
        has_changed: bool = True,
        seen: Look | None = None,
    ) -> Decision:
        """Return the next decision to emit."""
        status = self._state.status
        status.sequence += 1
        if has_changed:
            status.changed_sequence = status.sequence
        return self._build(is_refresh=is_refresh, cause=cause, command=command, seen=seen)

    def _build(
        self,
        *,
        is_refresh: bool,
        cause: Cause | None = None,
        command: CausingCommand | None = None,
        seen: Look | None = None,
    ) -> Decision:
        return build_decision(
            self.rollout,
            self._state,
            self._evaluate(with_results=True, seen=seen),
            is_refresh=is_refresh,
            cause=cause,
            command=command,
        )

    def _latch(self, evaluation: Evaluation, seen: Look) -> None:
        status = self._state.status
        rolls_back = evaluation.evidence_rolls_back and status.rolled_back is None
        pauses = evaluation.evidence_pauses and status.paused is None
        if not (rolls_back or pauses):
            return
        with_results = self._evaluate(with_results=True, seen=seen)
        if rolls_back:
            status.rolled_back = latch_of("rollback", self._state, with_results)
        if pauses:
            status.paused = latch_of("pause", self._state, with_results)

    def _is_last_stage(self) -> bool:
        return self._state.status.stage + 1 == len(self.rollout.stages)


def _why_killed(command: Command) -> str:
    killed = f"killed by {command.by or 'an operator'}"
    return f"{killed}: {command.reason}" if command.reason else killed
