"""The table of captured pairs, which holds texts, and the view of the worst of them.

Apart from the others, since not everybody who may read those may read these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from understudy.schemas.clickhouse.schema import (
    BY_PAIR,
    LOADED_AT,
    REQUEST,
    SLICE,
    TIME,
    Column,
    Table,
    View,
)
from understudy.schemas.measure_kinds import LABEL

TEXT_CODEC: Final = "ZSTD(3)"
"""A fourth of what LZ4 leaves of texts, at an insert rate of a few hundred rows a second."""


def _side(side: str) -> Iterator[Column]:
    title = side.capitalize()
    yield Column(f"has_{side}", "Bool", f"Whether the {side} side was asked")
    yield Column(f"{side}_model", LABEL, f"{title}: model that answered; empty when unknown")
    yield Column(f"{side}_output", "String",
                 f"{title}: text of the answer, else the refusal; redacted, cut",
                 codec=TEXT_CODEC)  # fmt: skip
    yield Column(f"{side}_output_characters", "UInt32",
                 f"{title}: length of the whole text in code points; 0 without text")  # fmt: skip
    yield Column(f"{side}_is_cut", "Bool", f"{title}: text or tool calls are cut")
    yield Column(f"{side}_tool_calls", "String",
                 f"{title}: tool calls as JSON, redacted, cut; empty without any",
                 codec=TEXT_CODEC)  # fmt: skip
    yield Column(f"{side}_error_type", LABEL, f"{title}: type of the error; empty without one")
    yield Column(f"{side}_finish_reason", LABEL, f"{title}: why the model stopped")
    yield Column(f"{side}_duration_ms", "Nullable(Float64)",
                 f"{title}: time to the complete answer in ms; NULL when unknown")  # fmt: skip


CAPTURED_PAIRS: Final = Table(
    "captured_pairs",
    "Captured pairs: texts of the pairs that a policy has captured, redacted.",
    (
        *SLICE,
        Column("kind", LABEL, "What is worst about the candidate's answer; none where nothing is"),
        Column("window_start", TIME, "Start of the window that the pair counts in"),
        Column("window_s", "UInt32", "Length of the window in seconds"),
        Column("partition", "UInt32", "Partition of the events topic"),
        Column("rank", "UInt16",
               "From 1, the worst of its slice and kind in the window and partition"),
        Column("version", "UInt64",
               "Offset at which the window closed; among equal keys the highest counts"),
        REQUEST[1],
        REQUEST[-1],
        Column("capture", LABEL, "Why it is here: worst, sample or all, as the policy said"),
        Column("severity", "Float64",
               "From 0 to 1: 1 where the candidate failed and stable did not, at most 0.5 where "
               "they differ"),
        Column("kinds", f"Array({LABEL})", "All that is worse, the worst first"),
        Column("similarity", "Nullable(Float64)",
               "Similarity of the texts, 0 to 1; NULL unless both sides have text"),
        Column("expects", LABEL, "What the caller parses: text, json or json_schema"),
        Column("prompt", "String",
               "Redacted, cut; empty where the gateway did not send it", codec=TEXT_CODEC),
        Column("prompt_is_cut", "Bool", "The prompt was longer"),
        Column("redacted", f"Array({LABEL})", "What was replaced in the texts, such as email"),
        *_side("stable"),
        *_side("candidate"),
    ),
    (LOADED_AT,),
    """\
ENGINE = ReplacingMergeTree(version)
PARTITION BY toDate(window_start)
ORDER BY (rollout_id, mode, language, workflow, kind, window_start, window_s, partition, rank)
TTL loaded_at + INTERVAL 14 DAY
SETTINGS ttl_only_drop_parts = 1""",
    "One row for each pair captured, only of rollouts whose policy says `capture`. It holds "
    "texts: grant it apart. Read with FINAL: a replay stores rows again. Kept for 14 days "
    "after loading; to change: ALTER TABLE captured_pairs MODIFY TTL loaded_at + INTERVAL 3 DAY",
    (BY_PAIR,),
)  # fmt: skip

_WORST: Final = (
    "rollout_id", "request_time", "language", "workflow", "mode", "kind", "severity", "kinds",
    "pair_id", "prompt", "stable_output", "candidate_output", "stable_tool_calls",
    "candidate_tool_calls", "stable_error_type", "candidate_error_type", "similarity",
    "stable_model", "candidate_model", "window_start", "partition",
)  # fmt: skip
_CAPTURED: Final = {column.name: column for column in CAPTURED_PAIRS.columns}

WORST_PAIRS: Final = View(
    "worst_pairs",
    "Worst pairs: captured pairs of which something is worse.",
    tuple(
        replace(_CAPTURED[name], default="", codec="", value=f"p.{name}") for name in _WORST
    ),
    (),
    "Captured pairs whose candidate did worse; ORDER BY severity DESC LIMIT 20",
    source="captured_pairs AS p FINAL\nWHERE p.severity > 0",
)  # fmt: skip
