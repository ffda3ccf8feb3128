"""Compares the objects of a database with those that the migrations make: triggers, policies, functions, grants, roles.

The owner of the tables can replace each of them and change data without a trace in the audit log. The comparison reads
only the catalogue of PostgreSQL, which a superuser alone can falsify. `make objects` writes the expected objects.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.db.migrate import newest_revision, revision_of

EXPECTED_FILE = Path(__file__).with_name("expected_objects.json")

_OBJECTS = Path(__file__).with_name("objects.sql").read_text(encoding="utf-8")
PINNED = "SET LOCAL search_path = pg_catalog, pg_temp"
"""Statement for a transaction that relies on PostgreSQL's own functions, operators and types alone."""

_AS_EXPECTED = "; ".join(
    f"SET LOCAL {setting}"
    for setting in (
        "quote_all_identifiers = off",
        "standard_conforming_strings = on",
        "bytea_output = hex",
        "datestyle = 'ISO, MDY'",
        "intervalstyle = postgres",
        "timezone = 'UTC'",
        "extra_float_digits = 1",
    )
)
"""Statements for a transaction that reads expressions: an administrator may have chosen another form of their text."""

MOST_NAMED = 3
"""Changed objects that a message names."""
LONGEST_FACTS = 80
"""Characters of two facts that a message contains; it only names longer ones, such as the bodies of functions."""

Facts = Mapping[str, Any]


class DatabaseChanged(Exception):  # noqa: N818 - says what was found
    """Objects of the database are not as the migrations make them. The message is one line and names the first ones."""

    def __init__(self, changed: "Sequence[Changed]") -> None:
        named = "; ".join(map(str, changed[:MOST_NAMED]))
        more = f"; and {len(changed) - MOST_NAMED} more" if len(changed) > MOST_NAMED else ""
        super().__init__(
            f"the database is not as the migrations make it: {named}{more} (turnup audit verify lists all changes,"
            " TURNUP_CHANGED_OBJECTS=warn serves nevertheless)"
        )


@dataclass(frozen=True, slots=True)
class Changed:
    """An object of the database that is not as the migrations make it."""

    name: str
    how: str

    def __str__(self) -> str:
        """The change on one line."""
        return f"{self.name}: {self.how}"


async def changed_objects(connection: Any) -> tuple[Changed, ...] | None:
    """Return the objects that differ from what the migrations make, in order of their names.

    None if the database is not at the revision of this code: its objects are then those of another version. The roles
    of the owner and of the app may ask.
    """
    if await revision_of(connection) != newest_revision():
        return None
    found = await objects_of(connection)
    # Another process may have migrated to a newer revision meanwhile.
    if await revision_of(connection) != newest_revision():
        return None
    return tuple(differences(expected_objects(), found))


async def objects_of(connection: Any) -> dict[str, Facts]:
    """Return the facts about each object of the database, by its kind and name."""
    async with connection.transaction():
        await connection.execute(f"{PINNED}; {_AS_EXPECTED}")
        records = await connection.fetch(_OBJECTS)
    return {record["name"]: _stripped(json.loads(record["facts"])) for record in records}


def _stripped(facts: Facts) -> Facts:
    """Leave out what is false or absent, so that the file is short."""
    return {fact: value for fact, value in facts.items() if value not in (None, False, "")}


@cache
def expected_objects() -> Mapping[str, Facts]:
    """The objects that the migrations of this code make."""
    expected: Mapping[str, Facts] = json.loads(EXPECTED_FILE.read_text(encoding="utf-8"))
    return expected


def written(objects: Mapping[str, Facts]) -> str:
    """Return the objects as the text of EXPECTED_FILE: a line per object, in order."""
    lines = (f"{json.dumps(name)}: {json.dumps(facts, sort_keys=True)}" for name, facts in sorted(objects.items()))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def differences(expected: Mapping[str, Facts], found: Mapping[str, Facts]) -> Iterator[Changed]:
    """Yield each object that is missing, was added, or has other facts."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            yield Changed(name, "missing")
        elif name not in expected:
            yield Changed(name, "added")
        else:
            differing = sorted(
                fact for fact in expected[name].keys() | found[name].keys()
                if expected[name].get(fact) != found[name].get(fact)
            )  # fmt: skip
            if differing:
                yield Changed(name, "; ".join(_said(fact, expected[name], found[name]) for fact in differing))


def _said(fact: str, expected: Facts, found: Facts) -> str:
    now, was = (json.dumps(facts[fact]) if fact in facts else "none" for facts in (found, expected))
    return f"{fact} was changed" if len(now + was) > LONGEST_FACTS else f"{fact} is {now}, not {was}"
