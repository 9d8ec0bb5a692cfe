"""Reads what a judge model answers: strictly, since a guess would be evidence. Pure."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from understudy.streams.evaluating.judge_model import JudgeReply

Better = Literal["A", "B", "tie"]

MAX_ANSWER_CHARACTERS: Final = 100_000
"""Of a judge; reasoning models think for some pages."""
_THOUGHT: Final = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
"""What local servers leave in front of an answer of a reasoning model."""
_FENCED: Final = re.compile(r"\A```(?:json)?[^\S\n]*\n(.*?)\n?```\Z", re.DOTALL)


class Judgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer of a judge: its reason first, so that the choice follows from it."""

    reason: Annotated[str, Meta(max_length=8_000)]
    better: Better


JUDGEMENT_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "better": {"type": "string", "enum": ["A", "B", "tie"]},
    },
    "required": ["reason", "better"],
    "additionalProperties": False,
}
"""For servers that hold a model to a JSON Schema."""

_decode: Final = msgspec.json.Decoder(Judgement).decode


class UnreadableJudgement(ValueError):
    """What a judge answered is not one judgement; `reason` is for records and metrics.

    `said` is the answer as it came, at most `MAX_ANSWER_CHARACTERS` of it: it quotes answers, so it
    is for explanations alone, redacted. The message quotes nothing.
    """

    def __init__(self, detail: str, *, is_cut: bool = False, said: str = "") -> None:
        super().__init__(detail)
        self.reason: Final = "cut_off" if is_cut else "unparseable"
        self.said: Final = said[:MAX_ANSWER_CHARACTERS]


def _without_duplicates(members: list[tuple[str, object]]) -> None:
    """Refuse an object that says something twice: msgspec would take what it said last."""
    if len(dict(members)) < len(members):
        raise UnreadableJudgement("the judge answered a key twice")


def judgement_of(reply: JudgeReply) -> Judgement:
    """Read what a judge replied.

    Raises `UnreadableJudgement`: its reason tells a cut answer, and it has what was said.
    """
    try:
        return read_judgement(reply.text)
    except UnreadableJudgement as error:
        detail = "the answer ended at max_output_tokens" if reply.is_cut else str(error)
        said = reply.text or ""
        raise UnreadableJudgement(detail, is_cut=reply.is_cut, said=said) from error


def read_judgement(text: str | None) -> Judgement:
    """Read the whole answer as one JSON object, in a Markdown fence or not.

    Raises `UnreadableJudgement`: for anything before, after or beside it too, since an answer with
    two opinions has none.
    """
    if not text:
        raise UnreadableJudgement("the judge answered nothing")
    if len(text) > MAX_ANSWER_CHARACTERS:
        raise UnreadableJudgement("the judge's answer is too long")
    said = _THOUGHT.sub("", text, count=1).strip()
    fenced = _FENCED.match(said)
    document = fenced.group(1) if fenced else said
    try:
        judgement = _decode(document)
        json.loads(document, object_pairs_hook=_without_duplicates)
        return judgement
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise UnreadableJudgement(str(error)) from None
