"""Reconstructs a location's content at an earlier revision from its changes in the audit log."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from app.db.content_columns import CHILDREN, ROW_TYPES
from app.db.content_rows import from_rows
from app.db.statements import Statement
from app.domain.content import LocationContent
from app.domain.content_document import pointer_to


class AuditReader(Protocol):
    """A transaction or a reading. Only leads can read the audit log."""

    async def fetch(self, statement: Statement, **values: Any) -> list[Any]:
        """Return all rows of a statement."""


@dataclass(frozen=True, slots=True)
class AsOf:
    """A location's content at a revision. `digest` is the digest that was stored with it.

    `erased` are JSON pointers to the values of the content document that were erased later; they are null in the
    content. `digest` is then None too: the erased values could be guessed from it.
    """

    content: LocationContent
    revision: int
    digest: str | None
    erased: tuple[str, ...]


async def as_of(reader: AuditReader, location_ids: Sequence[str], revision: int) -> dict[str, AsOf]:
    """Return the content of each location at a revision. A location without this revision in the audit log is left out.

    A single statement reads the whole history of the locations and returns only the last values.
    """
    values = await reader.fetch(_AT_REVISION, location_ids=list(location_ids), revision=revision)
    return {each.content.location_id: each for each in _reconstructed(values) if each.revision == revision}


async def with_digest(reader: AuditReader, digests: Mapping[str, str]) -> dict[str, AsOf]:
    """Return the content that each location had when it last had the given digest. Other locations are left out.

    `digests` are by location id. A single statement, as in `as_of`.
    """
    values = await reader.fetch(_AT_DIGEST, location_ids=list(digests), digests=list(digests.values()))
    return {each.content.location_id: each for each in _reconstructed(values)}


def _reconstructed(values: Iterable["_Value"]) -> Iterator[AsOf]:
    by_location: defaultdict[str, list[_Value]] = defaultdict(list)
    for value in values:
        by_location[value.location].append(value)
    for location, found in by_location.items():
        content = _content_of(location, found)
        if content is not None:
            yield content


# The tables that hold content, and the members of the document that hold their rows.
_TABLES = {str(table.name): table for table in ROW_TYPES}
_MEMBERS = {str(child.table.name): child.member for child in CHILDREN}


class _Value(NamedTuple):
    location: str
    table: str
    row: str
    field: str
    value: Any
    erased: bool


# MATERIALIZED: the wanted entry of each location is looked up once, not once per change.
_WANTED = """
    WITH wanted AS MATERIALIZED (
        SELECT l.id, (
            SELECT max(e.number) FROM turnup.field_change c JOIN turnup.audit_entry e ON e.id = c.entry_id
            WHERE c.location_id = l.id AND c.table_name = 'location' AND {made_it}
        ) AS number
        FROM {locations}
    )"""
# The last value of each column of the rows that existed then, that is, after the last deletion of the row.
_LAST_VALUES = f"""
    , changes AS (
        SELECT c.location_id, c.table_name, c.row_id, c.field, c.after, c.after_salt, c.after_hash,
               row_number() OVER (PARTITION BY c.location_id ORDER BY e.number, c.id) AS place
        FROM wanted w JOIN turnup.field_change c ON c.location_id = w.id JOIN turnup.audit_entry e ON e.id = c.entry_id
        WHERE e.number <= w.number
          AND c.table_name IN ({", ".join(f"'{table}'" for table in _TABLES)})
    ), lives AS (
        SELECT t.*, max(t.place) FILTER (WHERE t.after_hash IS NULL)
                    OVER (PARTITION BY t.location_id, t.table_name, t.row_id) AS gone
        FROM changes t
    )
    SELECT DISTINCT ON (location_id, table_name, row_id, field)
           location_id, table_name, row_id, field, after, after_salt IS NULL
    FROM lives WHERE place > coalesce(gone, 0)
    ORDER BY location_id, table_name, row_id, field, place DESC
    """
_AT_REVISION = Statement(
    "locations as of a revision",
    _WANTED.format(
        locations="unnest($1::text[]) AS l (id)", made_it="c.field = 'revision' AND c.after = to_jsonb($2::integer)"
    )
    + _LAST_VALUES,
    ("location_ids", "revision"),
    _Value,
)
_AT_DIGEST = Statement(
    "locations as of a digest",
    _WANTED.format(
        locations="unnest($1::text[], $2::text[]) AS l (id, digest)",
        made_it="c.field = 'content_digest' AND c.after = to_jsonb(l.digest)",
    )
    + _LAST_VALUES,
    ("location_ids", "digests"),
    _Value,
)


def _content_of(location_id: str, values: Iterable[_Value]) -> AsOf | None:
    """The content of these values. None if the audit log has only later changes, so that it is incomplete."""
    rows: defaultdict[str, defaultdict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    erased = set()
    for each in values:
        rows[each.table][each.row][each.field] = each.value
        if each.erased:
            erased.add(pointer_to(_MEMBERS[each.table], each.row, each.field))
    place = rows["location"][location_id]
    if "id" not in place:
        return None
    digest = None if erased else place["content_digest"]
    content = from_rows((_TABLES[table], row) for table, found in rows.items() for row in found.values())
    return AsOf(content, place["revision"], digest, tuple(sorted(erased)))
