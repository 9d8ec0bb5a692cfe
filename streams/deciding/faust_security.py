"""Translates librdkafka's security settings into Faust's.

A setting without a counterpart is an error: ignoring it could connect without the protection that
was asked for.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from faust.auth import Credentials, SASLCredentials, SSLCredentials

from understudy.streams.settings import SettingsError

Client = Mapping[str, str | int | float | bool]

_KNOWN: Final = {
    "security.protocol", "sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password",
    "ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.key.password",
    "enable.ssl.certificate.verification", "ssl.endpoint.identification.algorithm",
}  # fmt: skip
_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_FALSE: Final = ("false", "0", "f", "no")


def broker_credentials(client: Client) -> Credentials | None:
    """Faust's credentials from `[kafka.client]`, None for plaintext. Raises `SettingsError`."""
    _check_names(client)
    protocol = _protocol(client)
    context = _context(client) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL"):
        return _sasl(client, context)
    return SSLCredentials(context) if context else None


def _check_names(client: Client) -> None:
    unknown = {name for name in client if name.startswith(("sasl.", "ssl.", "enable.ssl"))} - _KNOWN
    if unknown:
        raise SettingsError(
            f"[kafka.client] {', '.join(sorted(unknown))}: the deciding role does not support it"
        )
    if _protocol(client) not in _PROTOCOLS:
        raise SettingsError(
            f"[kafka.client] security.protocol must be one of {', '.join(_PROTOCOLS).lower()}, "
            f"not {_protocol(client).lower()}"
        )


def _protocol(client: Client) -> str:
    return str(client.get("security.protocol", "plaintext")).upper()


def _sasl(client: Client, context: ssl.SSLContext | None) -> SASLCredentials:
    mechanism = str(client.get("sasl.mechanism") or client.get("sasl.mechanisms") or "")
    if mechanism not in _MECHANISMS:
        raise SettingsError(
            f"[kafka.client] sasl.mechanism must be one of {', '.join(_MECHANISMS)}, "
            f"not {mechanism or 'empty'}: the deciding role supports no other"
        )
    return SASLCredentials(
        username=str(client.get("sasl.username", "")),
        password=str(client.get("sasl.password", "")),
        ssl_context=context,
        mechanism=mechanism,
    )


def _context(client: Client) -> ssl.SSLContext:
    authority = client.get("ssl.ca.location")
    with _readable(authority, "ssl.ca.location"):
        context = ssl.create_default_context(cafile=str(authority) if authority else None)
    if str(client.get("ssl.endpoint.identification.algorithm", "https")).lower() == "none":
        context.check_hostname = False
    if str(client.get("enable.ssl.certificate.verification", "true")).lower() in _FALSE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = client.get("ssl.certificate.location")
    if certificate:
        key = client.get("ssl.key.location")
        # Without a password OpenSSL would prompt for one on the terminal.
        password = str(client.get("ssl.key.password", ""))
        with _readable(key or certificate, "ssl.certificate.location, ssl.key.location"):
            context.load_cert_chain(str(certificate), str(key) if key else None, password)
    return context


@contextmanager
def _readable(file: object, setting: str) -> Iterator[None]:
    """A certificate file that cannot be read is a wrong setting."""
    try:
        yield
    except OSError as error:  # ssl.SSLError is a subclass
        raise SettingsError(f"[kafka.client] {setting}: {file}: {error}") from None
