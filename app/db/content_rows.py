"""Converts a location's content to rows and back, by the mapping in app.db.content_columns."""

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

# A table and the values of a row, by column. Sequences of rows are in the order of the immediate foreign keys.
TableRow = tuple[Table, dict[str, Any]]


def to_rows(content: LocationContent, new_id: Callable[[str], str]) -> Iterator[TableRow]:
    """Yield all rows of a content: the location's own row, then its child rows."""
    yield tables.location, location_row(content)
    yield from child_rows(content, new_id)


def location_row(content: LocationContent) -> dict[str, Any]:
    """Return the location's own row, with the digest of the whole content and the version of the digest."""
    digest = {"content_digest": content_digest(content), "digest_version": digest_version(content)}
    return location_values(content) | digest


def location_values(content: LocationContent) -> dict[str, Any]:
    """Return the content columns of the location's own row, and the comparison keys of its unique values."""
    return _values(tables.location, content) | {column: comparison_key(get(content)) for column, get in _KEYS}


def child_rows(content: LocationContent, new_id: Callable[[str], str]) -> Iterator[TableRow]:
    """Yield all rows of a content except the location's own row.

    `new_id(type name)` creates the ids of rows that have none in the content. Of the columns that do not hold content,
    only keys and the position and trigger of a branch are included.
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
    """Return the content of one location's rows, in the given order; branches are sorted by position.

    Values can be JSON values. A missing column gets the default of its field. Columns that do not hold content are
    ignored. Raises msgspec.ValidationError if the rows are not a valid content.
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
    """Return the content of the rows that were read."""
    flow = rows.call_flow
    alike = msgspec.convert(rows, _Alike, from_attributes=True)
    return LocationContent(
        **_fields(rows.location, _OF_LOCATION),
        **{part: msgspec.convert(rows.location, kind, from_attributes=True) for part, kind in _PARTS},
        **{child.member: getattr(alike, child.member) for child in _ALIKE},
        call_flow=None if flow is None else _call_flow(flow, rows.branches),
    )


def revisions_of(rows: "ContentRows") -> dict[str, int]:
    """Return the revisions of the rows that have ids, by id."""
    return {row.id: row.revision for name in _REVISED for row in getattr(rows, name)}


def comparison_key(text: str | None) -> str | None:
    """Return the comparison key of a value that is unique in an account: case-folded, in NFC."""
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
    """The type of a table's rows in ContentRows: one optional row, or a tuple of rows."""
    return kind | None if table in SINGLE else tuple[kind, ...]


# Tables with at most one row per location.
SINGLE = frozenset({tables.location, tables.phone_system, tables.call_flow})
# The ids of rows of these tables are not part of the content.
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
# Fields that are stored in several columns of the location's own row, with the same names.
_PARTS = tuple(
    (field.name, field.kind)
    for field in _DECLARED.values()
    if field.is_structured and not field.many and not field.optional
)
# Members whose rows have the same fields as their values, so that all rows are converted in one call.
_ALIKE = tuple(child for child in CHILDREN if child.member != "call_flow")
_Alike: Any = make_dataclass(
    "_Alike", [(child.member, _held(_DECLARED[child.member].kind, child.table)) for child in _ALIKE]
)
_NAMES = {tables.location: "location"} | {child.table: child.name for child in CHILDREN}
# The names of the types for which ids are created.
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
"""The rows of a location's content: its own row, and the rows of each child by name."""
