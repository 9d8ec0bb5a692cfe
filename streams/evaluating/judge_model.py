"""The port to a judge model: one question, one answer, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from understudy.streams.evaluating.prompts import Question


@dataclass(frozen=True, slots=True)
class JudgeReply:
    """What a judge model answered, and what it took."""

    text: str | None
    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    is_cut: bool = False
    """It ended at the limit of tokens."""
    cost_usd: float | None = None
    """As the server reckons it; most do not."""


class JudgeUnavailable(Exception):
    """No answer: `reason` is for records and metrics, the message for people.

    `is_passing` tells that the same question may be answered later, `retry_after_s` when.
    """

    def __init__(
        self, reason: str, detail: str, *, is_passing: bool, retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.is_passing = is_passing
        self.retry_after_s = retry_after_s


class JudgeModel(Protocol):
    """A judge model."""

    @property
    def is_priced(self) -> bool:
        """Whether it is known what a call costs."""

    def most_usd(self, utf8_bytes: int) -> float:
        """Return the most that a question of so many bytes and its answer can cost."""

    async def ask(self, question: Question) -> JudgeReply:
        """Ask once. Raises `JudgeUnavailable`."""

    def cost_usd(self, reply: JudgeReply, question: Question) -> float:
        """Return what an answer did cost; the most where the server does not tell."""

    async def close(self) -> None:
        """Close connections."""
