"""Bearer tokens (RFC 6750), each with the name of its holder and its scopes."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from understudy.streams.settings import SettingsError

MIN_SECRET: Final = 16
"""Characters; 64 bits even of hexadecimal digits, too many to guess over a network."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SECRET: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)


Scope = Literal["read", "feedback", "captures", "operate", "admin"]
SCOPES: Final[Mapping[str, frozenset[Scope]]] = {
    "read": frozenset({"read"}),
    "feedback": frozenset({"feedback"}),
    "captures": frozenset({"captures", "read"}),
    "operate": frozenset({"operate", "read"}),
    "admin": frozenset({"admin", "operate", "captures", "feedback", "read"}),
}
"""What each scope includes. `read`: look; `feedback`: write ratings; `captures`: see texts of
pairs; `operate`: kill, resume, promote; `admin`: apply and delete policies, and read the audit."""


@dataclass(frozen=True, slots=True)
class Token:
    """The name of a holder, what they may do, and the digest of their secret."""

    name: str
    scopes: frozenset[Scope]
    digest: bytes

    def may(self, scope: Scope) -> bool:
        """Whether the token has a scope."""
        return scope in self.scopes


def read_tokens(text: str) -> tuple[Token, ...]:
    """Parse `name:scopes:secret`, several by comma. Raises `SettingsError`, naming no secret."""
    written = filter(None, map(str.strip, text.split(",")))
    return tuple(_token(one, f"[http] tokens: number {n}") for n, one in enumerate(written, 1))


def _token(text: str, where: str) -> Token:
    name, _, rest = text.partition(":")
    scopes, _, secret = rest.partition(":")
    if not _NAME.fullmatch(name) or not rest:
        raise SettingsError(
            f"{where} is not name:scopes:secret with a name of letters, digits and ._@-"
        )
    where = f"{where}, of {name}"
    known = ", ".join(SCOPES)
    if not secret:
        raise SettingsError(
            f"{where}: say what it may do, as name:scopes:secret, with scopes such as operate or "
            f"read+feedback; there are {known}"
        )
    unknown = [one for one in scopes.split("+") if one not in SCOPES]
    if unknown:  # it is not quoted: it may be part of a secret
        raise SettingsError(f"{where}: its scopes must be of {known}, joined by +")
    if len(secret) < MIN_SECRET or not _SECRET.fullmatch(secret):
        raise SettingsError(
            f"{where}: the secret needs at least {MIN_SECRET} characters of letters, digits and "
            "-._~+/, such as `openssl rand -hex 24` prints"
        )
    included = frozenset(scope for one in scopes.split("+") for scope in SCOPES[one])
    return Token(name, included, _digest(secret))


def holder(tokens: Sequence[Token], authorization: str) -> Token | None:
    """The token that is shown, or None. Takes the same time for every wrong token."""
    shown = _BEARER.fullmatch(authorization)
    digest = _digest(shown[1] if shown else "")
    found = [token for token in tokens if hmac.compare_digest(token.digest, digest)]
    return found[0] if found and shown else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
