"""One object by its id. Objects out of scope and missing objects get the same answer."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Table

from app.db import queries, tables
from app.db.reading import Reading
from app.db.rows import ROW_OF_TABLE, Row
from app.domain import ids
from app.domain.refusals import InvalidInput, NotFound
from permissions.policy import Forbidden, may_view_type_of
from resolvers.context import Info
from resolvers.inputs import identifier

TABLE_OF_TYPE: dict[str, Table] = {
    "Account": tables.account,
    "User": tables.user,
    "Invitation": tables.invitation,
    "Location": tables.location,
    "OnboardingSession": tables.onboarding_session,
    "Contact": tables.contact,
    "Device": tables.device,
    "Person": tables.person,
    "Extension": tables.extension,
    "WorkingHours": tables.working_hours,
    "Approval": tables.approval,
    "Override": tables.override,
    "ProvisioningPayload": tables.provisioning_payload,
    "Receipt": tables.receipt,
    "PayloadRecipient": tables.payload_recipient,
    "LocationPartner": tables.location_partner,
    "AuditEntry": tables.audit_entry,
    "UserSession": tables.user_session,
    "DeviceModel": tables.device_model,
    "ServiceToken": tables.service_token,
}


_TABLE_OF_ROW: dict[type[Row], Table] = {row: table for table, row in ROW_OF_TABLE.items()}

MOST_IDS = 100
"""The maximum number of ids in one request for several objects."""

R = TypeVar("R", bound=Row)


class SomeForbidden(Forbidden):
    """The role does not include the types of the ids at these indexes."""

    def __init__(self, indexes: Sequence[int]) -> None:
        super().__init__(None)
        self.indexes = indexes


class SomeNotFound(NotFound):
    """The ids at these indexes name no objects that are visible to the viewer."""

    def __init__(self, indexes: Sequence[int]) -> None:
        super().__init__(path=("ids",))
        self.indexes = indexes


async def by_id(info: Info, row: type[R], wanted: str) -> R:
    """The row of this class with this id. Raises InvalidInput for a malformed id, NotFound if it is not in scope."""
    found_row: R = await found(info.context.reading, _TABLE_OF_ROW[row], identifier(wanted))
    return found_row


async def by_prefix(info: Info, wanted: str) -> Any:
    """The row of the type that the prefix of the id names; otherwise as `by_id`."""
    table = _table_of(identifier(wanted))
    if table is None:
        raise NotFound(path=("id",))
    return await found(info.context.reading, table, wanted)


async def by_ids(info: Info, wanted: Sequence[str]) -> list[Any]:
    """The row of each id, in one statement per type, or None. Raises InvalidInput unless there are 1 to MOST_IDS ids.

    In place of the first None of each cause there is the exception that says which ids it stands for: Forbidden for
    types that the role may not view, NotFound for ids that are malformed or not in scope.
    """
    if not 1 <= len(wanted) <= MOST_IDS:
        raise InvalidInput(field="ids", rule=f"must have 1 to {MOST_IDS} items", path=("ids",))
    viewer = info.context.viewer
    refused = [index for index, each in enumerate(wanted) if not may_view_type_of(viewer, each)]
    sought: defaultdict[Table, dict[str, None]] = defaultdict(dict)
    for index in sorted({*range(len(wanted))}.difference(refused)):
        table = _table_of(wanted[index])
        if table is not None and ids.is_well_formed(wanted[index]):
            sought[table][wanted[index]] = None
    rows: dict[str, Any] = {}
    for table, of_table in sought.items():
        rows |= await queries.find(info.context.reading, table, of_table)
    answer = [rows.get(each) for each in wanted]
    missing = [index for index, row in enumerate(answer) if row is None and index not in refused]
    if refused:
        answer[refused[0]] = SomeForbidden(refused)
    if missing:
        answer[missing[0]] = SomeNotFound(missing)
    return answer


async def found(reading: Reading, table: Table, wanted: str) -> Any:
    """The row, or NotFound."""
    rows = await queries.find(reading, table, [wanted])
    if not rows:
        raise NotFound(path=("id",))
    return rows[wanted]


def _table_of(identifier: str) -> Table | None:
    return TABLE_OF_TYPE.get(ids.type_of(identifier) or "")
