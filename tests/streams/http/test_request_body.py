"""Bodies that never arrive, wherever one is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.streams.http.server import Api, api
from understudy.streams.http import request_body

pytestmark = pytest.mark.embedded
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def alone() -> Iterator[Api]:
    with api() as made:
        yield made


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/v1/gates/flagger/confirm-rollout", {}),
        ("/api/v1/gates/flagger/rollback", {}),
        ("/api/v1/query", FORM),
    ],
)
def test_a_body_has_a_deadline(
    alone: Api, path: str, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "BODY_TIMEOUT_S", 0.1)

    async def never_ends() -> AsyncIterator[bytes]:
        yield b"q"
        await alone.view.wait_until(lambda: False, 2.0)

    answer = alone.ask("POST", path, data=never_ends(), headers=headers)
    assert (answer.status, answer.detail) == (408, "the body did not arrive in time")


def test_a_form_writes_no_files(alone: Api) -> None:
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    body = (
        b'--x\r\nContent-Disposition: form-data; name="query"; filename="f"\r\n\r\n1\r\n--x--\r\n'
    )
    answer = alone.ask("POST", "/api/v1/query", data=body, headers=multipart)
    assert (answer.status, answer.json["errorType"]) == (400, "bad_data")


@pytest.mark.parametrize(
    ("expected", "first"),
    [
        (b"100-continue", b"HTTP/1.1 100 Continue"),
        (b"100-Continue", b"HTTP/1.1 100 Continue"),
        (b"100-contin\xefe", b"HTTP/1.1 400 Bad Request"),
        (b"a miracle", b"HTTP/1.1 400 Bad Request"),
    ],
)
def test_a_client_may_expect_anything(alone: Api, expected: bytes, first: bytes) -> None:
    """The hook without a rollout is refused, whatever it expects."""
    head = b"POST /api/v1/gates/flagger/rollback HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    sent = head + b"Expect: " + expected + b"\r\nContent-Length: 2\r\n\r\n{}"

    async def exchange() -> bytes:
        reader, writer = await asyncio.open_connection(*alone.address)
        writer.write(sent)
        try:
            async with asyncio.timeout(30.0):
                return await reader.readline()
        finally:
            writer.close()

    assert alone.run(exchange()).strip() == first
