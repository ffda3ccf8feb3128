"""The viewer as of now: others may have changed the viewer's role or access since the transaction began."""

from dataclasses import replace

from app.db.database import SuspendedUser
from app.db.writing import UserNow
from app.domain.viewer import Viewer
from app.domain.vocabulary import UserStatus
from permissions.matrix import Action
from permissions.policy import check_allowed


def as_now(viewer: Viewer, now: UserNow | None, action: Action) -> Viewer:
    """The viewer, confirmed or not as of now. Raises SuspendedUser, and Forbidden if the viewer may no longer do it.

    The viewer's scope, and what a service token leaves of it, are those from the start of the transaction.
    """
    if now is None or now.status is not UserStatus.ACTIVE:
        raise SuspendedUser(viewer.id, viewer.role, viewer.credential_kind)
    all_accounts = viewer.all_accounts and now.all_accounts
    current = replace(viewer, role=now.role, all_accounts=all_accounts, confirmed=now.confirmed)
    check_allowed(current, action)
    return current
