"""A location's content as it was at a revision, put together from the changes that the trail holds of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from app.db.statements import Statement
from app.domain.content import (
    Address,
    CallFlow,
    Contact,
    Device,
    Extension,
    LocationContent,
    Person,
    PhoneSystem,
    Target,
    WorkingHours,
)
from app.domain.vocabulary import CallTrigger

T = TypeVar("T")
Row = Mapping[str, Any]


class Reader(Protocol):
    """A transaction or a reading; leads alone see the trail."""

    async def fetch(self, statement: Statement, **values: Any) -> list[Any]:
        """Every row of a statement."""


@dataclass(frozen=True, slots=True)
class AsOf:
    """A location's content at a revision. `digest` is the one that stood on record then.

    `erased` names what was erased since, `table/row/field`; those fields are None and the digest is not reached.
    """

    content: LocationContent
    revision: int
    digest: str
    erased: tuple[str, ...]


async def as_of(reader: Reader, location_id: str, revision: int) -> AsOf | None:
    """The content at a revision; None when the trail holds no such revision of it."""
    told = _Told()
    for change in await reader.fetch(_CHANGES, location_id=location_id, revision=revision):
        told.take(change)
    place = told.rows["location"].get(location_id, {})
    if place.get("revision") != revision or "id" not in place:
        return None
    return AsOf(_content(place, told.rows), revision, place["content_digest"], tuple(sorted(told.erased)))


class _Change(NamedTuple):
    table: str
    row: str
    field: str
    after: Any
    gone: bool
    erased: bool


_CHANGES = Statement(
    "location as of a revision",
    """
    SELECT c.table_name, c.row_id, c.field, c.after, c.after_hash IS NULL,
           c.after_hash IS NOT NULL AND c.after_salt IS NULL
    FROM turnup.field_change c JOIN turnup.audit_entry e ON e.id = c.entry_id
    WHERE c.location_id = $1 AND e.number <= (
        SELECT max(e.number) FROM turnup.field_change c JOIN turnup.audit_entry e ON e.id = c.entry_id
        WHERE c.location_id = $1 AND c.table_name = 'location' AND c.field = 'revision'
          AND c.after = to_jsonb($2::integer)
    ) AND c.table_name IN ('location', 'contact', 'phone_system', 'device', 'person', 'extension', 'working_hours',
                           'call_flow', 'call_flow_option')
    ORDER BY e.number, c.id
    """,
    ("location_id", "revision"),
    _Change,
)


class _Told:
    """Rows by table and key, as the changes taken so far leave them."""

    def __init__(self) -> None:
        tables = ("location", "contact", "phone_system", "device", "person", "extension", "working_hours")
        self.rows: dict[str, dict[str, dict[str, Any]]] = {
            table: {} for table in (*tables, "call_flow", "call_flow_option")
        }
        self.erased: set[str] = set()

    def take(self, change: _Change) -> None:
        rows = self.rows[change.table]
        name = f"{change.table}/{change.row}/{change.field}"
        self.erased.discard(name)
        if change.gone:
            rows.pop(change.row, None)
            return
        rows.setdefault(change.row, {})[change.field] = change.after
        if change.erased:
            self.erased.add(name)


def _content(place: Row, rows: Mapping[str, Mapping[str, Row]]) -> LocationContent:
    flow = next(iter(rows["call_flow"].values()), None)
    phone_system = next(iter(rows["phone_system"].values()), None)
    return LocationContent(
        location_id=place["id"],
        account_id=place["account_id"],
        name=place["name"],
        address=_as(Address, place),
        timezone=place.get("timezone"),
        contacts=_all(Contact, rows["contact"]),
        phone_system=None if phone_system is None else _as(PhoneSystem, phone_system),
        devices=_all(Device, rows["device"]),
        people=_all(Person, rows["person"]),
        extensions=_all(Extension, rows["extension"]),
        working_hours=tuple(_interval(row) for row in rows["working_hours"].values()),
        call_flow=None if flow is None else _call_flow(flow, rows["call_flow_option"].values()),
    )


def _call_flow(flow: Row, options: Iterable[Row]) -> CallFlow:
    routes: dict[str, list[Row]] = {trigger: [] for trigger in CallTrigger}
    for row in sorted(options, key=lambda row: row["position"]):
        routes[row["trigger"]].append(row)
    timeout, invalid = routes[CallTrigger.TIMEOUT], routes[CallTrigger.INVALID]
    return msgspec.convert(
        {
            **{name: flow.get(name) for name in ("kind", "greeting", "timeout_seconds", "retries")},
            "timeout_target": _target(timeout[0]) if timeout else None,
            "invalid_target": _target(invalid[0]) if invalid else None,
            "options": [{"digit": row["digit"], "target": _target(row)} for row in routes[CallTrigger.DIGIT]],
            "direct_targets": [row["extension_id"] for row in routes[CallTrigger.DIRECT]],
        },
        CallFlow,
    )


def _target(row: Row) -> dict[str, Any]:
    return {**{name: row.get(name) for name in Target.__slots__}, "kind": row["target"]}


def _interval(row: Row) -> WorkingHours:
    opens, closes = time.fromisoformat(row["opens"]), time.fromisoformat(row["closes"])
    return WorkingHours(weekday=row["weekday"], opens=opens, closes=closes, passes_midnight=row["passes_midnight"])


def _all(kind: type[T], rows: Mapping[str, Row]) -> tuple[T, ...]:
    return tuple(_as(kind, row) for row in rows.values())


def _as(kind: type[T], row: Row) -> T:
    """A value of the domain from the columns that share its fields' names; a column nobody told of is null."""
    return msgspec.convert({name: row.get(name) for name in kind.__slots__}, kind)  # type: ignore[attr-defined]
