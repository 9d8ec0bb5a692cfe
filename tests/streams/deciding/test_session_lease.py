"""The lease: nothing is sent that could arrive when another worker owns the partitions."""

from __future__ import annotations

from understudy.streams.deciding.session_lease import SessionLease

SESSION_S = 10.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_what_is_sent_arrives_or_is_given_up_within_the_session() -> None:
    clock = Clock()
    lease = SessionLease(SESSION_S, clock)
    assert not lease.is_valid
    lease.renew(clock.now_s)
    held_s = 0.0
    while lease.is_valid:
        held_s += 0.1
        clock.now_s += 0.1
    assert held_s > 0.0
    assert held_s - 0.1 + lease.send_timeout_s <= SESSION_S


def test_it_counts_from_when_the_broker_was_asked() -> None:
    """The answer may have come to a process that was suspended meanwhile."""
    clock = Clock()
    lease = SessionLease(SESSION_S, clock)
    asked_s = lease.now()
    clock.now_s += SESSION_S
    lease.renew(asked_s)
    assert not lease.is_valid
    lease.renew(lease.now())
    lease.renew(asked_s)
    assert lease.is_valid
