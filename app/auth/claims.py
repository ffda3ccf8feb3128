"""What a verified token says, and the two ways of not getting there: a bad token, and keys that cannot be had."""

from dataclasses import dataclass
from enum import StrEnum, unique


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says about its bearer.

    `subject` is 1 to 255 printable characters, unique at the issuer. `expires_at` is the token's own `exp` in whole
    unix seconds; the verifier's leeway is not added.
    """

    subject: str
    expires_at: int


@unique
class TokenFault(StrEnum):
    """What is wrong with a token. The value is the sentence a client may read, the name a label for counting."""

    MISSING = "No bearer token was sent."
    HEADER = "The Authorization header must be the word Bearer and exactly one token."
    TOO_LONG = "The token is too long."
    MALFORMED = "The token is malformed."
    TYPE = "The token is not an access token: its typ header must be at+jwt."
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


class InvalidToken(Exception):  # noqa: N818 - it says what was refused; nothing of ours went wrong
    """The request carries no token that can be believed.

    It is made from a fault alone, so that no part of a token can reach its text, its repr or a log.
    """

    def __init__(self, fault: TokenFault) -> None:
        """Take the fault; the message is the fault's sentence."""
        super().__init__(fault.value)
        self.fault = fault


class KeysUnavailable(Exception):  # noqa: N818 - a state of the issuer, not a mistake in a call
    """The issuer's signing keys cannot be had at the moment, so no token can be judged."""

    def __init__(self) -> None:
        """The message is constant; the cause is in the log."""
        super().__init__("The issuer's signing keys cannot be had at the moment.")
