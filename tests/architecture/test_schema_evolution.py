"""A release adds to the schema, and removes what a release before it deprecated, once the announced day has come."""

from datetime import date
from pathlib import Path

import pytest
from graphql import (
    BreakingChangeType,
    DangerousChangeType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    build_schema,
    find_schema_changes,
)

from graphql_schema.evolution import REFUSED, newest_released, refused_changes
from graphql_schema.schema import printed, schema

TODAY = date(2028, 3, 1)
RELEASED = """
directive @cached(seconds: Int) repeatable on FIELD | QUERY

type Query {
  site(id: ID!, active: Boolean = true): Site
  sites(filter: SiteFilter, first: Int): [Site!]!
  found: Found
}
interface Node { id: ID! }
type Site implements Node { id: ID!, name: String!, status: Status, hours: Hours }
type Hours { opens: String }
union Found = Site | Hours
enum Status { DRAFT LIVE }
input SiteFilter { status: Status, text: String = "" }
"""

BREAKS = {
    BreakingChangeType.TYPE_REMOVED: [(", hours: Hours", ""), (" | Hours", ""), ("type Hours { opens: String }", "")],
    BreakingChangeType.TYPE_CHANGED_KIND: [("type Hours {", "interface Hours {"), (" | Hours", "")],
    BreakingChangeType.TYPE_REMOVED_FROM_UNION: [(" | Hours", "")],
    BreakingChangeType.VALUE_REMOVED_FROM_ENUM: [("DRAFT ", "")],
    BreakingChangeType.REQUIRED_INPUT_FIELD_ADDED: [("text: String", "city: ID!, text: String")],
    BreakingChangeType.IMPLEMENTED_INTERFACE_REMOVED: [(" implements Node", "")],
    BreakingChangeType.FIELD_REMOVED: [("name: String!, ", "")],
    BreakingChangeType.FIELD_CHANGED_KIND: [("name: String!", "name: String")],
    BreakingChangeType.REQUIRED_ARG_ADDED: [("site(id: ID!", "site(id: ID!, account: ID!")],
    BreakingChangeType.ARG_REMOVED: [(", first: Int", "")],
    BreakingChangeType.ARG_CHANGED_KIND: [("first: Int", "first: Int!")],
    BreakingChangeType.DIRECTIVE_REMOVED: [("directive @cached(seconds: Int) repeatable on FIELD | QUERY", "")],
    BreakingChangeType.DIRECTIVE_ARG_REMOVED: [("(seconds: Int)", "")],
    BreakingChangeType.REQUIRED_DIRECTIVE_ARG_ADDED: [("(seconds: Int)", "(seconds: Int, key: ID!)")],
    BreakingChangeType.DIRECTIVE_REPEATABLE_REMOVED: [(" repeatable", "")],
    BreakingChangeType.DIRECTIVE_LOCATION_REMOVED: [(" | QUERY", "")],
    DangerousChangeType.ARG_DEFAULT_VALUE_CHANGE: [("active: Boolean = true", "active: Boolean = false")],
    DangerousChangeType.INPUT_FIELD_DEFAULT_VALUE_CHANGE: [('text: String = ""', 'text: String = "x"')],
}
ADDITIONS = {
    DangerousChangeType.VALUE_ADDED_TO_ENUM: [("DRAFT ", "DRAFT CLOSED ")],
    DangerousChangeType.TYPE_ADDED_TO_UNION: [
        ("Site | Hours", "Site | Hours | City"),
        ("enum", "type City { id: ID }\nenum"),
    ],
    DangerousChangeType.OPTIONAL_INPUT_FIELD_ADDED: [("text: String", "city: ID, text: String")],
    DangerousChangeType.OPTIONAL_ARG_ADDED: [("first: Int", "first: Int, after: String")],
    DangerousChangeType.IMPLEMENTED_INTERFACE_ADDED: [("type Hours {", "type Hours implements Node { id: ID!,")],
}


def changed(*replacements: tuple[str, str], text: str = RELEASED) -> str:
    """The released schema with texts replaced."""
    for old, new in replacements:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize("kind", [*BreakingChangeType, *DangerousChangeType], ids=lambda kind: kind.name)
def test_a_change_is_refused_unless_it_only_adds(kind: BreakingChangeType | DangerousChangeType) -> None:
    current = changed(*(BREAKS | ADDITIONS)[kind])
    made = [each for each in find_schema_changes(build_schema(RELEASED), build_schema(current)) if each.type is kind]
    assert made, "the example makes no such change"
    refused = refused_changes(RELEASED, current, today=TODAY)
    assert {each.description for each in made} <= set(refused) if kind in BREAKS else refused == []
    assert (kind in REFUSED) == (kind in BREAKS)


def test_the_released_schema_itself_and_descriptions_are_no_change() -> None:
    assert refused_changes(RELEASED, RELEASED, today=TODAY) == []
    assert refused_changes(RELEASED, changed(("type Hours", '"""When it is open."""\ntype Hours')), today=TODAY) == []


def test_an_input_that_takes_one_field_only_breaks_clients() -> None:
    one_of = changed(
        ('input SiteFilter { status: Status, text: String = "" }', "input SiteFilter @oneOf { status: Status }")
    )
    assert "Input SiteFilter became @oneOf." in refused_changes(RELEASED, one_of, today=TODAY)


def deprecated(day: str) -> str:
    return f'@deprecated(reason: "Use `title`. Removal on {day}.")'


REMOVALS = {
    "a field": ("name: String!", "", "Field Site.name was removed."),
    "an argument": ("first: Int", "", "Argument Query.sites(first:) was removed."),
    "a field of an input": ('text: String = ""', "", "Field SiteFilter.text was removed."),
    "a value of an enum": ("DRAFT", "", "Enum value Status.DRAFT was removed."),
}


@pytest.mark.parametrize("what", REMOVALS)
def test_what_was_deprecated_can_be_removed_from_the_announced_day_on(what: str) -> None:
    member, nothing, sentence = REMOVALS[what]
    current = changed((member, nothing))
    assert refused_changes(changed((member, f"{member} {deprecated('2028-03-01')}")), current, today=TODAY) == []
    assert refused_changes(changed((member, f"{member} {deprecated('2028-03-02')}")), current, today=TODAY) == [
        sentence
    ]
    assert refused_changes(changed((member, f"{member} @deprecated")), current, today=TODAY) == [sentence]
    assert refused_changes(RELEASED, current, today=TODAY) == [sentence]


def test_a_type_goes_with_the_last_member_that_refers_to_it() -> None:
    released = changed(("hours: Hours", f"hours: Hours {deprecated('2028-03-01')}"), (" | Hours", ""))
    without = changed((", hours: Hours", ""), (" | Hours", ""), ("type Hours { opens: String }", ""))
    assert refused_changes(released, without, today=TODAY) == []
    referred_to = released.replace("found: Found", "found: Found, hours: Hours")
    assert refused_changes(referred_to, without, today=TODAY) == [
        "Field Query.hours was removed.",
        "Hours was removed.",
    ]


def test_a_deprecated_member_keeps_its_type_until_it_is_removed() -> None:
    released = changed(("name: String!", f"name: String! {deprecated('2028-03-01')}"))
    current = changed(("name: String!", f"name: Int! {deprecated('2028-03-01')}"))
    assert refused_changes(released, current, today=TODAY) == ["Field Site.name changed type from String! to Int!."]


@pytest.mark.parametrize("reason", ["", '(reason: "Old.")', '(reason: "Use `title`. Removal on 2029-13-01.")'])
def test_a_deprecation_says_what_to_use_and_until_when(reason: str) -> None:
    current = changed(("name: String!", f"name: String! @deprecated{reason}"))
    assert refused_changes(RELEASED, current, today=TODAY) == [
        'Site.name is deprecated without "Use ... . Removal on YYYY-MM-DD."'
    ]


def test_a_new_deprecation_leaves_a_year() -> None:
    for day, refused in {
        "2029-03-01": [],
        "2029-02-28": ["Site.name is deprecated until 2029-02-28, which must be 2029-03-01 or later."],
    }.items():
        current = changed(("name: String!", f"name: String! {deprecated(day)}"))
        assert refused_changes(RELEASED, current, today=TODAY) == refused


def test_a_released_day_of_removal_does_not_move_forward() -> None:
    released = changed(("name: String!", f"name: String! {deprecated('2028-06-01')}"))
    for day, refused in {
        "2028-06-01": [],
        "2028-07-01": [],
        "2028-05-31": ["Site.name is deprecated until 2028-05-31, which must be 2028-06-01 or later."],
    }.items():
        current = changed(("name: String!", f"name: String! {deprecated(day)}"))
        assert refused_changes(released, current, today=TODAY) == refused


def test_the_newest_release_is_the_one_with_the_greatest_version(tmp_path: Path) -> None:
    assert newest_released(tmp_path) is None
    assert newest_released(tmp_path / "missing") is None
    for name in ("0.9.0.graphql", "0.10.0.graphql", "0.2.11.graphql", "next.graphql", "1.0.0.graphql.orig"):
        (tmp_path / name).write_text(RELEASED)
    assert newest_released(tmp_path) == tmp_path / "0.10.0.graphql"
    (tmp_path / "1.0.0.graphql").write_text(RELEASED)
    assert newest_released(tmp_path) == tmp_path / "1.0.0.graphql"


@pytest.mark.parametrize(("type_name", "member"), [("AddDeviceInput", "label"), ("Account", "name")])
def test_a_deprecation_is_in_the_printed_schema(type_name: str, member: str, monkeypatch: pytest.MonkeyPatch) -> None:
    type_ = schema._schema.type_map[type_name]
    assert isinstance(type_, GraphQLInputObjectType | GraphQLObjectType)
    monkeypatch.setattr(type_.fields[member], "deprecation_reason", "Use `title`. Removal on 2029-03-01.")
    parsed = build_schema(printed()).type_map[type_name]
    assert isinstance(parsed, GraphQLInputObjectType | GraphQLObjectType)
    assert parsed.fields[member].deprecation_reason == "Use `title`. Removal on 2029-03-01."
