"""Requests that schemathesis makes of our own description, sent to a server with real sockets.

Whatever is asked, the answer is one that the description names, and nothing is unexpected.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy

from tests.streams.http.test_server import Server, record, until
from tests.streams.rollouts.records import DECISIONS, ROLLOUTS, Kafka, killed
from understudy.schemas import openapi
from understudy.schemas.decisions import encode_decision
from understudy.streams.kafka.embedded_broker import EmbeddedBroker

if TYPE_CHECKING:
    from schemathesis import Case, GenerationMode
    from schemathesis.schemas import APIOperation

schemathesis = pytest.importorskip("schemathesis", reason="it comes with the extra `test`")
pytestmark = [pytest.mark.embedded, pytest.mark.slow]

SECRET = "correct-horse-battery"
HEADERS = {"Authorization": f"Bearer {SECRET}", "Prefer": "wait=0"}
"""Without waiting: a change may come after a minute only."""
EXAMPLES = 6
"""Of each kind and operation, for a test of half a minute; longer runs are by hand."""
TIMEOUT_S = 20.0
schemathesis.checks.load_all_checks()
CHECKS = schemathesis.checks.CHECKS.get_by_names(
    ["status_code_conformance", "content_type_conformance", "response_schema_conformance"]
)
SCHEMA = schemathesis.openapi.from_dict(openapi.build())
NEGATIVE = schemathesis.GenerationMode.NEGATIVE
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server that knows one rollout; what it logs as unexpected fails the test."""
    with EmbeddedBroker() as broker:
        kafka = Kafka(broker)
        kafka.write(ROLLOUTS, record())
        kafka.write(DECISIONS, ("checkout", encode_decision(killed())))
        server = Server(kafka.settings, tokens=f"anna:admin:{SECRET}")
        with structlog.testing.capture_logs() as logs, server.running():
            until(lambda: server.status_of("/readyz") == 200)
            yield f"http://127.0.0.1:{server.port}"
        assert [log for log in logs if log["event"] == "http.request_failed"] == []


def cases(operation: APIOperation, mode: GenerationMode) -> SearchStrategy[Case]:
    """Requests about any rollout, and about the one that there is."""
    of_any = operation.as_strategy(mode)
    if "{rollout_id}" not in operation.path or operation.method == "delete":
        return of_any
    return of_any | operation.as_strategy(mode, path_parameters={"rollout_id": "checkout"})


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda one: one.value)
def test_every_answer_is_as_described(
    address: str, operation: APIOperation, mode: GenerationMode
) -> None:
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(operation, mode))
    def ask(case: Case) -> None:
        response = case.call(base_url=address, headers=HEADERS, timeout=TIMEOUT_S)
        case.validate_response(response, checks=CHECKS)

    with suppress(Unsatisfiable) if mode is NEGATIVE else nullcontext():
        ask()  # of some operations nothing can be got wrong
