"""Bearer tokens (RFC 6750) for writing, each with the name of its holder."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from understudy.streams.settings import SettingsError

MIN_SECRET: Final = 16
"""Characters; 64 bits even of hexadecimal digits, too many to guess over a network."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SECRET: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Token:
    """The name of a holder and the digest of their secret."""

    name: str
    digest: bytes


def read_tokens(text: str) -> tuple[Token, ...]:
    """Parse `name:secret`, several by comma. Raises `SettingsError`, which names no secret."""
    tokens: list[Token] = []
    for place, one in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        name, _, secret = one.partition(":")
        where = f"[http] tokens: number {place}"
        if not _NAME.fullmatch(name) or not secret:
            raise SettingsError(
                f"{where} is not name:secret with a name of letters, digits and ._@-"
            )
        if len(secret) < MIN_SECRET or not _SECRET.fullmatch(secret):
            raise SettingsError(
                f"{where}, of {name}: the secret needs at least {MIN_SECRET} characters of "
                f"letters, "
                "digits and -._~+/, such as `openssl rand -hex 24` prints"
            )
        tokens.append(Token(name, _digest(secret)))
    return tuple(tokens)


def holder(tokens: Sequence[Token], authorization: str) -> str | None:
    """The name of a token's holder, or None. Takes the same time for every wrong token."""
    shown = _BEARER.fullmatch(authorization)
    digest = _digest(shown[1] if shown else "")
    names = [token.name for token in tokens if hmac.compare_digest(token.digest, digest)]
    return names[0] if names and shown else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
