"""Pairs of turns: each once, in the window of the later turn, against a count of all by hand."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from typing import Any

import msgspec
import pytest

from tests.streams.pairing.log import EPOCH, POLICY, Log, event
from tests.streams.pairing.random_logs import Shape, random_log
from understudy.analyzers.windows.rows import latest, total
from understudy.schemas.windows import WindowRow
from understudy.streams.pairing import conversations
from understudy.streams.pairing.comparison import Comparisons
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.pairing_policy import PairingPolicy

FAILED: dict[str, Any] = {"response": None, "error": {"type": "timeout"}}


def turn(
    number: int, side: str = "stable", at_s: float = 0.0, conversation: str = "c", **changes: Any
) -> bytes:
    """A side of a turn."""
    fields = {"conversation_id": conversation, "turn": number, **changes}
    return event(f"{conversation}{number}", side, at_s, **fields)


def both(number: int, at_s: float = 0.0, fails: bool = False, **changes: Any) -> list[bytes]:
    """Both sides of a turn; the candidate may fail."""
    failure = FAILED if fails else {}
    return [
        turn(number, at_s=at_s, **changes),
        turn(number, "candidate", at_s, **{**changes, **failure}),
    ]


def alone(number: int, side: str, at_s: float = 0.0, **changes: Any) -> bytes:
    """A turn of a canary."""
    return turn(number, side, at_s, mode="canary", sides=[side], **changes)


def sums(rows: list[WindowRow], section: str = "turns", start_s: float | None = None) -> Any:
    """Turn sums over all windows, or of one; zeros left out."""
    start = None if start_s is None else EPOCH + dt.timedelta(seconds=start_s)
    chosen = [row for row in latest(rows) if start in (None, row.window_start)]
    found = msgspec.to_builtins(getattr(total(chosen), section))
    return {name: value for name, value in found.items() if value}


def only(found: dict[str, Any], *prefixes: str) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name.startswith(prefixes)}


def test_turns_are_counted_and_two_of_them_are_multiplied_in_the_window_of_the_later() -> None:
    log = Log().read(*both(1, fails=True), *both(3, at_s=12.0, fails=True))
    assert only(sums(log.rows, start_s=0), "requests", "first", "earlier", "error") == {
        "requests": 1, "first": 1,
    }  # fmt: skip
    assert only(sums(log.rows, start_s=10), "requests", "first", "earlier", "error") == {
        "requests": 1, "earlier": 2, "error_pairs": 1, "error_sums": 2, "error_products": 1,
    }  # fmt: skip


def test_differences_have_signs() -> None:
    stable_failed = [turn(1, **FAILED), turn(1, "candidate")]
    log = Log().read(*stable_failed, *both(2, fails=True), *both(3))
    assert only(sums(log.rows), "error") == {
        "error_pairs": 3, "error_products": -1,
    }  # fmt: skip


def test_what_is_known_of_one_turn_only_is_not_multiplied() -> None:
    json = {"request": {"expects": "json"}, "response": {"output": "{}"}}
    log = Log().read(*both(1, **json), *both(2), *both(3, **json))
    assert only(sums(log.rows), "json_valid") == {"json_valid_pairs": 1}


def test_the_later_turn_may_have_been_compared_first() -> None:
    slow, *early = both(1, fails=True)
    log = Log().read(*early, *both(2, at_s=12.0, fails=True)).read(slow)
    assert only(sums(log.rows, start_s=0), "error") == {}
    assert only(sums(log.rows, start_s=10), "error")["error_products"] == 1


def test_slices_do_not_matter_and_the_later_turns_counts() -> None:
    log = Log().read(*both(1, fails=True, language="ja", workflow="chat"))
    log.read(*both(2, fails=True))
    counted = [row.language for row in latest(log.rows) if row.turns.error_products]
    assert counted == ["en"]


@pytest.mark.parametrize(
    ("at_s", "conversation", "mode", "pairs"),
    [
        (30.0, "c", "shadow", 1),
        (30.001, "c", "shadow", 0),
        (1.0, "other", "shadow", 0),
        (1.0, "c", "interleave", 0),
    ],
)
def test_turns_meet_within_one_conversation_mode_and_join_timeout(
    at_s: float, conversation: str, mode: str, pairs: int
) -> None:
    log = Log().read(*both(1), *both(2, at_s=at_s, conversation=conversation, mode=mode))
    assert total(latest(log.rows)).turns.error_pairs == pairs


def test_turns_further_back_in_the_log_than_the_join_looks_do_not_meet() -> None:
    size = len(both(1)[0]) + len(both(1)[1])
    for reach, pairs in ((size, 1), (size - 1, 0)):
        policy = PairingPolicy(join_timeout_s=30, allowed_lateness_s=30, max_join_bytes=reach)
        log = Log(policy).read(*both(1), *both(2))
        assert total(latest(log.rows)).turns.error_pairs == pairs


def test_where_requests_are_not_paired_each_side_has_its_own() -> None:
    log = Log().read(
        alone(1, "candidate", **FAILED), alone(2, "candidate", **FAILED), alone(3, "stable"),
        alone(4, "stable", **FAILED),
    )  # fmt: skip
    assert sums(log.rows) == {}
    assert only(sums(log.rows, "candidate_turns"), "requests", "first", "earlier", "error") == {
        "requests": 2, "first": 1, "earlier": 1,
        "error_pairs": 1, "error_sums": 2, "error_products": 1,
    }  # fmt: skip
    assert only(sums(log.rows, "stable_turns"), "requests", "first", "earlier", "error") == {
        "requests": 2, "earlier": 5, "error_pairs": 1, "error_sums": 1,
    }  # fmt: skip


def test_values_of_both_sides_are_multiplied_crosswise_too() -> None:
    def answered(number: int, stable: int, candidate: int) -> list[bytes]:
        usages = [{"output_tokens": n, "cost_usd": n / 1000} for n in (stable, candidate)]
        return [
            turn(number, side, usage=usage)
            for side, usage in zip(("stable", "candidate"), usages, strict=True)
        ]

    log = Log().read(*answered(1, 2, 3), *answered(2, 5, 7))
    found = sums(log.rows)
    assert only(found, "output_tokens") == {
        "output_tokens_pairs": 1,
        "output_tokens_stable_sums": 7, "output_tokens_candidate_sums": 10,
        "output_tokens_stable_products": 10, "output_tokens_candidate_products": 21,
        "output_tokens_cross_products": 3 * 5 + 2 * 7,
    }  # fmt: skip
    assert found["cost_usd_cross_products"] == pytest.approx(29e-6)
    log.read(alone(1, "stable", conversation="d", usage={"output_tokens": 2}))
    log.read(alone(2, "stable", conversation="d", usage={"output_tokens": 5}))
    assert only(sums(log.rows, "stable_turns"), "output_tokens") == {
        "output_tokens_pairs": 1, "output_tokens_sums": 7, "output_tokens_products": 10,
    }  # fmt: skip


def test_a_request_without_conversation_or_turn_is_no_turn() -> None:
    log = Log().read(*both(1), *both(2, turn=None), *both(3, conversation_id=None))
    assert total(latest(log.rows)).turns.requests == 1
    assert total(latest(log.rows)).turns.error_pairs == 0


def test_only_the_first_requests_of_a_short_time_take_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversations, "MOST_TURNS", 3)
    log = Log()
    interval_s = POLICY.turn_interval_ms / 1000
    for number in range(5):
        log.read(*both(number + 1, at_s=0.1 * number))
    assert total(latest(log.rows)).turns.requests == 5
    assert total(latest(log.rows)).turns.error_pairs == 3
    log.read(*both(6, at_s=interval_s))
    assert total(latest(log.rows)).turns.error_pairs == 6


def test_turns_out_of_reach_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "FEWEST_KEPT", 8)
    log = Log()
    for number in range(300):
        log.read(*both(number + 1, at_s=5.0 * number, conversation=f"c{number // 3}"))
    assert isinstance(log.state, Partition)
    kept = log.state._conversations["turns"]
    assert len(kept) <= 2 * 2 * 30 / 5 + 2
    assert total(latest(log.rows)).turns.error_pairs == 300
    assert len(log.state._join._turns._seen) <= 40 / (POLICY.turn_interval_ms / 1000) + 2


def by_hand(comparisons: list[Comparisons], policy: PairingPolicy) -> Counter[tuple[Any, ...]]:
    """Errors and tokens of all pairs of turns, by section, window and language."""
    turns = []
    for some in comparisons:
        sides = [one for one in (some.stable, some.candidate) if one is not None]
        for row in range(len(some)):
            errors = [int(side.error[row]) for side in sides]
            asked = some.requests
            if asked.turn[row]:
                name = asked.rollout_id[row], asked.mode[row], asked.conversation_id[row]
                at = int(asked.request_time_ms[row]), int(asked.offset[row])
                x = errors[-1] - errors[0] if some.pair is not None else errors[0]
                turns.append((some.turn_section, name, at, asked.language[row], x))
    counted: Counter[tuple[Any, ...]] = Counter()
    for place, one in enumerate(turns):
        for other in turns[:place]:
            if one[:2] == other[:2] and abs(one[2][0] - other[2][0]) <= policy.turn_reach_ms:
                section, _, (at_ms, _), language, _ = max(one, other, key=lambda turn: turn[2])
                where = section, at_ms - at_ms % policy.window_ms, language
                counted[*where, "pairs"] += 1
                counted[*where, "sums"] += one[4] + other[4]
                counted[*where, "products"] += one[4] * other[4]
    return counted


@pytest.mark.parametrize("seed", range(6))
def test_random_conversations_are_what_is_counted_by_hand(seed: int) -> None:
    policy = PairingPolicy(
        window_s=2, join_timeout_s=6, allowed_lateness_s=7, request_time_tolerance_s=1
    )
    rng = random.Random(seed)
    payloads = random_log(rng, 200, Shape(conversing=0.9, reused=0.05))
    log = Log(policy)
    while payloads:
        cut = rng.randrange(1, 60)
        log.read(*payloads[:cut])
        payloads = payloads[cut:]
    expected = by_hand([some for out in log.outcomes for some in out.comparisons], policy)
    found: Counter[tuple[Any, ...]] = Counter()
    for row in latest(log.rows):
        for section in ("turns", "stable_turns", "candidate_turns"):
            for name in ("pairs", "sums", "products"):
                value = getattr(getattr(row, section), f"error_{name}")
                if value:
                    start_ms = int(row.window_start.timestamp() * 1000)
                    found[section, start_ms, row.language, name] += value
    assert any(key[0] == "turns" and key[3] == "products" for key in expected)
    assert dict(found) == {key: n for key, n in expected.items() if n}
