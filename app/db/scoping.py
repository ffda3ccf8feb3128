"""The scope as a predicate, added to every statement of a root field, in addition to row-level security.

A scope has one of four shapes; a statement is compiled once per shape, and the ids are parameters.
"""

from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, Table, Text, any_, bindparam, exists, true

from app.db import tables
from app.db.statements import joined, many_ids
from app.domain.viewer import Scope, Viewer

scope_accounts = many_ids("scope_accounts")
"""The accounts of a scope, as an array; NULL for all accounts."""
_LOCATIONS = many_ids("scope_locations")
_RECIPIENT = bindparam("scope_recipient", type_=Text)


_RECEIVED = exists().where(
    tables.payload_recipient.c.payload_id == tables.provisioning_payload.c.id,
    tables.payload_recipient.c.user_id == _RECIPIENT,
)
# The rows of a recipient. The scope of a role that does not see those of others names the recipient.
_OF_RECIPIENT: dict[Table, ColumnElement[bool]] = {
    tables.provisioning_payload: _RECEIVED,
    tables.receipt: tables.receipt.c.received_by == _RECIPIENT,
    tables.payload_recipient: tables.payload_recipient.c.user_id == _RECIPIENT,
}


UNSCOPED = frozenset({tables.device_model, tables.invitation, tables.service_token, tables.user, tables.user_session})
"""The tables of which row-level security alone decides which rows a viewer sees."""


def scope_on(viewer: Viewer, table: Table) -> Scope:
    """Return the scope that applies when a viewer reads a table."""
    if table in _OF_RECIPIENT:
        return viewer.provisioning
    if table is tables.account:
        return viewer.accounts
    return viewer.auditing if table in _OF_AUDIT_LOG else viewer.scope


_OF_AUDIT_LOG = frozenset({tables.audit_entry, tables.field_change})


class Shape(Enum):
    """The kind of predicate that a scope needs."""

    EVERYTHING = "everything"
    ACCOUNTS = "accounts"
    LISTED = "listed"
    RECEIVED = "received"


def shape_of(scope: Scope) -> Shape:
    """Return the shape of a scope.

    All accounts, all locations of some accounts, listed locations, or what a user received in some accounts.
    """
    if scope.accounts is None:
        return Shape.EVERYTHING
    if scope.recipient is not None:
        return Shape.RECEIVED
    return Shape.ACCOUNTS if scope.locations is None else Shape.LISTED


def within(shape: Shape, table: Table) -> ColumnElement[bool]:
    """Return the predicate for a table's rows within a scope of this shape."""
    if shape is Shape.EVERYTHING:
        return true()
    account = table.c.id if table is tables.account else table.c.account_id
    predicate = account == any_(scope_accounts)
    if shape is Shape.LISTED and table is not tables.account:
        location = table.c.id if table is tables.location else table.c.location_id
        predicate &= location == any_(_LOCATIONS)
    if shape is Shape.RECEIVED and table in _OF_RECIPIENT:
        predicate &= _OF_RECIPIENT[table]
    return predicate


def scope_values(scope: Scope) -> dict[str, Any]:
    """Return the values of the parameters of `within`."""
    return {
        "scope_accounts": None if scope.accounts is None else joined(scope.accounts),
        "scope_locations": None if scope.locations is None else joined(scope.locations),
        "scope_recipient": scope.recipient,
    }
