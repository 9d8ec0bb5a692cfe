"""Similarity of meaning and relevance to the prompt, by vectors that someone else makes. Pure.

The vectors are those of static embeddings: an average over words, without their order. They see a
constant answer and one about something else; they do not see whether it is right.

What they can tell differs from language to language, since a vocabulary made for English cuts other
scripts into single characters, which are much alike in all texts. So each evaluator speaks of those
languages alone in which it was measured to separate an answer from one to another prompt
(`benchmarks/evaluators.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.evaluators.scoring import Answers, PairScores, ScoringEvaluator

SIMILAR_IN: Final = frozenset(
    {"ar", "cs", "de", "en", "es", "fr", "id", "it", "ja", "ko", "nl", "pl", "pt", "ro", "ru",
     "tr", "vi", "zh"}
)  # fmt: skip
"""An AUC of 0.8 or more with every pair of models; Persian, Hebrew and Hindi are below."""
RELEVANT_IN: Final = frozenset({"de", "en", "es", "fr", "id", "it", "nl", "pt", "ro", "zh"})
"""An AUC of 0.75 or more: a prompt says less about its answer than another answer does."""
MAX_CHARACTERS: Final = 8_000
"""Of each text: a longer one is about the same from its beginning on, and takes time."""
_RANGE: Final = (0.0, 1.0)

Embed = Callable[[list[str]], NDArray[np.float32]]
"""Texts that are not blank → one vector each, shape (texts, dimensions)."""


def embedding_evaluators(
    embed: Embed,
    *,
    similar_in: Set[str] | None = SIMILAR_IN,
    relevant_in: Set[str] | None = RELEVANT_IN,
) -> dict[str, ScoringEvaluator]:
    """Return the evaluators that work on embeddings, by reference.

    They speak of the languages that are given, by their tags without script and region; of all with
    None.
    """

    def held_against(
        text: str | None, answers: Answers, languages: Set[str] | None
    ) -> PairScores | None:
        if answers.expects_json or not _is_among(answers.language, languages):
            return None
        stable, candidate = cosines(embed, text or "", answers.stable, answers.candidate)
        if stable is None or candidate is None:
            return None
        return PairScores(stable, candidate)

    def similar(answers: Answers) -> PairScores | None:
        return held_against(answers.control, answers, similar_in)

    def relevant(answers: Answers) -> PairScores | None:
        return held_against(answers.prompt, answers, relevant_in)

    return {
        "similarity@1": ScoringEvaluator(similar, _RANGE, needs_control=True),
        "relevance@1": ScoringEvaluator(relevant, _RANGE, needs_control=False),
    }


def _is_among(tag: str, languages: Set[str] | None) -> bool:
    return languages is None or tag.partition("-")[0] in languages


def cosines(embed: Embed, text: str, *others: str) -> list[float | None]:
    """Return how similar each of the others is to a text, from 0 to 1.

    0 for a blank one, opposites too; None for all where the text is blank or has no known word.
    """
    texts = [one[:MAX_CHARACTERS] for one in (text, *others)]
    if not texts[0].strip():
        return [None] * len(others)
    filled = [place for place, one in enumerate(texts) if one.strip()]
    vectors = dict(zip(filled, embed([texts[place] for place in filled]), strict=True))
    return [_cosine(vectors[0], vectors.get(place)) for place in range(1, len(texts))]


def _cosine(left: NDArray[np.float32], right: NDArray[np.float32] | None) -> float | None:
    length = float(np.linalg.norm(left))
    if not np.isfinite(length) or length == 0.0:
        return None
    other = 0.0 if right is None else float(np.linalg.norm(right))
    if right is None or not np.isfinite(other) or other == 0.0:
        return 0.0
    return min(1.0, max(0.0, float(left @ right) / (length * other)))
