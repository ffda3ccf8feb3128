"""Maps the fields of a location's content to columns. The mapping is derived from the domain's dataclasses.

A field is stored in the column with the same name, except for those in `_RENAMED`. At import, the fields are compared
with the tables. A field without a column, a column that neither holds content nor is in `_NOT_CONTENT`, a different
type or a different nullability raises `ContentMappingError`, which names the field and the column.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from datetime import time
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Boolean, Connection, Integer, SmallInteger, Table, Text, Time, text

from app.db import tables
from app.domain.content import CallFlow, CallFlowOption, LocationContent, Target
from app.domain.content_field import ContentField, content_fields
from app.domain.vocabulary import CallTrigger


class ContentMappingError(TypeError):
    """The content's dataclasses and the tables do not match."""


class Child(NamedTuple):
    """A table that holds rows of the content: the values of `member` of LocationContent, sorted by `order`."""

    member: str
    table: Table
    order: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the rows in an aggregate: that of the member, except for the branches of a call flow."""
        return "branches" if self.table is tables.call_flow_option else self.member


class Cell(NamedTuple):
    """A column that holds content, and the attribute path of its value, such as `address.city`."""

    column: str
    source: str
    field: ContentField
    optional: bool
    declared: str


CHILDREN = (
    Child("contacts", tables.contact, ("position",)),
    Child("phone_system", tables.phone_system, ("location_id",)),
    Child("devices", tables.device, ("id",)),
    Child("people", tables.person, ("id",)),
    Child("extensions", tables.extension, ("number", "id")),
    Child("working_hours", tables.working_hours, ("weekday", "opens", "id")),
    Child("call_flow", tables.call_flow, ("location_id",)),
    Child("call_flow", tables.call_flow_option, ("position",)),
)
# The fields of a call flow that are stored as rows of `call_flow_option`, by the trigger of the row.
BRANCHES: Mapping[str, CallTrigger] = {
    "direct_targets": CallTrigger.DIRECT,
    "options": CallTrigger.DIGIT,
    "timeout_target": CallTrigger.TIMEOUT,
    "invalid_target": CallTrigger.INVALID,
}
_RENAMED = {(LocationContent, "location_id"): "id", (Target, "kind"): "target"}
# The columns that do not hold content.
_KEY = frozenset({"account_id", "location_id"})
_NOT_CONTENT: Mapping[Table, frozenset[str]] = {
    tables.location: frozenset(
        {
            "status",
            "content_digest",
            "digest_version",
            "live_payload_id",
            "status_change_id",
            "test",
            "revision",
            "created_at",
            "updated_at",
        }
    ),
    tables.contact: _KEY | {"revision"},
    tables.phone_system: _KEY | {"revision"},
    tables.device: _KEY | {"revision"},
    tables.person: _KEY | {"revision"},
    tables.extension: _KEY | {"revision"},
    tables.working_hours: _KEY,
    tables.call_flow: _KEY | {"revision"},
    tables.call_flow_option: _KEY | {"id", "position", "trigger"},
}
_COLUMN_TYPES: Mapping[type, tuple[type, ...]] = {
    str: (Text,),
    int: (Integer, SmallInteger, BigInteger),
    bool: (Boolean,),
    time: (Time,),
}


def key_column(column: str) -> str:
    """Return the name of the column with the comparison keys of a column whose values are unique in an account."""
    return f"{column}_key"


def content_columns(table: Table) -> dict[str, Any]:
    """Return the columns of a table that hold content, each with its Python type."""
    return {
        cell.column: _optional(str if issubclass(cell.field.kind, str) else cell.field.kind, cell)
        for cell in CELLS[table]
    }


def content_tables(connection: Connection) -> list[tuple[str, str]]:
    """Return the columns that hold content in a database, such as `location.city`, each with its definition.

    In a database of another revision these are all columns that are not known to hold something else.
    """
    held = connection.execute(text(_COLUMNS), {"names": [table.name for table in CELLS]}).all()
    others = {f"{table.name}.{column}" for table in CELLS for column in _NOT_CONTENT[table]}
    return [(name, definition) for name, definition in held if name not in others]


_COLUMNS = f"""
SELECT c.relname || '.' || a.attname,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = to_regnamespace('{tables.SCHEMA}') AND c.relkind = 'r' AND c.relname = ANY (:names)
  AND a.attnum > 0 AND NOT a.attisdropped
"""


def option_cells() -> Iterator[Cell]:
    """Return the columns of a menu option's own fields. They are null in other branches."""
    for field in content_fields(CallFlowOption):
        if field.kind is not Target:
            yield _cell(CallFlowOption, field)._replace(optional=True)


def target_cells() -> Iterator[Cell]:
    """Return the columns of a branch's target."""
    return _cells_of(Target)


def _cells() -> Mapping[Table, tuple[Cell, ...]]:
    """Return the cells of each table. Raises ContentMappingError."""
    cells = {tables.location: tuple(_cells_of(LocationContent, {child.member for child in CHILDREN}))}
    kinds = {field.name: field.kind for field in content_fields(LocationContent)}
    for child in CHILDREN:
        if child.member not in kinds:
            raise ContentMappingError(f"LocationContent has no field {child.member}, which {child.table.name} holds")
        cells[child.table] = tuple(_cells_of(kinds[child.member], BRANCHES))
    cells[tables.call_flow_option] = (*option_cells(), *target_cells())
    unknown = BRANCHES.keys() - {field.name for field in content_fields(CallFlow)}
    if unknown:
        raise ContentMappingError(f"CallFlow has no field {', '.join(sorted(unknown))}, which call_flow_option holds")
    for table, held in cells.items():
        _check(table, held)
    return cells


def _cells_of(kind: type, elsewhere: Any = frozenset(), path: str = "") -> Iterator[Cell]:
    for field in content_fields(kind):
        if field.name in elsewhere:
            continue
        if field.many or (field.is_structured and field.optional):
            raise ContentMappingError(f"{kind.__name__}.{field.name} has no table: none of CHILDREN holds it")
        if field.is_structured:
            yield from _cells_of(field.kind, path=f"{path}{field.name}.")
        else:
            yield _cell(kind, field, path)


def _cell(kind: type, field: ContentField, path: str = "") -> Cell:
    column = _RENAMED.get((kind, field.name), field.name)
    return Cell(column, path + field.name, field, field.optional, f"{kind.__name__}.{field.name}")


def _check(table: Table, cells: tuple[Cell, ...]) -> None:
    expected = set(_NOT_CONTENT[table])
    for cell in cells:
        _check_column(table, cell.column, cell)
        expected.add(cell.column)
        if cell.field.unique_in_account:
            if table is not tables.location:
                raise ContentMappingError(
                    f"{cell.declared} is unique in an account, which only a location's value can be"
                )
            _check_column(table, key_column(cell.column), cell)
            _unique_index(table, key_column(cell.column), cell)
            expected.add(key_column(cell.column))
    for column in sorted(set(table.c.keys()) ^ expected):
        if column in table.c:
            raise ContentMappingError(
                f"the column {table.name}.{column} holds no field of the content and is not listed in _NOT_CONTENT"
            )
        raise ContentMappingError(f"_NOT_CONTENT lists {table.name}.{column}, which is no column")


def _check_column(table: Table, name: str, cell: Cell) -> None:
    if name not in table.c:
        raise ContentMappingError(f"{cell.declared} has no column: there is no {table.name}.{name}")
    column, kind = table.c[name], cell.field.kind
    if not isinstance(column.type, _COLUMN_TYPES.get(str if issubclass(kind, str) else kind, ())):
        raise ContentMappingError(
            f"{cell.declared} is {kind.__name__}, but the column {table.name}.{name} is {column.type}"
        )
    if column.nullable != cell.optional:
        raise ContentMappingError(
            f"{cell.declared} is {'optional' if cell.optional else 'always given'}, but the column "
            f"{table.name}.{name} is {'nullable' if column.nullable else 'NOT NULL'}"
        )


def _unique_index(table: Table, name: str, cell: Cell) -> str:
    for index in table.indexes:
        if index.unique and index.columns.keys() == ["account_id", name]:
            return str(index.name)
    raise ContentMappingError(
        f"{cell.declared} is unique in an account, but no unique index of {table.name} is on account_id and {name}"
    )


CELLS = _cells()
# The unique indexes that content can violate, each with the API's name of the field.
UNIQUE_FIELDS: Mapping[str, str] = {
    _unique_index(tables.location, key_column(cell.column), cell): cell.field.api_name
    for cell in CELLS[tables.location]
    if cell.field.unique_in_account
}


def _optional(kind: Any, cell: Cell) -> Any:
    return kind | None if cell.optional else kind


def _row_type(table: Table, name: str) -> type[msgspec.Struct]:
    """The struct of a row: its content columns, the revision of a row with an id, and the trigger of a branch."""
    held: list[Any] = []
    for cell in CELLS[table]:
        kind = _optional(cell.field.kind, cell)
        default = None if cell.optional else cell.field.default
        held.append((cell.column, kind) if default is MISSING else (cell.column, kind, default))
    if "revision" in table.c and any(cell.column == "id" for cell in CELLS[table]) and table is not tables.location:
        held.append(("revision", int, 1))
    if "trigger" in table.c:
        held.append(("trigger", CallTrigger))
    return msgspec.defstruct(name, held, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True)


ROW_TYPES: Mapping[Table, type[msgspec.Struct]] = {table: _row_type(table, f"stored {table.name}") for table in CELLS}
