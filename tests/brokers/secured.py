"""A broker as companies run it: SASL_SSL, a password for each user, and rights for each topic.

Only `admin`, on a listener without credentials, may do everything; users may do what they are
allowed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.brokers.certificates import make_certificates
from tests.brokers.kraft import KraftBroker
from tests.waiting import wait_until
from understudy.streams.kafka.access_rights import Right
from understudy.streams.settings import KafkaSettings

USERS: Final = ("gateway", "pairing", "deciding", "operator", "reader")
_CLIENT: Final = "listener.name.client"
_LOGIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_ANY_HOST: Final = "*"
_TIMEOUT_S: Final = 30.0


class SecuredBroker(KraftBroker):
    """Kafka's own jars with certificates, users and `StandardAuthorizer`."""

    def __init__(self) -> None:
        super().__init__()
        self._certificates = make_certificates(self._folder, self._client.split(":")[0])
        self.password: Final = secrets.token_hex(8)
        """The one of every user."""

    @property
    def unsecured_servers(self) -> str:
        """Address of the listener at which everyone may do everything."""
        return self._broker

    def settings(self, user: str, **client: str) -> KafkaSettings:
        """How a user connects; `client` replaces settings, `_` in a name standing for a dot."""
        security: dict[str, str | int | float | bool] = {
            "security.protocol": "sasl_ssl",
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": self.password,
            "ssl.ca.location": str(self._certificates.authority),
        }
        changed = {name.replace("_", "."): value for name, value in client.items()}
        return KafkaSettings(
            bootstrap_servers=self.bootstrap_servers, client={**security, **changed}
        )

    def allow(self, user: str, rights: Iterable[Right]) -> None:
        """Let a user do exactly this from now on; what it keeps is never withdrawn meanwhile."""
        admin = AdminClient({"bootstrap.servers": self.unsecured_servers})
        wanted = {_binding(user, right) for right in rights}

        def granted() -> set[AclBinding]:
            return set(admin.describe_acls(_all_of(user), request_timeout=_TIMEOUT_S).result())

        before = granted()
        withdrawn = [_filter_of(one) for one in before - wanted]
        deleted = admin.delete_acls(withdrawn, request_timeout=_TIMEOUT_S) if withdrawn else {}
        added = list(wanted - before)
        created = admin.create_acls(added, request_timeout=_TIMEOUT_S) if added else {}
        for answer in (*deleted.values(), *created.values()):
            answer.result()
        wait_until(lambda: granted() == wanted, "the broker has the rights of its controller")

    def _settings(self) -> dict[str, str]:
        users = " ".join(f'user_{user}="{self.password}"' for user in USERS)
        return super()._settings() | {
            "listener.security.protocol.map": (
                "CLIENT:SASL_SSL,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            f"{_CLIENT}.sasl.enabled.mechanisms": "PLAIN",
            f"{_CLIENT}.plain.sasl.jaas.config": f"{_LOGIN} {users};",
            f"{_CLIENT}.ssl.keystore.type": "PEM",
            f"{_CLIENT}.ssl.keystore.location": str(self._certificates.server),
        }


def _binding(user: str, right: Right) -> AclBinding:
    return AclBinding(
        ResourceType[right.resource.upper()], right.name, ResourcePatternType.LITERAL,
        f"User:{user}", _ANY_HOST, AclOperation[_constant(right.operation)],
        AclPermissionType.ALLOW,
    )  # fmt: skip


def _all_of(user: str) -> AclBindingFilter:
    return AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type]
        ResourcePatternType.ANY,
        f"User:{user}",
        None,  # type: ignore[arg-type]
        AclOperation.ANY,
        AclPermissionType.ANY,
    )  # fmt: skip


def _filter_of(one: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        one.restype, one.name, one.resource_pattern_type, one.principal, one.host, one.operation,
        one.permission_type,
    )  # fmt: skip


def _constant(operation: str) -> str:
    """Return librdkafka's name: `DescribeConfigs` is DESCRIBE_CONFIGS."""
    return "".join(f"_{c}" if c.isupper() else c for c in operation).lstrip("_").upper()
