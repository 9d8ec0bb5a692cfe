"""Judges a recording by a policy: what `replay --policy` and `rollout backtest` share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

import orjson
from msgspec import UNSET

from understudy.analyzers.guardrails.closed_rows import ClosedRows
from understudy.analyzers.guardrails.closed_windows import columns_needed
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.manifests import ManifestError, read_policy
from understudy.schemas.rollouts import Rollout, nearest
from understudy.schemas.windows import WindowsMessage
from understudy.streams.errors import WRONG_USAGE, CommandError

FailOn = Literal["rollback", "hold"]
_MAX_NAMES: Final = 5
"""Rollouts that a message lists."""


def read_policy_file(path: Path) -> Rollout:
    """The policy in a file. Raises `CommandError`, which names the line of a mistake."""
    try:
        return read_policy(path.read_bytes(), str(path))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", WRONG_USAGE) from None
    except ManifestError as error:
        raise CommandError(str(error), WRONG_USAGE) from None


class PolicyTrial:
    """Judges a recording by a policy, as a listener of `replay`."""

    def __init__(self, rollout: Rollout, stage: str | None = None) -> None:
        """Begin at a stage by its name, or at the first one in the recording's mode."""
        self.rollout = rollout
        self._stage = None if stage is None else _stage_named(rollout, stage)
        self._evaluator: RolloutEvaluator | None = None
        self._seen: set[str] = set()
        self.decisions: list[Decision] = []
        """The decisions that would have been emitted, in order, without those that only refresh."""

    def __call__(self, message: WindowsMessage) -> None:
        """Take a message of window rows; those of other rollouts are skipped."""
        self._seen.add(message.rollout_id)
        if message.rollout_id != self.rollout.rollout_id:
            return
        if self._evaluator is None:
            modes = message.columns.mode
            self._evaluator = self._begin([] if modes is UNSET else modes)
        if self._evaluator is not None:
            decision = self._evaluator.take(message)
            if decision is not None and not decision.is_refresh:
                self.decisions.append(decision)

    def columns(self) -> frozenset[str]:
        """The columns of windows that the policy needs."""
        return columns_needed(self.rollout)

    def take_closed(self, rows: Sequence[ClosedRows]) -> None:
        """Take windows of the policy's rollout that are complete, later than those before."""
        self._seen.add(self.rollout.rollout_id)
        if rows and self._evaluator is None:
            first_ms = min(int(one.start_ms[0]) for one in rows)
            self._evaluator = self._begin(
                one.mode.values[code]
                for one in rows
                for code in one.mode.codes[one.start_ms == first_ms].tolist()
            )
        if rows and self._evaluator is not None:
            self.decisions += self._evaluator.take_closed(rows)

    def outcome(self) -> Decision:
        """The decision at the end. Raises `CommandError` when there was no row of the rollout."""
        if self._evaluator is None:
            wanted = self.rollout.rollout_id
            if wanted in self._seen:
                raise CommandError(
                    f"no event of rollout {wanted} names its mode, so no stage can judge it"
                )
            names = sorted(filter(None, self._seen))
            there = ", ".join(names[:_MAX_NAMES]) or "none"
            raise CommandError(
                f"the policy is for rollout {wanted}{nearest(wanted, names)}; "
                f"rollouts in the recording: {there}"
            )
        return self._evaluator.decision()

    def _begin(self, modes: Iterable[str | None]) -> RolloutEvaluator | None:
        found = list(dict.fromkeys(mode for mode in modes if mode is not None))
        if not found:
            return None
        if self._stage is not None:
            return RolloutEvaluator(self.rollout, stage=self._stage)
        stages = self.rollout.stages
        # Requests of two modes at once: a stage that mirrors some serves the candidate to others.
        mirroring = [stage.mode in found and stage.mirror > 0.0 for stage in stages]
        in_mode = [stage.mode == found[0] for stage in stages]
        for is_meant in (mirroring if len(found) > 1 else [], in_mode):
            if any(is_meant):
                return RolloutEvaluator(self.rollout, stage=is_meant.index(True))
        raise CommandError(f"the recording is in mode {found[0]}, but no stage of the policy is")


def _stage_named(rollout: Rollout, name: str) -> int:
    names = [stage.name for stage in rollout.stages]
    if name not in names:
        raise CommandError(
            f"the policy has no stage {name}; it has {', '.join(names)}", WRONG_USAGE
        )
    return names.index(name)


def fails(decision: Decision, fail_on: FailOn | None) -> bool:
    """Whether a verdict is at least as bad as the one to fail on."""
    if fail_on is None:
        return False
    return decision.verdict == "rollback" or (fail_on == "hold" and decision.verdict == "hold")


def decision_json(decision: Decision) -> orjson.Fragment:
    """The decision as it would be on its topic, to embed in a larger document."""
    return orjson.Fragment(encode_decision(decision))
