"""Which requests are evaluated: a share by hash, and a floor for each language and workflow. Pure.

A request's place between 0 and 1 is the hash of its rollout and pair, so every worker and every
restart chooses the same ones, and all evaluators of a policy look at the same sample as far as
their shares allow. The turns of a conversation depend on each other; each has a place of its own,
so that a sample holds few turns of many conversations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import xxhash

from understudy.schemas.evaluation_sampling import EvaluationSampling

_HOUR_MS: Final = 3_600_000
_PLACES: Final = float(2**64)
MAX_SLICES: Final = 10_000
"""Languages and workflows that are counted of one rollout; more are hostile names, without floor.
"""

SliceName = tuple[str, str]
"""Language as the gateway writes it, and workflow."""


def place_of(rollout_id: str, pair_id: str, purpose: str = "sample") -> float:
    """Return where a request lies between 0 and 1; places of two purposes are independent."""
    return (
        xxhash.xxh64_intdigest(f"{purpose}/{rollout_id}/{pair_id}".encode("utf-8", "replace"))
        / _PLACES
    )


class Chosen(NamedTuple):
    """That an evaluator is to judge a request."""

    sampling: EvaluationSampling
    probability: float
    """With which requests like it are chosen."""
    is_floor: bool
    """Chosen only because its language and workflow are rare."""


@dataclass(slots=True)
class _Hour:
    """Requests of a slice in an hour of event time, and those in the hour before."""

    number: int
    requests: int = 0
    requests_before: int = 0
    chosen: dict[str, int] = field(default_factory=dict)
    """By evaluator."""

    def turn_to(self, number: int) -> None:
        if number > self.number:
            self.requests_before = self.requests if number == self.number + 1 else 0
            self.number, self.requests = number, 0
            self.chosen.clear()


@dataclass(slots=True)
class RolloutSampler:
    """Chooses the requests of one rollout."""

    samplings: tuple[EvaluationSampling, ...]
    _hours: dict[SliceName, _Hour] = field(default_factory=dict)

    def may_choose(self, place: float) -> bool:
        """Whether any request at this place is chosen; where there are floors, all may be."""
        return any(one.floor_per_hour or place < one.share for one in self.samplings)

    def choose(
        self, place: float, slice_name: SliceName, time_ms: int, *, counts: bool
    ) -> tuple[Chosen, ...]:
        """Return who is to judge a request. `counts` is true for one of its sides alone."""
        hour = self._hour(slice_name, time_ms // _HOUR_MS)
        if hour is not None and counts:
            hour.requests += 1
        found = []
        for sampling in self.samplings:
            one = _choose(sampling, place, hour)
            if one is not None:
                found.append(one)
                if hour is not None:
                    hour.chosen[sampling.evaluator] = hour.chosen.get(sampling.evaluator, 0) + 1
        return tuple(found)

    def _hour(self, slice_name: SliceName, number: int) -> _Hour | None:
        hour = self._hours.get(slice_name)
        if hour is None:
            if len(self._hours) >= MAX_SLICES:
                return None
            hour = self._hours[slice_name] = _Hour(number)
        hour.turn_to(number)
        return hour


def _choose(sampling: EvaluationSampling, place: float, hour: _Hour | None) -> Chosen | None:
    if place < sampling.share:
        return Chosen(sampling, sampling.share, is_floor=False)
    floor = sampling.floor_per_hour
    if hour is None or hour.chosen.get(sampling.evaluator, 0) >= floor:
        return None
    # As many as the hour before had are expected; in its first hour a slice is taken as it comes.
    wanted = min(1.0, floor / max(hour.requests_before, hour.requests, 1))
    if place < wanted:
        return Chosen(sampling, wanted, is_floor=True)
    return None
