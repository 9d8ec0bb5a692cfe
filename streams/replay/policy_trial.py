"""A policy watching a recording: what `replay --policy` and `rollout backtest` share."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import orjson

from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.manifests import ManifestError, read_policy
from understudy.schemas.rollouts import Rollout, nearest
from understudy.schemas.windows import WindowsMessage
from understudy.streams.errors import WRONG_USAGE, CommandError

FailOn = Literal["rollback", "hold"]


def read_policy_file(path: Path) -> Rollout:
    """The policy in a file. Raises `CommandError` that points at the line."""
    try:
        return read_policy(path.read_bytes(), str(path))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", WRONG_USAGE) from None
    except ManifestError as error:
        raise CommandError(str(error), WRONG_USAGE) from None


class PolicyTrial:
    """A policy watching a recording; a listener of `replay`."""

    def __init__(self, rollout: Rollout, stage: str | None = None) -> None:
        """Begin at a stage by its name, or at the first one in the recording's mode."""
        self._rollout = rollout
        self._stage = None if stage is None else _stage_named(rollout, stage)
        self._evaluator: RolloutEvaluator | None = None
        self._seen: set[str] = set()
        self.decisions: list[Decision] = []
        """What would have been told, in order, but for refreshed numbers."""

    def __call__(self, message: WindowsMessage) -> None:
        """Take a message of window rows, of whatever rollout."""
        self._seen.add(message.rollout_id)
        if message.rollout_id != self._rollout.rollout_id:
            return
        if self._evaluator is None:
            self._evaluator = self._begin(message)
        if self._evaluator is not None:
            decision = self._evaluator.take(message)
            if decision is not None and not decision.is_refresh:
                self.decisions.append(decision)

    def outcome(self) -> Decision:
        """The decision at the end. Raises `CommandError` when the rollout never turned up."""
        if self._evaluator is None:
            wanted = self._rollout.rollout_id
            if wanted in self._seen:
                raise CommandError(f"no event of rollout {wanted} says in which mode it was sent")
            names = sorted(filter(None, self._seen))
            there = ", ".join(names[:5]) or "none"
            raise CommandError(
                f"the policy is for rollout {wanted}{nearest(wanted, names)}; "
                f"in the recording: {there}"
            )
        return self._evaluator.decision()

    def _begin(self, message: WindowsMessage) -> RolloutEvaluator | None:
        mode = next((row.mode for row in message.rows if row.mode is not None), None)
        if mode is None:
            return None
        if self._stage is not None:
            return RolloutEvaluator(self._rollout, stage=self._stage)
        for place, stage in enumerate(self._rollout.stages):
            if stage.mode == mode:
                return RolloutEvaluator(self._rollout, stage=place)
        raise CommandError(f"the recording is in mode {mode}, and no stage of the policy is")


def _stage_named(rollout: Rollout, name: str) -> int:
    names = [stage.name for stage in rollout.stages]
    if name not in names:
        raise CommandError(
            f"the policy has no stage {name}; it has {', '.join(names)}", WRONG_USAGE
        )
    return names.index(name)


def fails(decision: Decision, fail_on: FailOn | None) -> bool:
    """Whether a verdict is at least as bad as what a build should fail on."""
    if fail_on is None:
        return False
    return decision.verdict == "rollback" or (fail_on == "hold" and decision.verdict == "hold")


def decision_json(decision: Decision) -> orjson.Fragment:
    """The decision as it would stand on the topic, to put into a larger document."""
    return orjson.Fragment(encode_decision(decision))
