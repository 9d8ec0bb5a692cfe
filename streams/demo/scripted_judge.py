"""The demo's judge: a script that knows what a customer asked about, in place of a model.

It reads what a model would be sent and nothing else, prefers the answer that keeps to the order,
goods, place and amount of the request, and errs in one pair of five.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import msgspec
import xxhash

from understudy.streams.demo.phrases import phrasebooks
from understudy.streams.evaluating.judge_answer import Better, Judgement
from understudy.streams.evaluating.judge_model import JudgeReply
from understudy.streams.evaluating.prompts import Question

MODEL: Final = "scripted judge"
ERROR_RATE: Final = 0.2
"""A good judge model agrees with people about as often as they agree with each other."""
_BLOCK: Final = re.compile(r"^=== (\w+) begin ([\w ]+)\n(.*?)\n=== \1 end \2$", re.DOTALL | re.M)
_USD_PER_BYTE: Final = 1e-7
"""About what a small hosted model costs, so that the demo has something to show."""
_HASHES: Final = float(2**64)
_SWAPPED: Final[dict[Better, Better]] = {"A": "B", "B": "A", "tie": "tie"}


class ScriptedJudge:
    """A `JudgeModel` in this process."""

    is_priced = True

    def most_usd(self, utf8_bytes: int) -> float:
        """Return the price, which depends on the question alone."""
        return utf8_bytes * _USD_PER_BYTE

    def cost_usd(self, reply: JudgeReply, question: Question) -> float:
        """Return the price."""
        return self.most_usd(question.utf8_bytes)

    async def ask(self, question: Question) -> JudgeReply:
        """Answer at once."""
        texts = {name: text for _, name, text in _BLOCK.findall(question.user)}
        judged = judge(texts["request"], texts["answer A"], texts["answer B"])
        return JudgeReply(msgspec.json.encode(judged).decode(), MODEL, question.utf8_bytes // 4, 30)

    async def close(self) -> None:
        """Nothing is open."""


def judge(request: str, first: str, second: str) -> Judgement:
    """Compare two answers."""
    asked = facts(request)
    kept = [len(facts(one) & asked) - len(facts(one) - asked) for one in (first, second)]
    better: Better = "tie" if kept[0] == kept[1] else "A" if kept[0] > kept[1] else "B"
    if _place(request, *sorted((first, second))) < ERROR_RATE:
        better = _SWAPPED[better]
    return Judgement("It keeps to what was asked about.", better)


def facts(text: str) -> frozenset[str]:
    """Return the orders, amounts, goods and places that a text names."""
    return frozenset(_facts_of_all_languages().findall(text))


@cache
def _facts_of_all_languages() -> re.Pattern[str]:
    names = {name for book in phrasebooks().values() for name in (*book.items, *book.cities)}
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile("|".join([r"[A-H]-\d{6}", r"\d+\.\d\d EUR", *map(re.escape, longest_first)]))


def _place(*texts: str) -> float:
    return xxhash.xxh64_intdigest("\0".join(texts).encode("utf-8", "replace")) / _HASHES
