"""The lists of root fields: their filters, their orders, and pages of the rows that the viewer can see."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum, unique
from typing import Any

from strawberry.utils.str_converters import to_camel_case

from app.db import queries, rows
from app.domain.text import clean
from app.domain.viewer import Viewer
from app.domain.vocabulary import ApprovalStatus, DeviceBrand, LocationStatus, PayloadState
from app.domain.waiting import Awaiting
from permissions.policy import answers_payloads, statuses_awaiting
from resolvers.context import Info
from resolvers.inputs import exact, identifier, moment
from resolvers.paging import Connection, connection


@unique
class LocationOrder(StrEnum):
    """The orders in which locations can be listed."""

    NAME = "NAME"
    RECENTLY_UPDATED = "RECENTLY_UPDATED"


_LOCATION_ORDERS = {
    LocationOrder.NAME: queries.LOCATIONS_BY_NAME,
    LocationOrder.RECENTLY_UPDATED: queries.LOCATIONS_BY_UPDATED,
}


@unique
class PayloadOrder(StrEnum):
    """The orders in which provisioning payloads can be listed."""

    GENERATED = "GENERATED"
    UPDATED = "UPDATED"


_PAYLOAD_ORDERS = {
    PayloadOrder.GENERATED: queries.PAYLOADS_BY_GENERATED,
    PayloadOrder.UPDATED: queries.PAYLOADS_BY_UPDATED,
}


async def accounts(info: Info, first: int, after: str | None) -> Connection[rows.AccountRow]:
    """Accounts in scope, ordered by name."""
    return await connection(info.context.reading, queries.ACCOUNTS_BY_NAME, {}, first, after)


async def locations(
    info: Info,
    first: int,
    after: str | None,
    order_by: LocationOrder,
    *,
    status: list[LocationStatus] | None = None,
    account_id: str | None = None,
    name: str | None = None,
    updated_since: datetime | None = None,
    test: bool | None = None,
    awaiting: Awaiting | None = None,
) -> Connection[rows.LocationRow]:
    """Locations in scope that match all given filters."""
    awaited = None if awaiting is None else statuses_awaiting(awaiting, info.context.viewer.role)
    fragment = clean("search.name", name, path=("filter", "name"))
    filters = _given(
        status=_both(status, awaited),
        account_id=None if account_id is None else identifier(account_id, "accountId"),
        name=None if fragment is None else queries.containing(fragment),
        test=test,
        updated_since=None if updated_since is None else moment(updated_since, "updatedSince"),
    )
    return await connection(info.context.reading, _LOCATION_ORDERS[order_by], filters, first, after)


async def payloads(
    info: Info,
    first: int,
    after: str | None,
    order_by: PayloadOrder,
    *,
    state: list[PayloadState] | None = None,
    awaiting_receipt: bool | None = None,
    location_id: str | None = None,
    updated_since: datetime | None = None,
) -> Connection[rows.ProvisioningPayloadRow]:
    """Provisioning payloads in scope that match all given filters, oldest or least recently updated first."""
    filters = _given(
        state=_both(state, None),
        **_awaiting_receipt(info.context.viewer, awaiting_receipt),
        location_id=None if location_id is None else identifier(location_id, "locationId"),
        updated_since=None if updated_since is None else moment(updated_since, "updatedSince"),
    )
    return await connection(info.context.reading, _PAYLOAD_ORDERS[order_by], filters, first, after)


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
    *,
    status: list[ApprovalStatus] | None = None,
    location_id: str | None = None,
) -> Connection[rows.ApprovalRow]:
    """Requests for approval in scope, newest first."""
    filters = _given(
        status=_both(status, None),
        location_id=None if location_id is None else identifier(location_id, "locationId"),
    )
    return await connection(info.context.reading, queries.APPROVALS_BY_REQUESTED, filters, first, after)


async def audit_entries(
    info: Info,
    first: int,
    after: str | None,
    *,
    is_override: bool | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    **exactly: str | None,
) -> Connection[rows.AuditEntryRow]:
    """Audit entries in scope, newest first, at or after `since` and before `until`; other filters match exactly."""
    filters = {name: _searchable(name, value) for name, value in exactly.items() if value is not None}
    filters |= _given(
        overrides=is_override or None,
        no_overrides=is_override is False or None,
        since=None if since is None else moment(since, "since"),
        until=None if until is None else moment(until, "until"),
    )
    return await connection(info.context.reading, queries.ENTRIES_BY_TIME, filters, first, after)


async def users(info: Info, first: int, after: str | None) -> Connection[rows.UserRow]:
    """All users, ordered by id."""
    return await connection(info.context.reading, queries.USERS_BY_ID, {}, first, after)


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
