"""Every migration since the steps exist can run while servers of the version before serve."""

import re
from collections.abc import Iterator

import pytest

from app.db.migrate import FIRST_WITH_STATE, MIGRATIONS, Migration, Position, known, missing_sql

ALL = known(MIGRATIONS)
SINCE_STEPS = [each for each in ALL if each.revision >= FIRST_WITH_STATE]

NAME = r'(?:turnup\.)?"?(\w+)"?'
CREATED = re.compile(rf"CREATE TABLE (?:IF NOT EXISTS )?{NAME}", re.IGNORECASE)
ALTERED = re.compile(rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?{NAME}", re.IGNORECASE)
INDEXED = re.compile(rf"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).*? ON (?:ONLY )?{NAME}", re.IGNORECASE | re.DOTALL)
# What reads or rewrites a whole table while nobody may write to it.
SLOW = {
    "a constraint that is validated at once": re.compile(
        r"\bADD (?:CONSTRAINT|CHECK|FOREIGN KEY|UNIQUE|PRIMARY KEY|EXCLUDE)\b(?!.*\b(?:NOT VALID|USING INDEX)\b)"
    ),
    "a constraint within a column": re.compile(
        r"\bADD (?!CONSTRAINT|CHECK|FOREIGN|UNIQUE|PRIMARY|EXCLUDE)"
        r".*\b(?:REFERENCES|CHECK|UNIQUE|PRIMARY KEY|GENERATED)\b"
    ),
    "a NOT NULL that is checked at once": re.compile(r"\bSET NOT NULL\b"),
    "a column without a default for the rows that are there": re.compile(
        r"\bADD COLUMN (?!.*\bDEFAULT\b).*\bNOT NULL\b"
    ),
    "another type": re.compile(r"\bALTER (?:COLUMN )?\S+ (?:SET DATA )?TYPE\b"),
}
WHOLE = re.compile(r"^\s*(?:VACUUM FULL|CLUSTER|LOCK|TRUNCATE|REINDEX (?!.*CONCURRENTLY))", re.IGNORECASE)


def holds_up(sql: str) -> Iterator[str]:
    """Say what in the statements of a migration keeps others from a table with rows, and for how long as it is read."""
    bare = re.sub(r"^\s*--.*$", "", sql, flags=re.MULTILINE)
    created = {name.lower() for name in CREATED.findall(bare)}
    for statement in bare.split(";\n"):
        one_line = " ".join(statement.split()).upper()
        altered, indexed = ALTERED.search(statement), INDEXED.search(statement)
        if indexed and indexed[1].lower() not in created:
            yield "an index that is not made concurrently"
        if altered and altered[1].lower() not in created:
            yield from (what for what, found in SLOW.items() if found.search(one_line))
        if WHOLE.match(statement):
            yield "a whole table"


def printed(migration: Migration) -> str:
    """The statements of one migration."""
    before = f"{int(migration.revision) - 1:04}"
    return missing_sql(Position(before, migration.revision, (migration,)))


@pytest.mark.parametrize("migration", SINCE_STEPS, ids=lambda each: each.revision)
def test_a_migration_holds_up_nobody(migration: Migration) -> None:
    assert list(holds_up(printed(migration))) == []


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("CREATE INDEX ix ON turnup.device (label)", "an index that is not made concurrently"),
        ("CREATE UNIQUE INDEX ix\n  ON turnup.device (label)", "an index that is not made concurrently"),
        ("ALTER TABLE turnup.device ADD CONSTRAINT c CHECK (label <> '')", "a constraint that is validated at once"),
        (
            "ALTER TABLE turnup.device ADD CONSTRAINT c FOREIGN KEY (x)\n REFERENCES turnup.y (z)",
            "a constraint that is validated at once",
        ),
        ('ALTER TABLE "turnup"."device" ADD UNIQUE (label)', "a constraint that is validated at once"),
        ("ALTER TABLE turnup.device ADD COLUMN x text REFERENCES turnup.y", "a constraint within a column"),
        ("ALTER TABLE turnup.device ALTER COLUMN label SET NOT NULL", "a NOT NULL that is checked at once"),
        ("ALTER TABLE turnup.device ALTER label TYPE varchar(9)", "another type"),
        (
            "ALTER TABLE turnup.device ADD COLUMN x text NOT NULL",
            "a column without a default for the rows that are there",
        ),
        ("LOCK TABLE turnup.device", "a whole table"),
    ],
)
def test_the_walk_notices_what_holds_up_servers(statement: str, what: str) -> None:
    assert what in list(holds_up(f"BEGIN;\n\n{statement};\n\nCOMMIT;\n"))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY ix ON turnup.device (label)",
        "ALTER TABLE turnup.device ADD CONSTRAINT c CHECK (label <> '') NOT VALID",
        "ALTER TABLE turnup.device VALIDATE CONSTRAINT c",
        "ALTER TABLE turnup.device ADD COLUMN x text",
        "ALTER TABLE turnup.device ADD COLUMN x int DEFAULT 1 NOT NULL",
        "CREATE TABLE turnup.fresh (x int CHECK (x > 0));\nCREATE INDEX ON turnup.fresh (x)",
        "CREATE TABLE turnup.fresh (x int);\nALTER TABLE turnup.fresh ADD CONSTRAINT c UNIQUE (x)",
    ],
)
def test_the_walk_lets_through_what_does_not(statement: str) -> None:
    assert list(holds_up(f"{statement};\n")) == []
