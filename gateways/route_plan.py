"""What happens to one request: which sides answer, and which one the user gets. Pure.

One function a strategy; `plan_request` chooses by the mode of the decision in force.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from understudy.gateways.allocation import Allocation
from understudy.gateways.hashed_place import place_of
from understudy.schemas.events import PAIRED_MODES, Mode

Served = Literal["stable", "candidate"]


class RoutePlan(msgspec.Struct, frozen=True):
    """A request's way."""

    served: Served = "stable"
    """Whose answer the user gets."""
    single: Mode | None = None
    """The mode of the event of the served side alone: `canary` or `ab`."""
    paired: Mode | None = None
    """The mode in which both sides answer: `shadow` or `interleave`."""
    control: bool = False
    """Whether stable answers a second time."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of requests that the gateway chooses for itself."""

    shadow_share: float = 1.0
    """Of the requests that a decision lets be mirrored."""
    control_share: float = 0.0
    """Of the mirrored requests."""


STABLE_ALONE: Final = RoutePlan()
MIRRORED: Final = RoutePlan(paired="shadow")


def plan_request(
    allocation: Allocation | None, unit: str, pair_id: str, sampling: Sampling
) -> RoutePlan:
    """Return the way of a request of `unit`; without an allocation stable serves alone."""
    if allocation is None:
        return STABLE_ALONE
    match allocation.mode:
        case "shadow":
            return _shadow(allocation, pair_id, sampling)
        case "interleave":
            return _interleave(allocation, unit, pair_id, sampling)
        case mode:
            return _split(allocation, mode, unit, pair_id, sampling)


def _shadow(allocation: Allocation, pair_id: str, sampling: Sampling) -> RoutePlan:
    """Stable serves; the candidate answers a share of the requests too."""
    if not _is_mirrored(allocation, pair_id, sampling):
        return STABLE_ALONE
    return RoutePlan(paired="shadow", control=_has_control(allocation, pair_id, sampling))


def _interleave(allocation: Allocation, unit: str, pair_id: str, sampling: Sampling) -> RoutePlan:
    """Both answer; a unit gets the answers of one side, as long as the shares stay."""
    if not _is_mirrored(allocation, unit, sampling):
        return STABLE_ALONE
    return RoutePlan(
        served=_served(allocation, unit),
        paired="interleave",
        control=_has_control(allocation, pair_id, sampling),
    )


def _split(
    allocation: Allocation, mode: Mode, unit: str, pair_id: str, sampling: Sampling
) -> RoutePlan:
    """One side answers; of the requests that stable serves, a share is mirrored as well."""
    if _served(allocation, unit) == "candidate":
        return RoutePlan(served="candidate", single=mode)
    mirrored = _is_mirrored(allocation, pair_id, sampling)
    return RoutePlan(
        single=mode if makes_own_events(allocation) else None,
        paired="shadow" if mirrored else None,
        control=mirrored and _has_control(allocation, pair_id, sampling),
    )


def makes_own_events(allocation: Allocation) -> bool:
    """Return whether requests that nobody mirrors are told too, or those of both models served.

    They are where the candidate serves some. In canary and A/B, stable's own events also refresh a
    decision that is too old to be followed.
    """
    is_refreshed = allocation.is_stale and allocation.verdict != "rollback"
    is_split = allocation.mode not in PAIRED_MODES
    return allocation.candidate_share > 0.0 or (is_split and is_refreshed)


def _served(allocation: Allocation, unit: str) -> Served:
    place = place_of(allocation.rollout_id, unit)
    return "candidate" if place < allocation.candidate_share else "stable"


def _is_mirrored(allocation: Allocation, pair_id: str, sampling: Sampling) -> bool:
    share = allocation.mirror_share * sampling.shadow_share
    return share >= 1.0 or place_of(allocation.rollout_id, pair_id, "mirrored") < share


def _has_control(allocation: Allocation, pair_id: str, sampling: Sampling) -> bool:
    share = sampling.control_share
    return share > 0.0 and place_of(allocation.rollout_id, pair_id, "control") < share
