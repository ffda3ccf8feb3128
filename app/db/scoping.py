"""The scope as a predicate: what every statement on a root adds, in front of row-level security.

A scope has three shapes; a statement is compiled once a shape, and the ids travel as parameters.
"""

from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, Table, any_, true

from app.db import tables
from app.db.statements import joined, many_ids
from app.domain.viewer import Scope, Viewer

_ACCOUNTS = many_ids("scope_accounts")
_LOCATIONS = many_ids("scope_locations")


_OF_PROVISIONING = frozenset({tables.provisioning_payload, tables.receipt})


def scope_on(viewer: Viewer, table: Table) -> Scope:
    """The scope in which a viewer reads a table."""
    return viewer.provisioning if table in _OF_PROVISIONING else viewer.scope


class Shape(Enum):
    """Which predicate a scope needs."""

    EVERYTHING = "everything"
    ACCOUNTS = "accounts"
    LISTED = "listed"


def shape_of(scope: Scope) -> Shape:
    """The shape of a scope: all accounts, all locations of some accounts, or listed locations."""
    if scope.accounts is None:
        return Shape.EVERYTHING
    return Shape.ACCOUNTS if scope.locations is None else Shape.LISTED


def within(shape: Shape, table: Table) -> ColumnElement[bool]:
    """The predicate that keeps a table's rows within a scope of this shape."""
    if shape is Shape.EVERYTHING:
        return true()
    account = table.c.id if table is tables.account else table.c.account_id
    predicate = account == any_(_ACCOUNTS)
    if shape is Shape.LISTED and table is not tables.account:
        location = table.c.id if table is tables.location else table.c.location_id
        predicate &= location == any_(_LOCATIONS)
    return predicate


def scope_values(scope: Scope) -> dict[str, Any]:
    """The values of the parameters that `within` used."""
    return {
        "scope_accounts": None if scope.accounts is None else joined(scope.accounts),
        "scope_locations": None if scope.locations is None else joined(scope.locations),
    }
