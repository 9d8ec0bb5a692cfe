"""Holders of clients are called in the child alone, while they live."""

from __future__ import annotations

import os
import sys

from understudy.gateways.after_fork import begin_after_forks, leave_to_parent, release


class Holder:
    began = 0

    def begin_in_child(self) -> None:
        self.began += 1


def test_child_begins_anew_and_the_parent_goes_on() -> None:
    holder, gone = Holder(), Holder()
    begin_after_forks(holder)
    begin_after_forks(gone)
    del gone
    pid = os.fork()
    if pid == 0:
        os._exit(holder.began)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert holder.began == 0


def test_client_that_is_left_to_the_parent_is_never_destroyed() -> None:
    client = Holder()
    references = sys.getrefcount(client)
    leave_to_parent(client)
    assert sys.getrefcount(client) == references + 1


def test_a_child_never_destroys_a_client_of_its_own_and_its_parent_does() -> None:
    client = Holder()
    references = sys.getrefcount(client)
    release(client)
    assert sys.getrefcount(client) == references
    pid = os.fork()
    if pid == 0:
        release(client)
        os._exit(sys.getrefcount(client) - references)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
