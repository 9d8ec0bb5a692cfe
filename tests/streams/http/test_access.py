"""What a token may do, over a socket."""

from __future__ import annotations

from typing import Any

import pytest

from tests.streams.http.server import SECRET, Api, api
from understudy.schemas import openapi

pytestmark = pytest.mark.embedded

SCOPES = ("read", "feedback", "operate", "admin")
SECRETS = {scope: f"{SECRET}-{scope}" for scope in SCOPES}
TOKENS = ",".join(f"{scope}.holder:{scope}:{secret}" for scope, secret in SECRETS.items())
WRITES = [one for one in openapi.OPERATIONS if one.scope]
READS = [one for one in openapi.OPERATIONS if not one.scope and one.path not in openapi.PROBES]
MAY: dict[str, set[str]] = {
    "operate": {"operate", "admin"}, "admin": {"admin"}, "read": {"read", "operate", "admin"},
}  # fmt: skip


def ask(server: Api, operation: openapi.Operation, scope: str | None) -> Any:
    headers = {"Authorization": f"Bearer {SECRETS[scope]}"} if scope else {}
    path = operation.path.format(rollout_id="checkout")
    return server.ask(operation.method.upper(), path, data=b"{", headers=headers)


@pytest.mark.parametrize("operation", WRITES, ids=lambda one: one.name)
def test_writing_takes_the_scope_of_the_operation(operation: openapi.Operation) -> None:
    with api(tokens=TOKENS) as server:
        for scope in SCOPES:
            answer = ask(server, operation, scope)
            if scope in MAY[operation.scope]:
                assert answer.status not in (401, 403)
            else:
                assert answer.status == 403
                assert answer.detail == (
                    f"this takes the scope {operation.scope}, which the token of {scope}.holder "
                    "does not have"
                )
                assert answer.headers["www-authenticate"] == (
                    'Bearer realm="understudy", error="insufficient_scope", '
                    f'scope="{operation.scope}"'
                )


@pytest.mark.parametrize("operation", READS, ids=lambda one: one.name)
def test_reading_takes_a_token_where_settings_say_so(operation: openapi.Operation) -> None:
    with api(tokens=TOKENS) as server:
        assert ask(server, operation, None).status not in (401, 403)
    with api(tokens=TOKENS, read_needs_token=True) as server:
        assert ask(server, operation, None).status == 401
        for scope in SCOPES:
            answer = ask(server, operation, scope)
            assert (answer.status == 403) == (scope not in MAY["read"]), scope


@pytest.mark.parametrize("path", openapi.PROBES)
def test_probes_take_no_token(path: str) -> None:
    with api(tokens=TOKENS, read_needs_token=True) as server:
        assert server.get(path).status == 200
