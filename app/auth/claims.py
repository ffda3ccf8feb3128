"""The claims of a verified token, and the two errors of verification: an invalid token, and unavailable keys."""

from dataclasses import dataclass
from enum import StrEnum, unique


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token.

    `subject` is 1 to 255 printable characters, unique at the issuer. `expires_at` is the token's own `exp` in whole
    Unix seconds; the verifier's leeway is not added.
    """

    subject: str
    expires_at: int


@unique
class TokenType(StrEnum):
    """The types of token that can be accepted, as in the header's `typ`."""

    AT_JWT = "at+jwt"
    """RFC 9068: the type says that the token is an access token."""
    JWT = "JWT"
    """Any JWT, also one without `typ`: its claims must show that it is an access token."""


@unique
class TokenFault(StrEnum):
    """The faults of a token: the value is the message for the client, the name is the label for counting."""

    MISSING = "The request has neither an Authorization header with a bearer token nor a session cookie."
    HEADER = "The Authorization header must be the word Bearer and exactly one token."
    TOO_LONG = "The token is too long."
    MALFORMED = "The token is malformed."
    TYPE = "The token is not an access token: its typ header is not one that this server accepts."
    NOT_FOR_ACCESS = "The token is not an access token: it has the claims of an ID token, or none of an access token."
    ALGORITHM = "The token's signing algorithm is not accepted."
    UNKNOWN_KEY = "The token does not name a signing key of its issuer."
    SIGNATURE = "The token's signature is wrong."
    CLAIM_MISSING = "The token lacks one of the claims exp, iat, iss, aud and sub."
    ISSUER = "The token is from another issuer."
    AUDIENCE = "The token is for another audience."
    SUBJECT = "The token's subject must be 1 to 255 printable characters."
    EXPIRED = "The token has expired."
    NOT_YET_VALID = "The token is not valid yet."
    LIFETIME = "The token is valid for longer than is accepted."


class InvalidToken(Exception):  # noqa: N818 - an answer to the client, not an error of the server
    """The request has no valid token.

    The exception is created from a fault alone, so that no part of a token can appear in its message, its repr or a
    log.
    """

    def __init__(self, fault: TokenFault) -> None:
        """Store the fault; its value becomes the message."""
        super().__init__(fault.value)
        self.fault = fault


class KeysUnavailable(Exception):  # noqa: N818 - a state of the issuer, not a mistake in a call
    """The issuer's signing keys are unavailable, so no token can be verified."""

    def __init__(self) -> None:
        """Set the constant message; the cause is in the log."""
        super().__init__("The issuer's signing keys are unavailable. Retry shortly.")
