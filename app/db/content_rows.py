"""A location's content as rows of tables, and back. app.db.content_columns says which column holds which field."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import make_dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from sqlalchemy import Table

from app.db import tables
from app.db.content_columns import BRANCHES, CELLS, CHILDREN, ROW_TYPES, Cell, key_column, option_cells, target_cells
from app.domain.content import CallFlow, CallFlowOption, LocationContent, Target
from app.domain.content_field import content_fields
from app.domain.digest import content_digest, digest_version
from app.domain.vocabulary import CallTarget, CallTrigger

# A table, and the values of a row by column; in an order in which foreign keys that are not deferred hold.
TableRow = tuple[Table, dict[str, Any]]


def to_rows(content: LocationContent, new_id: Callable[[str], str]) -> Iterator[TableRow]:
    """Every row of a content: the location's own as `location_row` makes it, then `child_rows`."""
    yield tables.location, location_row(content)
    yield from child_rows(content, new_id)


def location_row(content: LocationContent) -> dict[str, Any]:
    """The location's own row, with the digest of the whole content and its version."""
    digest = {"content_digest": content_digest(content), "digest_version": digest_version(content)}
    return location_values(content) | digest


def location_values(content: LocationContent) -> dict[str, Any]:
    """The content in the location's own row, and the keys by which its unique values are compared."""
    return _values(tables.location, content) | {column: comparison_key(get(content)) for column, get in _KEYS}


def child_rows(content: LocationContent, new_id: Callable[[str], str]) -> Iterator[TableRow]:
    """Every row of a content but the location's own.

    `new_id(type name)` makes ids for the rows that the content does not name. Of the columns that hold no content,
    only keys, and a branch's position and trigger, are given.
    """
    key = {"account_id": content.account_id, "location_id": content.location_id}
    for child in CHILDREN:
        if child.table is tables.call_flow_option:
            rows: Iterable[dict[str, Any]] = _branches(content.call_flow) if content.call_flow else ()
        else:
            rows = (_values(child.table, value) for value in _all_of(getattr(content, child.member)))
        made_ids = child.table in WITHOUT_IDENTITY
        for row in rows:
            made = {"id": new_id(_TYPE_NAMES[child.table])} if made_ids else {}
            yield child.table, {**made, **key, **row}


def from_rows(rows: Iterable[tuple[Table, Mapping[str, Any]]]) -> LocationContent:
    """The content of one location's rows, in the order in which they are given; branches by their position.

    Values may be as JSON has them. A column that is missing has the default of its field; columns that hold no content
    are passed over. Raises msgspec.ValidationError for rows that make no content.
    """
    found: dict[str, Any] = {}
    in_order = sorted(rows, key=lambda each: each[1]["position"] if each[0] is tables.call_flow_option else 0)
    for table, row in in_order:
        read = {column: row[column] for column in ROW_TYPES[table].__struct_fields__ if column in row}
        if table in SINGLE:
            found[_NAMES[table]] = read
        else:
            found.setdefault(_NAMES[table], []).append(read)
    return content_of(msgspec.convert(found, ContentRows))


def content_of(rows: "ContentRows") -> LocationContent:
    """The content that was read."""
    flow = rows.call_flow
    alike = msgspec.convert(rows, _Alike, from_attributes=True)
    return LocationContent(
        **_fields(rows.location, _OF_LOCATION),
        **{part: msgspec.convert(rows.location, kind, from_attributes=True) for part, kind in _PARTS},
        **{child.member: getattr(alike, child.member) for child in _ALIKE},
        call_flow=None if flow is None else _call_flow(flow, rows.branches),
    )


def revisions_of(rows: "ContentRows") -> dict[str, int]:
    """The revision of every row that has an identity, by its id."""
    return {row.id: row.revision for name in _REVISED for row in getattr(rows, name)}


def comparison_key(text: str | None) -> str | None:
    """The form in which a value that is unique in an account is compared: case-folded, and in NFC."""
    return None if text is None else unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _values(table: Table, value: object) -> dict[str, Any]:
    return {column: get(value) for column, get in _GETTERS[table]}


def _all_of(held: Any) -> tuple[Any, ...]:
    if isinstance(held, tuple):
        return held
    return () if held is None else (held,)


def _branches(flow: CallFlow) -> Iterator[dict[str, Any]]:
    branches = [
        *((CallTrigger.DIRECT, None, _extension(extension_id)) for extension_id in flow.direct_targets),
        *((CallTrigger.DIGIT, option, option.target) for option in flow.options),
        *((BRANCHES[name], None, getattr(flow, name)) for name in _TARGETS if getattr(flow, name) is not None),
    ]
    for position, (trigger, option, target) in enumerate(branches):
        of_option = {cell.column: getattr(option, cell.source, None) for cell in _OPTION}
        of_target = {cell.column: getattr(target, cell.source) for cell in _TARGET}
        yield {"position": position, "trigger": trigger, **of_option, **of_target}


def _extension(extension_id: str) -> Target:
    return Target(kind=CallTarget.EXTENSION, extension_id=extension_id)


def _call_flow(flow: Any, rows: Iterable[Any]) -> CallFlow:
    by_trigger: dict[CallTrigger, list[Any]] = {trigger: [] for trigger in CallTrigger}
    for row in rows:
        by_trigger[row.trigger].append(row)
    targets: dict[str, Any] = {name: _target(row) for name in _TARGETS for row in by_trigger[BRANCHES[name]][:1]}
    return CallFlow(
        **_fields(flow, _OF_CALL_FLOW),
        **targets,
        options=tuple(
            CallFlowOption(**_fields(row, _OPTION), target=_target(row)) for row in by_trigger[CallTrigger.DIGIT]
        ),
        direct_targets=tuple(row.extension_id for row in by_trigger[CallTrigger.DIRECT]),
    )


def _target(row: Any) -> Target:
    return Target(**_fields(row, _TARGET))


def _fields(row: Any, cells: Iterable[Cell]) -> dict[str, Any]:
    return {cell.source: getattr(row, cell.column) for cell in cells}


def _getter(cell: Cell) -> tuple[str, Callable[[Any], Any]]:
    return cell.column, attrgetter(cell.source)


def _held(kind: Any, table: Table) -> Any:
    """The type of what is held of a table: a row or none, or any number of rows."""
    return kind | None if table in SINGLE else tuple[kind, ...]


# Tables with one row per location at most.
SINGLE = frozenset({tables.location, tables.phone_system, tables.call_flow})
# Rows of these tables have no identity of their own: the content does not name them.
WITHOUT_IDENTITY = frozenset(
    child.table
    for child in CHILDREN
    if "id" in child.table.c and all(cell.column != "id" for cell in CELLS[child.table])
)
_DECLARED = {field.name: field for field in content_fields(LocationContent)}
_TARGETS = ("timeout_target", "invalid_target")
_OPTION, _TARGET = tuple(option_cells()), tuple(target_cells())
_GETTERS = {table: tuple(map(_getter, cells)) for table, cells in CELLS.items()}
_KEYS = tuple(
    (key_column(cell.column), attrgetter(cell.source))
    for cell in CELLS[tables.location]
    if cell.field.unique_in_account
)
_OF_LOCATION = tuple(cell for cell in CELLS[tables.location] if "." not in cell.source)
_OF_CALL_FLOW = CELLS[tables.call_flow]
# Fields that are several columns of the location's own row, by the same names.
_PARTS = tuple(
    (field.name, field.kind)
    for field in _DECLARED.values()
    if field.is_structured and not field.many and not field.optional
)
# Members whose rows have the fields of their values, by the same names, so that they are converted all at once.
_ALIKE = tuple(child for child in CHILDREN if child.member != "call_flow")
_Alike: Any = make_dataclass(
    "_Alike", [(child.member, _held(_DECLARED[child.member].kind, child.table)) for child in _ALIKE]
)
_NAMES = {tables.location: "location"} | {child.table: child.name for child in CHILDREN}
# The types that new ids are made for.
_TYPE_NAMES = {child.table: _DECLARED[child.member].kind.__name__ for child in CHILDREN} | {
    tables.call_flow_option: CallFlowOption.__name__
}
_REVISED = tuple(child.name for child in CHILDREN if "revision" in ROW_TYPES[child.table].__struct_fields__)

if TYPE_CHECKING:
    ContentRows: TypeAlias = Any
else:
    ContentRows = msgspec.defstruct(
        "ContentRows",
        [("location", ROW_TYPES[tables.location])]
        + [
            (child.name, _held(ROW_TYPES[child.table], child.table), None if child.table in SINGLE else ())
            for child in CHILDREN
        ],
        frozen=True,
        forbid_unknown_fields=True,
    )
"""What is read of a location's content: its own row, and the rows of each child by its name."""
