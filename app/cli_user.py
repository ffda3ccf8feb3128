"""The command line of users and invitations, and the check of turnup token.

turnup user add | list | suspend | reinstate | confirm | invite | invitations | revoke-invitation.

All commands sign in as the owner, which may become the definer role, so that they work when no lead can sign in. The
audit log records their changes without an actor.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

from app.cli_failures import system_change
from app.db import demo
from app.db.connecting import CONNECT_SECONDS, connect
from app.domain.ids import is_well_formed
from app.domain.refusals import InvalidInput, NoBrowserSignIn, NotFound
from app.domain.vocabulary import Role, UserStatus
from app.operations.manage_invitations import DEFAULT_DAYS, MOST_DAYS
from app.operations.operate_users import (
    AddUser,
    Invite,
    ListedInvitation,
    ListedUser,
    add_user,
    confirm_user,
    invite_user,
    list_invitations,
    list_users,
    reinstate_user,
    revoke_invitation,
    suspend_user,
)
from app.settings import Settings

T = TypeVar("T")

MOST_LISTED = 1_000
ROLES = {role.rpartition("_")[2].lower(): role for role in Role}
"""The roles by the names that `--role` accepts besides their own, such as lead."""
# The option that gives the value at the beginning of a refusal's path.
OPTIONS = {
    "name": "--name",
    "email": "--email",
    "subject": "--subject",
    "issuer": "--issuer",
    "allAccounts": "--all-accounts",
    "accountId": "--account",
    "grants": "--account",
    "user": "USER",
    "invitationId": "INVITATION",
}

# Returns a context that yields the database's URL for its owner.
Owner = Callable[[Settings], AbstractContextManager[str]]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", owner: Owner) -> None:
    """Add `user` and its subcommands."""
    user = commands.add_parser("user", help="add, invite, list, suspend, reinstate and confirm users")
    kinds = user.add_subparsers(required=True, metavar="COMMAND")

    adding = kinds.add_parser("add", help="add a user, such as the first implementation lead")
    _add_newcomer(adding)
    adding.add_argument("--subject", help="the claim `sub` of the user's tokens; default: the address")
    adding.add_argument("--issuer", help="the claim `iss` of the user's tokens; default: the configured one")
    adding.set_defaults(run=lambda settings, options: run_add(settings, options, owner))
    inviting = kinds.add_parser("invite", help="invite a person, who becomes a user at the first sign-in")
    _add_newcomer(inviting)
    inviting.add_argument(
        "--days",
        type=int,
        choices=range(1, MOST_DAYS + 1),
        default=DEFAULT_DAYS,
        metavar="N",
        help=f"days until the link expires, up to {MOST_DAYS}",
    )
    inviting.set_defaults(run=lambda settings, options: run_invite(settings, options, owner))

    listing = kinds.add_parser("list", help="list the users in the order of their ids")
    _add_page(listing, "users")
    listing.set_defaults(run=lambda settings, options: run_list(settings, options, owner, USERS))
    pending = kinds.add_parser("invitations", help="list the open invitations in the order of their ids")
    _add_page(pending, "invitations")
    pending.set_defaults(run=lambda settings, options: run_list(settings, options, owner, INVITATIONS))

    suspending = kinds.add_parser("suspend", help="suspend a user, from the user's next request")
    suspending.set_defaults(run=lambda settings, options: run_suspend(settings, options, owner))
    reinstating = kinds.add_parser("reinstate", help="reinstate a suspended user")
    reinstating.set_defaults(run=lambda settings, options: run_reinstate(settings, options, owner))
    confirming = kinds.add_parser("confirm", help="confirm a user whom leads made")
    confirming.set_defaults(run=lambda settings, options: run_confirm(settings, options, owner))
    for each in (suspending, reinstating, confirming):
        each.add_argument("user", metavar="USER", help="the user's id or email address")
    revoking = kinds.add_parser("revoke-invitation", help="revoke an invitation, from now on")
    revoking.add_argument("invitation", metavar="INVITATION", help="the id of the invitation")
    revoking.set_defaults(run=lambda settings, options: run_revoke_invitation(settings, options, owner))


def _add_newcomer(parser: argparse.ArgumentParser) -> None:
    """Add the options that say who a user is to be, and what the user is to have."""
    parser.add_argument("--role", required=True, help=f"one of {', '.join(ROLES)}")
    parser.add_argument("--email", required=True, help="the user's address")
    parser.add_argument("--name", help="the user's name; default: the address")
    access = parser.add_mutually_exclusive_group()
    access.add_argument("--all-accounts", action="store_true", help="a lead has access to all accounts")
    access.add_argument(
        "--account",
        nargs="+",
        action="extend",
        default=[],
        metavar="ID",
        help="accounts to all of whose locations the user has access",
    )


def _add_page(parser: argparse.ArgumentParser, things: str) -> None:
    """Add the options of a list."""
    parser.add_argument("--after", default="", metavar="ID", help=f"only {things} after this one")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help=f"at most N {things}, up to {MOST_LISTED}")


def run_add(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Add a user and print the id."""
    command = AddUser(
        name=options.email if options.name is None else options.name,
        email=options.email,
        role=_role(options.role),
        subject=options.subject,
        issuer=options.issuer,
        all_accounts=options.all_accounts,
        account_ids=tuple(options.account),
    )
    with owner(settings) as url, _one_line(options):
        _say(f"added {asyncio.run(add_user(url, command, configured_issuer=settings.configured_issuer))}")


def run_invite(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Invite a person and print the link."""
    command = Invite(
        name=options.email if options.name is None else options.name,
        email=options.email,
        role=_role(options.role),
        all_accounts=options.all_accounts,
        account_ids=tuple(options.account),
        days=options.days,
    )
    with owner(settings) as url, _one_line(options):
        _say(asyncio.run(invite_user(url, command, sign_in_url=settings.sign_in_url)))


def run_revoke_invitation(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Revoke an invitation."""
    with owner(settings) as url, _one_line(options):
        was_valid = asyncio.run(revoke_invitation(url, options.invitation))
    _say("revoked" if was_valid else "revoked before; nothing changed")


def run_suspend(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Suspend a user."""
    with owner(settings) as url, _one_line(options):
        was_active = asyncio.run(suspend_user(url, options.user))
    _say("suspended" if was_active else "suspended before; nothing changed")


def run_reinstate(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Reinstate a user."""
    with owner(settings) as url, _one_line(options):
        was_suspended = asyncio.run(reinstate_user(url, options.user))
    _say("reinstated" if was_suspended else "active before; nothing changed")


def run_confirm(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Confirm a user."""
    with owner(settings) as url, _one_line(options):
        was_unconfirmed = asyncio.run(confirm_user(url, options.user))
    _say("confirmed" if was_unconfirmed else "confirmed before; nothing changed")


def run_list(settings: Settings, options: argparse.Namespace, owner: Owner, listing: "Listing[Any]") -> None:
    """Print a page of a list as columns; the last line names the next page."""
    if not 1 <= options.limit <= MOST_LISTED:
        sys.exit(f"turnup: --limit: {options.limit} is not between 1 and {MOST_LISTED}")
    if options.after and not is_well_formed(options.after):
        sys.exit("turnup: --after: not an id")
    with owner(settings) as url, _one_line(options):
        found = asyncio.run(listing.page(url, after=options.after, limit=options.limit + 1))
    page = found[: options.limit]
    rows = [listing.columns, *map(listing.cells, page)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(found) > len(page):
        _warn(f"there are more {listing.things}: turnup user {listing.command} --after {rows[-1][0]}")


def warn_of_stranger(subject: str, database: AbstractContextManager[str | None]) -> None:
    """Print a warning unless an active user has the subject. The database may be missing; it has demo users later."""
    try:
        with database as url:
            if url is None:
                status = UserStatus.ACTIVE if subject in _DEMO_SUBJECTS else None
            else:
                status = asyncio.run(_status_of(subject, url))
    except Exception as error:  # noqa: BLE001 - the token is printed; whatever happens, only the check failed
        _warn(f"whether a user has the subject {subject} is unknown: the database failed ({type(error).__name__})")
        return
    if status is None:
        _warn(f"no user has the subject {subject}, so servers refuse this token; turnup user list shows the users")
    elif status is not UserStatus.ACTIVE:
        _warn(f"the user with the subject {subject} is suspended, so servers refuse this token")


async def _status_of(subject: str, app_url: str) -> UserStatus | None:
    async with asyncio.timeout(CONNECT_SECONDS):
        connection = await connect(app_url, statement_cache_size=0)  # the app's URL may lead to a pooler
        try:
            async with connection.transaction(readonly=True):
                found = await connection.fetchval(_STATUS, subject, int(CONNECT_SECONDS * 1_000))
        finally:
            await connection.close(timeout=1)
    return None if found is None else UserStatus(found)


_STATUS = "SELECT status FROM turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, $2)"
_DEMO_SUBJECTS = frozenset(each.email for each in demo.USERS)


def _cells(user: ListedUser) -> Sequence[str]:
    accounts = "all" if user.all_accounts else ",".join(user.account_ids) or "none"
    confirmed = f"no: made by {','.join(user.made_by)}" if user.made_by else "yes"
    return user.id, user.role, user.status, confirmed, accounts, user.email


def _invitation_cells(invitation: ListedInvitation) -> Sequence[str]:
    return invitation.id, invitation.role, f"{invitation.expires_at:%Y-%m-%dT%H:%M:%SZ}", invitation.email


class Listing(NamedTuple, Generic[T]):
    """A list: what it lists, its command, the function that reads a page, the columns, and the cells of an item."""

    things: str
    command: str
    page: Callable[..., Coroutine[Any, Any, Sequence[T]]]
    columns: Sequence[str]
    cells: Callable[[T], Sequence[str]]


USERS = Listing("users", "list", list_users, ("ID", "ROLE", "STATUS", "CONFIRMED", "ACCOUNTS", "EMAIL"), _cells)
INVITATIONS = Listing(
    "invitations", "invitations", list_invitations, ("ID", "ROLE", "EXPIRES", "EMAIL"), _invitation_cells
)


def _role(text: str) -> Role:
    """The role that `--role` names. Exits for any other text."""
    name = text.upper().replace("-", "_")
    role = ROLES.get(text.lower()) or (Role(name) if name in Role.__members__ else None)
    if role is None:
        sys.exit(f"turnup: --role: must be one of {', '.join(ROLES)}")
    return role


@contextmanager
def _one_line(options: argparse.Namespace) -> Iterator[None]:
    """Exit with one line for a refusal, which names the option, and for a database that does not do its part."""
    with system_change("turnup user list shows whether it was executed"):
        try:
            yield
        except NotFound as refusal:
            sys.exit(f"turnup: {_missing(options, refusal.path)}")
        except InvalidInput as refusal:
            sys.exit(f"turnup: {OPTIONS[refusal.path[0]]}: {refusal.rule}")
        except NoBrowserSignIn as refusal:
            sys.exit(f"turnup: {refusal.message}")


def _missing(options: argparse.Namespace, path: tuple[str, ...]) -> str:
    if path:
        return f"--account: no account has the id {options.account[int(path[1])]}"
    if "invitation" in options:
        return f"INVITATION: no invitation has the id {options.invitation}"
    return f"USER: no user has the id or email address {options.user}"


def _warn(line: str) -> None:
    sys.stderr.write(f"turnup: {line}\n")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
