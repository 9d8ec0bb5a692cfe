"""What the page of captured pairs shows: both answers side by side, and what differs. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from markupsafe import Markup, escape

from understudy.analyzers.compare.field_difference import FieldDifference, field_differences
from understudy.analyzers.compare.language_tags import UNDETERMINED
from understudy.analyzers.compare.severity import NOTHING_WORSE
from understudy.analyzers.compare.tool_call_difference import (
    CallDifference,
    tool_call_differences,
)
from understudy.analyzers.compare.word_difference import Run, word_difference
from understudy.analyzers.guardrails.formatting import format_value, printable
from understudy.streams.clickhouse.captured_pair import CapturedPair, CapturedSide
from understudy.streams.clickhouse.captured_pairs import CaptureCount
from understudy.streams.clickhouse.pair_judgements import PairJudgement, Said, said_of
from understudy.streams.dashboard.pair_filter import KIND_WORDS, Chosen

_MEANT: Final = frozenset("\n\t\u00a0\u2002\u2003\u2009\u200c\u200d\u202f\u3000")
"""Characters that are not printable to Python and belong into texts: spaces of other widths, and
what joins letters in Arabic script, in Indic ones and in emoji."""


@dataclass(frozen=True, slots=True)
class SideView:
    """One side of a pair."""

    title: str
    side: CapturedSide
    facts: list[str]
    runs: list[Run]
    """Of its text; empty where there is none."""
    missing: str
    """What to say where there is no text."""


@dataclass(frozen=True, slots=True)
class JudgementView:
    """What one evaluator said of a pair."""

    judgement: PairJudgement
    words: str
    detail: str
    """How it was asked, and on which scale; empty where there is nothing to add."""


@dataclass(frozen=True, slots=True)
class PairView:
    """A pair, ready to be shown."""

    pair: CapturedPair
    title: str
    """All that is worse, in words."""
    lang: str
    """BCP 47 tag for the text; empty where it is not known."""
    sides: list[SideView]
    is_marked: bool
    """Whether differing words are marked."""
    fields: list[FieldDifference]
    is_same_json: bool
    """Both texts hold the same JSON, however it is written."""
    calls: list[CallDifference]
    is_timed: bool
    """Whether mode and time are of a request, and not made up to hold two files against each other.
    """
    is_calls_cut: bool
    """Tool calls cannot be compared: cut, or no JSON once redacted."""
    judgements: list[JudgementView]
    """What evaluators said of it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a filter."""

    value: str
    label: str
    pairs: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter with its values, those with most pairs first."""

    name: str
    title: str
    choices: list[Choice]


@dataclass(frozen=True, slots=True)
class PairsPage:
    """The page."""

    pairs: list[PairView]
    filters: list[Filter]
    total: int
    """Captured pairs in the time shown, by their languages, workflows and kinds."""


def pairs_page(
    pairs: Sequence[CapturedPair],
    counts: Sequence[CaptureCount],
    chosen: Chosen,
    said: Said = MappingProxyType({}),
) -> PairsPage:
    """Return what the page shows of pairs that were found, and of what was said of them."""
    return PairsPage(
        pairs=[pair_view(pair, said_of(pair, said)) for pair in pairs],
        filters=[
            _filter("language", "Language", counts, chosen.language),
            _filter("workflow", "Workflow", counts, chosen.workflow),
            _filter("kind", "What is worse", counts, chosen.kind),
        ],
        total=sum(one.pairs for one in counts),
    )


def _filter(name: str, title: str, counts: Sequence[CaptureCount], chosen: str | None) -> Filter:
    pairs: Counter[str] = Counter()
    for one in counts:
        pairs[getattr(one, name)] += one.pairs
    if chosen is not None:
        pairs.setdefault(chosen, 0)
    choices = [
        Choice(value, _label(name, value), count, value == chosen)
        for value, count in sorted(pairs.items(), key=lambda one: (-one[1], one[0]))
    ]
    return Filter(name, title, choices)


def _label(name: str, value: str) -> str:
    if name == "kind":
        return KIND_WORDS.get(value, value)
    return value or "not named"


def pair_view(
    pair: CapturedPair, judged: Sequence[PairJudgement] = (), *, is_timed: bool = True
) -> PairView:
    """Return how a pair is shown, with what evaluators said of it."""
    stable, candidate = pair.stable, pair.candidate
    words = word_difference(stable.output, candidate.output)
    calls = tool_call_differences(stable.tool_calls, candidate.tool_calls)
    is_paired = stable.is_there
    fields = field_differences(stable.output, candidate.output) if is_paired else None
    return PairView(
        pair=pair,
        title=", ".join(KIND_WORDS.get(kind, kind) for kind in pair.kinds)
        or KIND_WORDS[NOTHING_WORSE],
        lang="" if pair.language == UNDETERMINED else pair.language,
        sides=[
            _side("Stable", stable, words.stable),
            _side("Candidate", candidate, words.candidate),
        ],
        is_marked=words.is_marked and is_paired,
        fields=fields or [],
        is_same_json=fields == [],
        calls=calls or [],
        is_timed=is_timed,
        is_calls_cut=calls is None,
        judgements=[JudgementView(one, *judgement_words(one)) for one in judged],
    )


def judgement_words(one: PairJudgement) -> tuple[str, str]:
    """Return what was said in words, and how it was asked."""
    other = "candidate" if one.compared == "candidate" else "stable's second run"
    if one.error:
        words, asked = f"no judgement: {one.error}", _asked(one, other)
    elif one.preference is not None:
        words, asked = _preference(one.preference, other), _asked(one, other)
    else:
        words = f"scores stable {_score(one.stable_score)}, {other} {_score(one.compared_score)}"
        asked = f"from {_score(one.lowest_score)} to {_score(one.highest_score)}"
    control = "" if one.compared == "candidate" else "stable against its own second run"
    return words, "; ".join(filter(None, (control, asked)))


def _preference(value: float, other: str) -> str:
    if value in (0.0, 1.0):
        return f"prefers {other if value else 'stable'}"
    if value == 0.5:
        return "prefers neither"
    return f"leans to {other if value > 0.5 else 'stable'}"


def _asked(one: PairJudgement, other: str) -> str:
    """Which answer each order showed first, and what it led to."""
    firsts = [_named(first, other) for first in one.shown_first if first]
    if len(firsts) < 2:
        return f"{firsts[0]} shown first" if firsts else ""
    if len(set(one.preferred)) == 1:
        return "asked in both orders, the same each time"
    return "; ".join(
        f"{first} first: {'neither' if chosen == 'tie' else _named(chosen, other)}"
        for first, chosen in zip(firsts, one.preferred, strict=False)
    )


def _named(answer: str, other: str) -> str:
    return "stable" if answer == "stable" else other


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _side(title: str, side: CapturedSide, runs: list[Run]) -> SideView:
    facts = [side.model] if side.model else []
    if not math.isnan(side.duration_ms):
        facts.append(format_value("ms", side.duration_ms))
    if side.output_characters:
        facts.append(f"{side.output_characters:,} characters")
    if side.finish_reason:
        facts.append(f"finish reason {side.finish_reason}")
    return SideView(title, side, facts, runs if side.output else [], _missing(side))


def _missing(side: CapturedSide) -> str:
    """Why there is no text."""
    if not side.is_there:
        return "Was not asked: this request went to one side alone."
    if side.error_type:
        return f"No answer: {side.error_type}"
    if side.tool_calls:
        return "No text, tool calls alone."
    return "An empty text, or one of which the gateway sent a hash."


def model_text(text: str) -> Markup:
    """Return a text that a model or a user wrote, to stand in a page.

    Escaped; characters that cannot be seen are shown as their numbers, so that none turns the
    reading direction, but for those that belong into texts.
    """
    if text.isprintable():
        return escape(text)
    parts = (
        character if character in _MEANT or character.isprintable() else printable(character)
        for character in text
    )
    return escape("".join(parts))
