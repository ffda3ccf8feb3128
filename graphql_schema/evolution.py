"""Which changes of the schema a release can make: the policy of docs/evolution.md, as a comparison of two schemas."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from graphql import (
    BreakingChangeType,
    DangerousChangeType,
    GraphQLSchema,
    build_schema,
    find_schema_changes,
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_object_type,
)

NOTICE = timedelta(days=365)
"""The least time between the release that deprecates something and the release without it."""

REFUSED = frozenset(
    {
        *BreakingChangeType,
        DangerousChangeType.ARG_DEFAULT_VALUE_CHANGE,
        DangerousChangeType.INPUT_FIELD_DEFAULT_VALUE_CHANGE,
    }
)
"""The kinds of changes that no release makes. The others add to the schema, or are safe."""

_RELEASED = re.compile(r"(\d+)\.(\d+)\.(\d+)\.graphql")
_REASON = re.compile(r"Use .+\. Removal on (?P<day>\d{4}-\d{2}-\d{2})\.", re.DOTALL)


def newest_released(folder: Path) -> Path | None:
    """Return the schema of the newest version in a folder of files such as 0.10.0.graphql; None if it has none."""
    versions = {
        tuple(int(number) for number in found.groups()): path
        for path in folder.glob("*.graphql")
        if (found := _RELEASED.fullmatch(path.name))
    }
    return versions[max(versions)] if versions else None


def refused_changes(released: str, current: str, *, today: date) -> list[str]:
    """Return what would break the clients of a released schema, as sentences in alphabetical order.

    What the released schema deprecates can be missing from the day that the deprecation names, and a type together with
    the last member that refers to it.
    """
    old, new = build_schema(released), build_schema(current)
    before, after = _members(old), _members(new)
    for coordinate, member in before.items():
        if coordinate not in after and _is_over(member, today):
            del member.siblings[member.name]
    changes = find_schema_changes(_reachable(old), new)
    return sorted(
        [
            *(change.description for change in changes if change.type in REFUSED),
            *_limited_inputs(old, new),
            *_unfit_deprecations(before, after, today),
        ]
    )


@dataclass(frozen=True, slots=True)
class SchemaMember:
    """What can be deprecated: a field, an argument or a value of an enum, by its name among its siblings."""

    name: str
    siblings: dict[str, Any]
    deprecation: str | None


def _members(schema: GraphQLSchema) -> dict[str, SchemaMember]:
    """The members of all types by their coordinates, such as `Query.locations(first:)`."""
    found: dict[str, SchemaMember] = {}

    def add(siblings: dict[str, Any], coordinate: str) -> None:
        for name, each in siblings.items():
            found[coordinate.format(name)] = SchemaMember(name, siblings, each.deprecation_reason)

    for type_name, each in schema.type_map.items():
        if is_enum_type(each):
            add(each.values, f"{type_name}.{{}}")
        elif is_input_object_type(each):
            add(each.fields, f"{type_name}.{{}}")
        elif is_object_type(each) or is_interface_type(each):
            add(each.fields, f"{type_name}.{{}}")
            for name, field in each.fields.items():
                add(field.args, f"{type_name}.{name}({{}}:)")
    return found


def _reachable(schema: GraphQLSchema) -> GraphQLSchema:
    """A schema without the types that nothing refers to. Types with an interface stay: objects can be of them."""
    return GraphQLSchema(
        query=schema.query_type,
        mutation=schema.mutation_type,
        directives=schema.directives,
        types=[each for each in schema.type_map.values() if is_object_type(each) and each.interfaces],
        assume_valid=True,
    )


def _limited_inputs(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[str]:
    """The inputs that from now on take exactly one field, which graphql-core does not compare."""
    for name, before in old.type_map.items():
        after = new.type_map.get(name)
        if is_input_object_type(before) and is_input_object_type(after) and after.is_one_of and not before.is_one_of:
            yield f"Input {name} became @oneOf."


def _unfit_deprecations(
    before: Mapping[str, SchemaMember], after: Mapping[str, SchemaMember], today: date
) -> Iterator[str]:
    """The deprecations that do not say what to use and until when, or that leave less time than promised."""
    for coordinate, member in after.items():
        if member.deprecation is None:
            continue
        promised = _removal(before[coordinate].deprecation) if coordinate in before else None
        earliest, day = promised or today + NOTICE, _removal(member.deprecation)
        if day is None:
            yield f'{coordinate} is deprecated without "Use ... . Removal on YYYY-MM-DD."'
        elif day < earliest:
            yield f"{coordinate} is deprecated until {day}, which must be {earliest} or later."


def _is_over(member: SchemaMember, today: date) -> bool:
    day = _removal(member.deprecation)
    return day is not None and day <= today


def _removal(deprecation: str | None) -> date | None:
    """The day of removal that the reason of a deprecation names."""
    found = _REASON.fullmatch(deprecation or "")
    try:
        return date.fromisoformat(found["day"]) if found else None
    except ValueError:
        return None
