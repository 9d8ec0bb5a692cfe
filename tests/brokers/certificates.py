"""Certificates that live as long as a test: an authority, and a server that it vouches for."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.brokers.contract import NoBroker


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM."""

    authority: Path
    """What clients trust."""
    server: Path
    """The server's key, its certificate and the authority's, in one file, as Kafka reads them."""


def make_certificates(folder: Path, address: str) -> Certificates:
    """Make them with openssl, for a server at an IP address. Raises `NoBroker` without openssl."""
    if shutil.which("openssl") is None:
        raise NoBroker("no openssl in PATH to make certificates with")
    authority, authority_key = folder / "authority.pem", folder / "authority.key"
    certificate, key, request = folder / "server.crt", folder / "server.key", folder / "server.csr"
    extensions = folder / "server.ext"
    extensions.write_text(f"subjectAltName=IP:{address}\n")
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
             "/CN=Test authority", "-keyout", authority_key, "-out", authority)  # fmt: skip
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={address}", "-keyout", key,
             "-out", request)  # fmt: skip
    _openssl("x509", "-req", "-days", "2", "-in", request, "-CA", authority, "-CAkey",
             authority_key, "-CAcreateserial", "-extfile", extensions, "-out",
             certificate)  # fmt: skip
    server = folder / "server.pem"
    server.write_bytes(key.read_bytes() + certificate.read_bytes() + authority.read_bytes())
    return Certificates(authority, server)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
