"""The lists of root fields: their filters, their orders, and pages of the rows that the viewer can see."""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum, StrEnum, unique
from typing import Any, Protocol

from strawberry import Parent
from strawberry.utils.str_converters import to_camel_case

from app.db import queries, rows
from app.db.nested import LOCATIONS_OF_ACCOUNT, NestedList
from app.db.paging import Order
from app.db.queries import StatusCount
from app.domain.text import clean
from app.domain.viewer import Viewer
from app.domain.vocabulary import ApprovalStatus, DeviceBrand, LocationStatus, PayloadState
from app.domain.waiting import Awaiting
from app.operations.registry import APPROVES, EDITS, SUBMITS
from permissions.matrix import Action
from permissions.policy import answers_payloads, may, statuses_awaiting
from resolvers.context import Info
from resolvers.inputs import exact, identifier
from resolvers.paging import Connection, connection, nested_connection


@unique
class OrderDirection(Enum):
    """The directions of an order."""

    ASC = "ASC"
    DESC = "DESC"


@unique
class LocationOrderField(Enum):
    """What locations can be ordered by."""

    NAME = queries.LOCATIONS_BY_NAME
    UPDATED_AT = queries.LOCATIONS_BY_UPDATED


@unique
class ProvisioningPayloadOrderField(Enum):
    """What provisioning payloads can be ordered by."""

    GENERATED_AT = queries.PAYLOADS_BY_GENERATED
    UPDATED_AT = queries.PAYLOADS_BY_UPDATED


@unique
class ApprovalOrderField(Enum):
    """What requests for approval can be ordered by."""

    REQUESTED_AT = queries.APPROVALS_BY_REQUESTED


@unique
class AuditLogOrderField(Enum):
    """What audit entries can be ordered by."""

    OCCURRED_AT = queries.ENTRIES_BY_TIME


@unique
class ViewerCan(Enum):
    """What lists can be filtered by: the actions of which the viewer can take one now."""

    APPROVE = "APPROVE"


class ListOrder(Protocol):
    """The order of a list, as a client requests it: the value of its field is the order of the rows, ascending."""

    field: Any
    direction: OrderDirection


DECISIONS_PRICE = 2_000
"""The charge, in objects, for a list of what the viewer can approve: it decides about up to all submitted locations."""


def _in_order(requested: ListOrder) -> Order:
    order: Order = requested.field.value
    return order.reverse if requested.direction is OrderDirection.DESC else order


async def accounts(info: Info, first: int, after: str | None) -> Connection[rows.AccountRow]:
    """Accounts in scope, ordered by name."""
    return await connection(info.context.reading, queries.ACCOUNTS_BY_NAME, {}, first, after)


async def locations(
    info: Info, first: int, after: str | None, order_by: ListOrder, **conditions: Any
) -> Connection[rows.LocationRow]:
    """Locations in scope that match all given filters."""
    filters = await _of_locations(info, **conditions)
    return await connection(info.context.reading, _in_order(order_by), filters, first, after)


async def locations_of_account(
    account: rows.AccountRow, info: Info, first: int, after: str | None, order_by: ListOrder, **conditions: Any
) -> Connection[rows.LocationRow]:
    """Locations of an account in scope that match all given filters."""
    filters = await _of_locations(info, **conditions)
    listed = NestedList(LOCATIONS_OF_ACCOUNT, _in_order(order_by), filters)
    return await nested_connection(info.context.reading, listed, account.id, first, after)


async def _of_locations(
    info: Info,
    *,
    status: list[LocationStatus] | None = None,
    account_id: str | None = None,
    name: str | None = None,
    updated_since: datetime | None = None,
    test: bool | None = None,
    awaiting: Awaiting | None = None,
    viewer_can: ViewerCan | None = None,
) -> dict[str, Any]:
    """The filters of a list of locations."""
    awaited = None if awaiting is None else statuses_awaiting(awaiting, info.context.viewer)
    fragment = clean("search.name", name, path=("filter", "name"))
    return _given(
        status=_both(status, awaited),
        account_id=None if account_id is None else identifier(account_id, "accountId"),
        name=None if fragment is None else queries.containing(fragment),
        tests=test or None,
        no_tests=test is False or None,
        updated_since=updated_since,
        **await _possible(info, viewer_can),
    )


async def payloads(
    info: Info,
    first: int,
    after: str | None,
    order_by: ListOrder,
    *,
    state: list[PayloadState] | None = None,
    awaiting_receipt: bool | None = None,
    location_id: str | None = None,
    updated_since: datetime | None = None,
) -> Connection[rows.ProvisioningPayloadRow]:
    """Provisioning payloads in scope that match all given filters."""
    filters = _given(
        state=_both(state, None),
        **_awaiting_receipt(info.context.viewer, awaiting_receipt),
        location_id=None if location_id is None else identifier(location_id, "locationId"),
        updated_since=updated_since,
    )
    return await connection(info.context.reading, _in_order(order_by), filters, first, after)


def _awaiting_receipt(viewer: Viewer, wanted: bool | None) -> dict[str, Any]:
    """The filter for payloads that await a receipt: the viewer's own or, for a lead, any required one."""
    if wanted is None:
        return {}
    if answers_payloads(viewer.role):
        return {"awaits_own" if wanted else "awaits_not_own": viewer.id}
    return {"awaits_required" if wanted else "awaits_no_required": True}


async def approvals(
    info: Info,
    first: int,
    after: str | None,
    order_by: ListOrder,
    *,
    review_status: list[ApprovalStatus] | None = None,
    location_id: str | None = None,
    account_id: str | None = None,
    requested_before: datetime | None = None,
    viewer_can: ViewerCan | None = None,
) -> Connection[rows.ApprovalRow]:
    """Requests for approval in scope that match all given filters."""
    filters = _given(
        status=_both(review_status, None),
        location_id=None if location_id is None else identifier(location_id, "locationId"),
        account_id=None if account_id is None else identifier(account_id, "accountId"),
        requested_before=requested_before,
        **await _possible(info, viewer_can),
    )
    return await connection(info.context.reading, _in_order(order_by), filters, first, after)


async def _possible(info: Info, wanted: ViewerCan | None) -> dict[str, Any]:
    """The filters for locations, or their requests, on which the viewer can take an action now."""
    return {} if wanted is None else await _CONDITIONS[wanted](info)


async def _approvable(info: Info) -> dict[str, Any]:
    """The decision about every submitted location in scope, in SQL, is charged before it is made."""
    viewer = info.context.viewer
    if not may(viewer, Action.APPROVE) or not viewer.confirmed:
        return {"nothing": True}
    await info.context.budgets.charge(DECISIONS_PRICE)
    conditions: dict[str, Any] = {"pending": True, "ready": True}
    if not info.context.write_context.self_approval_allowed:
        actions = {"edits": list(EDITS), "marks": [*SUBMITS, *APPROVES], "approvals": list(APPROVES)}
        conditions["work_of_others"] = {"viewer_id": viewer.id, **actions}
    return conditions


_CONDITIONS = {ViewerCan.APPROVE: _approvable}


async def status_counts(info: Info, account_id: str | None) -> list[StatusCount]:
    """The number of locations in scope by status, of one account or of all."""
    accounts = None if account_id is None else [identifier(account_id, "accountId")]
    (counts,) = await queries.status_counts(info.context.reading, accounts)
    return counts


async def status_counts_of(account: Parent[rows.AccountRow], info: Info) -> list[StatusCount]:
    """The number of the account's locations in scope by status, read with those of the other accounts of a level."""
    counts: list[StatusCount] = await info.context.reading.loader("status counts", queries.status_counts).load(
        account.id
    )
    return counts


async def audit_entries(
    info: Info,
    first: int,
    after: str | None,
    order_by: ListOrder,
    *,
    is_override: bool | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    **exactly: str | None,
) -> Connection[rows.AuditEntryRow]:
    """Audit entries in scope, at or after `since` and before `until`; other filters match exactly."""
    filters = {name: _searchable(name, value) for name, value in exactly.items() if value is not None}
    filters |= _given(
        overrides=is_override or None,
        no_overrides=is_override is False or None,
        since=since,
        until=until,
    )
    return await connection(info.context.reading, _in_order(order_by), filters, first, after)


async def users(info: Info, first: int, after: str | None) -> Connection[rows.UserRow]:
    """All users, ordered by id."""
    return await connection(info.context.reading, queries.USERS_BY_ID, {}, first, after)


async def sessions(
    info: Info, user_id: str | None, first: int, after: str | None, *, is_open: bool | None = None
) -> Connection[rows.UserSessionRow]:
    """The sessions of a user, by default of the viewer, newest first."""
    filters = _given(
        user_id=info.context.viewer.id if user_id is None else identifier(user_id, "userId"),
        open=is_open or None,
        ended=is_open is False or None,
    )
    return await connection(info.context.reading, queries.SESSIONS_BY_CREATED.reverse, filters, first, after)


async def service_tokens(
    info: Info,
    user_id: str | None,
    first: int,
    after: str | None,
    *,
    prefix: str | None = None,
    expires_before: datetime | None = None,
    is_valid: bool | None = None,
) -> Connection[rows.ServiceTokenRow]:
    """The service tokens of a user, by default all that the viewer sees, that match all given filters; newest first."""
    filters = _given(
        user_id=None if user_id is None else identifier(user_id, "userId"),
        prefix=None if prefix is None else exact(prefix, "prefix"),
        expires_before=expires_before,
        valid=is_valid or None,
        ended=is_valid is False or None,
    )
    return await connection(info.context.reading, queries.TOKENS_BY_CREATED.reverse, filters, first, after)


async def invitations(
    info: Info, first: int, after: str | None, *, is_open: bool | None = None
) -> Connection[rows.InvitationRow]:
    """The invitations that match the filter, ordered by id."""
    filters = _given(open=is_open or None, ended=is_open is False or None)
    return await connection(info.context.reading, queries.INVITATIONS_BY_ID, filters, first, after)


async def device_models(
    info: Info, first: int, after: str | None, brand: DeviceBrand | None
) -> Connection[rows.DeviceModelRow]:
    """The device catalogue."""
    filters = _given(brand=brand)
    return await connection(info.context.reading, queries.MODELS_BY_ID, filters, first, after)


def _both(wanted: Iterable[StrEnum] | None, awaited: Iterable[StrEnum] | None) -> list[str] | None:
    """The codes that both filters admit, in a fixed order; None if neither is given."""
    if wanted is None and awaited is None:
        return None
    sets = [{str(code) for code in each} for each in (wanted, awaited) if each is not None]
    return sorted(set.intersection(*sets))


def _given(**filters: Any) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if value is not None}


def _searchable(name: str, value: str) -> str:
    field = to_camel_case(name)
    return identifier(value, field) if name.endswith("_id") else exact(value, field)
