"""librdkafka's security settings as Faust's, and as what aiokafka is given in the end."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from understudy.streams.deciding.faust_security import broker_credentials
from understudy.streams.settings import SettingsError

SASL = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "anna", "sasl.password": "s3cret"}


def auth(**client: Any) -> dict[str, Any]:
    """What is passed to aiokafka, of settings written with `__` for a dot."""
    return dict(credentials_to_aiokafka_auth(_credentials(**client)))


def _credentials(**client: Any) -> Any:
    return broker_credentials({name.replace("__", "."): value for name, value in client.items()})


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key, which has the password `pass`."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -subj /CN=test -days 2 -passout pass:pass"
    subprocess.run(
        [*command.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.mark.parametrize("protocol", [None, "plaintext", "PLAINTEXT"])
def test_plain_text_needs_none(protocol: str | None) -> None:
    client = {} if protocol is None else {"security.protocol": protocol}
    assert broker_credentials({**client, "session.timeout.ms": 6000}) is None


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("name", ["sasl.mechanism", "sasl.mechanisms"])
def test_sasl_without_tls(mechanism: str, name: str) -> None:
    found = broker_credentials(
        {
            "security.protocol": "sasl_plaintext",
            name: mechanism,
            "sasl.username": "anna",
            "sasl.password": 12345,
        }
    )
    assert isinstance(found, SASLCredentials)
    assert credentials_to_aiokafka_auth(found) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "anna",
        "sasl_plain_password": "12345",
        "ssl_context": None,
    }
    assert "12345" not in repr(found)


def test_sasl_over_tls() -> None:
    passed = credentials_to_aiokafka_auth(
        broker_credentials({**SASL, "security.protocol": "SASL_SSL"})
    )
    assert passed["security_protocol"] == "SASL_SSL"
    assert passed["sasl_mechanism"] == "SCRAM-SHA-512"
    assert passed["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert passed["ssl_context"].check_hostname


def test_tls_alone_verifies_the_broker() -> None:
    assert isinstance(_credentials(security__protocol="ssl"), SSLCredentials)
    passed = auth(security__protocol="ssl")
    assert passed["security_protocol"] == "SSL"
    assert passed["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert passed["ssl_context"].check_hostname


@pytest.mark.parametrize("value", [False, "false", "False"])
def test_verification_can_be_turned_off(value: object) -> None:
    context = broker_credentials(
        {"security.protocol": "ssl", "enable.ssl.certificate.verification": value}  # type: ignore[dict-item]
    ).context  # type: ignore[union-attr]
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


def test_a_broker_of_another_name_is_accepted_where_settings_say_so() -> None:
    context = _credentials(
        security__protocol="ssl", ssl__endpoint__identification__algorithm="none"
    ).context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.check_hostname


def test_certificates_are_read(certificate: tuple[Path, Path]) -> None:
    file, key = certificate
    context = _credentials(
        security__protocol="ssl", ssl__ca__location=str(file),
        ssl__certificate__location=str(file), ssl__key__location=str(key),
        ssl__key__password="pass",
    ).context  # fmt: skip
    (authority,) = context.get_ca_certs()
    assert authority["subject"] == ((("commonName", "test"),),)


@pytest.mark.parametrize("password", [{}, {"ssl__key__password": "wrong"}])
def test_a_key_that_cannot_be_read_is_a_wrong_setting(
    certificate: tuple[Path, Path], password: dict[str, str]
) -> None:
    file, key = certificate
    with pytest.raises(SettingsError, match=r"ssl\.key\.location: .*key\.pem"):
        _credentials(
            security__protocol="ssl", ssl__certificate__location=str(file),
            ssl__key__location=str(key), **password,
        )  # fmt: skip


@pytest.mark.parametrize("name", ["ssl.ca.location", "ssl.certificate.location"])
def test_a_file_that_is_not_there_is_a_wrong_setting(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ssl\..*nowhere\.pem"):
        broker_credentials({"security.protocol": "ssl", name: str(tmp_path / "nowhere.pem")})


@pytest.mark.parametrize(
    ("client", "why"),
    [
        ({"ssl.cipher.suites": "x"}, "ssl.cipher.suites: the deciding role does not support it"),
        ({"sasl.oauthbearer.method": "oidc", "ssl.crl.location": "x"},
         "sasl.oauthbearer.method, ssl.crl.location"),
        ({**SASL, "security.protocol": "sasl_ssl", "sasl.mechanism": "GSSAPI"}, "SCRAM-SHA-256"),
        ({"security.protocol": "sasl_plaintext"}, "sasl.mechanism"),
        ({"security.protocol": "tls"}, "security.protocol .*not tls"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_refused(client: dict[str, str], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        broker_credentials(client)
