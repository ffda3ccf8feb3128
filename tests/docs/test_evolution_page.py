"""The page of the schema's evolution lists every kind of change, and what it prints is what is checked."""

import re
from datetime import date

from graphql import BreakingChangeType, DangerousChangeType

from graphql_schema.evolution import NOTICE, REFUSED, refused_changes

from .pages import page, table

PAGE = page("docs/evolution.md")


def test_the_page_has_every_kind_of_change() -> None:
    said = {kind: verdict for kind, verdict, _ in table(PAGE, "What is breaking")}
    assert said == {
        kind.name: "refused" if kind in REFUSED else "allowed" for kind in [*BreakingChangeType, *DangerousChangeType]
    }


def test_the_deprecation_on_the_page_is_accepted_twelve_months_before_its_day() -> None:
    (example,) = [line.strip() for line in PAGE.splitlines() if "@deprecated(reason" in line]
    released, current = "type Query { name: String! }", f"type Query {{ fullName: String! {example} }}"
    day = date(2027, 12, 1)
    assert NOTICE.days == 365
    assert refused_changes(released, current, today=day - NOTICE) == []
    assert refused_changes(current, "type Query { fullName: String! }", today=day) == []


def test_the_page_has_the_exceptions_of_the_linter() -> None:
    exceptions = page("tests/clients/eslint.config.js").partition("const EXCEPTIONS = {")[2].partition("};")[0]
    said = [rule for rule, _ in table(PAGE, "What is added")]
    assert said == re.findall(r'"@graphql-eslint/([\w-]+)"', exceptions)
