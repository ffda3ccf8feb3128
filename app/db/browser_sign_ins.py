"""Sign-in by browser: attempts in progress, and the sessions in which they end.

Nobody is signed in yet, so the statements need no user. Each calls one function of the database, which returns nothing
without a secret. Secrets are passed as their SHA-256.
"""

from dataclasses import dataclass
from typing import Any

from app.db.database import Database
from app.db.failures import translated
from app.domain.vocabulary import Role, UserStatus
from app.observing import note_statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A sign-in that waits for the browser to come back from the identity provider."""

    nonce: str
    code_verifier: str
    next_path: str
    invitation_sha256: bytes | None = None


@dataclass(frozen=True, slots=True)
class BegunSession:
    """The user whom a sign-in found. There is a session only if the user is active."""

    user_id: str
    status: UserStatus
    role: Role


async def begin_attempt(database: Database, state_sha256: bytes, browser_sha256: bytes, attempt: Attempt) -> None:
    """Store an attempt under its state, for the browser that began it."""
    await _called(
        database,
        "begin sign-in attempt",
        "SELECT turnup.begin_sign_in_attempt($1, $2, $3, $4, $5, $6)",
        state_sha256,
        browser_sha256,
        attempt.nonce,
        attempt.code_verifier,
        attempt.next_path,
        attempt.invitation_sha256,
    )


async def take_attempt(database: Database, state_sha256: bytes, browser_sha256: bytes) -> Attempt | None:
    """Remove and return an attempt; None if this browser began none, or too long ago, or if it was taken before."""
    row = await _called(
        database,
        "take sign-in attempt",
        "SELECT nonce, code_verifier, next, invitation_sha256 FROM turnup.take_sign_in_attempt($1, $2)",
        state_sha256,
        browser_sha256,
    )
    if row is None:
        return None
    return Attempt(
        nonce=row["nonce"],
        code_verifier=row["code_verifier"],
        next_path=row["next"],
        invitation_sha256=row["invitation_sha256"],
    )


async def begin_session(
    database: Database,
    *,
    session_id: str,
    issuer: str | None,
    subject: str,
    secret_sha256: bytes,
    user_agent: str,
    idle_seconds: int,
    lifetime_seconds: int,
) -> BegunSession | None:
    """Begin a session of an active user, and return the user; None if there is no user with this subject.

    `issuer` is None for the configured one.
    """
    row = await _called(
        database,
        "begin session",
        "SELECT user_id, status, role FROM turnup.begin_session($1, $2, $3, $4, $5, $6, $7)",
        session_id,
        issuer,
        subject,
        secret_sha256,
        user_agent,
        idle_seconds,
        lifetime_seconds,
    )
    return None if row is None else BegunSession(row["user_id"], UserStatus(row["status"]), Role(row["role"]))


async def end_session(database: Database, secret_sha256: bytes) -> None:
    """End the session with this secret, if there is one."""
    await _called(database, "end session", "SELECT turnup.end_session($1)", secret_sha256)


async def _called(database: Database, name: str, statement: str, *arguments: object) -> Any:
    async with database.connection() as connection:
        try:
            with database.observe("sql", name, {}), translated():
                return await connection.fetchrow(statement, *arguments)
        except Exception as error:
            note_statement(error, name)
            raise
