"""The kinds of measures, and the sums that each kind adds to a window row.

A measure is one column of `comparisons`, taken per side or per pair, and some columns of `windows`
that add up. Its kind says which, under which names, so that a declaration in
`understudy.schemas.measures` is all that the tables, records and documents need.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final, Literal, NamedTuple

LABEL: Final = "LowCardinality(String)"
MAX_NAMES: Final = 8
"""Of a map from name to count in one row: more models than a rollout has, fallbacks included."""
OTHER_NAMES: Final = "other"
"""What the names beyond these count under."""

Better = Literal["lower", "higher", "neither"]
"""Which way a metric improves."""


class SumKind(Enum):
    """How the numbers of many rows become one."""

    COUNT = "whole numbers"
    SIGNED = "whole numbers, of either sign"
    TOTAL = "measured values, added as whole ticks"
    PRODUCT = "products of two measured values, exact in three parts"
    HISTOGRAM = "counts by bucket"
    NAMES = "counts by name, of the most frequent names"


class HistogramScale(Enum):
    """Which buckets a histogram has."""

    LOGARITHMIC = "log buckets, within 1 %"
    HUNDREDTHS = "floor(100 x value)"


@dataclass(frozen=True, slots=True)
class Sum:
    """A number of a window row: adding rows is adding these."""

    name: str
    description: str
    kind: SumKind = SumKind.COUNT
    tick: float = 1.0
    """Of totals and of a product's factors: the values are rounded to whole ticks."""
    most_names: int = MAX_NAMES
    """Of counts by name."""

    @property
    def type_name(self) -> str:
        """Type of the row's field, as Python writes it."""
        if self.is_map:
            return "Histogram" if self.kind is SumKind.HISTOGRAM else "Names"
        return "int" if self.tick == 1.0 else "float"

    @property
    def clickhouse_type(self) -> str:
        """Squares of hostile counts outgrow 64 bits, hence 128."""
        if self.type_name == "int":
            return {SumKind.PRODUCT: "UInt128", SumKind.SIGNED: "Int64"}.get(self.kind, "UInt64")
        return {
            "float": "Float64",
            "Histogram": "Map(Int32, UInt64)",
            "Names": f"Map({LABEL}, UInt64)",
        }[self.type_name]

    @property
    def is_map(self) -> bool:
        """Whether it is many counts, each with a key."""
        return self.kind in (SumKind.HISTOGRAM, SumKind.NAMES)


class Subject(NamedTuple):
    """What the rows are that are added up, for descriptions."""

    noun: str
    clause: str


SIDES: Final = Subject("Sides", "Sides that")
RATINGS: Final = Subject("Ratings", "Ratings that")
PAIRS: Final = Subject("Pairs", "Pairs in which")


@dataclass(frozen=True, slots=True)
class GuardrailMetric:
    """How policies and sentences call a measure that a guardrail can limit."""

    name: str
    title: str
    """For sentences: "JSON validity"."""
    harm: str = ""
    """What counts as harm in one request, for the documentation; else what the outcome says."""
    better: Better = "lower"
    counts: str = ""
    """What it counts, in words; empty for pairs or requests."""
    weight: float = 1.0
    """Its share of the tolerated error, relative to other metrics: more where harm is likely and
    grave, so that many rare ones do not make the important ones slow."""


@dataclass(frozen=True, slots=True)
class Label:
    """Text that comparisons keep and windows do not add up, but for how often a name came."""

    name: str
    description: str
    clickhouse_type: str = LABEL
    array_type: str = "list[str]"
    on_control: bool = False
    names: Sum | None = None
    """How often each came, empty text apart."""

    def sums(self, of: Subject) -> tuple[Sum, ...]:
        """The names, where they are asked for."""
        return (self.names,) if self.names else ()

    def paired_sums(self) -> tuple[Sum, ...]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number that is always known."""

    name: str
    description: str
    clickhouse_type: str
    array_type: str = "Ints"
    on_control: bool = False
    total: Sum | None = None
    """Sum of what lies above `least`."""
    least: int = 0
    above_least: Sum | None = None
    """How often it lies above `least`."""

    def sums(self, of: Subject) -> tuple[Sum, ...]:
        """Total and count, where they are asked for."""
        return tuple(one for one in (self.total, self.above_least) if one is not None)

    def paired_sums(self) -> tuple[Sum, ...]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Yes or no. `says` is the predicate of a sentence: "gave no answer"."""

    name: str
    says: str
    count: str = ""
    """Name of the count; the measure's own unless it needs a plural."""
    among: str = "requests"
    """Name of the sum that counts the units of a rate."""
    paired_among: str = ""
    """Of a side's outcome: the sum of pairs among which it is compared; empty where it is not."""
    known_both: str = ""
    """Of an outcome that says whether something is known: the sum of pairs in which it is known on
    both sides, for others to be compared among."""
    known_among: str = "answered"
    """The sum of the pairs among which it is looked for."""
    measured_by: str = ""
    """Name of the count of units that have the field, where the lack of it tells the outcome as
    long as some unit of the rollout has it: without any, the outcome is not measured. Where it is
    `among` itself, the units without the outcome have the field."""
    missing_says_yes: bool = False
    """Whether a unit without that field has the outcome. What came before the first one that has
    it is then left out, and counts as no otherwise."""
    two_arms: bool = False
    """Of a side's outcome with a metric: whether a guardrail holds the sides against each other as
    two arms in every mode, also where requests are paired."""
    on_control: bool = False
    is_early: bool = False
    """Of a side's outcome: whether its event alone tells it, before anything is compared. Windows
    then count it among the requests that wait for the other side."""
    metric: GuardrailMetric | None = None
    array_type: str = field(default="Bools", init=False)
    clickhouse_type: str = field(default="Bool", init=False)

    @property
    def description(self) -> str:
        """Of the column of comparisons."""
        return capitalized(self.says)

    @property
    def success(self) -> str:
        """Name of the count of rows that have the outcome."""
        return self.count or self.name

    def sums(self, of: Subject) -> tuple[Sum, ...]:
        """The count."""
        return (Sum(self.success, f"{of.clause} {self.says}"),)

    @property
    def joint(self) -> str:
        """What the counts of pairs with the outcome on one side or both are named after."""
        return self.name

    def paired_sums(self) -> tuple[Sum, ...]:
        """How often the outcome came on one side of a pair, and on both."""
        pairs = "Answered pairs" if self.known_among == "answered" else "Pairs"
        known = f"{pairs} in which each side {self.says}"
        both = (Sum(self.known_both, known),) if self.known_both else ()
        return (*both, *joint_sums(self.joint, self.says)) if self.paired_among else both


@dataclass(frozen=True, slots=True)
class Category:
    """One of several states, stored as a small integer; `passing` is the good one among the known.

    Where `known` is empty, windows do not count it.
    """

    name: str
    description: str
    states: type[IntEnum]
    absent: IntEnum
    """Stands for not examined."""
    known: str = ""
    """Name of the count of rows in any other state."""
    known_says: str = ""
    success: str = ""
    """Name of the count of rows in the passing state."""
    passing: IntEnum | None = None
    passing_says: str = ""
    failures: tuple[tuple[IntEnum, Sum], ...] = ()
    """Counts of further states."""
    on_control: bool = False
    metric: GuardrailMetric | None = None
    array_type: str = field(default="Bytes", init=False)

    @property
    def clickhouse_type(self) -> str:
        """The states with their numbers."""
        named = (f"'{state.name.lower()}' = {state.value}" for state in self.states)
        return f"Enum8({', '.join(named)})"

    @property
    def among(self) -> str:
        """Name of the sum that counts the units of a rate."""
        return self.known

    @property
    def paired_among(self) -> str:
        """The sum of answered pairs in which both sides are known."""
        return f"{self.known}_both" if self.known else ""

    @property
    def joint(self) -> str:
        """What the counts of pairs with the passing state on one side or both are named after."""
        return self.success

    def sums(self, of: Subject) -> tuple[Sum, ...]:
        """Counts of the known, of the passing and of further states."""
        if not self.known:
            return ()
        return (
            Sum(self.known, f"{of.clause} {self.known_says}"),
            Sum(self.success, f"Of these, {of.clause.lower()} {self.passing_says}"),
            *(one for _, one in self.failures),
        )

    def paired_sums(self) -> tuple[Sum, ...]:
        """Pairs with two known states, and how often the passing one came on one side or both."""
        if not self.known:
            return ()
        both = f"Answered pairs in which both sides {self.known_says}"
        return (Sum(self.paired_among, both), *joint_sums(self.joint, self.passing_says))


@dataclass(frozen=True, slots=True)
class Distribution:
    """A measured value that may be unknown: how often it is known, its sum, and more if asked for.

    `noun` is what a sentence calls it, with the unit apart: "duration", "ms".
    """

    name: str
    description: str
    noun: str
    unit: str
    tick: float
    """Values are rounded to whole ticks before they are added."""
    array_type: str = "Floats"
    """`Ints` for whole numbers, of which −1 is unknown."""
    clickhouse_type: str = "Nullable(Float64)"
    counted: bool = True
    squares: bool = False
    logarithms: bool = False
    histogram: HistogramScale | None = None
    ratio: str = ""
    """Of a side's value: name of candidate / stable over pairs."""
    slow_when_timed_out: bool = False
    """Whether a request that timed out without a value counts as slower than any limit."""
    zeros: str = ""
    """Name of the count of rows in which it is 0 where that is no value, unless a policy says so:
    of costs, that the model is free."""
    products: bool = False
    """Of a side's value: sums and products of both sides over pairs."""
    on_control: bool = False
    metric: GuardrailMetric | None = None

    def sums(self, of: Subject) -> tuple[Sum, ...]:
        """Count and sum, squares, logarithms and histogram."""
        name, noun = self.name, self.noun
        sums = [Sum(f"{name}_count", f"{of.noun} with a known {noun}")] if self.counted else []
        sums.append(Sum(f"{name}_sum", f"Sum of the {noun}, {self.unit}", SumKind.TOTAL, self.tick))
        if self.squares:
            text = f"Sum of the squared {noun}"
            sums.append(Sum(f"{name}_squares", text, SumKind.PRODUCT, self.tick))
        if self.logarithms:
            sums += log_sums(f"{name}_ln", f"{noun} in {self.unit}")
        if self.histogram:
            text = f"Histogram of the {noun}: {self.histogram.value}"
            sums.append(Sum(f"{name}_histogram", text, SumKind.HISTOGRAM))
        return tuple(sums)

    def paired_sums(self) -> tuple[Sum, ...]:
        """Of the ratio, or of both values."""
        return (*self._ratio_sums(), *self._product_sums())

    def _ratio_sums(self) -> tuple[Sum, ...]:
        if not self.ratio:
            return ()
        of = f"candidate / stable {self.noun}"
        known = f"Answered pairs with a known {self.noun} above 0 on both sides"
        return (
            Sum(f"{self.ratio}_count", known),
            *log_sums(f"{self.ratio}_ln", of),
            Sum(f"{self.ratio}_histogram", f"Histogram of {of}: {HistogramScale.LOGARITHMIC.value}",
                SumKind.HISTOGRAM),
        )  # fmt: skip

    def _product_sums(self) -> tuple[Sum, ...]:
        if not self.products:
            return ()
        name, noun, tick = self.name, self.noun, self.tick
        total, product = SumKind.TOTAL, SumKind.PRODUCT
        return (
            Sum(f"{name}_count", f"Answered pairs with a known {noun} on both sides"),
            Sum(f"{name}_stable_sum", f"Sum of stable's {noun} over these pairs", total, tick),
            Sum(f"{name}_candidate_sum", f"Sum of the candidate's {noun} over these pairs",
                total, tick),
            Sum(f"{name}_stable_squares", f"Sum of stable's squared {noun}", product, tick),
            Sum(f"{name}_candidate_squares", f"Sum of the candidate's squared {noun}",
                product, tick),
            Sum(f"{name}_products", f"Sum of stable's x the candidate's {noun}", product, tick),
        )  # fmt: skip


Measure = Label | Number | Outcome | Category | Distribution

LN_TICK: Final = 1e-9
"""Of natural logarithms: as fine as a relative error of 1e-9 of the value itself."""


def joint_sums(name: str, says: str) -> tuple[Sum, ...]:
    """Counts of the pairs in which one side alone has an outcome, and of those in which both do.

    McNemar's test needs the first two; the levels of both sides, and their ratio, all three.
    """
    return (
        Sum(only_stable(name), f"Pairs in which only the stable side {says}"),
        Sum(only_candidate(name), f"Pairs in which only the candidate side {says}"),
        Sum(both_sides(name), f"Pairs in which each of the two sides {says}"),
    )


def only_stable(name: str) -> str:
    """Name of the count of pairs in which the stable side alone has an outcome."""
    return f"{name}_only_stable"


def only_candidate(name: str) -> str:
    """Name of the count of pairs in which the candidate side alone has an outcome."""
    return f"{name}_only_candidate"


def both_sides(name: str) -> str:
    """Name of the count of pairs in which both sides have an outcome."""
    return f"{name}_both"


def log_sums(name: str, of: str) -> tuple[Sum, Sum]:
    """Sum and squares of natural logarithms."""
    return (
        Sum(f"{name}_sum", f"Sum of ln({of})", SumKind.TOTAL, LN_TICK),
        Sum(f"{name}_squares", f"Sum of ln({of})^2", SumKind.PRODUCT, LN_TICK),
    )


def capitalized(text: str) -> str:
    """With a capital first, unless the first word is a name written with capitals inside."""
    head = text.partition(" ")[0]
    return text if head != head.lower() else text[:1].upper() + text[1:]
