"""Who may write: bearer tokens (RFC 6750), each with the name of its holder."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from understudy.streams.settings import SettingsError

MIN_SECRET: Final = 16
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SECRET: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Token:
    """A holder, and the digest of what they show."""

    name: str
    digest: bytes


def read_tokens(text: str) -> tuple[Token, ...]:
    """`name:secret`, several by comma. Raises `SettingsError`, which tells no secret."""
    tokens: list[Token] = []
    for place, one in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        name, _, secret = one.partition(":")
        where = f"[api] tokens: number {place}"
        if not _NAME.fullmatch(name) or not secret:
            raise SettingsError(f"{where} is not name:secret, the name of letters, digits and ._@-")
        if len(secret) < MIN_SECRET or not _SECRET.fullmatch(secret):
            raise SettingsError(
                f"{where}, of {name}: a secret has at least {MIN_SECRET} letters, digits and "
                "-._~+/, such as `openssl rand -hex 24` prints"
            )
        tokens.append(Token(name, _digest(secret)))
    return tuple(tokens)


def holder(tokens: Sequence[Token], authorization: str) -> str | None:
    """Who shows this token; None for nobody. Takes the same time for every wrong one."""
    shown = _BEARER.fullmatch(authorization)
    digest = _digest(shown[1] if shown else "")
    names = [token.name for token in tokens if hmac.compare_digest(token.digest, digest)]
    return names[0] if names and shown else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
