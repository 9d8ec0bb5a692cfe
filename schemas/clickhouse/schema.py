"""Tables and views: their columns, types and comments, from which the DDL is written.

Columns of measures follow from `understudy.schemas.measures`; the others are declared here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from understudy.schemas.measure_kinds import LABEL, Category, Measure, Sum
from understudy.schemas.measures import CONTROL, PAIR, SIDE, SUMS

TIME: Final = "DateTime64(3, 'UTC')"
_VERSIONS: Final = "Map(Int32, UInt64)"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `value` is the expression of a view, or of a materialized column."""

    name: str
    type: str
    comment: str
    default: str = ""
    codec: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the inserted columns, those that ClickHouse computes, and how it is stored."""

    name: str
    title: str
    """For the head of the file."""
    columns: tuple[Column, ...]
    materialized: tuple[Column, ...]
    clauses: str
    """From ENGINE to SETTINGS."""
    comment: str
    indexes: tuple[str, ...] = ()
    """Data skipping indexes."""

    @property
    def types(self) -> dict[str, str]:
        """Column to type, of those that are inserted, in order."""
        return {column.name: column.type for column in self.columns}


@dataclass(frozen=True, slots=True)
class View:
    """A view: its columns as expressions over a source, and what they are grouped by."""

    name: str
    title: str
    columns: tuple[Column, ...]
    group_by: tuple[str, ...]
    """Empty where each row of the source is one."""
    comment: str
    source: str = "windows AS w FINAL"
    """What follows FROM; of `windows`, only the last versions of rows count."""

    @property
    def types(self) -> dict[str, str]:
        """Column to type, in order."""
        return {column.name: column.type for column in self.columns}


_SECTION_TITLES: Final = {
    "events": "Events",
    "stable": "Stable",
    "candidate": "Candidate",
    "pair": "",
    "control": "Stable against control",
    "turns": "Turns",
    "stable_turns": "Stable's turns",
    "candidate_turns": "Candidate's turns",
    "quality": "Evaluator",
    "noise": "Evaluator on stable alone",
    "unresolved": "When the row was made",
}
"""What the comment of a measure's column begins with."""

LOADED_AT: Final = Column(
    "loaded_at", "DateTime('UTC')",
    "When the row was stored; for the TTL alone, SELECT * leaves it out", value="now('UTC')",
)  # fmt: skip
SLICE: Final = (
    Column("rollout_id", LABEL, "The rollout"),
    Column("mode", LABEL, "shadow, interleave, canary or ab"),
    Column("language", LABEL, "BCP 47 tag of the request, und when undetermined"),
    Column("workflow", LABEL, "Product feature that the request came from; empty when not named"),
)
REQUEST: Final = (
    SLICE[0],
    Column("pair_id", "String", "The request; the same on all its sides"),
    *SLICE[1:],
    Column("request_time", TIME, "Event time: stamped once by the gateway, the same on all sides"),
)


_BY_LOADING: Final = "by_loading loaded_at TYPE minmax GRANULARITY 1"
"""Roll-ups ask every few seconds which rows are new: most granules hold none."""
BY_PAIR: Final = "by_pair pair_id TYPE bloom_filter(0.001) GRANULARITY 1"
"""One pair is looked for without its rollout and time: without an index the whole table is read.
Of a thousand granules one is read in vain; the filter takes two bytes a row."""


def titled(section: str, description: str) -> str:
    """A description that says which section of a row it belongs to."""
    if not (title := _SECTION_TITLES[section]):
        return description
    head = description.partition(" ")[0]
    first = description[:1].lower() if head == head.capitalize() else description[:1]
    return f"{title}: {first}{description[1:]}"


def _measured(section: str, measures: tuple[Measure, ...]) -> Iterator[Column]:
    for one in measures:
        default = one.absent.name.lower() if isinstance(one, Category) else ""
        yield Column(
            f"{section}_{one.name}", one.clickhouse_type, titled(section, one.description),
            default=f"'{default}'" if default else "",
        )  # fmt: skip


COMPARISONS: Final = Table(
    "comparisons",
    "Comparisons: the measures taken on each request.",
    (
        *REQUEST,
        Column("conversation_id", "String",
               "The conversation that the request is a turn of; empty when not named"),
        Column("turn", "UInt32",
               "Which request of its conversation this is, from 1; 0 when unknown"),
        Column("expects", LABEL, "What the caller parses: text, json or json_schema"),
        Column("schema_id", LABEL,
               "JSON Schema that the output must satisfy; empty when none is named"),
        Column("window_start", TIME, "Start of the window that counts the comparison"),
        Column("partition", "UInt32", "Partition of the events topic"),
        Column("offset", "UInt64", "Offset of the record that completed the comparison"),
        Column("has_stable", "Bool",
               "Whether the stable side is here; columns stable_* are defaults otherwise"),
        Column("has_candidate", "Bool",
               "Whether the candidate side is here; columns candidate_* are defaults otherwise"),
        Column("has_control", "Bool",
               "Whether the pair had a control side; columns control_* are defaults otherwise"),
        *_measured("stable", SIDE),
        *_measured("candidate", SIDE),
        *_measured("pair", PAIR),
        *_measured("control", CONTROL),
    ),
    (LOADED_AT,),
    """\
ENGINE = ReplacingMergeTree
PARTITION BY toDate(request_time)
ORDER BY (rollout_id, mode, language, workflow, request_time, pair_id)
TTL loaded_at + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1""",
    "One row for each request compared: a pair, or a side that is alone by design (canary, ab). "
    "Measures and hashes, no text. Read with FINAL: a replay stores rows again. Kept for 90 days "
    "after loading; to change: ALTER TABLE comparisons MODIFY TTL loaded_at + INTERVAL 30 DAY",
    (BY_PAIR,),
)  # fmt: skip

UNMATCHED: Final = Table(
    "unmatched",
    "Unmatched: sides whose partner never came, or that came too late.",
    (
        *REQUEST[:2],
        Column("side", "Enum8('stable' = 1, 'candidate' = 2, 'control' = 3)",
               "The side that is left"),
        *REQUEST[2:],
        Column("window_start", TIME,
               "Start of the window that counts the side: of the watermark for late ones, "
               "else of the request"),
        Column("reason", "Enum8('timeout' = 1, 'late' = 2, 'memory' = 3)",
               "timeout: its partner never came; late: read after the join timeout; memory: given "
               "up to bound memory"),
        Column("partition", "UInt32", "Partition of the events topic"),
        Column("offset", "UInt64", "Offset of the record"),
        Column("model", LABEL, "Model that answered; empty when unknown"),
        Column("error", "Bool", "Gave no answer"),
        Column("error_type", LABEL, "Type of the error; empty without one"),
        Column("duration_ms", "Nullable(Float64)",
               "Time to the complete answer in ms; NULL when unknown"),
    ),
    (LOADED_AT,),
    """\
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(request_time)
ORDER BY (rollout_id, mode, language, workflow, request_time, pair_id, side, partition, offset)
TTL loaded_at + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1""",
    "One row for each side that was never joined. Read with FINAL: a replay stores rows again. "
    "Kept for 90 days after loading; to change: ALTER TABLE unmatched MODIFY TTL loaded_at + "
    "INTERVAL 30 DAY",
    (BY_PAIR,),
)  # fmt: skip


def _summed() -> Iterator[tuple[str, Column, Sum]]:
    """Section, column and sum of each measure of a window row."""
    for section, sums in SUMS.items():
        for one in sums:
            comment = titled(section, one.description)
            yield section, Column(f"{section}_{one.name}", one.clickhouse_type, comment), one


WINDOW: Final = (
    Column("window_start", TIME, "Start of the window, inclusive"),
    Column("window_s", "UInt32", "Length of the window in seconds"),
)
SLICE_KEY: Final = tuple(column.name for column in (*SLICE, *WINDOW))
"""What tells slices of windows apart."""
WINDOWS: Final = Table(
    "windows",
    "Windows: what adds up, per slice, window, source and partition of the source's topic.",
    (
        Column("rollout_id", LABEL, "The rollout; empty when an invalid event names none"),
        Column("mode", LABEL,
               "shadow, interleave, canary or ab; empty when an invalid event names none"),
        *SLICE[2:],
        *WINDOW,
        Column("evaluator", LABEL, "name@version of the evaluator; empty but for evaluations"),
        Column("requests_from", TIME,
               "Start of the minute in which the pairs were requested; 1970 but for evaluations"),
        Column("source", LABEL,
               "Topic that the row was made from: events, feedback or evaluations"),
        Column("partition", "UInt32", "Partition of the source's topic"),
        Column("version", "UInt64",
               "Offset up to which the partition had been read; among equal keys the highest "
               "counts"),
        Column("closed", "Bool", "Nothing will be added any more"),
        *(column for _, column, _ in _summed()),
    ),
    (LOADED_AT,),
    """\
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_start)
ORDER BY (
    rollout_id, mode, language, workflow, window_start, window_s, source, partition, evaluator,
    requests_from
)
TTL loaded_at + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1""",
    "Sufficient statistics of one slice of one source and partition in one window; everything "
    "adds up. Read windows_latest (or FINAL), since a row may be stored in several versions. Kept "
    "for 30 days after loading, its roll-ups for longer; to change: ALTER TABLE windows MODIFY TTL "
    "loaded_at + INTERVAL 100 DAY",
    (_BY_LOADING,),
)  # fmt: skip

DECISIONS: Final = Table(
    "decisions",
    "Decisions: every decision that was emitted, with all that it takes to compute it again.",
    (
        SLICE[0],
        Column("rollout_created_at", TIME,
               "When the rollout's first record was written; later for one deleted and made anew"),
        Column("sequence", "UInt64",
               "Counts the decisions since rollout_created_at; the order to sort by"),
        Column("decided_at", TIME,
               "Event time where windows led to it; when a policy or command was written, where "
               "that did"),
        Column("cause", LABEL, "Topic of the message that led to it: windows or rollouts"),
        Column("cause_partition", "Nullable(Int32)", "Partition of that message"),
        Column("cause_offset", "Nullable(Int64)", "Offset of that message"),
        Column("command", LABEL, "Command that it answers: kill, resume or promote; else empty"),
        Column("command_number", "Nullable(Int64)", "Number of that command"),
        Column("command_by", "String", "Who issued that command"),
        Column("command_reason", "String", "Why, in their words"),
        Column("command_rejection", "String", "Why that command was rejected; else empty"),
        Column("is_refresh", "Bool",
               "Only numbers have changed since the decision before, nothing that anyone acts on"),
        Column("verdict", LABEL, "rollback, hold or promote"),
        Column("since", TIME,
               "When the verdict became what it is: decided_at of the decision then"),
        Column("stage", LABEL, "Stage of the rollout"),
        Column("candidate_share", "Float64",
               "Share of requests that gateways give the candidate; 0 on rollback"),
        Column("is_latched", "Bool", "Rolled back until an operator resumes"),
        Column("is_paused", "Bool", "A guardrail with the action pause was broken"),
        Column("reasons", "Array(String)", "In words, the weightiest first"),
        Column("alerts", "Array(String)",
               "What an operator should look at although it rolls nothing back, in words"),
        Column("policy_hash", LABEL, "Hash of the policy it was judged by"),
        Column("partitions", _VERSIONS,
               "Partition of the events topic to the version applied"),
        Column("feedback_partitions", _VERSIONS, "The same, of the feedback topic"),
        Column("evaluation_partitions", _VERSIONS, "The same, of the topic of evaluations"),
        Column("decision", "String",
               "The complete decision as JSON, evidence included, as it stands in the topic",
               codec="ZSTD(3)"),
    ),
    (
        Column("decision_hash", "UInt64",
               "Hash of the JSON; part of the sort key, SELECT * leaves it out",
               value="xxHash64(decision)"),
    ),
    """\
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(decided_at)
ORDER BY (rollout_id, rollout_created_at, sequence, decision_hash)""",
    "One row for each decision. Read with FINAL: a decision that is read again is stored again. "
    "ORDER BY rollout_created_at, sequence: decided_at may fall, since operators' clocks and event "
    "time differ. "
    "One a minute of each rollout is a refresh; leave those out to see what changed. Kept for "
    "ever; to change: ALTER TABLE decisions MODIFY TTL toDateTime(decided_at) + INTERVAL 30 DAY "
    "DELETE WHERE is_refresh",
)  # fmt: skip


_BY_EVALUATOR: Final = ("quality", "noise")
"""Sections that add up only within one evaluator."""


def added_up(*, of_events: bool) -> Iterator[Column]:
    """Sums over rows; with `of_events`, where records ended is told of the source events alone.

    What evaluators say is left out then, since it does not add up over several of them.
    """
    for section, column, one in _summed():
        if of_events and section in _BY_EVALUATOR:
            continue
        source = f"w.{column.name}"
        value = f"sumMap({source})" if one.is_map else f"sum({source})"
        if of_events and section == "events":
            value = f"sumIf({source}, w.source = 'events')"
        yield replace(column, value=value)


CLOSED: Final = Column("closed", "Bool", "Nothing will be added any more", value="min(w.closed)")
SLICES: Final = View(
    "slices",
    "Slices: windows with their sources and partitions added up.",
    (
        *(replace(column, value=f"w.{column.name}") for column in (*SLICE, *WINDOW)),
        CLOSED,
        *added_up(of_events=True),
    ),
    SLICE_KEY,
    "Windows with sources and partitions added up, events_ columns of the source events alone; "
    "add further over time or slices with sum and sumMap",
)

ACCOUNTING: Final = View(
    "accounting",
    "Accounting: where every record of the topics that workers read ended, by partition and day "
    "of\n-- the window that counts it. Invalid ones from before any valid one count in 1970.",
    (
        Column("source", LABEL, "Topic of the records: events, feedback or evaluations",
               value="w.source"),
        Column("partition", "UInt32", "Partition of the source's topic", value="w.partition"),
        Column("day", "Date", "UTC day of the windows that count the records",
               value="toDate(w.window_start, 'UTC')"),
        Column("paired", "UInt64", "Sides that were joined into pairs",
               value="sum(w.events_paired)"),
        Column("single", "UInt64",
               "Sides that are alone by design (canary, ab); ratings and evaluations that were "
               "measured",
               value="sum(w.events_single)"),
        Column("unmatched", "UInt64", "Sides whose partner never came",
               value="sum(w.events_unmatched_stable) + sum(w.events_unmatched_candidate) + "
               "sum(w.events_unmatched_control)"),
        Column("duplicate", "UInt64", "Further copies of a record already read",
               value="sum(w.events_duplicate)"),
        Column("superseded", "UInt64", "Attempts of a side that a later attempt replaced",
               value="sum(w.events_superseded)"),
        Column("late", "UInt64", "Records past the join timeout", value="sum(w.events_late)"),
        Column("invalid", "UInt64", "Records sent to dead letters", value="sum(w.events_invalid)"),
        Column("events", "UInt64", "All of these: records that have ended somewhere",
               value="paired + single + unmatched + duplicate + superseded + late + invalid"),
        Column("accounted_to", "UInt64",
               "Highest version among the rows: an offset of the source's topic",
               value="max(w.version)"),
    ),
    ("source", "partition", "day"),
    "Where events, feedback and evaluations ended, per source, partition and day; add up over days "
    "and partitions with sum",
)  # fmt: skip
