"""Everything before the execution of a hostile request takes little time, and its refusal is short."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    build_schema,
    get_named_type,
    is_enum_type,
    is_input_object_type,
    is_leaf_type,
    is_non_null_type,
    is_required_argument,
)

from graphql_schema.input_bounds import UnboundedList, check_lists
from graphql_schema.schema import schema
from tests.harness import SECURITY_YARDSTICK_SECONDS, is_within, least_fields

from .hostile import FAMILIES, Outcome, before_execution, encoded, planning

SCHEMA = schema._schema
ROOTS = {"query": SCHEMA.query_type, "mutation": SCHEMA.mutation_type}
SECONDS = 0.05  # on the processor of the figures in docs/security.md
ATTEMPTS = 40  # the first one that is quick ends it; a busy machine slows some down
LONG = "a" * 900_000
SHORT = 500  # characters of a message
CASES = [(kind, name) for kind, families in FAMILIES.items() for name in families]


def quickest(body: bytes, seconds: float, **options: Any) -> Outcome:
    """The outcome of the first attempt that takes less CPU time, or of the quickest one."""
    best = before_execution(body, **options)
    for _ in range(ATTEMPTS):
        if is_within(best.seconds, seconds, SECURITY_YARDSTICK_SECONDS):
            break
        best = min(best, before_execution(body, **options), key=lambda each: each.seconds)
    return best


@pytest.mark.parametrize(("kind", "name"), CASES)
@pytest.mark.parametrize("suggestions", [False, True], ids=["", "development"])
def test_what_precedes_execution_is_quick(kind: str, name: str, suggestions: bool) -> None:
    outcome = quickest(FAMILIES[kind][name].worst(), SECONDS, suggestions=suggestions)
    assert is_within(outcome.seconds, SECONDS, SECURITY_YARDSTICK_SECONDS)
    if kind != "documents":  # the names in a message about a document are as long as those in the document
        assert all(len(error["message"]) < SHORT for error in outcome.errors)
    assert len(outcome.errors) <= 5


def test_the_largest_plan_is_built_quickly() -> None:
    prepared = before_execution(FAMILIES["documents"]["the largest plan"].worst()).prepared
    assert prepared is not None
    assert is_within(min(planning(prepared) for _ in range(10)), SECONDS, SECURITY_YARDSTICK_SECONDS)


@pytest.mark.parametrize(("count", "code"), [(38, "BAD_REQUEST"), (39, "QUERY_TOO_COMPLEX")])
def test_the_variables_of_all_operations_together_are_limited(count: int, code: str) -> None:
    text = " ".join(f"query q{number}($a: ID!) {{ location(id: $a) {{ id }} }}" for number in range(count))
    assert before_execution(encoded(text)).code == code


# Text that is too long, in every place where a text can be


def sample(kind: Any) -> Any:
    """A value that fits an input type."""
    if is_non_null_type(kind):
        return sample(kind.of_type)
    if isinstance(kind, GraphQLList):
        return [sample(kind.of_type)]
    if isinstance(kind, GraphQLInputObjectType):
        return {name: sample(each.type) for name, each in least_fields(kind).items()}
    if is_enum_type(kind):
        return next(iter(kind.values))
    return {"Int": 1, "Boolean": False, "Time": "09:00:00"}.get(kind.name, "none")


def with_long_texts(kind: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Each value of a type in which one leaf is a long text, with the name of its field."""
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if isinstance(inner, GraphQLList):
        yield from ((name, [value]) for name, value in with_long_texts(inner.of_type, path))
    elif is_input_object_type(inner):
        for name, field in inner.fields.items():
            for leaf, value in with_long_texts(field.type, (*path, name)):
                yield leaf, ({} if inner.is_one_of else sample(inner)) | {name: value}
    elif is_leaf_type(inner):
        yield path[-1], LONG


def places() -> Iterator[Any]:
    """Each place for a text: the document, the name of the innermost field, the variable's value."""
    for operation, root in ROOTS.items():
        assert root is not None
        for field_name, field in root.fields.items():
            required = {name: each for name, each in field.args.items() if is_required_argument(each)}
            below = "" if is_leaf_type(get_named_type(field.type)) else "{__typename}"
            for argument, each in field.args.items():
                others = {name: other for name, other in required.items() if name != argument}
                definitions = "".join(f", ${name}: {other.type}" for name, other in others.items())
                given = "".join(f", {name}: ${name}" for name in others)
                text = f"{operation}($v: {each.type}{definitions}){{{field_name}({argument}: $v{given}){below}}}"
                for leaf, value in with_long_texts(each.type, ("v",)):
                    variables = {name: sample(other.type) for name, other in others.items()} | {"v": value}
                    yield pytest.param(text, leaf, variables, id=f"{field_name}({argument}) {leaf}")


@pytest.mark.parametrize(("text", "field", "variables"), list(places()))
def test_a_long_text_is_refused_by_its_length_wherever_it_is(text: str, field: str, variables: dict[str, Any]) -> None:
    outcome = quickest(encoded(text, variables), SECONDS / 2)
    (error,) = outcome.errors
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("BAD_USER_INPUT", field)
    assert len(error["message"]) < SHORT
    assert is_within(outcome.seconds, SECONDS / 2, SECURITY_YARDSTICK_SECONDS)


# Lists and unknown fields


@pytest.mark.parametrize(
    ("count", "problem"),
    [(16, None), (17, "Invalid value for input.contacts: must have at most 8 items.")],
)
def test_a_list_of_more_than_twice_its_maximum_is_refused_before_its_items_are_read(
    count: int, problem: str | None
) -> None:
    outcome = before_execution(FAMILIES["variables"]["contacts"].body(count))
    assert [error["message"] for error in outcome.errors] == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("count", "problem"), [(200, None), (201, "Field 'SetCallFlowInput.directTargets' must have at most 100 items.")]
)
def test_a_list_in_a_document_has_the_same_bound(count: int, problem: str | None) -> None:
    targets = '"a" ' * count
    flow = f'{{locationId: "a", expectedRevision: 1, kind: DIRECT, directTargets: [{targets}]}}'
    outcome = before_execution(encoded(f"mutation {{ setCallFlow(input: {flow}) {{ replayed }} }}"))
    assert [error["message"] for error in outcome.errors] == ([problem] if problem else [])


def test_only_the_first_unknown_field_is_reported() -> None:
    outcome = before_execution(FAMILIES["variables"]["unknown input fields"].body(100))
    assert [error["message"] for error in outcome.errors] == [
        "Invalid value for filter.x0: is not a field of LocationFilter."
    ]


def test_a_list_without_a_declared_maximum_is_found_when_the_schema_is_built() -> None:
    schema_of = build_schema(
        "enum E {A} input I {ids: [ID!] other: [E!]} type Query {a(filter: I, all: [Int!]): Int b(one: Int): Int}"
    )
    with pytest.raises(UnboundedList, match=r"I\.ids, Query\.a\(all\)$"):
        check_lists(schema_of)
