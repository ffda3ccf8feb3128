"""Rebuild all tracked tables from the audit log in a scratch schema, and compare them with the tables.

Only entries and their changes are used. Two kinds of values cannot be rebuilt: erased values are counted, and the rest
of their row is compared; values of which the audit log has only the hash are compared by it. The hash is computed here:
the owner of the database could replace the function of the database that computes it.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from app.audit.encoding import salted
from app.audit.objects import PINNED
from app.db import tables
from app.db.connecting import connect_as_owner
from app.domain.vocabulary import SystemAction
from app.progress import Report, unreported

SCRATCH = "turnup_replay"
# The tables that are not tracked, with the reason.
UNTRACKED = {
    tables.audit_entry: "part of the audit log",
    tables.field_change: "part of the audit log",
    tables.chain_head: "part of the audit log",
    tables.audit_incident: "counts, which are added to the audit log when their minute is over",
    tables.erasure_due: "the payloads to erase; each erasure is recorded in the audit log",
    tables.schema_state: "the revisions of the code that may write, which migrations add",
    tables.user_session: "sign-ins of browsers; who ends a session of another has an entry in the audit log",
    tables.sign_in_attempt: "sign-ins of browsers that are not complete, kept for 10 minutes",
    tables.service_token_use: "when tokens were last used, which changes nothing",
    tables.idempotency_key: "results stored for a day; the changes of the calls are tracked",
    tables.gauge_reading: "measurements for operators, of the last minute",
    tables.audit_verification: "the result of the last verification of the audit log",
}
TRACKED = tuple(table for table in tables.metadata.sorted_tables if table not in UNTRACKED)
ON_SYSTEM = frozenset(
    {
        tables.user,
        tables.service_token,
        tables.grant,
        tables.grant_location,
        tables.invitation,
        tables.accepted_version,
        tables.device_model,
        tables.installation,
    }
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that differs between the audit log and the table. `fields` is empty if only one of them has the row."""

    table: str
    row: str
    why: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The difference on one line, for people."""
        return " ".join([f"{self.table} {self.row}: {self.why}", ", ".join(self.fields)]).strip()


@dataclass(frozen=True, slots=True)
class Replayed:
    """Result of a replay: the number of rebuilt rows and of erased values, the skipped accounts, and the differences.

    Accounts whose data was loaded without auditing are skipped."""

    rows: int
    erased: int
    skipped: tuple[str, ...]
    differences: tuple[Difference, ...]


async def replay(owner_url: str, *, keep: bool = False, most: int = 20, report: Report = unreported) -> Replayed:
    """Rebuild and compare all tables in one snapshot. Reports at most `most` differences per table.

    With `keep`, the scratch schema remains until the next replay or erasure. The scratch schema of an earlier replay is
    always dropped. `owner_url` connects as the owner, who can create a schema. `report` gets the number of tables that
    are compared and of all.
    """
    async with _scratch(owner_url, keep=keep) as connection:
        skipped = [row["chain"] for row in await connection.fetch(_SKIPPED, SystemAction.LOAD_UNAUDITED)]
        await connection.execute(_LAST)
        await connection.execute(_INDEX)
        rows = 0
        differences: list[Difference] = []
        for number, table in enumerate(TRACKED):
            report(number, len(TRACKED))
            rows += await _rebuild(connection, table, skipped)
            differences.extend(await _compared(connection, table, skipped, most))
        erased = await connection.fetchval(_ERASED)
    return Replayed(rows, erased, tuple(skipped), tuple(differences))


@asynccontextmanager
async def _scratch(owner_url: str, *, keep: bool) -> AsyncIterator[Any]:
    connection = await connect_as_owner(owner_url)
    transaction = connection.transaction(isolation="repeatable_read")
    try:
        await connection.execute(_ALONE)
        async with connection.transaction():
            await connection.execute(PINNED)
            await connection.execute(_NONE)
        await transaction.start()
        await connection.execute(PINNED)
        await connection.execute(_ANEW)
        yield connection
        if keep:
            await transaction.commit()
    finally:
        await connection.close()  # without a commit, the scratch schema is rolled back


async def _rebuild(connection: Any, table: Table, skipped: list[str]) -> int:
    name = _quoted(table)
    # A column that was added later gave the existing rows a value for which there is no change.
    older = json.dumps(
        {column.name: column.info["of_older_rows"] for column in table.c if "of_older_rows" in column.info}
    )
    rebuilt = await connection.execute(
        f"CREATE TABLE {SCRATCH}.{name} AS SELECT r.* FROM"
        f" (SELECT chain, row_id, '{older}'::jsonb || jsonb_object_agg(field, after) AS rebuilt"
        f" FROM {SCRATCH}.last_value WHERE table_name = '{table.name}'"
        f" AND chain <> ALL ({_array(skipped)}) GROUP BY chain, row_id) v,"
        f" jsonb_populate_record(NULL::turnup.{name}, v.rebuilt) r"
    )
    return int(rebuilt.split()[-1])


async def _compared(connection: Any, table: Table, skipped: list[str], most: int) -> list[Difference]:
    key = "concat_ws('/', " + ", ".join(f"t.{column.name}" for column in table.primary_key) + ")"
    account = "id" if table is tables.account else "account_id"
    shown = "true" if table in ON_SYSTEM else f"t.{account} <> ALL ($2::text[])"
    found = await connection.fetch(
        _COMPARE.format(name=_quoted(table), key=key, shown=shown, scratch=SCRATCH), table.name, skipped, most
    )
    on_one_side = [_on_one_side(table, row) for row in found if row["fields"] is None]
    fields = defaultdict(set, {row["row_id"]: set(row["fields"]) for row in found if row["fields"] is not None})
    hashed = connection.cursor(_HASHED.format(name=_quoted(table), key=key, scratch=SCRATCH), table.name, skipped)
    async for row_id, field, now, salt, expected in hashed:
        if now is None or salted(salt, now) != expected:
            fields[row_id].add(field)
    why = "the audit log has other values of"
    differing = [Difference(table.name, row_id, why, tuple(sorted(names))) for row_id, names in fields.items()]
    return sorted([*on_one_side, *differing], key=lambda each: each.row)[:most]


def _on_one_side(table: Table, row: Any) -> Difference:
    why = "not in the audit log" if row["is_there"] else "in the audit log, but not in the table"
    return Difference(table.name, row["row_id"], why)


def _quoted(table: Table) -> str:
    return f'"{table.name}"'


def _array(values: list[str]) -> str:
    """Ids as an SQL array. Ids consist of letters, digits, `_` and `-`."""
    return "ARRAY[" + ", ".join(f"'{value}'" for value in values) + "]::text[]"


# Held until the connection closes. An erasure waits for this lock; otherwise a scratch schema could keep erased values.
_ALONE = f"SELECT pg_advisory_lock(hashtextextended('{SCRATCH}', 0))"
_NONE = f"""
SET LOCAL client_min_messages = warning;
SET LOCAL ROLE turnup_definer;
DROP SCHEMA IF EXISTS {SCRATCH} CASCADE
"""
_ANEW = f"""
CREATE SCHEMA {SCRATCH} AUTHORIZATION turnup_definer;
SET LOCAL ROLE turnup_definer
"""
# A load makes the account. A later entry with its action does not take the account out of the comparison.
_SKIPPED = "SELECT chain FROM turnup.audit_entry WHERE action = $1 AND number = 1 ORDER BY chain"

# The last value of each column of each row that was not deleted afterwards.
_LAST = f"""
CREATE TABLE {SCRATCH}.last_value AS
WITH changes AS (
    SELECT e.chain, c.table_name, c.row_id, c.field, c.after, c.after_salt, c.after_hash,
           row_number() OVER (PARTITION BY e.chain, c.table_name, c.row_id ORDER BY e.number, c.id) AS place
    FROM turnup.field_change c JOIN turnup.audit_entry e ON e.id = c.entry_id
    WHERE e.number IS NOT NULL AND c.table_name IN ({", ".join(f"'{table.name}'" for table in TRACKED)})
), gone AS (
    SELECT chain, table_name, row_id, max(place) AS place FROM changes WHERE after_hash IS NULL
    GROUP BY chain, table_name, row_id
)
SELECT DISTINCT ON (t.chain, t.table_name, t.row_id, t.field)
       t.chain, t.table_name, t.row_id, t.field, t.after, t.after_salt, t.after_hash
FROM changes t LEFT JOIN gone g USING (chain, table_name, row_id)
WHERE g.place IS NULL OR t.place > g.place
ORDER BY t.chain, t.table_name, t.row_id, t.field, t.place DESC
"""
_INDEX = f"CREATE INDEX ON {SCRATCH}.last_value (table_name, row_id); ANALYZE {SCRATCH}.last_value"
_ERASED = f"SELECT count(*) FROM {SCRATCH}.last_value WHERE after IS NULL AND after_salt IS NULL"

_COMPARE = """
SELECT row_id, now IS NOT NULL AS is_there, CASE WHEN now IS NOT NULL AND rebuilt IS NOT NULL THEN fields END AS fields
FROM (SELECT {key} AS row_id, to_jsonb(t) AS now FROM turnup.{name} t WHERE {shown}) a
FULL JOIN (SELECT {key} AS row_id, to_jsonb(t) AS rebuilt FROM {scratch}.{name} t) b USING (row_id)
LEFT JOIN (SELECT v.row_id, array_agg(v.field) AS unknown
           FROM {scratch}.last_value v WHERE v.table_name = $1 AND v.after IS NULL AND v.chain <> ALL ($2::text[])
           GROUP BY v.row_id) u USING (row_id)
CROSS JOIN LATERAL (
    SELECT array_agg(f ORDER BY f) AS fields FROM jsonb_object_keys(coalesce(now, rebuilt)) f
    WHERE f <> ALL (coalesce(unknown, '{{}}')) AND (now -> f)::text IS DISTINCT FROM (rebuilt -> f)::text
) d
WHERE now IS NULL OR rebuilt IS NULL OR fields IS NOT NULL
ORDER BY row_id LIMIT $3
"""
# The values of which the audit log has only the hash, as they are now.
_HASHED = """
SELECT v.row_id, v.field, (to_jsonb(t) -> v.field)::text, v.after_salt, v.after_hash
FROM {scratch}.last_value v JOIN turnup.{name} t ON {key} = v.row_id
WHERE v.table_name = $1 AND v.after IS NULL AND v.after_salt IS NOT NULL AND v.chain <> ALL ($2::text[])
"""
