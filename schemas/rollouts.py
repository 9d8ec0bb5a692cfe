"""The policy of a rollout: as an operator writes it, and compiled, as deciding uses it.

`RolloutManifest` is the contract: YAML in a file, the same as JSON in the topic
`understudy.rollouts`. `compile_manifest` checks it, fills in defaults and turns `0.5pp` and `10m`
into numbers. The result is frozen, comparable and hashed, so two manifests that mean the same have
the same `policy_hash`.

`understudy.schemas.manifests` reads YAML and reports errors by line and column.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from understudy.schemas.evaluation_sampling import (
    MAX_EVALUATORS,
    EvaluateManifest,
    EvaluationSampling,
    EvaluatorReference,
    SamplingError,
    check_reference,
    compile_sampling,
)
from understudy.schemas.events import SINGLE_MODES, Identifier, Label, LanguageTag, Mode
from understudy.schemas.rollout_metrics import (
    METRICS,
    RESERVED,
    Limit,
    Metric,
    Quantity,
    parse_floor,
    parse_quantity,
    parse_share,
)

Action = Literal["rollback", "pause", "alert"]
Required = Literal["all", "every", "if_measured", "none"]
Promotion = Literal["manual", "automatic"]
Capture = Literal["none", "worst", "sample", "all"]
Written = str | int | float
"""A quantity as written: `0.5pp`, `20%`, `8s`, or a number where the unit is clear."""
Path = tuple[str | int, ...]

LIMITS: Final[tuple[Limit, ...]] = ("max", "min", "max_increase", "max_drop")
DEFAULT_MIN_REQUESTS: Final = 5_000
"""Makes the error of promotion hold for means with heavy tails: see docs/statistics.md."""
DEFAULT_MIN_DURATION_S: Final = 3_600.0
"""An hour: long enough to meet slow failures such as a quota that runs out."""
RAMP: Final = (0.01, 0.05, 0.25, 0.50, 1.0)
"""Few users first; each step at most five times the one before it."""
ALL, EACH_LANGUAGE, EACH_WORKFLOW = "all", "each language", "each workflow"
_SLICE_WORDS: Final = (ALL, EACH_LANGUAGE, EACH_WORKFLOW)
MAX_REQUESTS: Final = 1_000_000_000
"""A stage that requires more would not end."""
MAX_DURATION_S: Final = 366 * 86_400.0
"""A year, likewise."""
MIN_SHARE: Final = 1e-6
"""Of a stage that serves the candidate: one request in a million."""
MIN_ERROR_RATE: Final = 1e-9
"""Evidence of its inverse is what a decision then needs: 1e9 is beyond what rollouts reach."""
DEFAULT_FLOOR: Final = "0.1pp"
"""Of a multiple of stable's rate: one failure more in a thousand requests."""
MAX_TURNS: Final = 1_000
"""Of a conversation on average: evidence divided by more would not come in a rollout's time."""
MAX_STAGES: Final = 50
MAX_GUARDRAILS: Final = 100
MAX_WORKFLOWS: Final = 1_000
"""A dimension of every window: tens are usual, and thousands cannot be judged."""
MAX_SLICES: Final = 100
"""Named ones of a guardrail. A decision holds the evidence of all guardrails in all slices."""
_DURATION: Final = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|m|h|d)\s*$")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


class PolicyError(ValueError):
    """A manifest that cannot be used; `path` leads to the value, `problem` says what to do."""

    def __init__(self, problem: str, path: Path = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = path


# As written


class Models(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The two models compared."""

    stable: Annotated[str, Meta(min_length=1, max_length=256)]
    candidate: Annotated[str, Meta(min_length=1, max_length=256)]
    free: Annotated[
        tuple[Literal["stable", "candidate"], ...],
        Meta(
            description="Models whose calls cost nothing, such as your own: a cost of 0 for tokens "
            "is their price. Of others it means that the price is not known."
        ),
    ] = ()


class SliceManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A named part of the traffic: a language, a workflow, or both."""

    language: Annotated[LanguageTag | None, Meta(description="BCP 47 tag.")] = None
    workflow: Label | None = None


class StageManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step of the rollout. What is left out comes from the rollout."""

    name: Label | None = None
    mode: Mode | None = None
    share: Annotated[
        Written | None, Meta(description="Share of requests that the candidate serves: `5%`.")
    ] = None
    mirror: Annotated[
        Written | None,
        Meta(
            description="In canary and ab: share of the other requests that the candidate answers, "
            "too, without being served: `20%`."
        ),
    ] = None
    min_requests: Annotated[int, Meta(ge=1, le=MAX_REQUESTS)] | None = None
    min_duration: Annotated[Written | None, Meta(description="`30m`, `1h`, or seconds.")] = None


class GuardrailManifest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One limit: a metric, exactly one of max, min, max_increase and max_drop, and what follows."""

    metric: Annotated[
        str,
        Meta(
            description="See docs/policies.md for what each means.",
            extra_json_schema={"enum": list(METRICS)},
        ),
    ]
    name: Annotated[Label | None, Meta(description="The metric's name unless two share it.")] = None
    evaluator: Annotated[
        EvaluatorReference | None,
        Meta(description="Of quality_preference and quality_score: whose evaluations count."),
    ] = None
    max: Annotated[Written | None, Meta(description="Limit on the candidate alone.")] = None
    min: Annotated[Written | None, Meta(description="Limit on the candidate alone.")] = None
    max_increase: Annotated[
        Written | None, Meta(description="Over stable: `0.5pp`, `20%`, `500ms`, `3x`.")
    ] = None
    max_drop: Annotated[Written | None, Meta(description="Below stable: `0.5pp`, `20%`.")] = None
    floor: Annotated[
        Written | None,
        Meta(
            description="With a multiple of stable's rate (`3x`): the difference in points that is "
            "tolerated beyond it, `0.1pp` unless written."
        ),
    ] = None
    warn_margin: Annotated[
        Written | None, Meta(description="A tighter limit of the same kind that only alerts.")
    ] = None
    slices: Annotated[
        Annotated[list[str | SliceManifest], Meta(max_length=MAX_SLICES)] | None,
        Meta(description="`all`, `each language`, `each workflow`, or named ones."),
    ] = None
    action: Annotated[Action, Meta(description="What evidence of a breach does.")] = "rollback"
    required: Annotated[
        Required, Meta(description="Which slices must be shown harmless before promotion.")
    ] = "all"


class RolloutManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rollout and its policy; three lines are enough."""

    rollout_id: Annotated[Identifier, Meta(description="As in the events.")]
    models: Models
    mode: Annotated[Mode, Meta(description="Mode of the first stage.")] = "shadow"
    promotion: Annotated[
        Promotion, Meta(description="Who moves to the next stage after a promote verdict.")
    ] = "manual"
    min_requests: Annotated[int, Meta(ge=1, le=MAX_REQUESTS)] | None = None
    min_duration: Written | None = None
    stages: Annotated[
        Annotated[list[str | StageManifest], Meta(max_length=MAX_STAGES)] | None,
        Meta(description="`shadow`, `5%`, or records."),
    ] = None
    guardrails: Annotated[list[GuardrailManifest], Meta(max_length=MAX_GUARDRAILS)] | None = None
    false_rollback: Annotated[float, Meta(gt=0, lt=0.5)] = 0.01
    false_promotion: Annotated[float, Meta(gt=0, lt=0.5)] = 0.05
    max_unmatched_share: Annotated[Written, Meta(description="More blocks promotion.")] = "5%"
    max_late_share: Annotated[Written, Meta(description="More blocks promotion.")] = "5%"
    independent_requests: Annotated[
        bool, Meta(description="True where no two requests belong to one conversation.")
    ] = False
    turns_per_conversation: Annotated[
        Annotated[float, Meta(ge=1, le=MAX_TURNS)] | None,
        Meta(
            description="Mean length of a conversation in requests, for events that do not name "
            "their conversation."
        ),
    ] = None
    workflows: Annotated[
        Annotated[list[Label], Meta(min_length=1, max_length=MAX_WORKFLOWS)] | None,
        Meta(
            description="Product features whose requests the rollout is for, for gateways that "
            "take their routes from policies; left out: all that no other policy names. No part "
            "of the policy's hash."
        ),
    ] = None
    capture: Annotated[
        Capture,
        Meta(
            description="Pairs whose texts are stored, redacted: the `worst` of each window, a "
            "`sample`, or `all` as far as they fit. No part of the policy's hash."
        ),
    ] = "none"
    evaluate: Annotated[
        tuple[EvaluateManifest, ...],
        Meta(
            max_length=MAX_EVALUATORS,
            description="Which pairs are judged by which evaluator, see docs/evaluations.md. No "
            "part of the policy's hash.",
        ),
    ] = ()


# Compiled


class Stage(msgspec.Struct, frozen=True):
    """One step; `share` of requests is the candidate's, 0 where it is never served."""

    name: str
    mode: Mode
    share: float
    min_requests: int
    min_duration_s: float
    mirror: float = 0.0
    """Share of the requests that stable serves alone which is mirrored in shadow."""


class SliceChoice(msgspec.Struct, frozen=True):
    """Which slices a guardrail tests."""

    all: bool
    each_language: bool
    each_workflow: bool
    named: tuple[SliceManifest, ...] = ()


class Guardrail(msgspec.Struct, frozen=True, omit_defaults=True):
    """One compiled limit. Times are milliseconds, shares fractions of 1."""

    name: str
    metric: str
    limit: Limit
    value: float
    relative: bool
    """The value is an increase as a share of stable's: 2 where `3x` was written."""
    floor: float
    """Of a multiple of stable's rate: the share tolerated beyond it; else 0."""
    warn_value: float | None
    slices: SliceChoice
    action: Action
    required: Required
    evaluator: str | None = None
    """`name@version`, of metrics that evaluators measure."""


class Rollout(msgspec.Struct, frozen=True):
    """A compiled policy: every default filled in, every quantity a number."""

    rollout_id: str
    models: Models
    promotion: Promotion
    stages: tuple[Stage, ...]
    guardrails: tuple[Guardrail, ...]
    false_rollback: float
    false_promotion: float
    max_unmatched_share: float
    max_late_share: float
    independent_requests: bool
    turns_per_conversation: float | None
    """As declared, for events without `conversation_id`; None where nobody says."""

    @property
    def mirrors(self) -> bool:
        """Whether some stage mirrors requests while it serves the candidate to others."""
        return any(stage.mirror > 0.0 for stage in self.stages)


def policy_hash(rollout: Rollout) -> str:
    """64 hexadecimal digits that differ when the policy means something else."""
    return hashlib.sha256(msgspec.json.encode(rollout, order="deterministic")).hexdigest()


def compile_manifest(manifest: RolloutManifest) -> Rollout:
    """Check a manifest and compile it. Raises `PolicyError`."""
    if "/" in manifest.rollout_id:
        raise PolicyError("rollout_id must not contain a slash", ("rollout_id",))
    evaluation_sampling(manifest)
    return Rollout(
        rollout_id=manifest.rollout_id,
        models=manifest.models,
        promotion=manifest.promotion,
        stages=_stages(manifest),
        guardrails=_guardrails(manifest),
        false_rollback=_error_rate(manifest.false_rollback, ("false_rollback",)),
        false_promotion=_error_rate(manifest.false_promotion, ("false_promotion",)),
        max_unmatched_share=_share(manifest.max_unmatched_share, ("max_unmatched_share",)),
        max_late_share=_share(manifest.max_late_share, ("max_late_share",)),
        independent_requests=manifest.independent_requests,
        turns_per_conversation=_turns_per_conversation(manifest),
    )


def evaluation_sampling(manifest: RolloutManifest) -> tuple[EvaluationSampling, ...]:
    """Return which pairs are judged by which evaluator. Raises `PolicyError`."""
    found: list[EvaluationSampling] = []
    for place, one in enumerate(manifest.evaluate):
        try:
            found.append(compile_sampling(one))
        except SamplingError as error:
            raise PolicyError(error.problem, ("evaluate", place, *error.path)) from None
        if one.evaluator in {other.evaluator for other in found[:-1]}:
            raise PolicyError(f"{one.evaluator} is listed twice", ("evaluate", place, "evaluator"))
    return tuple(found)


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` with the known name that is most like it."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"; did you mean {near[0]}?" if near else ""


def _share(written: Written, path: Path) -> float:
    try:
        return parse_share(written)
    except ValueError as error:
        raise PolicyError(str(error), path) from None


def _error_rate(rate: float, path: Path) -> float:
    if rate < MIN_ERROR_RATE:
        raise PolicyError(f"{rate:g} is too small: no rollout yields so much evidence", path)
    return rate


def _turns_per_conversation(manifest: RolloutManifest) -> float | None:
    turns = manifest.turns_per_conversation
    if turns is not None and turns > 1 and manifest.independent_requests:
        raise PolicyError(
            "requests of one conversation are not independent; remove independent_requests",
            ("turns_per_conversation",),
        )
    return turns


def _duration_s(written: Written, path: Path) -> float:
    """Return the seconds of `10m` or of a number."""
    if isinstance(written, str):
        match = _DURATION.match(written)
        if match is None:
            raise PolicyError(f"{written!r} is no duration; write 90s, 10m, 1h or 1d", path)
        seconds = float(match[1]) * _SECONDS[match[2]]
    else:
        seconds = float(written)
    if seconds < 0:
        raise PolicyError("a duration must not be negative", path)
    if not seconds <= MAX_DURATION_S:
        raise PolicyError(f"{written} is longer than a year", path)
    return seconds


# Stages


def _stages(manifest: RolloutManifest) -> tuple[Stage, ...]:
    written: Sequence[str | StageManifest] = (
        manifest.stages if manifest.stages is not None else _default_stages(manifest.mode)
    )
    if not written:
        raise PolicyError("stages must name at least one stage", ("stages",))
    stages = [_stage(manifest, stage, ("stages", place)) for place, stage in enumerate(written)]
    for place, stage in enumerate(stages):
        path: Path = ("stages", place)
        if stage.name in {other.name for other in stages[:place]}:
            raise PolicyError(f"two stages are named {stage.name}", path)
        if place and stage.share < stages[place - 1].share:
            raise PolicyError(
                f"stage {stage.name} gives the candidate less than the stage before it", path
            )
    if manifest.stages is not None and stages[0].mode != manifest.mode:
        raise PolicyError(
            f"mode is {manifest.mode}, but the first stage's is {stages[0].mode}",
            ("stages", 0),
        )
    return tuple(stages)


def _default_stages(mode: Mode) -> list[str | StageManifest]:
    ramp: list[str | StageManifest] = [StageManifest(mode="canary", share=s) for s in RAMP]
    if mode == "canary":
        return ramp
    if mode == "ab":
        return [StageManifest(mode="ab", share=0.5)]
    if mode == "interleave":
        # Half of the answers served are the candidate's already.
        return [StageManifest(mode=mode), *ramp[-2:]]
    return [StageManifest(mode=mode), *ramp]


def _stage(manifest: RolloutManifest, written: str | StageManifest, path: Path) -> Stage:
    stage = _stage_of_word(written, manifest.mode, path) if isinstance(written, str) else written
    mode: Mode = stage.mode or ("canary" if stage.share is not None else manifest.mode)
    share = _stage_share(mode, stage.share, path)
    requests = stage.min_requests or manifest.min_requests or DEFAULT_MIN_REQUESTS
    return Stage(
        name=stage.name or (mode if mode in ("shadow", "interleave") else f"{100 * share:g}%"),
        mode=mode,
        share=share,
        min_requests=requests,
        min_duration_s=_min_duration_s(manifest, stage, path),
        mirror=_mirror(mode, share, stage.mirror, path),
    )


def _mirror(mode: Mode, share: float, written: Written | None, path: Path) -> float:
    """Return the share of stable's own requests that is mirrored."""
    if written is None:
        return 0.0
    path = (*path, "mirror")
    mirror = _share(written, path)
    if mirror > 0.0 and mode not in SINGLE_MODES:
        raise PolicyError(
            f"mirror goes with canary and ab; in {mode} both sides answer anyway", path
        )
    if mirror > 0.0 and share >= 1.0:
        raise PolicyError(
            "the candidate has all requests in this stage; there are no others to mirror", path
        )
    if 0.0 < mirror < MIN_SHARE:
        raise PolicyError(f"write at least {100 * MIN_SHARE:g}%, or leave mirror out", path)
    return mirror


def _stage_of_word(word: str, mode: Mode, path: Path) -> StageManifest:
    """`shadow` or `5%`."""
    if word in ("shadow", "interleave"):
        return StageManifest(mode=word)  # type: ignore[arg-type]
    try:
        parse_share(word)
    except ValueError:
        raise PolicyError(
            f"{word!r} is no stage; write shadow, interleave or a share such as 5%"
            + nearest(word, ("shadow", "interleave")),
            path,
        ) from None
    return StageManifest(mode="ab" if mode == "ab" else "canary", share=word)


def _stage_share(mode: Mode, written: Written | None, path: Path) -> float:
    if mode == "shadow":
        if written is not None and _share(written, (*path, "share")) > 0.0:
            raise PolicyError(
                "a shadow stage has no share: the candidate is never served", (*path, "share")
            )
        return 0.0
    if written is None:
        if mode in ("interleave", "ab"):
            return 0.5
        raise PolicyError("a canary stage needs a share, such as 5%", path)
    share = _share(written, (*path, "share"))
    if not MIN_SHARE <= share <= 1.0:
        raise PolicyError(
            f"the share of a stage must lie above 0 (at least {100 * MIN_SHARE:g}%) and be at "
            "most 100%",
            (*path, "share"),
        )
    return share


def _min_duration_s(manifest: RolloutManifest, stage: StageManifest, path: Path) -> float:
    if stage.min_duration is not None:
        return _duration_s(stage.min_duration, (*path, "min_duration"))
    if manifest.min_duration is not None:
        return _duration_s(manifest.min_duration, ("min_duration",))
    return DEFAULT_MIN_DURATION_S


# Guardrails


def default_guardrails() -> list[GuardrailManifest]:
    """Return the guardrails of a policy that names none."""

    def drop(metric: str, margin: str) -> GuardrailManifest:
        return GuardrailManifest(metric=metric, max_drop=margin, required="if_measured")

    def increase(metric: str, margin: str, required: Required) -> GuardrailManifest:
        return GuardrailManifest(metric=metric, max_increase=margin, required=required)

    def alert(metric: str, margin: str) -> GuardrailManifest:
        return GuardrailManifest(
            metric=metric, max_increase=margin, action="alert", required="none"
        )

    return [
        increase("error_rate", "1pp", "all"),
        drop("json_valid_rate", "1pp"),
        drop("json_schema_valid_rate", "1pp"),
        drop("language_match_rate", "2pp"),
        increase("fallback_rate", "2pp", "if_measured"),
        increase("truncation_rate", "2pp", "if_measured"),
        increase("empty_rate", "1pp", "if_measured"),
        increase("refusal_rate", "2pp", "if_measured"),
        increase("incomplete_rate", "1pp", "if_measured"),
        increase("tool_call_invalid_rate", "1pp", "if_measured"),
        increase("garbled_rate", "1pp", "if_measured"),
        increase("repetition_rate", "2pp", "if_measured"),
        increase("constant_answer_rate", "10pp", "if_measured"),
        increase("duration_p95", "50%", "if_measured"),
        increase("duration_p99", "50%", "if_measured"),
        increase("cost_usd", "25%", "if_measured"),
        # One point more is within the limit above, and may be a hundred times stable's errors.
        GuardrailManifest(
            name="error_rate_multiple", metric="error_rate", max_increase="3x", action="alert",
            required="none",
        ),
        # Whether a model should have called a tool, or shown its reasoning, is for people to say.
        alert("tool_call_missing_rate", "5pp"),
        alert("reasoning_leak_rate", "1pp"),
        # Longer answers cost money and patience, shorter ones may lack something: or just be terse.
        alert("output_tokens", "50%"),
        alert("answer_length", "50%"),
        GuardrailManifest(
            name="answer_length_drop", metric="answer_length", max_drop="50%", action="alert",
            required="none",
        ),
    ]  # fmt: skip


def _guardrails(manifest: RolloutManifest) -> tuple[Guardrail, ...]:
    written = default_guardrails() if manifest.guardrails is None else manifest.guardrails
    if not written:
        raise PolicyError("without guardrails nothing would be tested; leave the key out for "
                          "the defaults", ("guardrails",))  # fmt: skip
    guardrails: list[Guardrail] = []
    for place, one in enumerate(written):
        guardrail = _guardrail(one, ("guardrails", place))
        if guardrail.name in {other.name for other in guardrails}:
            raise PolicyError(
                f"two guardrails are named {guardrail.name}; give one another name",
                ("guardrails", place),
            )
        guardrails.append(guardrail)
    if not any(g.action != "alert" and g.required != "none" for g in guardrails):
        raise PolicyError(
            "no guardrail is required before promotion; only alerts would remain", ("guardrails",)
        )
    return tuple(guardrails)


def _guardrail(written: GuardrailManifest, path: Path) -> Guardrail:
    metric = _metric(written.metric, (*path, "metric"))
    limit = _limit(written, metric, path)
    quantity = _quantity(metric, limit, getattr(written, limit), (*path, limit))
    slices = _slices(written, path)
    if metric.per_rollout and (slices.each_language or slices.each_workflow or slices.named):
        raise PolicyError(f"{metric.name} is tested over all requests only", (*path, "slices"))
    return Guardrail(
        name=written.name or metric.name,
        metric=metric.name,
        limit=limit,
        value=quantity.value,
        relative=quantity.relative,
        floor=_floor(written, metric, quantity, (*path, "floor")),
        warn_value=_warn_value(written, metric, limit, quantity, (*path, "warn_margin")),
        slices=slices,
        action=written.action,
        required=written.required,
        evaluator=_evaluator(written, metric, path),
    )


def _evaluator(written: GuardrailManifest, metric: Metric, path: Path) -> str | None:
    if metric.kind == "quality" and written.evaluator is None:
        raise PolicyError(
            f"{metric.name} needs to know whose evaluations count; write evaluator: name@version",
            path,
        )
    if metric.kind != "quality" and written.evaluator is not None:
        raise PolicyError(f"{metric.name} is measured without an evaluator", (*path, "evaluator"))
    if written.evaluator is not None:
        try:
            check_reference(written.evaluator)
        except SamplingError as error:
            raise PolicyError(error.problem, (*path, *error.path)) from None
    return written.evaluator


def _metric(name: str, path: Path) -> Metric:
    if name in RESERVED:
        raise PolicyError(RESERVED[name], path)
    metric = METRICS.get(name)
    if metric is None:
        raise PolicyError(f"unknown metric {name}{nearest(name, METRICS)}", path)
    return metric


def _limit(written: GuardrailManifest, metric: Metric, path: Path) -> Limit:
    given: list[Limit] = [limit for limit in LIMITS if getattr(written, limit) is not None]
    choices = " or ".join(metric.limits)
    if len(given) != 1:
        what = f"has {' and '.join(given)}" if given else "has no limit"
        raise PolicyError(f"{metric.name} {what}; write one of {choices}", path)
    (limit,) = given
    if limit not in metric.limits:
        why = metric.refused.get(limit, f"{metric.name} takes {choices}")
        raise PolicyError(f"{limit} cannot be tested here: {why}", (*path, limit))
    return limit


def _quantity(metric: Metric, limit: Limit, written: Written, path: Path) -> Quantity:
    try:
        return parse_quantity(metric, limit, written)
    except ValueError as error:
        raise PolicyError(str(error), path) from None


def _floor(written: GuardrailManifest, metric: Metric, quantity: Quantity, path: Path) -> float:
    """The share tolerated beyond a multiple: of a rate near 0 any multiple is near 0 as well."""
    if not (quantity.relative and metric.unit == "share"):
        if written.floor is not None:
            raise PolicyError("floor goes with a multiple of stable's rate, such as 3x", path)
        return 0.0
    try:
        return parse_floor(DEFAULT_FLOOR if written.floor is None else written.floor)
    except ValueError as error:
        raise PolicyError(str(error), path) from None


def _warn_value(
    written: GuardrailManifest, metric: Metric, limit: Limit, quantity: Quantity, path: Path
) -> float | None:
    """The tighter limit, in the same kind of number."""
    if written.warn_margin is None:
        return None
    warn = _quantity(metric, limit, written.warn_margin, path)
    if warn.relative != quantity.relative:
        raise PolicyError(f"warn_margin must be written like {limit}", path)
    tighter = warn.value > quantity.value if limit == "min" else warn.value < quantity.value
    if not tighter:
        raise PolicyError(f"warn_margin must be tighter than {limit}", path)
    return warn.value


def _slices(written: GuardrailManifest, path: Path) -> SliceChoice:
    if written.slices is None:
        per_rollout = METRICS[written.metric].per_rollout
        return SliceChoice(all=True, each_language=not per_rollout, each_workflow=False)
    if not written.slices:
        raise PolicyError("slices must name at least one slice", (*path, "slices"))
    words, named = set(), []
    for place, entry in enumerate(written.slices):
        where: Path = (*path, "slices", place)
        if isinstance(entry, str):
            words.add(_slice_word(entry, where))
        elif entry.language is None and entry.workflow is None:
            raise PolicyError("name a language, a workflow or both", where)
        elif entry in named:
            raise PolicyError("this slice is listed twice", where)
        else:
            named.append(entry)
    return SliceChoice(ALL in words, EACH_LANGUAGE in words, EACH_WORKFLOW in words, tuple(named))


def _slice_word(word: str, path: Path) -> str:
    if word not in _SLICE_WORDS:
        raise PolicyError(
            f"unknown slice {word}{nearest(word, _SLICE_WORDS)}; one language is "
            "written {language: ja}",
            path,
        )
    return word
