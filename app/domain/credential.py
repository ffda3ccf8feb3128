"""Credentials: how a request shows which user sends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class CredentialKind(StrEnum):
    """The three ways to sign in: a token of the identity provider, a browser's session, and a machine's own token."""

    ACCESS_TOKEN = "ACCESS_TOKEN"  # noqa: S105 - the name of a kind
    SESSION = "SESSION"
    SERVICE_TOKEN = "SERVICE_TOKEN"  # noqa: S105 - the name of a kind


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential of a request, before the database says whose it is, and whether it still counts.

    An access token has the subject, and its issuer (None: the configured one). A session and a service token have the
    SHA-256 of their secret and nothing else.
    """

    kind: CredentialKind
    subject: str = ""
    issuer: str | None = None
    secret_sha256: bytes = b""

    @property
    def is_secret(self) -> bool:
        """Whether it is a secret alone. Anybody can send one that nobody has; an access token has a signature."""
        return self.kind is not CredentialKind.ACCESS_TOKEN

    @classmethod
    def of_access_token(cls, subject: str, issuer: str | None = None) -> "Credential":
        """The credential of a verified access token."""
        return cls(CredentialKind.ACCESS_TOKEN, subject=subject, issuer=issuer)

    @classmethod
    def of_session(cls, secret_sha256: bytes) -> "Credential":
        """The credential of a session cookie."""
        return cls(CredentialKind.SESSION, secret_sha256=secret_sha256)

    @classmethod
    def of_service_token(cls, secret_sha256: bytes) -> "Credential":
        """The credential of a service token."""
        return cls(CredentialKind.SERVICE_TOKEN, secret_sha256=secret_sha256)


REFUSED: Mapping[CredentialKind, str] = {
    CredentialKind.ACCESS_TOKEN: "The token does not belong to an active user.",
    CredentialKind.SESSION: "The session has ended. Sign in again.",
    CredentialKind.SERVICE_TOKEN: "The service token has expired or was revoked, or its user is not active.",
}
"""What is said of a credential that signs nobody in."""
