"""How the processes of a test run share its tests.

Tests that kill workers and brokers mostly wait: for a session to time out, for a broker to come
back. Tests of the core mostly compute. So that neither the cores nor the clock are idle, most
processes begin with tests that wait and the others with tests that compute; who has no more of one
kind takes the other.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_WAITING_FILES: Final = ("tests/faults/", "tests/integration/", "tests/brokers/")
_BY_THEMSELVES: Final = "tests/faults/"
"""These share nothing but servers, and a file of them may take minutes."""
_COMPUTING_PROCESSES: Final = 2
"""As many as the smallest machines of CI have cores."""


class TwoQueues(LoadScopeScheduling):
    """Files go to processes whole, but faults one by one."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._computing: set[str] = set()
        """Processes, by the names of their gateways, that take tests that compute first."""

    def remove_node(self, node: WorkerController) -> str | None:
        """Give what a process that crashed has not done to the others.

        xdist gives them its finished files as well: a process that gets one of those has nothing to
        report, so it is given nothing more, and the run never ends.
        """
        units = self.assigned_work[node]
        for scope in [name for name, tests in units.items() if all(tests.values())]:
            del units[scope]
        return super().remove_node(node)

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(_BY_THEMSELVES) else nodeid.split("::", 1)[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        wanted = self._next_for(node)
        self.workqueue.move_to_end(wanted, last=False)
        super()._assign_work_unit(node)

    def _next_for(self, node: WorkerController) -> str:
        """The first scope of the kind that a process prefers, else the first of all."""
        is_computing = self._is_computing(node)
        for scope in self.workqueue:
            if scope.startswith(_WAITING_FILES) is not is_computing:
                return scope
        return next(iter(self.workqueue))

    def _is_computing(self, node: WorkerController) -> bool:
        name = node.gateway.id
        if len(self._computing) < _COMPUTING_PROCESSES:
            self._computing.add(name)
        return name in self._computing
