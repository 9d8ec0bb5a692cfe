"""Requests that LiteLLM mirrors: what is reported in which order, and the events that follow."""

from __future__ import annotations

import datetime as dt
from itertools import permutations

import pytest

from understudy.gateways.call_errors import HUNG_UP, MIRROR_DROPPED
from understudy.gateways.mirrored_requests import (
    FORGET_S,
    LOST_REPORT_S,
    REPORT_GRACE_S,
    RETRY_GRACE_S,
    WAIT_S,
    Mirror,
    MirroredRequests,
    RequestFacts,
)
from understudy.schemas.adapters.recorded_answer import RecordedAnswer
from understudy.schemas.events import Error, Event, Response, Timing, decode_event, encode_event

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
MIRROR = Mirror(rollout_id="r", stable="prod", candidate="next")
FACTS = RequestFacts(pair_id="p", request_time=NOON, conversation_id="c", turn=2, trace_id="t")
DROPPED = MIRROR_DROPPED


def answer(output: str = "Hello", after_s: float = 0.0) -> RecordedAnswer:
    return RecordedAnswer(
        id="p",
        request_time=NOON + dt.timedelta(seconds=after_s),
        response=Response(output=output),
        timing=Timing(duration_ms=100.0),
    )


def failure(kind: str = "InternalServerError", after_s: float = 0.0) -> RecordedAnswer:
    return RecordedAnswer(
        id="p", request_time=NOON + dt.timedelta(seconds=after_s), error=Error(type=kind)
    )


def begun(*mirrors: Mirror) -> MirroredRequests:
    """A request that began at 0 s, its primary under way."""
    requests = MirroredRequests(mirrors or (MIRROR,))
    requests.begin("p", FACTS, 0.0)
    requests.expect("p", mirrors or (MIRROR,))
    requests.start_primary("p", "s1")
    return requests


def mirrored(requests: MirroredRequests) -> MirroredRequests:
    """Its mirrored call is under way, too."""
    requests.start_mirror("p", "next", "run", None)
    requests.start_mirror("p", "next", "run", "c1")
    return requests


def by_side(events: tuple[Event, ...]) -> dict[str, Event]:
    for event in events:
        assert decode_event(encode_event(event)) == event
    return {event.side: event for event in events}


def the_pair(taken: list[tuple[Event, ...]]) -> dict[str, Event]:
    [events] = taken
    sides = by_side(events)
    assert set(sides) == {"stable", "candidate"}
    return sides


def test_both_sides_are_published_together_once_both_have_answered() -> None:
    requests = mirrored(begun())

    requests.end_primary("s1", answer("A"), 0.1)
    assert requests.take("p", 0.1) == []

    requests.end_mirror("p", "next", "run", "c1", answer("B"), 0.2)
    sides = the_pair(requests.take("p", 0.2))

    assert sides["stable"].served is True
    assert sides["candidate"].served is False
    assert [one.request_time for one in sides.values()] == [NOON, NOON]
    assert [(one.conversation_id, one.turn) for one in sides.values()] == [("c", 2)] * 2
    assert sides["stable"].attributes == {"litellm.trace_id": "t"}
    assert len(requests) == 0


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_reports_does_not_matter(order: tuple[int, ...]) -> None:
    requests = mirrored(begun())
    reports = [
        lambda: requests.end_primary("s1", answer("A"), 0.1),
        lambda: requests.end_mirror("p", "next", "run", "c1", answer("B"), 0.1),
        lambda: requests.leave_mirror("p", "next", "run", 0.1),
    ]
    taken: list[tuple[Event, ...]] = []
    for n in order:
        reports[n]()
        taken += requests.take("p", 0.1)

    sides = the_pair(taken)
    assert sides["candidate"].response == Response(output="B")


def test_a_report_that_comes_twice_counts_once() -> None:
    """LiteLLM calls both the sync and the async hook of some calls."""
    requests = mirrored(begun())
    for _ in range(2):
        requests.end_mirror("p", "next", "run", "c1", failure(), 0.1)
    requests.leave_mirror("p", "next", "run", 0.1)
    requests.end_primary("s1", answer(), 0.1)

    assert the_pair(requests.take("p", 0.1))["candidate"].fallback is None


def test_a_mirrored_call_that_was_given_up_before_calling_is_no_harm_of_the_model() -> None:
    requests = begun()
    requests.start_mirror("p", "next", "run", None)
    requests.leave_mirror("p", "next", "run", 0.1)
    requests.end_primary("s1", answer(), 0.2)

    assert requests.take("p", 0.2) == []
    candidate = the_pair(requests.take_due(0.1 + REPORT_GRACE_S))["candidate"]

    assert candidate.error == DROPPED
    assert (candidate.attributes or {})["mirror_dropped"] == "not_started"


def test_a_mirrored_call_of_which_nothing_is_seen_was_not_started() -> None:
    requests = begun()
    requests.end_primary("s1", answer(), 0.2)

    assert requests.take_due(RETRY_GRACE_S) == []
    candidate = the_pair(requests.take_due(0.2 + RETRY_GRACE_S))["candidate"]

    assert candidate.error == DROPPED


def test_a_mirrored_call_that_failed_and_is_over_is_the_models_failure_at_once() -> None:
    requests = mirrored(begun())
    requests.end_primary("s1", answer(), 0.1)
    requests.end_mirror("p", "next", "run", "c1", failure(), 0.2)
    assert requests.take("p", 0.2) == []

    requests.leave_mirror("p", "next", "run", 0.3)

    assert the_pair(requests.take("p", 0.3))["candidate"].error == failure().error


def test_a_failure_waits_for_the_retry_that_may_follow() -> None:
    requests = mirrored(begun())
    requests.end_mirror("p", "next", "run", "c1", failure(), 0.1)
    requests.end_primary("s1", answer(), 0.2)
    assert requests.take_due(RETRY_GRACE_S) == []

    requests.start_mirror("p", "next", "run", "c2")
    requests.end_mirror("p", "next", "run", "c2", answer("B", after_s=5.0), 5.1)
    candidate = the_pair(requests.take("p", 5.1))["candidate"]

    assert candidate.response == Response(output="B")
    assert candidate.fallback is not None
    assert candidate.fallback.attempts == 2


def test_a_primary_that_failed_is_over_when_no_attempt_follows() -> None:
    requests = mirrored(begun())
    requests.end_mirror("p", "next", "run", "c1", answer("B"), 0.1)
    requests.end_primary("s1", failure(), 0.2)
    assert requests.take_due(RETRY_GRACE_S) == []

    sides = the_pair(requests.take_due(0.2 + RETRY_GRACE_S))

    assert sides["stable"].error == failure().error


def test_a_retried_primary_is_mirrored_again_and_its_first_mirror_counts() -> None:
    requests = mirrored(begun())
    requests.end_primary("s1", failure(), 0.1)
    requests.expect("p", [MIRROR])
    requests.start_primary("p", "s2")
    requests.start_mirror("p", "next", "run2", "c9")
    requests.end_mirror("p", "next", "run2", "c9", answer("second"), 0.3)
    requests.end_primary("s2", answer("A", after_s=0.2), 0.4)
    assert requests.take("p", 0.4) == []

    requests.end_mirror("p", "next", "run", "c1", answer("first"), 0.5)

    assert the_pair(requests.take("p", 0.5))["candidate"].response == Response(output="first")


def test_a_caller_that_hung_up_is_no_failure_of_stable() -> None:
    """LiteLLM reports nothing then."""
    requests = mirrored(begun())
    requests.end_mirror("p", "next", "run", "c1", answer("B"), 0.1)
    assert requests.take_due(WAIT_S - 0.1) == []

    sides = the_pair(requests.take_due(WAIT_S))

    assert sides["stable"].error == HUNG_UP
    assert sides["candidate"].error is None


def test_a_candidate_slower_than_the_join_is_published_alone() -> None:
    requests = mirrored(begun())
    requests.end_primary("s1", answer("A"), 1.0)
    assert requests.take_due(WAIT_S - 0.1) == []

    [first] = requests.take_due(WAIT_S)
    assert set(by_side(first)) == {"stable"}
    assert requests.take_due(WAIT_S + 1.0) == []

    requests.end_mirror("p", "next", "run", "c1", answer("B"), WAIT_S + 5.0)
    [second] = requests.take("p", WAIT_S + 5.0)
    assert set(by_side(second)) == {"candidate"}
    assert len(requests) == 0


def test_a_candidate_that_never_ends_is_forgotten() -> None:
    requests = mirrored(begun())
    requests.end_primary("s1", answer("A"), 1.0)
    requests.take_due(WAIT_S)

    assert requests.take_due(FORGET_S) == []
    assert len(requests) == 0


def test_a_lost_report_is_the_gateways() -> None:
    requests = mirrored(begun())
    requests.end_primary("s1", answer(), 0.1)
    requests.answer_mirror("p", "next", "run", 0.2)
    assert requests.take_due(LOST_REPORT_S) == []

    candidate = the_pair(requests.take_due(0.2 + LOST_REPORT_S))["candidate"]

    assert candidate.error == DROPPED
    assert (candidate.attributes or {})["mirror_dropped"] == "unreported"


def test_a_lost_report_of_the_primary_is_the_gateways() -> None:
    requests = mirrored(begun())
    requests.end_mirror("p", "next", "run", "c1", answer(), 0.1)
    requests.answer_primary("s1", 0.2)

    stable = the_pair(requests.take_due(0.2 + LOST_REPORT_S))["stable"]

    assert stable.error == Error(type="unreported", source="gateway")


def test_a_mirror_that_is_withheld_leaves_nothing_to_compare() -> None:
    requests = begun()
    requests.withhold("p", "next")
    requests.expect("p", [MIRROR])
    assert requests.take_due(1.0) == []
    assert requests.is_open("p"), "a further report of its start would begin it again"

    requests.end_primary("s1", answer(), 1.1)

    assert requests.take("p", 1.1) == []
    assert len(requests) == 0


def test_two_candidates_share_stables_answer() -> None:
    other = Mirror(rollout_id="r2", stable="prod", candidate="other", workflow="w")
    requests = mirrored(begun(MIRROR, other))
    requests.start_mirror("p", "other", "run3", "o1")
    requests.end_primary("s1", answer("A"), 0.1)
    requests.end_mirror("p", "next", "run", "c1", answer("B"), 0.2)
    first = the_pair(requests.take("p", 0.2))
    requests.end_mirror("p", "other", "run3", "o1", answer("C"), 0.3)
    second = the_pair(requests.take("p", 0.3))

    assert [one.rollout_id for one in first.values()] == ["r", "r"]
    assert [one.rollout_id for one in second.values()] == ["r2", "r2"]
    assert second["stable"].response == Response(output="A")
    assert second["stable"].workflow == "w"
    assert len(requests) == 0


def test_at_the_end_what_is_unknown_is_the_gateways() -> None:
    requests = mirrored(begun())
    requests.end_primary("s1", answer("A"), 0.1)

    candidate = the_pair(requests.take_all())["candidate"]

    assert candidate.error == DROPPED
    assert (candidate.attributes or {})["mirror_dropped"] == "shutdown"
    assert len(requests) == 0


def test_at_the_end_a_request_of_which_nothing_is_known_leaves_no_event() -> None:
    assert mirrored(begun()).take_all() == []


def test_the_oldest_request_makes_room() -> None:
    requests = MirroredRequests((MIRROR,), max_requests=1)
    requests.begin("p", FACTS, 0.0)
    requests.expect("p", [MIRROR])
    requests.start_primary("p", "s1")
    requests.end_primary("s1", answer("A"), 0.1)

    other = RequestFacts(pair_id="p2", request_time=NOON)
    candidate = the_pair(requests.begin("p2", other, 0.2))["candidate"]

    assert (candidate.attributes or {})["mirror_dropped"] == "overflow"
    assert requests.primary_of("s1") is None
    assert len(requests) == 1


def test_a_mirror_without_a_primary_is_forgotten() -> None:
    """Its stable side would look lost."""
    requests = MirroredRequests((MIRROR,))
    requests.begin("p", FACTS, 0.0)
    requests.expect("p", [MIRROR])
    mirrored(requests).end_mirror("p", "next", "run", "c1", answer(), 0.1)

    assert requests.take_due(WAIT_S) == []
    assert requests.take_due(FORGET_S) == []
    assert len(requests) == 0


def test_reports_about_requests_that_are_not_mirrored_change_nothing() -> None:
    requests = MirroredRequests((MIRROR,))
    requests.start_primary("q", "s1")
    requests.end_primary("s1", answer(), 0.1)
    requests.start_mirror("q", "next", "run", "c1")
    requests.end_mirror("q", "next", "run", "c1", answer(), 0.1)
    requests.leave_mirror("q", "next", "run", 0.1)

    assert requests.take_due(FORGET_S) == []
