"""Browser sign-in: joins the routes of `/auth`, the identity provider and the database."""

import logging
import secrets
from hashlib import sha256

from app.auth.discovery import ProviderUnavailable
from app.auth.oidc import Challenge, Identity, RelyingParty, ResponseRefused
from app.db import browser_sign_ins
from app.db.browser_sign_ins import Attempt
from app.db.database import Database
from app.db.failures import DatabaseUnavailable, Overloaded, StatementTimeout
from app.domain.events import SESSION_STARTED, Effect
from app.domain.secrets import SECRET_BYTES, new_secret, secret_sha256
from app.domain.vocabulary import UserStatus
from app.http.sign_in import BegunSignIn, NewSession, Outcome, ProviderResponse, SignInFailed
from app.operations.accept_invitation import Acceptance, accept_invitation
from app.operations.context import new_id
from app.operations.event_log import emit

UNAVAILABLE = frozenset({"temporarily_unavailable", "server_error"})
"""The errors by which a provider says that it cannot work now (RFC 6749, section 4.1.2.1)."""
OF_INVITATION = {
    Acceptance.UNKNOWN: Outcome.INVITATION_UNKNOWN,
    Acceptance.USED: Outcome.INVITATION_USED,
    Acceptance.EXPIRED: Outcome.INVITATION_EXPIRED,
    Acceptance.REVOKED: Outcome.INVITATION_REVOKED,
    Acceptance.EMAIL_UNVERIFIED: Outcome.INVITATION_EMAIL_UNVERIFIED,
    Acceptance.EMAIL_DIFFERS: Outcome.INVITATION_EMAIL_DIFFERS,
    Acceptance.INVITER_MAY_NOT: Outcome.INVITATION_INVITER_MAY_NOT,
    Acceptance.USER_EXISTS: Outcome.INVITATION_USER_EXISTS,
    Acceptance.ACCESS_GONE: Outcome.INVITATION_ACCESS_GONE,
}
"""How a sign-in ends whose invitation was not accepted."""
DATABASE_FAILURES = (DatabaseUnavailable, Overloaded, StatementTimeout)

log = logging.getLogger("turnup.sign_in")


class BrowserSignIns:
    """Begins and finishes sign-ins with a browser, and ends sessions.

    Users are found by issuer and subject alone: a person whose subject changed at the provider is nobody here, whatever
    the e-mail address.
    """

    def __init__(
        self,
        relying_party: RelyingParty,
        database: Database,
        *,
        issuer: str | None,
        idle_seconds: int,
        lifetime_seconds: int,
    ) -> None:
        """`issuer` is the one that users of this provider have, None if it is also the issuer of access tokens."""
        self._relying_party = relying_party
        self._database = database
        self._issuer = issuer
        self._idle_seconds = idle_seconds
        self._lifetime_seconds = lifetime_seconds

    async def begin(self, browser: str | None, *, next_path: str, invitation: str | None, again: bool) -> BegunSignIn:
        """Begin a sign-in; with `again`, the provider asks for credentials in any case.

        It also does for who was invited: it may still know somebody else in this browser. Sign-ins of one browser, in
        several tabs, share its secret, so that each of them can be finished. Nothing is stored while the provider
        does not answer.
        """
        invited = invitation is not None
        invitation_sha256 = secret_sha256(invitation or "")
        if invited and invitation_sha256 is None:
            raise SignInFailed(Outcome.MALFORMED)
        known = secret_sha256(browser or "")
        departing = browser if browser is not None and known is not None else _new_secret()
        challenge = Challenge.new()
        attempt = Attempt(
            nonce=challenge.nonce,
            code_verifier=challenge.code_verifier,
            next_path=next_path,
            invitation_sha256=invitation_sha256,
        )
        try:
            url = await self._relying_party.authorization_url(challenge, again=again or invited)
            await browser_sign_ins.begin_attempt(self._database, _digest(challenge.state), _digest(departing), attempt)
        except ProviderUnavailable:
            outcome = Outcome.PROVIDER_UNAVAILABLE
        except DATABASE_FAILURES:
            outcome = Outcome.SERVER_UNAVAILABLE
        else:
            return BegunSignIn(url, departing)
        raise SignInFailed(outcome, next_path, invited=invited)

    async def finish(
        self,
        response: ProviderResponse,
        browser: str | None,
        *,
        user_agent: str,
        former_session: str | None,
        request_id: str,
    ) -> NewSession:
        """Begin a session for whom the provider authenticated, and end the one that the browser had.

        The attempt is used up first, whatever the response is.
        """
        state_sha256, browser_sha256 = secret_sha256(response.state), secret_sha256(browser or "")
        if state_sha256 is None or browser_sha256 is None:
            raise SignInFailed(Outcome.UNKNOWN_ATTEMPT)
        try:
            attempt = await browser_sign_ins.take_attempt(self._database, state_sha256, browser_sha256)
        except DATABASE_FAILURES:
            raise SignInFailed(Outcome.SERVER_UNAVAILABLE) from None
        if attempt is None:
            raise SignInFailed(Outcome.UNKNOWN_ATTEMPT)
        # New in every case, so that nobody can know it from before the sign-in.
        secret = _new_secret()
        try:
            outcome = await self._finish(response, attempt, secret, user_agent, request_id)
            if outcome is Outcome.SIGNED_IN:
                await self._end(former_session)
        except ResponseRefused as refused:
            log.warning("a response of the identity provider was refused: %s", refused.fault)
            outcome = Outcome.RESPONSE_REFUSED
        except ProviderUnavailable:
            outcome = Outcome.PROVIDER_UNAVAILABLE
        except DATABASE_FAILURES:
            outcome = Outcome.SERVER_UNAVAILABLE
        if outcome is Outcome.SIGNED_IN:
            return NewSession(secret, attempt.next_path)
        raise SignInFailed(outcome, attempt.next_path, invited=attempt.invitation_sha256 is not None)

    async def end(self, session: str | None) -> str | None:
        """End a session, and return the provider's URL for signing out there too, if there is one."""
        try:
            await self._end(session)
        except DATABASE_FAILURES:
            raise SignInFailed(Outcome.SERVER_UNAVAILABLE) from None
        return await self._relying_party.sign_out_url()

    async def _end(self, session: str | None) -> None:
        digest = secret_sha256(session or "")
        if digest is not None:
            await browser_sign_ins.end_session(self._database, digest)

    async def _finish(
        self, response: ProviderResponse, attempt: Attempt, secret: str, user_agent: str, request_id: str
    ) -> Outcome:
        await self._relying_party.check_issuer(response.issuer)
        if response.error == "access_denied":
            return Outcome.CANCELLED
        if response.error in UNAVAILABLE:
            return Outcome.PROVIDER_UNAVAILABLE
        if response.error is not None or response.code is None:
            log.warning("the identity provider did not complete a sign-in: %s", response.error or "no code")
            return Outcome.REFUSED_BY_PROVIDER
        identity = await self._relying_party.identity(
            response.code,
            nonce=attempt.nonce,
            code_verifier=attempt.code_verifier,
            with_email=attempt.invitation_sha256 is not None,
        )
        if attempt.invitation_sha256 is not None:
            acceptance = await accept_invitation(
                self._database,
                attempt.invitation_sha256,
                issuer=self._issuer,
                subject=identity.subject,
                email=identity.email,
                email_verified=identity.email_verified,
                request_id=request_id,
            )
            if acceptance is not Acceptance.ACCEPTED:
                return OF_INVITATION[acceptance]
        return await self._begin_session(identity, secret, user_agent)

    async def _begin_session(self, identity: Identity, secret: str, user_agent: str) -> Outcome:
        session_id = new_id("UserSession")
        begun = await browser_sign_ins.begin_session(
            self._database,
            session_id=session_id,
            issuer=self._issuer,
            subject=identity.subject,
            secret_sha256=_digest(secret),
            user_agent=user_agent,
            idle_seconds=self._idle_seconds,
            lifetime_seconds=self._lifetime_seconds,
        )
        if begun is None:
            return Outcome.UNKNOWN_USER
        if begun.status is not UserStatus.ACTIVE:
            return Outcome.SUSPENDED_USER
        emit(SESSION_STARTED, Effect(object_id=session_id), user_id=begun.user_id, role=begun.role)
        return Outcome.SIGNED_IN


def _new_secret() -> str:
    return new_secret(secrets.token_bytes(SECRET_BYTES))


def _digest(secret: str) -> bytes:
    """Return the digest of a secret of this module, as `secret_sha256` does for one that was sent."""
    return sha256(secret.encode()).digest()
