"""librdkafka's security settings as Faust's; what has no counterpart is an error, not ignored."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

from faust.auth import Credentials, SASLCredentials, SSLCredentials

from understudy.streams.settings import SettingsError

Client = Mapping[str, str | int | float | bool]

_KNOWN: Final = {
    "security.protocol", "sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password",
    "ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.key.password",
}  # fmt: skip
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def broker_credentials(client: Client) -> Credentials | None:
    """What `[kafka.client]` says of SASL and TLS. Raises `SettingsError`."""
    _check(client)
    protocol = str(client.get("security.protocol", "plaintext")).upper()
    context = _context(client) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL"):
        return _sasl(client, context)
    return SSLCredentials(context) if context else None


def _check(client: Client) -> None:
    unknown = {name for name in client if name.startswith(("sasl.", "ssl.", "enable.ssl"))} - _KNOWN
    if unknown:
        raise SettingsError(
            f"[kafka.client] {', '.join(sorted(unknown))}: the deciding role does not know it"
        )


def _sasl(client: Client, context: ssl.SSLContext | None) -> SASLCredentials:
    mechanism = str(client.get("sasl.mechanism") or client.get("sasl.mechanisms") or "")
    if mechanism not in _MECHANISMS:
        raise SettingsError(
            f"[kafka.client] sasl.mechanism: the deciding role knows {', '.join(_MECHANISMS)}"
        )
    return SASLCredentials(
        username=str(client.get("sasl.username", "")),
        password=str(client.get("sasl.password", "")),
        ssl_context=context,
        mechanism=mechanism,
    )


def _context(client: Client) -> ssl.SSLContext:
    authority = client.get("ssl.ca.location")
    context = ssl.create_default_context(cafile=str(authority) if authority else None)
    certificate = client.get("ssl.certificate.location")
    if certificate:
        key, password = client.get("ssl.key.location"), client.get("ssl.key.password")
        context.load_cert_chain(
            str(certificate),
            str(key) if key else None,
            str(password) if password is not None else None,
        )
    return context
