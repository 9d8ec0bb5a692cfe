"""Which pairs are captured, in which order, and that neither kills nor batches show in them."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from typing import Any

import pytest

from tests.streams.pairing.kills import Sinks, cut_anywhere, disturbed, undisturbed
from tests.streams.pairing.log import EPOCH, POLICY, Log, event
from tests.streams.pairing.random_logs import Shape, random_log
from tests.streams.pairing.test_recovery import POLICY as SHORT_POLICY
from understudy.schemas.rollouts import Capture
from understudy.streams.clickhouse.captured_pair import CapturedPair
from understudy.streams.pairing.capture_choices import (
    CaptureChoice,
    CaptureChoices,
    CaptureLimits,
)
from understudy.streams.pairing.pair_place import place_of
from understudy.streams.pairing.pairing_policy import PairingPolicy

START_MS = int(EPOCH.timestamp() * 1000)
SMALL = CaptureLimits(
    pairs_per_kind=2, pairs_per_window=4, sampled_per_window=6, sample_share=0.5, max_text_bytes=64
)


def capturing(
    capture: Capture = "worst",
    policy: PairingPolicy = POLICY,
    limits: CaptureLimits = SMALL,
    from_ms: int = 0,
) -> PairingPolicy:
    choices = CaptureChoices(limits, {"r": CaptureChoice(capture, from_ms)})
    return dataclasses.replace(policy, captures=choices)


def pair(pair_id: str, at_s: float = 0.0, **candidate: Any) -> list[bytes]:
    """Two sides; stable says hello, the candidate what is given."""
    answer = {"response": {"output": "hello"}, **candidate}
    return [event(pair_id, at_s=at_s), event(pair_id, "candidate", at_s=at_s, **answer)]


def captured(log: Log) -> list[CapturedPair]:
    return [one for outcome in log.outcomes for one in outcome.captured]


ERROR: dict[str, Any] = {"response": None, "error": {"type": "timeout"}}
EMPTY: dict[str, Any] = {"response": {"output": " "}}
LATER = pair("later", at_s=100.0)
"""Closes the windows before it."""


def test_nothing_is_captured_unless_a_policy_says_so() -> None:
    log = Log().read(*pair("a", **ERROR), *LATER)
    assert captured(log) == []
    log = Log(capturing("none")).read(*pair("a", **ERROR), *LATER)
    assert captured(log) == []


def test_worst_pairs_are_captured_when_their_window_closes() -> None:
    log = Log(capturing()).read(*pair("a", **ERROR), *pair("same"))
    assert captured(log) == []
    log.read(*LATER)
    [one] = captured(log)
    assert (one.pair_id, one.kind, one.severity, one.rank) == ("a", "error", 1.0, 1)
    assert (one.stable.output, one.candidate.error_type) == ("hello", "timeout")
    assert one.window_start_ms == START_MS
    [row] = [row for row in log.rows if row.closed]
    assert one.version == row.version
    assert log.state.tally.captured == 1


def test_of_each_kind_the_worst_come_first_and_the_sum_is_bounded() -> None:
    many = [pair(f"e{n}", **ERROR) for n in range(9)] + [pair(f"n{n}", **EMPTY) for n in range(9)]
    french = [pair("f", language="fr"), pair("g", language="fr", **ERROR)]
    sides = [side for sides in many for side in sides]
    sides += [event("g", language="fr"), french[1][1]]
    log = Log(capturing()).read(*sides, *LATER)
    found = captured(log)
    count = Counter((one.language, one.kind) for one in found)
    assert len(count) == 3
    assert count["fr", "error"] == 1
    assert count["en", "error"] + count["en", "empty"] == 3
    assert {one.rank for one in found} == {1, 2}


@pytest.mark.parametrize("capture", ["sample", "all"])
def test_sample_and_all_take_pairs_that_are_not_worse(capture: Capture) -> None:
    sides = [side for n in range(40) for side in pair(f"p{n}", at_s=n / 10)]
    found = captured(Log(capturing(capture)).read(*sides, *LATER))
    assert len(found) == SMALL.sampled_per_window
    assert {one.kind for one in found} == {"none"}
    assert sorted(one.rank for one in found) == [1, 2, 3, 4, 5, 6]
    wide = dataclasses.replace(SMALL, sampled_per_window=100)
    more = captured(Log(capturing(capture, limits=wide)).read(*sides, *LATER))
    assert len(more) == 40 if capture == "all" else 10 < len(more) < 30


def test_candidate_alone_is_captured_when_it_fails() -> None:
    alone: dict[str, Any] = {"mode": "canary", "sides": ["candidate"]}
    stable: dict[str, Any] = {"mode": "canary", "sides": ["stable"]}
    log = Log(capturing()).read(
        event("a", "candidate", **alone, **ERROR),
        event("b", "candidate", **alone),
        event("c", **stable, **ERROR),
        *LATER,
    )
    [one] = captured(log)
    assert (one.pair_id, one.mode, one.stable.is_there) == ("a", "canary", False)


def test_what_begins_before_the_policy_is_known_to_all_is_not_captured() -> None:
    policy = capturing(from_ms=START_MS + 10_000)
    log = Log(policy).read(*pair("a", **ERROR), *pair("b", at_s=11.0, **ERROR), *LATER)
    assert [one.pair_id for one in captured(log)] == ["b"]


def test_what_is_switched_off_is_dropped() -> None:
    policy = capturing()
    log = Log(policy).read(*pair("a", **ERROR))
    policy.captures.by_rollout = {}
    assert captured(log.read(*LATER)) == []


def test_texts_are_redacted_and_cut() -> None:
    request = {"prompt": "I am anna@example.org", "tools": ["mail"]}
    call = {"name": "mail", "arguments": {"to": "bob@example.org"}}
    answer = {"output": "card 4111 1111 1111 1111 " + "x" * 500, "tool_calls": [call]}
    log = Log(capturing("all")).read(
        event("a", request=request),
        event("a", "candidate", request=request, response=answer),
        *LATER,
    )
    [one] = [one for one in captured(log) if one.pair_id == "a"]
    assert one.prompt == "I am [email]"
    assert one.candidate.tool_calls == '[{"name":"mail","arguments":{"to":"[email]"}}]'
    assert one.candidate.output == "card [card] " + "x" * (64 - len("card 4111 1111 1111 1111 "))
    assert (one.candidate.is_cut, one.candidate.output_characters) == (True, 525)
    assert one.redacted == ["card", "email"]


def test_what_is_kept_in_memory_is_bounded_by_bytes() -> None:
    """Of far more pairs than are captured, whatever script they are written in."""
    policy, beyond = capturing(limits=SMALL), 4_096
    long = {"response": {"output": "漢字" * 9_000, "finish_reason": "length"}}
    sides = [side for n in range(60) for side in pair(f"p{n}", **(ERROR if n % 2 else long))]
    log = Log(policy).read(*sides)
    kept = [one for window in log.state._captures._windows.values() for one in _all(window)]  # type: ignore[attr-defined]
    assert 0 < len(kept) <= SMALL.pairs_per_window + 1
    most = SMALL.max_text_bytes + beyond
    assert max(len(one.pair.candidate.output.encode()) for one in kept) <= most


def test_all_rollouts_and_partitions_share_one_memory() -> None:
    """What finds no room is left out and counted; a worse pair takes the place of a better one."""
    limits = dataclasses.replace(SMALL, max_text_bytes=4_096, max_bytes=60_000)
    choices = CaptureChoices(limits, {name: CaptureChoice("worst", 0) for name in ("r", "s")})
    policy = dataclasses.replace(POLICY, captures=choices)
    other = Log(policy)
    long = {"response": {"output": "x" * 8_000}}
    sides = [
        event(f"p{n}", side, rollout_id=rollout, **(long if side == "candidate" else {}))
        for n in range(9) for rollout in "rs" for side in ("stable", "candidate")
    ]  # fmt: skip
    assert other.read(*sides).state.capture_bytes > 0
    log = Log(policy).read(*(side for n in range(6) for side in pair(f"q{n}", **long)))
    states = [one.state for one in (other, log)]
    assert choices.memory.kept_bytes == sum(one.capture_bytes for one in states) <= 60_000
    assert sum(one.tally.capture_dropped for one in states) > 0
    log.read(*LATER)
    assert log.state.capture_bytes == 0
    kept = other.state.capture_bytes
    del log, states
    assert choices.memory.kept_bytes == kept


def test_the_worst_of_a_group_stay_where_there_is_no_more_memory() -> None:
    limits = dataclasses.replace(SMALL, max_bytes=4_000)
    sides = [side for n in range(30) for side in pair(f"e{n}", **ERROR)]
    log, free = Log(capturing(limits=limits)), Log(capturing())
    [one], [first, *_] = captured(log.read(*sides, *LATER)), captured(free.read(*sides, *LATER))
    assert (one.pair_id, one.rank) == (first.pair_id, 1)
    assert log.state.tally.capture_dropped > 0
    assert free.state.tally.capture_dropped == 0


def test_a_pair_for_which_nothing_makes_enough_room_drops_no_other() -> None:
    """It ranks first, by its place, and is larger than all of the memory."""
    limits = dataclasses.replace(SMALL, max_text_bytes=65_536, max_bytes=60_000)
    places = sorted((place_of("r", f"e{n}"), f"e{n}") for n in range(5))
    large = {"response": {"output": "x" * 65_000}}
    sides = [
        event(name, side, **(ERROR if side == "candidate" else {}))
        for _, name in places[1:] for side in ("stable", "candidate")
    ]  # fmt: skip
    last = [event(places[0][1], **large), event(places[0][1], "candidate", **ERROR)]
    log = Log(capturing(limits=limits)).read(*sides)
    kept = log.state.capture_bytes
    assert kept > 0
    log.read(*last)
    assert log.state.capture_bytes == kept
    assert log.state.tally.capture_dropped == 1


def test_names_go_where_a_recognizer_is_installed() -> None:
    policy = capturing("all")
    policy.captures.recognize = lambda text: [(0, 4, "PERSON")] if text.startswith("Anna") else []
    answer = {"response": {"output": "Anna wrote anna@example.org"}}
    log = Log(policy).read(event("a", **answer), event("a", "candidate", **answer), *LATER)
    [one] = [one for one in captured(log) if one.pair_id == "a"]
    assert one.stable.output == one.candidate.output == "[person] wrote [email]"
    assert one.redacted == ["email", "person"]


def _all(window: Any) -> list[Any]:
    return [one for ranked in window.groups.values() for one in ranked]


def test_refusal_says_that_it_is_one() -> None:
    refused = {"refusal": "I cannot.", "finish_reason": "stop"}
    log = Log(capturing("all")).read(
        event("a", response=refused), event("a", "candidate", response=refused), *LATER
    )
    [one] = [one for one in captured(log) if one.pair_id == "a"]
    assert (one.stable.output, one.stable.finish_reason) == ("I cannot.", "refusal")


def test_hash_in_place_of_a_text_is_not_captured() -> None:
    hashed = {"output": "0f" * 16, "output_form": "hashed"}
    log = Log(capturing("all")).read(
        event("a", response=hashed), event("a", "candidate", response=hashed), *LATER
    )
    [one] = [one for one in captured(log) if one.pair_id == "a"]
    assert (one.stable.output, one.candidate.output) == ("", "")


def test_pair_that_cannot_be_redacted_is_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("of anna@example.org")

    monkeypatch.setattr("understudy.schemas.redaction.redact.redact_and_cut", fail)
    log = Log(capturing()).read(*pair("a", **ERROR), *LATER)
    assert captured(log) == []
    assert log.state.tally.capture_failures == 1
    assert log.reasons == []


def test_end_of_the_input_captures_what_is_open() -> None:
    log = Log(capturing()).read(*pair("a", **ERROR))
    [one] = log.state.finish().captured  # type: ignore[attr-defined]
    assert (one.pair_id, one.version) == ("a", 2)


# Kills and batches

BAD = Shape(says=("yes", "no", "", "", "maybe so"), untold=0.1)


def captures_of(sinks: Sinks) -> set[tuple[Any, ...]]:
    return {one for one in sinks.outcomes if one[0] == "captured"}


@pytest.mark.parametrize("capture", ["worst", "sample", "all"])
@pytest.mark.parametrize("seed", range(12))
def test_neither_kills_nor_batches_show(seed: int, capture: Capture) -> None:
    policy = capturing(capture, SHORT_POLICY)
    rng = random.Random(seed)
    log = random_log(rng, 80, BAD)
    whole = captures_of(undisturbed(log, policy))
    assert whole
    assert captures_of(disturbed(log, rng, policy)) == whole
    assert captures_of(cut_anywhere(log, rng, policy, 20)) == whole


def test_capturing_changes_no_window_and_no_comparison() -> None:
    log = random_log(random.Random(5), 120, BAD)
    without, with_ = (
        undisturbed(log, SHORT_POLICY),
        undisturbed(log, capturing("all", SHORT_POLICY)),
    )
    assert with_.contents() == without.contents()
    assert with_.outcomes - captures_of(with_) == without.outcomes


def test_order_in_which_pairs_come_does_not_show() -> None:
    """Far more pairs than are kept, in orders of any kind."""
    bad: list[dict[str, Any]] = [ERROR, EMPTY, {"response": {"output": "x" * 400}}]
    pairs = [
        [event(f"p{n}", language=tag), event(f"p{n}", "candidate", **{"language": tag, **severity})]
        for n, severity, tag in (
            (n, bad[n % 3], ("en", "ja", "fr", "ar")[n % 4]) for n in range(200)
        )
    ]  # fmt: skip
    rng, seen = random.Random(3), set()
    for _ in range(10):
        rng.shuffle(pairs)
        sides = [side for both in pairs for side in both]
        log = Log(capturing(limits=CaptureLimits(max_text_bytes=64))).read(*sides, *LATER)
        rows = sorted(
            (one.language, one.kind, one.rank, one.pair_id) for one in captured(log)
        )  # versions differ, as the windows' do not: the last record closes them
        assert len(rows) == CaptureLimits().pairs_per_window
        seen.add(tuple(rows))
    assert len(seen) == 1
