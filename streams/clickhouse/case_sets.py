"""Test sets out of captured pairs: each prompt once, of all languages, workflows and kinds alike.

So a test set follows live traffic. What says whose request it was stays behind: ids, times and
conversations; texts are redacted already.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import orjson

from understudy.analyzers.compare.finish_reasons import finish_state
from understudy.schemas.adapters.test_set_formats import TestCase
from understudy.schemas.measures import FinishState
from understudy.streams.clickhouse.captured_pair import CapturedPair, CapturedSide

DIGITS: Final = re.compile(r"\d+")
_NOT_LETTERS: Final = re.compile(r"[\W_]+")
_ID_BYTES: Final = 8
"""64 bits tell the cases of a set apart; of a prompt's hash nobody makes the prompt."""


@dataclass(frozen=True, slots=True)
class TestSet:
    """The cases, and why other pairs gave none."""

    __test__ = False  # not a class of tests

    cases: list[TestCase]
    pairs: int
    without_prompt: int
    """Of which the gateway sent no prompt, or one that had to be cut."""
    repeated: int
    """With the prompt of another pair, but for numbers, case and punctuation."""


def make_test_set(pairs: Sequence[CapturedPair], most: int) -> TestSet:
    """Return at most so many cases, of each stratum as many as of the others, the worst first.

    A stratum is a language, a workflow and a kind. Where one has too few, the others have more.
    """
    whole = [pair for pair in pairs if pair.prompt.strip() and not pair.prompt_is_cut]
    worst = sorted(whole, key=lambda pair: (-pair.severity, pair.pair_id))
    distinct: dict[str, CapturedPair] = {}
    for pair in worst:
        distinct.setdefault(prompt_key(pair.prompt), pair)
    chosen = [pair for pair in _in_turns(list(distinct.values())) if pair is not None][:most]
    return TestSet(
        cases=[case_of(pair) for pair in chosen],
        pairs=len(pairs),
        without_prompt=len(pairs) - len(whole),
        repeated=len(whole) - len(distinct),
    )


def _in_turns(pairs: Sequence[CapturedPair]) -> Iterator[CapturedPair | None]:
    """The first of each stratum, then the second, and so on; languages take turns as well.

    `pairs` come the worst first, and so do the strata of a language: of more strata than cases,
    each language has its worst ones.
    """
    languages: dict[str, dict[tuple[str, str], list[CapturedPair]]] = {}
    for pair in pairs:
        strata = languages.setdefault(pair.language, {})
        strata.setdefault((pair.workflow, pair.kind), []).append(pair)
    of_languages = [list(languages[language].values()) for language in sorted(languages)]
    ordered = [one for turn in zip_longest(*of_languages) for one in turn if one is not None]
    for turn in zip_longest(*ordered):
        yield from turn


def prompt_key(prompt: str) -> str:
    """What is the same of prompts that ask the same: letters alone, all numbers alike."""
    return _NOT_LETTERS.sub(" ", DIGITS.sub("0", prompt.casefold())).strip() or prompt


def case_of(pair: CapturedPair) -> TestCase:
    """Return a pair's request with stable's answer, and nothing that leads back to it."""
    stable = pair.stable
    is_answer = stable.is_there and not stable.error_type and not is_refusal(stable)
    is_whole = is_answer and not stable.is_cut
    digest = hashlib.blake2b(pair.prompt.encode("utf-8", "replace"), digest_size=_ID_BYTES)
    metadata: dict[str, Any] = {
        "language": pair.language,
        "workflow": pair.workflow,
        "kind": pair.kind,
        "kinds": pair.kinds,
        "severity": round(pair.severity, 3),
        "expects": pair.expects,
    }
    return TestCase(
        id=f"{pair.language}-{pair.kind}-{digest.hexdigest()}",
        prompt=pair.prompt,
        reference=stable.output if is_whole else "",
        tool_calls=_calls(stable.tool_calls) if is_whole else None,
        expects_json=pair.expects in ("json", "json_schema"),
        metadata=metadata,
    )


_REFUSALS: Final = (FinishState.REFUSAL, FinishState.CONTENT_FILTER)


def is_refusal(side: CapturedSide) -> bool:
    """Whether a side refused, by its own word or its vendor's: nothing to hold others against."""
    return finish_state(side.finish_reason) in _REFUSALS


def _calls(text: str) -> Any:
    """The calls; None where they cannot be read, or are nested too deeply to be written again."""
    try:
        calls = orjson.loads(text) if text else None
        orjson.dumps(calls)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        return None
    return calls
