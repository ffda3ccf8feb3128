"""The server does not start with a GraphQL type that does not fit the rows, tables or values that it shows."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import strawberry
from strawberry import Parent
from strawberry.scalars import JSON

from app.db import rows, tables
from app.domain.issue import Issue
from app.domain.vocabulary import LocationStatus, PayloadState, Role, Section
from graphql_schema import checks
from graphql_schema.checks import SchemaMismatch, check_types
from graphql_schema.connections import ConnectionType
from graphql_schema.fields import column, computed, derived, shows
from graphql_schema.mutation_payloads import BulkSummary
from graphql_schema.problems import Problem
from graphql_schema.schema import schema
from graphql_schema.types import AccountType, AddressType, DeviceType, ExtensionType, LocationType, PersonType, UserType
from permissions.guards import can, guarded
from permissions.matrix import Action
from resolvers.mutations import MutationResult, RefusalValue
from resolvers.objects import TABLE_OF_TYPE
from resolvers.paging import Connection
from resolvers.relations import many, named, one, part

ID = strawberry.ID
DEVICE, EXTENSION, PERSON, LOCATION = tables.device.c, tables.extension.c, tables.person.c, tables.location.c


@dataclass(frozen=True, slots=True)
class Figures:
    """A value that is no row."""

    status: LocationStatus
    counted: int
    noted: str | None
    names: tuple[str, ...]
    device_id: str | None
    problem: RefusalValue | None

    @property
    def doubled(self) -> int:
        """An attribute that is computed."""
        return 2 * self.counted


def of_device(_device: Parent[rows.DeviceRow]) -> str | None:
    """A value made from a device's row."""


async def the_device(_location: Parent[rows.LocationRow]) -> rows.DeviceRow | None:
    """A device's row."""


async def all_devices(_location: Parent[rows.LocationRow]) -> list[rows.DeviceRow]:
    """Rows of devices."""
    return []


def guarded_column() -> Any:
    """A field that leads alone may see."""
    return strawberry.field(extensions=guarded(can(Action.ADMINISTER)))


def planted(shown: type | None, **fields: tuple[Any, Any]) -> type:
    """A type `Planted` with these fields, each an annotation and a declaration."""
    body = {name: field for name, (_, field) in fields.items()}
    body["__annotations__"] = {name: annotation for name, (annotation, _) in fields.items()}
    made = type("PlantedType", (), body)
    return strawberry.type(made, name="Planted") if shown is None else shows(shown, "Planted.")(made)


def faults_with(planted_type: type) -> tuple[str, ...]:
    """What is wrong with a schema of this type and of all types that it leads to."""
    query = type("Query", (), {"__annotations__": {"planted": planted_type | None}, "planted": None})
    try:
        check_types(strawberry.Schema(query=strawberry.type(query)))
    except SchemaMismatch as mismatch:
        return mismatch.faults
    return ()


# Each field that does not fit: the class that its type shows, the field's name, annotation and declaration, the fault.
PLANTS: dict[str, tuple[type, str, Any, Any, str]] = {
    "a field without a column": (
        rows.LocationRow,
        "fax_number",
        str | None,
        column(""),
        "LocationRow has no attribute fax_number",
    ),
    "another name than that of the content": (
        rows.ContactRow,
        "name",
        str | None,
        column(""),
        "its name is name, but the content declares fullName",
    ),
    "a number over text": (
        rows.LocationRow,
        "name",
        int,
        column(""),
        "its type is int, but column location.name holds str",
    ),
    "text over a number": (
        rows.LocationRow,
        "revision",
        str,
        column(""),
        "its type is str, but column location.revision holds int",
    ),
    "text over a time": (
        rows.LocationRow,
        "created_at",
        str,
        column(""),
        "its type is str, but column location.created_at holds datetime",
    ),
    "text over JSON": (
        rows.ReceiptRow,
        "reasons",
        str,
        column(""),
        "its type is str, but column receipt.reasons holds JSON",
    ),
    "JSON over text": (
        rows.LocationRow,
        "name",
        JSON,
        column(""),
        "its type is JSON, but column location.name holds str",
    ),
    "another enum": (
        rows.LocationRow,
        "status",
        PayloadState,
        column(""),
        "its type is PayloadState, but column location.status holds LocationStatus",
    ),
    "text over a closed set": (
        rows.LocationRow,
        "status",
        str,
        column(""),
        "its type is str, but column location.status holds LocationStatus",
    ),
    "an enum over any text": (
        rows.LocationRow,
        "name",
        LocationStatus,
        column(""),
        "its type is LocationStatus, but column location.name holds str",
    ),
    "another enum of a column without a CHECK": (
        rows.AuditEntryRow,
        "actor_role",
        Section | None,
        column(""),
        "its type is Section, but column audit_entry.actor_role holds Role",
    ),
    "another enum of the states of values": (
        rows.AuditEntryRow,
        "reason_state",
        Role,
        column(""),
        "its type is Role, but the state of column audit_entry.reason holds ValueState",
    ),
    "a list of another enum": (
        rows.OverrideRow,
        "sections",
        list[PayloadState],
        column(""),
        "its type is a list of PayloadState, but column override.sections holds a list of Section",
    ),
    "one of a list": (
        rows.OverrideRow,
        "sections",
        Section,
        column(""),
        "its type is Section, but column override.sections holds a list of Section",
    ),
    "a list of one": (
        rows.LocationRow,
        "name",
        list[str],
        column(""),
        "its type is a list of str, but column location.name holds str",
    ),
    "items that may be null": (
        rows.OverrideRow,
        "sections",
        list[Section | None],
        column(""),
        "its type is a list of nullable Section, but column override.sections holds a list of Section",
    ),
    "non-null over a nullable column": (
        rows.LocationRow,
        "timezone",
        str,
        column(""),
        "it must be nullable, because column location.timezone may be null",
    ),
    "nullable over a column that is not": (
        rows.LocationRow,
        "name",
        str | None,
        column(""),
        "it must not be nullable, because column location.name is never null and no guard can refuse it",
    ),
    "non-null behind a guard": (
        rows.LocationRow,
        "name",
        str,
        guarded_column(),
        "its guard may refuse, so it must be nullable",
    ),
    "never null where nothing else is said": (
        rows.LocationRow,
        "name",
        str,
        column("", never_null=True),
        "its nullability is that of column location.name, so never_null must not be declared",
    ),
    "a relation to another table": (
        rows.ExtensionRow,
        "device",
        PersonType | None,
        one(DEVICE.id, "", key="device_id"),
        "its type shows PersonRow, but column device.id belongs to DeviceRow",
    ),
    "a list from another table": (
        rows.LocationRow,
        "devices",
        list[PersonType],
        many(DEVICE.location_id, ""),
        "its type shows PersonRow, but column device.location_id belongs to DeviceRow",
    ),
    "a key that the row has not": (
        rows.ExtensionRow,
        "device",
        DeviceType | None,
        one(DEVICE.id, "", key="phone_id"),
        "its key: ExtensionRow has no attribute phone_id",
    ),
    "a key that holds ids of another table": (
        rows.ExtensionRow,
        "device",
        DeviceType | None,
        one(DEVICE.id, "", key="person_id"),
        "its key extension.person_id and column device.id do not hold ids of the same table",
    ),
    "a list by ids of another table": (
        rows.PersonRow,
        "extensions",
        list[ExtensionType],
        many(EXTENSION.device_id, ""),
        "its key person.id and column extension.device_id do not hold ids of the same table",
    ),
    "a list by a column that holds no ids": (
        rows.LocationRow,
        "devices",
        list[DeviceType],
        many(DEVICE.label, ""),
        "its key location.id and column device.label do not hold ids of the same table",
    ),
    "a key without a foreign key that holds ids of another table": (
        rows.AuditEntryRow,
        "actor",
        UserType | None,
        one(tables.user.c.id, "", key="override_id"),
        "its key audit_entry.override_id and column user.id do not hold ids of the same table",
    ),
    "a key that holds no ids": (
        rows.AuditEntryRow,
        "actor",
        UserType | None,
        one(tables.user.c.id, "", key="request_id"),
        "its key audit_entry.request_id and column user.id do not hold ids of the same table",
    ),
    "one() with a list": (
        rows.ExtensionRow,
        "device",
        list[DeviceType] | None,
        one(DEVICE.id, "", key="device_id"),
        "one() needs a single object",
    ),
    "many() with a single object": (
        rows.LocationRow,
        "devices",
        DeviceType,
        many(DEVICE.location_id, ""),
        "many() needs a list",
    ),
    "one() by a column that is not unique": (
        rows.LocationRow,
        "device",
        DeviceType | None,
        one(DEVICE.location_id, "", key="id"),
        "one() needs a unique column, and device.location_id is not",
    ),
    "many() by a key that may be null": (
        rows.ExtensionRow,
        "siblings",
        list[ExtensionType],
        many(EXTENSION.person_id, "", key="person_id"),
        "many() needs a key that is never null, and column extension.person_id may be",
    ),
    "a non-null object by a key that may be null": (
        rows.ExtensionRow,
        "person",
        PersonType,
        one(PERSON.id, "", key="person_id"),
        "it must be nullable, because no foreign key guarantees a row for column extension.person_id",
    ),
    "a non-null object that need not be there": (
        rows.DeviceRow,
        "extension",
        ExtensionType,
        one(EXTENSION.device_id, "", key="id"),
        "it must be nullable, because no foreign key guarantees a row for column device.id",
    ),
    "a nullable list without a guard": (
        rows.LocationRow,
        "devices",
        list[DeviceType] | None,
        many(DEVICE.location_id, ""),
        "a list must not be nullable unless a guard can refuse it",
    ),
    "a list of nullable objects": (
        rows.LocationRow,
        "devices",
        list[DeviceType | None],
        many(DEVICE.location_id, ""),
        "the items of a list must not be nullable",
    ),
    "a relation behind a guard that is non-null": (
        rows.LocationRow,
        "devices",
        list[DeviceType],
        many(DEVICE.location_id, "", needs=Action.ADMINISTER),
        "its guard may refuse, so it must be nullable",
    ),
    "a part of another row": (
        rows.DeviceRow,
        "address",
        AddressType,
        part(""),
        "its type is LocationRow, but the parent holds DeviceRow",
    ),
    "a result's object of another table": (
        MutationResult,
        "device",
        PersonType | None,
        named(tables.device, "device", ""),
        "its type is PersonRow, but table device holds DeviceRow",
    ),
    "a result's object that is never null": (
        MutationResult,
        "device",
        DeviceType,
        named(tables.device, "device", ""),
        "it must be nullable, because table device may be null",
    ),
    "a resolver of another row": (
        rows.LocationRow,
        "mac_address",
        str | None,
        derived(of_device, ""),
        "its resolver of_device takes DeviceRow, but the type shows LocationRow",
    ),
    "a resolver of another scalar": (
        rows.DeviceRow,
        "mac_address",
        int | None,
        derived(of_device, ""),
        "its type is int, but resolver of_device holds str",
    ),
    "a resolver that may return null": (
        rows.DeviceRow,
        "mac_address",
        str,
        derived(of_device, ""),
        "it must be nullable, because resolver of_device may be null",
    ),
    "a resolver of other rows": (
        rows.LocationRow,
        "devices",
        list[PersonType],
        computed(all_devices, ""),
        "its type is a list of PersonRow, but resolver all_devices holds a list of DeviceRow",
    ),
    "a resolver of one row for a list": (
        rows.LocationRow,
        "devices",
        list[DeviceType] | None,
        computed(the_device, ""),
        "its type is a list of DeviceRow, but resolver the_device holds DeviceRow",
    ),
    "a field that the value has not": (Figures, "total", int, column(""), "Figures has no attribute total"),
    "another scalar than the value's": (
        Figures,
        "counted",
        str,
        column(""),
        "its type is str, but Figures.counted holds int",
    ),
    "another scalar than the property's": (
        Figures,
        "doubled",
        str,
        column(""),
        "its type is str, but Figures.doubled holds int",
    ),
    "another enum than the value's": (
        Figures,
        "status",
        Role,
        column(""),
        "its type is Role, but Figures.status holds LocationStatus",
    ),
    "non-null where the value is not": (
        Figures,
        "noted",
        str,
        column(""),
        "it must be nullable, because Figures.noted may be null",
    ),
    "nullable where the value is not": (
        Figures,
        "counted",
        int | None,
        column(""),
        "it must not be nullable, because Figures.counted is never null and no guard can refuse it",
    ),
    "one of the value's list": (
        Figures,
        "names",
        str,
        column(""),
        "its type is str, but Figures.names holds a list of str",
    ),
    "an object of the value that is never null": (
        Figures,
        "device",
        DeviceType,
        one(DEVICE.id, "", key="device_id"),
        "it must be nullable, because no foreign key guarantees a row for Figures.device_id",
    ),
}


@pytest.mark.parametrize(("shown", "name", "annotation", "field", "fault"), PLANTS.values(), ids=PLANTS)
def test_a_field_that_does_not_fit_is_named(shown: type, name: str, annotation: Any, field: Any, fault: str) -> None:
    assert faults_with(planted(shown, **{name: (annotation, field)})) == (f"Planted.{name}: {fault}",)


@pytest.mark.parametrize(
    ("shown", "name", "annotation", "field"),
    [
        (rows.LocationRow, "name", str, column("")),
        (rows.ContactRow, "name", str | None, strawberry.field(name="fullName", description="")),
        (rows.LocationRow, "account_id", ID, column("")),
        (rows.LocationRow, "timezone", str | None, column("")),
        (rows.LocationRow, "name", str | None, guarded_column()),
        (rows.LocationRow, "status", LocationStatus, column("")),
        (rows.OverrideRow, "sections", list[Section], column("")),
        (rows.AuditEntryRow, "actor_role", Role | None, column("")),
        (rows.LocationRow, "devices", list[DeviceType], many(DEVICE.location_id, "")),
        (rows.LocationRow, "devices", list[DeviceType] | None, many(DEVICE.location_id, "", needs=Action.ADMINISTER)),
        (rows.DeviceRow, "location", LocationType, one(LOCATION.id, "", key="location_id")),
        (rows.DeviceRow, "location", LocationType | None, one(LOCATION.id, "", key="location_id")),
        (rows.OnboardingSessionRow, "devices", list[DeviceType], many(DEVICE.location_id, "", key="location_id")),
        (rows.DeviceRow, "extension", ExtensionType | None, one(EXTENSION.device_id, "", key="id")),
        (rows.LocationRow, "address", AddressType, part("")),
        (rows.LocationRow, "devices", list[DeviceType], computed(all_devices, "")),
        (Figures, "doubled", int, column("")),
        (Figures, "names", list[str], column("")),
        (Figures, "problem", Problem | None, column("")),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_field_that_fits_is_taken(shown: type, name: str, annotation: Any, field: Any) -> None:
    assert faults_with(planted(shown, **{name: (annotation, field)})) == ()


class SiteRow(rows.Row, frozen=True):
    """A broken copy of a location's row: a field without a column, and one of another type than its column."""

    id: str
    fax_number: str | None
    name: int
    timezone: str


@pytest.fixture
def _site_rows_are_of_locations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "TABLE_OF_ROW", {**checks.TABLE_OF_ROW, SiteRow: tables.location})


@pytest.mark.parametrize(
    ("name", "annotation", "fault"),
    [
        ("fax_number", str | None, "table location has no column fax_number"),
        ("name", int, "SiteRow.name does not have the type of column location.name"),
        ("timezone", str, "SiteRow.timezone does not have the type of column location.timezone"),
    ],
)
@pytest.mark.usefixtures("_site_rows_are_of_locations")
def test_a_row_that_does_not_fit_its_table_is_named(name: str, annotation: Any, fault: str) -> None:
    assert faults_with(planted(SiteRow, **{name: (annotation, column(""))})) == (f"Planted.{name}: {fault}",)


def test_a_row_without_a_table_is_named() -> None:
    assert faults_with(planted(SiteRow, id=(ID, column("")))) == ("Planted.*: SiteRow is the row of no table",)


def test_a_type_that_declares_nothing_is_named() -> None:
    assert faults_with(planted(None, id=(ID, column("")))) == (
        "Planted.*: the type does not declare what it shows; declare it with `shows`",
    )


def test_a_type_that_is_fetched_by_id_from_another_table_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE_OF_TYPE, "Device", tables.person)
    assert faults_with(planted(rows.ExtensionRow, device=(DeviceType | None, one(DEVICE.id, "", key="device_id")))) == (
        "Device.id: resolvers.objects.TABLE_OF_TYPE does not name the table of its rows",
    )


async def a_page() -> Connection[rows.UserRow]:  # type: ignore[empty-body] # - never called
    """A page of users."""


async def a_location() -> rows.LocationRow:  # type: ignore[empty-body] # - never called
    """A location."""


async def issues() -> list[Issue]:
    """Findings."""
    return []


@pytest.mark.parametrize(
    ("annotation", "resolver", "fault"),
    [
        (
            ConnectionType[AccountType] | None,
            a_page,
            "its type is Connection of AccountRow, but resolver a_page holds Connection of UserRow",
        ),
        (
            list[UserType] | None,
            a_page,
            "its type is a list of UserRow, but resolver a_page holds Connection of UserRow",
        ),
        (DeviceType | None, a_location, "its type is DeviceRow, but resolver a_location holds LocationRow"),
        (list[UserType] | None, issues, "its type is a list of UserRow, but resolver issues holds a list of Issue"),
    ],
)
def test_a_root_field_of_other_rows_is_named(annotation: Any, resolver: Any, fault: str) -> None:
    query = type("Query", (), {"__annotations__": {"planted": annotation}, "planted": computed(resolver, "")})
    with pytest.raises(SchemaMismatch) as mismatch:
        check_types(strawberry.Schema(query=strawberry.type(query)))
    assert mismatch.value.faults == (f"Query.planted: {fault}",)


def test_a_root_field_of_its_rows_is_taken() -> None:
    annotations = {"planted": ConnectionType[UserType] | None}
    query = type("Query", (), {"__annotations__": annotations, "planted": computed(a_page, "")})
    check_types(strawberry.Schema(query=strawberry.type(query)))


def test_all_faults_are_told_at_once() -> None:
    broken = planted(rows.LocationRow, name=(int, column("")), status=(Role, column("")), site=(str, column("")))
    faults = faults_with(broken)
    assert [each.split(":")[0] for each in faults] == ["Planted.name", "Planted.site", "Planted.status"]
    assert str(SchemaMismatch(faults)).splitlines()[1:] == list(faults)


def test_the_schema_of_the_product_fits() -> None:
    check_types(schema)


def test_the_schema_is_not_imported_while_a_type_does_not_fit() -> None:
    broken = "from app.db import tables; tables.device.c.brand.nullable = True; import graphql_schema.schema"
    result = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "Device.brand" in result.stderr


def test_the_name_of_a_type_is_that_of_its_class_without_the_suffix() -> None:
    names = {type_: schema.get_type_by_name(type_) for type_ in ("Device", "BulkSummary")}
    assert {name: found and found.origin for name, found in names.items()} == {  # type: ignore[union-attr]
        "Device": DeviceType,
        "BulkSummary": BulkSummary,
    }
