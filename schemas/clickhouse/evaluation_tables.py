"""The tables of evaluations and of what evaluators explain, and the views of both.

Explanations quote answers, so they are apart: not everybody who may read the others may read those.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from understudy.schemas.clickhouse.captures import CAPTURED_PAIRS, TEXT_CODEC
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

_EVALUATOR: Final = Column("evaluator", LABEL, "Who judged, and by what: name@version")
_COMPARED: Final = Column("compared", LABEL, "candidate, or control: stable's own second run")
_EVALUATION_TIME: Final = Column("evaluation_time", TIME, "When it was judged")
_PLACE: Final = (
    Column("partition", "UInt32", "Partition of the topic of evaluations"),
    Column("offset", "UInt64", "Offset of the record"),
)
_LABELS: Final = f"Array({LABEL})"

EVALUATIONS: Final = Table(
    "evaluations",
    "Evaluations: what an evaluator said about a pair, when, and at what price.",
    (
        *REQUEST[:2],
        _EVALUATOR,
        _COMPARED,
        *REQUEST[2:],
        _EVALUATION_TIME,
        Column("preference", "Nullable(Float64)",
               "How far the answer compared is preferred to stable's, mean over the orders: 1, 0 "
               "where stable's is, 0.5 for a tie; NULL without preferences"),
        Column("preferred", _LABELS, "Which answer was preferred, or tie, by order"),
        Column("shown_first", _LABELS, "Which answer was shown first; empty without an order"),
        Column("stable_score", "Nullable(Float64)", "Score of stable's answer; NULL without"),
        Column("compared_score", "Nullable(Float64)", "Score of the answer compared"),
        Column("lowest_score", "Nullable(Float64)", "Lowest score that there is"),
        Column("highest_score", "Nullable(Float64)", "Highest score that there is"),
        Column("error", LABEL, "Why there is no judgement; empty where there is"),
        Column("conversation_id", "String",
               "The conversation that the request is a turn of; empty when not named"),
        Column("turn", "UInt32",
               "Which request of its conversation this is, from 1; 0 when unknown"),
        Column("sampling_share", "Float64", "Probability with which the pair was chosen"),
        Column("policy_hash", LABEL,
               "Of the policy in force when the pair was chosen; empty when unknown"),
        Column("model", LABEL, "Judge model that answered; empty without one"),
        Column("input_tokens", "Nullable(UInt32)", "Tokens that the judge read"),
        Column("output_tokens", "Nullable(UInt32)", "Tokens that the judge wrote"),
        Column("cost_usd", "Nullable(Float64)", "What the evaluation cost, in US dollars"),
        Column("duration_ms", "Nullable(Float64)", "How long the evaluation took"),
        *_PLACE,
    ),
    (LOADED_AT,),
    """\
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(request_time)
ORDER BY (
    rollout_id, evaluator, mode, language, workflow, request_time, pair_id, compared, partition,
    offset
)
TTL loaded_at + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1""",
    "One row for each evaluation that counts, and for each that says why there is none; copies are "
    "left out. No text. Read with FINAL: a replay stores rows again. Kept for 400 days after "
    "loading; to change: ALTER TABLE evaluations MODIFY TTL loaded_at + INTERVAL 100 DAY",
    (BY_PAIR,),
)  # fmt: skip

_OF_CANDIDATE: Final = "e.compared = 'candidate' AND e.error = ''"
_OF_CONTROL: Final = "e.compared = 'control' AND e.error = ''"
_SCORED: Final = "(e.compared_score - e.stable_score) / (e.highest_score - e.lowest_score)"
_BOTH_ORDERS: Final = "length(e.preferred) = 2 AND e.error = ''"
_SHARE: Final = "Nullable(Float64)"


def _interval(name: str, of: str, mean: str, variance: str, count: str) -> tuple[Column, Column]:
    """Both ends of where a mean of values within a range of 1 or 2 lies; NULL of fewer than two.

    Pairs count as independent and alike: it ignores that turns of one conversation share their
    fate, and that some pairs were chosen with a higher `sampling_share`. Guardrails do not.
    """
    spread = f"{variance} * ({count} - 1)"
    of_mean = f"understudy_variance_of_outcomes({count}, {spread}, 1)"
    interval = f"understudy_approx_interval({mean}, {of_mean}, {count})"
    lowest = 0 if of == "share" else -1
    low, high = (
        f"if({count} > 1, least(1, greatest({lowest}, tupleElement({interval}, {end}))), NULL)"
        for end in (1, 2)
    )
    text = f"Lower end of where that {of} lies, 95 % however often one looks"
    return (
        Column(f"approx_{name}_low", _SHARE, text, value=low),
        Column(f"approx_{name}_high", _SHARE, "Upper end", value=high),
    )


def _orders(condition: str) -> str:
    """Count of orders in which an answer was preferred, of those that meet a condition."""
    decided = "arrayCount((p, f) -> p != 'tie' AND f != '' AND {}, e.preferred, e.shown_first)"
    return f"sumIf({decided.format(condition)}, e.error = '')"


ANSWER_QUALITY: Final = View(
    "answer_quality",
    "Answer quality: what each evaluator says of the candidate, by day, language and workflow.",
    (
        replace(SLICE[0], value="e.rollout_id"),
        replace(_EVALUATOR, value="e.evaluator"),
        Column("day", "Date", "UTC day of the requests", value="toDate(e.request_time, 'UTC')"),
        *(replace(one, value=f"e.{one.name}") for one in SLICE[1:]),
        Column("pairs", "UInt64", "Pairs of stable and candidate that were judged",
               value=f"countIf({_OF_CANDIDATE})"),
        Column("candidate_preferred", _SHARE,
               "Share of the preferences that the candidate has, 0.5 where neither is better",
               value=f"avgIf(e.preference, {_OF_CANDIDATE})"),
        *_interval("preferred", "share", "candidate_preferred", "preferred_variance",
                   "preferences"),
        Column("tied", _SHARE, "Share of the pairs with a preference in which neither is better",
               value=f"avgIf(e.preference = 0.5, {_OF_CANDIDATE} AND e.preference IS NOT NULL)"),
        Column("stable_score", _SHARE, "Mean score of stable, as scored",
               value=f"avgIf(e.stable_score, {_OF_CANDIDATE})"),
        Column("candidate_score", _SHARE, "Mean score of the candidate, as scored",
               value=f"avgIf(e.compared_score, {_OF_CANDIDATE})"),
        Column("score_difference", _SHARE,
               "Mean score of the candidate less stable's, as a share of the range",
               value=f"avgIf({_SCORED}, {_OF_CANDIDATE})"),
        *_interval("score", "difference", "score_difference", "score_variance", "scores"),
        Column("control_pairs", "UInt64", "Pairs of stable and its second run that were judged",
               value=f"countIf({_OF_CONTROL})"),
        Column("control_preferred", _SHARE,
               "Share of the preferences that stable's second run has: 0.5 but for noise",
               value=f"avgIf(e.preference, {_OF_CONTROL})"),
        *_interval("control", "share", "control_preferred", "control_variance",
                   "control_preferences"),
        Column("control_score_difference", _SHARE,
               "Mean score of stable's second run less stable's, as a share of the range",
               value=f"avgIf({_SCORED}, {_OF_CONTROL})"),
        *_interval("control_score", "difference", "control_score_difference",
                   "control_score_variance", "control_scores"),
        Column("orders", "UInt64", "Orders in which an answer was preferred",
               value=_orders("1")),
        Column("first_preferred", _SHARE,
               "Share of the orders with a preference in which the answer shown first has it",
               value=f"{_orders('p = f')} / nullIf(orders, 0)"),
        Column("both_orders", "UInt64", "Pairs that were asked in both orders",
               value=f"countIf({_BOTH_ORDERS})"),
        Column("both_orders_alike", _SHARE, "Share of those in which both answers are the same",
               value=f"countIf({_BOTH_ORDERS} AND e.preferred[1] = e.preferred[2]) "
               "/ nullIf(both_orders, 0)"),
        Column("not_judged", "UInt64", "Records that say why there is no judgement",
               value="countIf(e.error != '')"),
        Column("cost_usd", "Float64", "What all of it cost, in US dollars",
               value="ifNull(sum(e.cost_usd), 0)"),
        Column("preferences", "UInt64", "Pairs with a preference",
               value=f"countIf({_OF_CANDIDATE} AND e.preference IS NOT NULL)"),
        Column("preferred_variance", _SHARE, "Variance of a pair's preference",
               value=f"varSampIf(e.preference, {_OF_CANDIDATE})"),
        Column("control_preferences", "UInt64", "Pairs of the second run with a preference",
               value=f"countIf({_OF_CONTROL} AND e.preference IS NOT NULL)"),
        Column("control_variance", _SHARE, "Variance of such a pair's preference",
               value=f"varSampIf(e.preference, {_OF_CONTROL})"),
        Column("control_scores", "UInt64", "Pairs of the second run with scores",
               value=f"countIf({_OF_CONTROL} AND e.stable_score IS NOT NULL)"),
        Column("control_score_variance", _SHARE, "Variance of such a pair's difference in score",
               value=f"varSampIf({_SCORED}, {_OF_CONTROL})"),
        Column("scores", "UInt64", "Pairs with scores",
               value=f"countIf({_OF_CANDIDATE} AND e.stable_score IS NOT NULL)"),
        Column("score_variance", _SHARE, "Variance of a pair's difference in score",
               value=f"varSampIf({_SCORED}, {_OF_CANDIDATE})"),
    ),
    ("rollout_id", "evaluator", "day", "mode", "language", "workflow"),
    "What each evaluator says of the candidate's answers, with its own noise and price",
    source="evaluations AS e FINAL",
)  # fmt: skip

EXPLANATIONS: Final = Table(
    "explanations",
    "Explanations: what evaluators said in words about pairs, redacted.",
    (
        *REQUEST[:2],
        _EVALUATOR,
        _COMPARED,
        *REQUEST[2:],
        _EVALUATION_TIME,
        Column("explanation", "String", "The evaluator's reasons, one for each order, and its "
               "answer where that could not be read; redacted, cut", codec=TEXT_CODEC),
        Column("is_cut", "Bool", "It was longer"),
        Column("redacted", _LABELS, "What was replaced in it, such as email"),
        *_PLACE,
    ),
    (LOADED_AT,),
    """\
ENGINE = ReplacingMergeTree
PARTITION BY toDate(evaluation_time)
ORDER BY (
    rollout_id, evaluator, mode, language, workflow, request_time, pair_id, compared, partition,
    offset
)
TTL loaded_at + INTERVAL 14 DAY
SETTINGS ttl_only_drop_parts = 1""",
    "One row for each evaluation that says why, only of rollouts whose policy says `capture`. It "
    "quotes answers: grant it apart. Read with FINAL: a replay stores rows again. Kept for 14 days "
    "after loading; to change: ALTER TABLE explanations MODIFY TTL loaded_at + INTERVAL 3 DAY",
    (BY_PAIR,),
)  # fmt: skip

_OF_EVALUATION: Final = (
    "rollout_id", "request_time", "evaluation_time", "language", "workflow", "mode", "evaluator",
    "compared", "pair_id", "preference", "preferred", "shown_first", "stable_score",
    "compared_score", "error", "model", "cost_usd", "duration_ms",
)  # fmt: skip
_OF_TEXTS: Final = ("prompt", "stable_output", "candidate_output")
_EVALUATED: Final = {column.name: column for column in EVALUATIONS.columns}
_CAPTURED: Final = {column.name: column for column in CAPTURED_PAIRS.columns}

JUDGED_PAIRS: Final = View(
    "judged_pairs",
    "Judged pairs: evaluations with their explanations, and with the answers where captured.",
    (
        *(replace(_EVALUATED[name], value=f"e.{name}") for name in _OF_EVALUATION),
        Column("explanation", "String", "The evaluator's reasons, redacted; empty where not kept",
               value="x.explanation"),
        *(
            replace(_CAPTURED[name], codec="", value=f"p.{name}",
                    comment=f"{_CAPTURED[name].comment}; empty where the pair was not captured")
            for name in _OF_TEXTS
        ),
    ),
    (),
    "What evaluators said about which pair, when, at what price; with texts where they are kept",
    source="evaluations AS e FINAL\n"
    "LEFT ANY JOIN (SELECT * FROM explanations FINAL) AS x ON x.rollout_id = e.rollout_id\n"
    "    AND x.pair_id = e.pair_id AND x.evaluator = e.evaluator AND x.compared = e.compared\n"
    "    AND x.partition = e.partition AND x.offset = e.offset\n"
    "LEFT ANY JOIN (SELECT * FROM captured_pairs FINAL) AS p ON p.rollout_id = e.rollout_id\n"
    "    AND p.pair_id = e.pair_id",
)  # fmt: skip
