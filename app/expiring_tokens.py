"""Warnings before service tokens expire: a field of each response, and a line in the log for each token and day."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from app.domain.credential import CredentialKind
from app.domain.events import TOKEN_EXPIRY_NOTICED, Effect
from app.domain.viewer import Viewer
from app.operations.event_log import emit

FIELD = "Turnup-Token-Expires"
WARNED_BEFORE = timedelta(days=14)
"""How long before its expiry the warnings about a token begin."""
LOGGED_EVERY = timedelta(days=1)
MOST_TOKENS = 10_000
"""Tokens of which a process knows when it logged them last. Beyond that, the first one is logged again."""


def _now() -> datetime:
    return datetime.now(UTC)


class ExpiringTokens:
    """The service tokens that are used shortly before they expire."""

    def __init__(self, *, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
        self._logged: OrderedDict[str, datetime] = OrderedDict()

    def fields_for(self, viewer: Viewer | None) -> dict[str, str]:
        """Return the response fields for a viewer: the expiry as an HTTP date, if a service token expires soon."""
        if viewer is None or viewer.credential_kind is not CredentialKind.SERVICE_TOKEN:
            return {}
        token_id, expires_at, now = viewer.credential_id, viewer.credential_expires_at, self._clock()
        if token_id is None or expires_at is None or expires_at - now >= WARNED_BEFORE:
            return {}
        if token_id not in self._logged or now - self._logged[token_id] >= LOGGED_EVERY:
            emit(
                TOKEN_EXPIRY_NOTICED,
                Effect(object_id=token_id),
                user_id=viewer.id,
                role=viewer.role,
                expires_at=expires_at.isoformat(),
            )
            self._logged[token_id] = now
            if len(self._logged) > MOST_TOKENS:
                self._logged.popitem(last=False)
        return {FIELD: format_datetime(expires_at.astimezone(UTC), usegmt=True)}
