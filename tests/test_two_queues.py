"""How the processes of a test run share its tests, also when one of them crashes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from tests.two_queues import TwoQueues

TESTS = [f"tests/{name}.py::test_{number}" for name in "abcdef" for number in range(3)]


class Process:
    """A process that notes what it is given."""

    shutting_down = False

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.given: list[str] = []

    def send_runtest_some(self, indexes: list[int]) -> None:
        assert indexes, "it would wait for ever"
        self.given += [TESTS[index] for index in indexes]

    def shutdown(self) -> None:
        self.shutting_down = True


CONFIG: Any = SimpleNamespace(
    getvalue=lambda _: ["popen", "popen"], option=SimpleNamespace(loadscopereorder=False)
)


def test_what_a_crashed_process_has_finished_is_not_given_away() -> None:
    scheduler = TwoQueues(CONFIG, None)
    scheduler.log = lambda *_: None
    crashing, other = processes = [Process("gw0"), Process("gw1")]
    for process in processes:
        scheduler.add_node(cast(Any, process))
        scheduler.add_node_collection(cast(Any, process), TESTS)
    scheduler.schedule()
    done = crashing.given[:3]
    for test in done:
        scheduler.mark_test_complete(cast(Any, crashing), TESTS.index(test))
    assert scheduler.remove_node(cast(Any, crashing)) == crashing.given[3]
    finished = 0
    while finished < len(other.given):
        scheduler.mark_test_complete(cast(Any, other), TESTS.index(other.given[finished]))
        finished += 1
    assert other.shutting_down
    assert set(other.given) == set(TESTS) - set(done)
