"""Which names are answered to: those of this machine, addresses, and those in the settings."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.streams.http.server import Api, api
from understudy.streams.http.host_check import AllowedHosts
from understudy.streams.settings import HttpSettings, SettingsError

NAMED = AllowedHosts(HttpSettings(allowed_hosts="understudy.prod.svc, *.example.com"))


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8780", "LOCALHOST.", "api.localhost:1", "127.0.0.1:8780", "10.1.2.3",
     "[::1]:8780", "[fe80::1]", "understudy.prod.svc", "Understudy.prod.svc.:8780",
     "a.example.com", "a.b.example.com:80", f"{socket.gethostname()}:8780"],
)  # fmt: skip
def test_names_that_are_answered(host: str) -> None:
    assert NAMED.include(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8780", "localhost.evil.example", "127.0.0.1.evil.example",
     "example.com", "evil-example.com", "notlocalhost", "", ":8780", "localhost:8780:1",
     "[::1", "::1]", "prod.svc", "understudy.prod.svc.evil.example", "localhost@evil.example"],
)  # fmt: skip
def test_names_that_are_not(host: str) -> None:
    assert not NAMED.include(host)


def test_a_star_allows_all() -> None:
    assert AllowedHosts(HttpSettings(allowed_hosts="*")).include("evil.example")


@pytest.mark.parametrize(
    "name", ["a b", "http://a.example", "a.example:80", "*example.com", "*.", "[::1]"]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(SettingsError, match="is not the name of a host"):
        AllowedHosts(HttpSettings(allowed_hosts=f"fine.example,{name}"))


@pytest.fixture
def server() -> Api:  # type: ignore[misc]
    with api() as made:
        yield made


@pytest.mark.embedded
@pytest.mark.parametrize(
    "path", ["/api/v1/rollouts", "/metrics", "/api/v1/query?query=1", "/api/v1/openapi.json"]
)
def test_a_page_that_rebinds_its_name_reads_nothing(server: Api, path: str) -> None:
    answer = server.get(path, Host="evil.example:8780")
    assert answer.status == 421
    assert answer.detail == (
        "this worker does not answer to the name evil.example:8780; if it should, add it to "
        "[http] allowed_hosts"
    )
    assert server.get(path, Host="localhost:8780").status == 200


@pytest.mark.embedded
def test_a_page_that_rebinds_its_name_writes_nothing(server: Api) -> None:
    answer = server.write("POST", "/api/v1/rollouts/a/kill", {"reason": "x"}, Host="evil.example")
    assert answer.status == 421


@pytest.mark.embedded
def test_probes_are_answered_under_any_name(server: Api) -> None:
    assert server.get("/healthz", Host="anything.example").status == 200


@pytest.mark.embedded
def test_who_names_no_host_is_no_browser(server: Api) -> None:
    async def asked() -> bytes:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"GET /api/v1/rollouts HTTP/1.0\r\n\r\n")
        answer = await reader.readline()
        writer.close()
        return answer

    assert b" 200 " in server.run(asked())
