"""One object by its id. Objects out of scope and missing objects get the same answer."""

from typing import Any, TypeVar

from sqlalchemy import Table

from app.db import queries, tables
from app.db.reading import Reading
from app.db.rows import ROW_OF_TABLE, Row
from app.domain import ids
from app.domain.refusals import NotFound
from resolvers.context import Info
from resolvers.inputs import identifier

TABLE_OF_TYPE: dict[str, Table] = {
    "Account": tables.account,
    "User": tables.user,
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
    "DeviceModel": tables.device_model,
}


_TABLE_OF_ROW: dict[type[Row], Table] = {row: table for table, row in ROW_OF_TABLE.items()}

R = TypeVar("R", bound=Row)


async def by_id(info: Info, row: type[R], wanted: str) -> R:
    """The row of this class with this id. Raises InvalidInput for a malformed id, NotFound if it is not in scope."""
    found_row: R = await found(info.context.reading, _TABLE_OF_ROW[row], identifier(wanted))
    return found_row


async def by_prefix(info: Info, wanted: str) -> Any:
    """The row of the type that the prefix of the id names; otherwise as `by_id`."""
    type_name = ids.type_of(identifier(wanted))
    if type_name not in TABLE_OF_TYPE:
        raise NotFound(path=("id",))
    return await found(info.context.reading, TABLE_OF_TYPE[type_name], identifier(wanted))


async def found(reading: Reading, table: Table, wanted: str) -> Any:
    """The row, or NotFound."""
    row = await queries.find(reading, table, wanted)
    if row is None:
        raise NotFound(path=("id",))
    return row
