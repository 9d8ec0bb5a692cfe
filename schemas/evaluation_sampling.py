"""Which pairs are evaluated, by whom and within which budget: the policy's key `evaluate`.

It is no part of a policy's hash: evidence stays what it is when fewer or more pairs are judged.
"""

from __future__ import annotations

import math
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from understudy.schemas.evaluations import (
    MAX_NAME_CHARACTERS,
    MAX_VERSION_CHARACTERS,
    NAME_CHARACTERS,
    is_name,
)
from understudy.schemas.rollout_metrics import parse_share

MAX_EVALUATORS: Final = 20
"""Of one policy: each asks about pairs of its own budget."""
MAX_FLOOR_PER_HOUR: Final = 100_000
"""More is no floor: it is a pair every 36 ms for each language and workflow."""
MAX_USD_PER_DAY: Final = 1e6
MAX_CALLS_PER_MINUTE: Final = 1_000_000
DEFAULT_SHARE: Final = "5%"
"""At 10 requests/s a judged pair every two seconds: what the default budget of calls can pay."""
DEFAULT_FLOOR_PER_HOUR: Final = 20
"""A language with few requests reaches some hundreds of judged pairs in a day."""
DEFAULT_BOTH_ORDERS: Final = "20%"
"""Enough to see how often an evaluator's answer turns with the order, at a fifth more calls."""
DEFAULT_CONTROL_SHARE: Final = "20%"
"""Of the requests that have a control side, which are a sample themselves."""
DEFAULT_USD_PER_DAY: Final = 20.0
DEFAULT_CALLS_PER_MINUTE: Final = 60
_NAME: Final = f"{NAME_CHARACTERS}{{1,{MAX_NAME_CHARACTERS}}}"
_VERSION: Final = f"{NAME_CHARACTERS}{{1,{MAX_VERSION_CHARACTERS}}}"
EvaluatorReference = Annotated[
    str,
    Meta(
        description="`name@version` of an evaluator.",
        extra_json_schema={"pattern": f"^{_NAME}@{_VERSION}$"},
    ),
]
"""Checked by `check_reference`, which says what to write."""
Path = tuple[str | int, ...]


class SamplingError(ValueError):
    """A value that cannot be used; `path` leads to it from the entry of `evaluate`."""

    def __init__(self, problem: str, path: Path) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = path


class BudgetManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an evaluator may take. Calls that are under way when it is used up are finished."""

    usd_per_day: Annotated[
        float, Meta(gt=0, le=MAX_USD_PER_DAY, description="From midnight to midnight, UTC.")
    ] = DEFAULT_USD_PER_DAY
    calls_per_minute: Annotated[int, Meta(ge=1, le=MAX_CALLS_PER_MINUTE)] = DEFAULT_CALLS_PER_MINUTE


class EvaluateManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Pairs that one evaluator judges."""

    evaluator: EvaluatorReference
    share: Annotated[
        str | int | float, Meta(description="Share of the pairs, chosen by hash: `5%`.")
    ] = DEFAULT_SHARE
    floor_per_hour: Annotated[
        int,
        Meta(
            ge=0,
            le=MAX_FLOOR_PER_HOUR,
            description="Pairs of each language in each workflow that are chosen where the share "
            "is fewer, as far as there are so many.",
        ),
    ] = DEFAULT_FLOOR_PER_HOUR
    both_orders: Annotated[
        str | int | float,
        Meta(description="Share of the judged pairs that are asked in both orders."),
    ] = DEFAULT_BOTH_ORDERS
    control_share: Annotated[
        str | int | float,
        Meta(
            description="Share of the requests with a control side of which stable is compared "
            "with that: the evaluator's own noise."
        ),
    ] = DEFAULT_CONTROL_SHARE
    budget: BudgetManifest = BudgetManifest()


class EvaluationSampling(msgspec.Struct, frozen=True):
    """The same, compiled: shares are fractions of 1."""

    evaluator: str
    """`name@version`"""
    share: float
    floor_per_hour: int
    both_orders: float
    control_share: float
    usd_per_day: float
    calls_per_minute: int

    @property
    def calls_per_pair(self) -> float:
        """Calls that a judged pair takes on average."""
        return 1.0 + self.both_orders

    @property
    def pairs_per_day(self) -> int:
        """Pairs that the budget of calls pays for at most; money may end sooner."""
        return math.floor(self.calls_per_minute * 1_440 / self.calls_per_pair)


def is_reference(text: str) -> bool:
    """Whether a text is `name@version` of an evaluator, as records can have it."""
    name, _, version = text.partition("@")
    return (
        1 <= len(name) <= MAX_NAME_CHARACTERS
        and 1 <= len(version) <= MAX_VERSION_CHARACTERS
        and is_name(name)
        and is_name(version)
    )


def check_reference(text: str) -> None:
    """Raise `SamplingError` for what is no `name@version` of an evaluator."""
    if is_reference(text):
        return
    raise SamplingError(
        f"{text[:MAX_NAME_CHARACTERS]!r} names no evaluator and version; write name@version, "
        f"as in helpfulness@1: up to {MAX_NAME_CHARACTERS} and {MAX_VERSION_CHARACTERS} "
        "characters, without spaces and what cannot be seen",
        ("evaluator",),
    )


def compile_sampling(written: EvaluateManifest) -> EvaluationSampling:
    """Check one entry of `evaluate` and compile it. Raises `SamplingError`."""
    check_reference(written.evaluator)
    share = _share(written.share, "share")
    if share == 0.0 and written.floor_per_hour == 0:
        raise SamplingError(
            "no pair would be judged; write a share above 0 or a floor_per_hour", ("share",)
        )
    return EvaluationSampling(
        evaluator=written.evaluator,
        share=share,
        floor_per_hour=written.floor_per_hour,
        both_orders=_share(written.both_orders, "both_orders"),
        control_share=_share(written.control_share, "control_share"),
        usd_per_day=written.budget.usd_per_day,
        calls_per_minute=written.budget.calls_per_minute,
    )


def _share(written: str | int | float, name: str) -> float:
    try:
        return parse_share(written)
    except ValueError as error:
        raise SamplingError(str(error), (name,)) from None
