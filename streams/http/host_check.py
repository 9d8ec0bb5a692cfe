"""Which names this server answers to, against DNS rebinding.

A page in someone's browser may let its own name resolve to this server's address. To the browser
that is the page's own site, so the page may read what it gets; but the request names the page's
host. Addresses cannot be rebound, so they are always answered, and so are names of this machine.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from understudy.streams.http.problems import Problem
from understudy.streams.logs import LogLimit
from understudy.streams.settings import HttpSettings, SettingsError

log = structlog.get_logger(__name__)
_limited_log: Final = LogLimit(log)

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""Probes say nothing that a page could use, and come under many names."""
ANYTHING: Final = "*"
_NAME: Final = re.compile(r"(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::\d{1,5})?")
_MAX_SHOWN: Final = 100


class AllowedHosts:
    """The names in `[http] allowed_hosts`, and those of this machine."""

    def __init__(self, http: HttpSettings | None = None) -> None:
        """Raises `SettingsError` for what is no name of a host."""
        settings = http or HttpSettings()
        given = [name.strip().lower() for name in settings.allowed_hosts.split(",")]
        names = {name for name in given if name}
        for name in names:
            if name != ANYTHING and not _NAME.fullmatch(name):
                raise SettingsError(
                    f"[http] allowed_hosts: {name} is not the name of a host; write names without "
                    "ports, *.example.com for all below one, or * for all"
                )
        self._names = names | {"localhost", settings.host.lower(), socket.gethostname().lower()}
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))

    def include(self, header: str) -> bool:
        """Whether a `Host` header names this server."""
        if ANYTHING in self._names:
            return True
        match = _HOST.fullmatch(header.strip().lower())
        name = match[1].rstrip(".") if match else ""
        return (
            _is_address(name)
            or name in self._names
            or name.endswith((".localhost", *self._suffixes))
        )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def host_check(hosts: AllowedHosts) -> Middleware:
    """Refuse requests that name another host. Browsers always name one; old clients name none."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        named = request.headers.get("Host")
        if named is None or request.path in OPEN_PATHS or hosts.include(named):
            return await handler(request)
        _limited_log.warning("http.unknown_host", host=named[:_MAX_SHOWN], remote=request.remote)
        raise Problem(
            HTTPStatus.MISDIRECTED_REQUEST,
            f"this worker does not answer to the name {named[:_MAX_SHOWN]}; if it should, add it "
            "to [http] allowed_hosts",
        )

    return check
