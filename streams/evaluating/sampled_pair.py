"""A request with its answers, as evaluators see it. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from understudy.analyzers.evaluators.scoring import Answers
from understudy.schemas.evaluations import Compared, Evaluation
from understudy.schemas.events import Event, failure_of
from understudy.streams.pairing.request_language import request_language

Unusable = Literal["no_answer", "not_readable", "too_long"]
"""Why a pair cannot be judged: a side failed or said nothing, texts were hashed or cut off by the
gateway, or all of it is too long."""
_UNREADABLE_FORMS: Final = ("hashed", "truncated")


@dataclass(frozen=True, slots=True)
class SampledPair:
    """What evaluators need of one request."""

    rollout_id: str
    pair_id: str
    mode: Literal["shadow", "interleave"]
    request_time: dt.datetime
    language: str
    workflow: str | None
    conversation_id: str | None
    turn: int | None
    policy_hash: str
    answers: Answers
    keeps_text: bool
    """Whether the policy captures answers, and so what a judge says about them."""

    @property
    def has_control(self) -> bool:
        """Whether stable ran a second time and answered."""
        return self.answers.control is not None

    def record(
        self, evaluator: str, compared: Compared, at: dt.datetime, probability: float
    ) -> Evaluation:
        """Return an evaluation of this pair that says nothing yet."""
        name, _, version = evaluator.partition("@")
        return Evaluation(
            schema_version=1,
            rollout_id=self.rollout_id,
            pair_id=self.pair_id,
            mode=self.mode,
            request_time=self.request_time,
            evaluation_time=at,
            evaluator=name,
            evaluator_version=version,
            compared=compared,
            conversation_id=self.conversation_id,
            turn=self.turn,
            language=self.language,
            workflow=self.workflow,
            sampling_share=probability,
            policy_hash=self.policy_hash,
        )


def sampled_pair(
    events: Sequence[Event], policy_hash: str, max_characters: int, *, keeps_text: bool = False
) -> SampledPair | Unusable:
    """Return the pair of a complete request's sides, or why it cannot be judged.

    A pair without an answer on one side is left to the guardrails on errors: an evaluator that is
    shown nothing would say what they say already. A control that is too long is none.
    """
    by_side = {event.side: event for event in events}
    stable, candidate, control = (by_side.get(name) for name in ("stable", "candidate", "control"))
    if stable is None or candidate is None or stable.mode not in ("shadow", "interleave"):
        return "no_answer"
    if any(_is_unreadable(event) for event in (stable, candidate)):
        return "not_readable"
    texts = answer_text(stable), answer_text(candidate)
    if texts[0] is None or texts[1] is None:
        return "no_answer"
    prompt = _prompt(stable) or _prompt(candidate)
    if len(prompt or "") + len(texts[0]) + len(texts[1]) > max_characters:
        return "too_long"
    again = None if control is None or _is_unreadable(control) else answer_text(control)
    if again is not None and len(prompt or "") + len(texts[0]) + len(again) > max_characters:
        again = None
    language = request_language(events)
    expects = stable.request.expects if stable.request is not None else "text"
    return SampledPair(
        rollout_id=stable.rollout_id,
        pair_id=stable.pair_id,
        mode=stable.mode,
        request_time=events[0].request_time,
        language=language,
        workflow=stable.workflow,
        conversation_id=stable.conversation_id or None,
        turn=stable.turn,
        policy_hash=policy_hash,
        answers=Answers(
            prompt, texts[0], texts[1], again, expects in ("json", "json_schema"), language
        ),
        keeps_text=keeps_text,
    )


def _is_unreadable(event: Event) -> bool:
    response = event.response
    return response is not None and response.output_form in _UNREADABLE_FORMS


def _prompt(event: Event) -> str | None:
    request = event.request
    if request is None or request.prompt_form in _UNREADABLE_FORMS:
        return None
    return request.prompt or None


def answer_text(event: Event) -> str | None:
    """Return an answer as a person reads it: text, then calls of tools as JSON; None for none."""
    response = event.response
    if response is None or failure_of(event) is not None:
        return None
    parts = [part for part in (response.output, response.refusal) if part]
    parts += [
        f"[calls the tool {call.name}: {bytes(call.arguments).decode('utf-8', 'replace')}]"
        for call in response.tool_calls or ()
    ]
    return "\n\n".join(parts) or None
