"""The rows that statements return: one frozen struct per table. Its fields are the selected columns, in order.

Structs are built by position from the driver's records. Columns that hold content are derived, the others are named
here. A column that no reader needs (a token's subject, an approval's stored content) has no field and is never
selected.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, get_args, get_type_hints

import msgspec
from sqlalchemy import ColumnElement, Table, case
from sqlalchemy import literal_column as literal

from app.db import tables
from app.db.content_columns import content_columns
from app.domain.vocabulary import ValueState

R = TypeVar("R", bound="ContentRow")


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row, compared by value. It holds only plain values, so it is never part of a reference cycle."""

    typed_attributes: ClassVar[Mapping[str, frozenset[type]]]
    """The classes of each field's values. PostgreSQL and the driver guarantee them; the executor relies on it."""


class ContentRow(Row, frozen=True):
    """A row that holds content of a location. It has the table's content columns in addition to its own fields."""

    if TYPE_CHECKING:

        def __getattr__(self, column: str) -> Any: ...


def holding_content(table: Table) -> Callable[[type[R]], type[R]]:
    """Return a decorator that adds the content columns of a table to the fields of a row class."""

    def add(declared: type[R]) -> type[R]:
        own = {name: hint for name, hint in get_type_hints(declared).items() if name in declared.__struct_fields__}
        fields = list((own | content_columns(table)).items())
        made = msgspec.defstruct(declared.__name__, fields, bases=(ContentRow,), module=__name__, frozen=True, gc=False)
        return cast("type[R]", made)

    return add


class AccountRow(Row, frozen=True):
    id: str
    name: str
    revision: int
    created_at: datetime
    updated_at: datetime


class UserRow(Row, frozen=True):
    id: str
    subject: str
    name: str
    email: str
    role: str
    status: str
    account_id: str | None
    all_accounts: bool
    made_by: list[str]
    revision: int
    created_at: datetime
    updated_at: datetime
    issuer: str | None


class GrantRow(Row, frozen=True):
    id: str
    user_id: str
    account_id: str
    all_locations: bool
    created_at: datetime


class GrantLocationRow(Row, frozen=True):
    grant_id: str
    account_id: str
    location_id: str


class InvitationRow(Row, frozen=True):
    id: str
    email: str
    name: str
    role: str
    account_id: str | None
    all_accounts: bool
    granted_account_ids: list[str]
    invited_by: str | None
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    accepted_by: str | None
    revoked_at: datetime | None


@holding_content(tables.location)
class LocationRow(ContentRow, frozen=True):
    id: str
    account_id: str
    status: str
    content_digest: str
    live_payload_id: str | None
    status_change_id: str | None
    test: bool
    revision: int
    created_at: datetime
    updated_at: datetime


class StatusChangeRow(Row, frozen=True):
    id: str
    location_id: str
    verb: str
    reason: str | None
    reason_for_customer: str | None
    reason_for_partner: str | None
    changed_by: str
    changed_at: datetime


class SectionStateRow(Row, frozen=True):
    location_id: str
    section: str
    revision: int
    complete: bool


class OnboardingSessionRow(Row, frozen=True):
    id: str
    location_id: str
    current_step: str
    started_at: datetime
    last_saved_at: datetime
    submitted_at: datetime | None
    submitted_by: str | None
    closed_at: datetime | None
    revision: int


@holding_content(tables.contact)
class ContactRow(ContentRow, frozen=True):
    id: str
    location_id: str
    revision: int


@holding_content(tables.phone_system)
class PhoneSystemRow(ContentRow, frozen=True):
    location_id: str
    revision: int


@holding_content(tables.device)
class DeviceRow(ContentRow, frozen=True):
    id: str
    location_id: str
    revision: int


@holding_content(tables.person)
class PersonRow(ContentRow, frozen=True):
    id: str
    location_id: str
    revision: int


@holding_content(tables.extension)
class ExtensionRow(ContentRow, frozen=True):
    id: str
    location_id: str
    revision: int


@holding_content(tables.working_hours)
class WorkingHoursRow(ContentRow, frozen=True):
    id: str
    location_id: str


@holding_content(tables.call_flow)
class CallFlowRow(ContentRow, frozen=True):
    location_id: str
    revision: int


@holding_content(tables.call_flow_option)
class CallFlowOptionRow(ContentRow, frozen=True):
    id: str
    location_id: str
    position: int
    trigger: str


class ApprovalRow(Row, frozen=True):
    id: str
    location_id: str
    location_revision: int
    digest: str
    requested_by: str
    requested_at: datetime
    status: str
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None
    self_approved: bool


class OverrideRow(Row, frozen=True):
    id: str
    location_id: str
    opened_by: str
    sections: list[str]
    reason: str
    ticket: str | None
    opened_at: datetime
    expires_at: datetime
    ended_at: datetime | None


class ProvisioningPayloadRow(Row, frozen=True):
    id: str
    account_id: str
    location_id: str
    sequence: int
    version: str
    state: str
    document: str
    document_digest: str
    content_digest: str
    location_revision: int
    generated_by: str
    generated_at: datetime
    released_by: str | None
    released_at: datetime | None
    superseded_by: str | None
    withdrawn_reason: str | None
    live: bool
    test: bool
    status_change_id: str | None
    updated_at: datetime


class PayloadRecipientRow(Row, frozen=True):
    id: str
    location_id: str
    payload_id: str
    user_id: str
    purpose: str
    required: bool
    live: bool
    waived_at: datetime | None
    waived_by: str | None
    waived_reason: str | None
    decommissioned_at: datetime | None
    decommissioned_by: str | None
    decommission_reason: str | None


class LocationPartnerRow(Row, frozen=True):
    id: str
    location_id: str
    user_id: str
    purpose: str
    required: bool


class ReceiptRow(Row, frozen=True):
    id: str
    location_id: str
    payload_id: str
    kind: str
    document_digest: str
    received_by: str
    received_at: datetime
    reasons: list[Any]


class AuditEntryRow(Row, frozen=True):
    id: str
    chain: str
    number: int | None
    account_id: str | None
    location_id: str | None
    action: str
    outcome: str
    code: str | None
    actor_id: str | None
    actor_role: str | None
    request_id: str
    client_request_id: str | None
    reason: str | None
    reason_state: str
    override_id: str | None
    is_override: bool | None
    occurred_at: datetime


class FieldChangeRow(Row, frozen=True):
    id: int
    entry_id: str
    table_name: str
    row_id: str
    field: str
    before: Any
    before_state: str
    after: Any
    after_state: str


class AcceptedVersionRow(Row, frozen=True):
    user_id: str
    version: str


class UserSessionRow(Row, frozen=True):
    id: str
    user_id: str
    user_agent: str
    created_at: datetime
    last_used_at: datetime
    idle_until: datetime
    expires_at: datetime
    ended_at: datetime | None
    end_reason: str | None


class ServiceTokenRow(Row, frozen=True):
    id: str
    user_id: str
    name: str
    prefix: str
    account_ids: list[str] | None
    actions: list[str] | None
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class ServiceTokenUseRow(Row, frozen=True):
    token_id: str
    last_used_at: datetime


class DeviceModelRow(Row, frozen=True):
    id: str
    brand: str
    model: str
    lines: int
    kind: str | None
    maker: str | None
    source: str | None
    source_date: date | None
    revision: int


# The row of each table that is read through the API.
ROW_OF_TABLE: dict[Table, type[Row]] = {
    tables.account: AccountRow,
    tables.user: UserRow,
    tables.grant: GrantRow,
    tables.grant_location: GrantLocationRow,
    tables.invitation: InvitationRow,
    tables.location: LocationRow,
    tables.status_change: StatusChangeRow,
    tables.section: SectionStateRow,
    tables.onboarding_session: OnboardingSessionRow,
    tables.contact: ContactRow,
    tables.phone_system: PhoneSystemRow,
    tables.device: DeviceRow,
    tables.person: PersonRow,
    tables.extension: ExtensionRow,
    tables.working_hours: WorkingHoursRow,
    tables.call_flow: CallFlowRow,
    tables.call_flow_option: CallFlowOptionRow,
    tables.approval: ApprovalRow,
    tables.override: OverrideRow,
    tables.provisioning_payload: ProvisioningPayloadRow,
    tables.receipt: ReceiptRow,
    tables.payload_recipient: PayloadRecipientRow,
    tables.location_partner: LocationPartnerRow,
    tables.audit_entry: AuditEntryRow,
    tables.field_change: FieldChangeRow,
    tables.accepted_version: AcceptedVersionRow,
    tables.user_session: UserSessionRow,
    tables.service_token: ServiceTokenRow,
    tables.service_token_use: ServiceTokenUseRow,
    tables.device_model: DeviceModelRow,
}


def _promised(table: Table, row: type[Row]) -> dict[str, frozenset[type]]:
    hints = get_type_hints(row)
    promised = {}
    for field in row.__struct_fields__:
        classes = set(get_args(hints[field]) or {hints[field]})
        if field in table.c and table.c[field].nullable:
            classes.add(NoneType)
        if classes <= {str, int, bool, date, datetime, time, NoneType}:
            promised[field] = frozenset(classes)
    return promised


for _table, _row in ROW_OF_TABLE.items():
    _row.typed_attributes = _promised(_table, _row)


def columns_of(table: Table) -> list[ColumnElement[Any]]:
    """Return the columns to select for a table's row, in the order of its fields, including the computed states."""
    return [
        _state(table, field.removesuffix("_state")).label(field) if field not in table.c else table.c[field]
        for field in ROW_OF_TABLE[table].__struct_fields__
    ]


def _state(table: Table, side: str) -> ColumnElement[str]:
    """The state of a value in the audit log. Salts and hashes are never selected."""
    value, salt, hashed = table.c[side], table.c[f"{side}_salt"], table.c[f"{side}_hash"]
    return case(
        (hashed.is_(None), literal(f"'{ValueState.ABSENT}'")),
        (salt.is_(None), literal(f"'{ValueState.ERASED}'")),
        (value.is_(None), literal(f"'{ValueState.REDACTED}'")),
        else_=literal(f"'{ValueState.PRESENT}'"),
    )
