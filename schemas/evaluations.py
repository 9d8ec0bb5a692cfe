"""Evaluations: what an evaluator says about the two answers of one pair.

An evaluator is a judge model, a program or people. It prefers one of the answers or scores both.
What it says of stable and `control`, two runs of one model, is its own noise. Interleaved feedback,
which of two answers a user took, is an evaluation; an opinion on one answer is feedback.

A record's identity is `evaluation_identity`: the first one counts, for as long as the topic keeps
it, so that who judges a pair again changes nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import (
    ConversationId,
    CostUsd,
    DurationMs,
    EventIdentity,
    Identifier,
    InvalidEvent,
    InvalidReason,
    Label,
    LanguageTag,
    PairId,
    RequestTime,
    TokenCount,
    Turn,
    check_time,
    decode_record,
)

MAX_EVALUATION_BYTES: Final = 65_536
"""An explanation at its limit in a script of four bytes a character fits, with all else."""
MAX_EXPLANATION_CHARACTERS: Final = 8_000
"""Some pages; a judge writes a few sentences."""
MAX_SCORE: Final = 1e9
"""Far beyond any scale, and small enough that differences keep their digits."""
MOST_ORDERS: Final = 2
"""Either answer first."""
_IDENTITY_BYTES: Final = 8
"""Of a fingerprint: among a million records two agree by chance once in 40 million times."""

Compared = Literal["candidate", "control"]
Answer = Literal["stable", "candidate", "control"]
Preferred = Literal["stable", "candidate", "control", "tie"]
MAX_NAME_CHARACTERS: Final = 64
MAX_VERSION_CHARACTERS: Final = 62
NAME_CHARACTERS: Final = r"[^@\s\x00-\x1f\x7f-\x9f]"
"""Of names and versions, for JSON Schema; `is_name` refuses what cannot be seen, too."""
EvaluatorName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_NAME_CHARACTERS,
        pattern=f"^{NAME_CHARACTERS}+$",
        description="Without `@`, spaces and characters that cannot be seen.",
    ),
]
EvaluatorVersion = Annotated[
    str,
    Meta(min_length=1, max_length=MAX_VERSION_CHARACTERS, pattern=f"^{NAME_CHARACTERS}+$"),
]


class Preference(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Which answer was preferred when both were shown in one order."""

    preferred: Annotated[Preferred, Meta(description="The better answer, or `tie`.")]
    first: Annotated[
        Answer | None,
        Meta(description="The answer that was shown first; null where there was no order."),
    ] = None


class Scores(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A score for each of the two answers (OTel `gen_ai.evaluation.score.value`)."""

    stable: float
    candidate: Annotated[float | None, Meta(description="Where `compared` is candidate.")] = None
    control: Annotated[float | None, Meta(description="Where `compared` is control.")] = None


class EvaluationUsage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the evaluator itself took, over all orders and attempts."""

    input_tokens: Annotated[
        TokenCount | None, Meta(description="OTel `gen_ai.usage.input_tokens`.")
    ] = None
    output_tokens: Annotated[
        TokenCount | None, Meta(description="OTel `gen_ai.usage.output_tokens`.")
    ] = None
    cost_usd: CostUsd | None = None


class Evaluation(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One evaluator's judgement on one pair; key `rollout_id/pair_id`.

    Exactly one of `preferences`, `scores` and `error` is there.
    """

    schema_version: Literal[1]
    rollout_id: Identifier
    pair_id: PairId
    mode: Annotated[
        Literal["shadow", "interleave"],
        Meta(description="The pair's; requests that are mirrored in canary and ab are `shadow`."),
    ]
    request_time: Annotated[RequestTime, Meta(description="The pair's, not the evaluation's.")]
    evaluation_time: Annotated[RequestTime, Meta(description="When it was judged.")]
    evaluator: Annotated[
        EvaluatorName,
        Meta(description="Who judged, and by what (OTel `gen_ai.evaluation.name`)."),
    ]
    evaluator_version: Annotated[
        EvaluatorVersion,
        Meta(
            description="Another model, rubric or prompt is another version. Guardrails name "
            "`evaluator@evaluator_version`."
        ),
    ]
    compared: Annotated[
        Compared,
        Meta(
            description="The answer that stable's was compared with. `control` is a second run of "
            "stable: what is said of it is the evaluator's own noise."
        ),
    ] = "candidate"
    preferences: Annotated[
        tuple[Preference, ...],
        Meta(
            max_length=MOST_ORDERS,
            description="One for each order that was asked. The pair's value is their mean: 1 "
            "where the compared answer is preferred, 1/2 for a tie, 0 where stable's is.",
        ),
    ] = ()
    scores: Scores | None = None
    score_range: Annotated[
        tuple[float, float] | None,
        Meta(description="Lowest and highest score that the evaluator can give; with scores."),
    ] = None
    error: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)] | None,
        Meta(
            description="Why there is no judgement (OTel `error.type`): `timeout`, `unparseable`. "
            "Such a record counts nowhere but in the table, and a later judgement counts."
        ),
    ] = None
    conversation_id: Annotated[
        ConversationId | None, Meta(description="As in the event (OTel `gen_ai.conversation.id`).")
    ] = None
    turn: Annotated[Turn | None, Meta(description="As in the event.")] = None
    language: LanguageTag | None = None
    workflow: Label | None = None
    sampling_share: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(description="Probability with which this pair was chosen; null means 1."),
    ] = None
    policy_hash: Annotated[
        Annotated[str, Meta(max_length=64)] | None,
        Meta(description="Of the policy in force when the pair was chosen."),
    ] = None
    model: Annotated[
        Label | None, Meta(description="Judge model that answered (OTel `gen_ai.response.model`).")
    ] = None
    usage: EvaluationUsage | None = None
    duration_ms: DurationMs | None = None
    explanation: Annotated[
        Annotated[str, Meta(max_length=MAX_EXPLANATION_CHARACTERS)] | None,
        Meta(
            description="The evaluator's reasons (OTel `gen_ai.evaluation.explanation`); with an "
            "`error`, what it answered where that could not be read. The table "
            "`explanations` has them, redacted, of rollouts whose policy captures answers."
        ),
    ] = None


class EvaluationIdentity(NamedTuple):
    """What two records about the same have in common."""

    rollout_id: str
    pair_id: str
    compared: str
    evaluator: str
    evaluator_version: str


_decode = msgspec.json.Decoder(Evaluation).decode


def decode_evaluation(payload: bytes | None) -> Evaluation:
    """Decode and check one evaluation. Raises `InvalidEvent`."""
    evaluation = decode_record(payload, _decode, MAX_EVALUATION_BYTES)
    check_evaluation(evaluation)
    return evaluation


def check_evaluation(evaluation: Evaluation) -> None:
    """Raise `InvalidEvent` for what types do not tell."""
    if "/" in evaluation.rollout_id:
        raise _wrong("rollout_id must not contain a slash")
    for field in ("evaluator", "evaluator_version"):
        if not is_name(getattr(evaluation, field)):
            raise _wrong(f"{field} must not contain @, spaces or what cannot be seen")
    check_time("evaluation_time", evaluation.evaluation_time)
    check_time("request_time", evaluation.request_time)
    forms = [bool(evaluation.preferences), evaluation.scores is not None, bool(evaluation.error)]
    if sum(forms) != 1:
        raise _wrong("give exactly one of preferences, scores and error")
    _check_preferences(evaluation)
    _check_scores(evaluation)


def is_name(text: str) -> bool:
    """Whether an evaluator or its version may be called so.

    Names stand in tables, logs and on terminals: control characters, and those that turn the
    direction of a text, would show another name.
    """
    return text.isprintable() and "@" not in text and " " not in text


def _check_preferences(evaluation: Evaluation) -> None:
    answers = ("stable", evaluation.compared)
    for one in evaluation.preferences:
        if one.preferred not in (*answers, "tie") or one.first not in (*answers, None):
            raise _wrong(f"preferences must name stable or {evaluation.compared}")
    firsts = [one.first for one in evaluation.preferences]
    if len(firsts) > 1 and (None in firsts or len(set(firsts)) < len(firsts)):
        raise _wrong("preferences must each have another answer first")


def _check_scores(evaluation: Evaluation) -> None:
    scores, limits = evaluation.scores, evaluation.score_range
    if (scores is None) != (limits is None):
        raise _wrong("scores and score_range go together")
    if scores is None or limits is None:
        return
    low, high = limits
    if not -MAX_SCORE <= low < high <= MAX_SCORE:
        raise _wrong(f"score_range must rise, within ±{MAX_SCORE:g}")
    other = {"candidate": "control", "control": "candidate"}[evaluation.compared]
    of_compared = getattr(scores, evaluation.compared)
    if of_compared is None or getattr(scores, other) is not None:
        raise _wrong(f"scores must be of stable and {evaluation.compared}")
    if not (low <= scores.stable <= high and low <= of_compared <= high):
        raise _wrong(f"scores must lie within {low:g} and {high:g}")


def _wrong(detail: str) -> InvalidEvent:
    return InvalidEvent(InvalidReason.SCHEMA, detail)


def evaluation_key(evaluation: Evaluation | EventIdentity) -> str:
    """Return the Kafka key, which brings all records about a pair to one partition."""
    return f"{evaluation.rollout_id}/{evaluation.pair_id}"


def evaluation_identity(evaluation: Evaluation) -> EvaluationIdentity:
    """Return what the same judgement, written again, has in common with the first."""
    return EvaluationIdentity(
        evaluation.rollout_id,
        evaluation.pair_id,
        evaluation.compared,
        evaluation.evaluator,
        evaluation.evaluator_version,
    )


def fingerprint(parts: Iterable[str], purpose: str = "identity") -> int:
    """Return 64 bits of text; those of another purpose have nothing to do with each other."""
    digest = hashlib.blake2b(digest_size=_IDENTITY_BYTES, person=purpose.encode()[:16])
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return int.from_bytes(digest.digest(), "big")


def evaluator_reference(evaluation: Evaluation) -> str:
    """Return how policies and tables call the evaluator: `name@version`."""
    return f"{evaluation.evaluator}@{evaluation.evaluator_version}"


def evaluation_time_ms(evaluation: Evaluation) -> int:
    """Return the evaluation's own time in milliseconds since 1970, rounded down."""
    return to_epoch_ms(evaluation.evaluation_time)


def preference_value(evaluation: Evaluation) -> float:
    """Return by how much the compared answer is preferred, 0 to 1; NaN without preferences.

    The mean over the orders that were asked.
    """
    if not evaluation.preferences:
        return math.nan
    values = {evaluation.compared: 1.0, "tie": 0.5, "stable": 0.0}
    total = sum(values[one.preferred] for one in evaluation.preferences)
    return total / len(evaluation.preferences)


def score_shares(evaluation: Evaluation) -> tuple[float, float]:
    """Return the scores of stable and of the compared answer as shares of the range, 0 to 1.

    NaN without scores.
    """
    scores, limits = evaluation.scores, evaluation.score_range
    if scores is None or limits is None:
        return math.nan, math.nan
    low, high = limits
    of_compared: float = getattr(scores, evaluation.compared)
    return (scores.stable - low) / (high - low), (of_compared - low) / (high - low)
