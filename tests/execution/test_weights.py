"""The memory that documents and plans are said to take, beside what is allocated, and what a flood of them takes."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import ref

import pytest
from graphql import (
    DocumentNode,
    GraphQLObjectType,
    VariableValues,
    get_introspection_query,
    get_named_type,
    is_abstract_type,
    is_object_type,
)

from app.execution import BreadthFirst, Plan, rows
from app.execution.model import Run, TypedBuilder
from app.execution.planning import selection_below, shape_for
from app.query_cost.limits import DocumentLimits, parse_document
from app.query_cost.price import PriceRules
from graphql_schema.documents import Documents, Prepared
from graphql_schema.schema import schema

SCHEMA = schema._schema
LIMITS = DocumentLimits()
MEGABYTE = 1024 * 1024
COPIES = 10
RICH = (
    "{id name status timezone account{id name} contacts{id fullName email phone purpose} people{id firstName lastName}"
    " devices{id label macAddress brand model extension{id number person{id firstName lastName}}}}"
)


def repeated(part: Callable[[int], str], count: int) -> str:
    return " ".join(map(part, range(count)))


def near_the_limits(number: int) -> str:
    """A document with almost the most tokens, and a plan of hundreds of fields."""
    return "{" + repeated(lambda k: f'a{k}n{number}:location(id:"location-1"){RICH}', 13) + "}"


DOCUMENTS: dict[str, Callable[[int], str]] = {
    "small": lambda n: f"query q{n}{{viewer{{name}}}}",
    "usual": lambda n: f"query q{n}{{locations(first:5){{nodes{RICH} pageInfo{{endCursor hasNextPage}} totalCount}}}}",
    "near the limits": near_the_limits,
    "introspection": lambda n: get_introspection_query().replace("IntrospectionQuery", f"I{n}"),
    "list of values": lambda n: f"query q{n}{{locations(filter:{{status:[{'APPROVED ' * 900}]}}){{nodes{{id}}}}}}",
    "long string": lambda n: f'query q{n}{{location(id:"{"x" * 14_000}"){{id}}}}',
    "string of emoji": lambda n: f'query q{n}{{location(id:"{chr(0x1F600) * 14_000}"){{id}}}}',
    "one comment": lambda n: f"query q{n}{{viewer{{name}}}}#{'x' * 14_000}",
    "many comments": lambda n: f"query q{n}{{viewer{chr(10)}{'#' + chr(10)}{('#' + chr(10)) * 7_000}{{name}}}}",
    "commas": lambda n: f"query q{n}{{viewer{{name}}}}{',' * 14_000}",
    "operations": lambda n: repeated(lambda k: f"query q{n}_{k}{{viewer{{name}}}}", 120),
    "operations with pages": lambda n: (
        repeated(lambda k: f"query q{n}_{k}($p:Int){{...F}}", 40)
        + " fragment F on Query{"
        + "locations(first:$p){nodes{id}} " * 20
        + "}"
    ),
    "long aliases": lambda n: f"query q{n}{{viewer{{{repeated(lambda k: 'a' * 450 + f'{k}:name', 30)}}}}}",
    "variables": lambda n: (
        f"query q{n}({repeated(lambda k: f'$v{k}:ID!', 20)})"
        f"{{{repeated(lambda k: f'a{k}:location(id:$v{k}){{id}}', 20)}}}"
    ),
    "conditions": lambda n: f"query q{n}($v0:Boolean!){{locations{{nodes{{{'id@skip(if:$v0) ' * 48}}}}}}}",
    "fragments": lambda n: (
        f"query q{n}{{{repeated(lambda k: f'a{k}:location(id:1){{...F}}', 20)}}}"
        " fragment F on Location{id name status contacts{id fullName} devices{id} people{id} extensions{number}}"
    ),
    "abstract type": lambda n: (
        f"query q{n}{{node(id:1){{id __typename ...on Location{{name}} ...on Device{{brand}}}}}}"
    ),
    "mutation": lambda n: (
        f'mutation q{n}{{addDevice(input:{{locationId:"x",brand:YEALINK}})'
        "{problems{code message path ...on Conflict{currentRevision} ...on NotReady{issues{code}}} device{id}}}"
    ),
}


@contextmanager
def allocated() -> Iterator[Callable[[], int]]:
    """Yield a function that returns the bytes allocated since the block began and not freed."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield lambda: tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def documents(**options: Any) -> Documents:
    return Documents(SCHEMA, limits=LIMITS, prices=PriceRules(), **options)


def weight_and_truth(made: Callable[[int], tuple[str, Any]], weigh: Callable[[Any], int]) -> tuple[int, int]:
    """The weight of some values with their texts, and the bytes that are freed when they are gone."""
    with allocated() as growth:
        values = [made(number) for number in range(100, 100 + COPIES)]
        gc.collect()
        weight, held = sum(weigh(each) for _, each in values), growth()
        values.clear()
        gc.collect()
        return weight, held - growth()


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_takes_about_what_it_weighs(kind: str) -> None:
    kept = documents(size=1)

    def prepared(number: int) -> tuple[str, Prepared]:
        text = DOCUMENTS[kind](number)
        made = kept.made(text)
        for operation in made.operations:
            operation.price.given({})
            operation.introspection.given({})
        return text, made

    weight, truth = weight_and_truth(prepared, lambda each: each.bytes)
    assert truth / 2 <= weight <= truth * 2


def planned_whole(engine: BreadthFirst, document: DocumentNode) -> Plan:
    """The plan of a document once every selection of it was executed for every type."""
    plan = engine.plan(SCHEMA, document, hide_suggestions=True)
    if plan.declined is None:
        values: Mapping[str, Any] = {f"v{number}": False for number in range(20)}
        run = Run.__new__(Run)
        run.plan, run.variables = plan, VariableValues({}, dict(values))
        run.shape = shape_for(plan, run.variables)
        waiting = list(run.shape.selections)
        while waiting:
            selection = waiting.pop()
            built = rows._generate(run, selection, by_key=False, typed={})
            selection.typed_builders[dict] = TypedBuilder(built, is_complete=True)
            for field in selection.fields:
                if field.leaf is not None and field.source is not None:
                    field.leaf_column(field.nullable)
                waiting += [selection_below(run, field, type_) for type_ in types_of(field.type)]
    return plan


def types_of(type_: Any) -> list[GraphQLObjectType]:
    named: Any = get_named_type(type_)
    if is_abstract_type(named):
        return list(SCHEMA.get_possible_types(named))
    return [named] if is_object_type(named) else []


@pytest.mark.parametrize("kind", [each for each in DOCUMENTS if not each.startswith("operations")])
def test_a_plan_takes_about_what_it_weighs_after_it_has_grown(kind: str) -> None:
    engine = BreadthFirst(plan_bytes=0)

    def planned(number: int) -> tuple[str, Plan]:
        text = DOCUMENTS[kind](number)
        return text, planned_whole(engine, parse_document(text, LIMITS))

    weight, truth = weight_and_truth(planned, lambda plan: plan.bytes)
    assert truth / 2 <= weight <= truth * 2


def test_a_plan_is_weighed_again_when_a_run_plans_more_of_it() -> None:
    engine = BreadthFirst()
    plan = engine.plan(SCHEMA, parse_document(near_the_limits(1), LIMITS), hide_suggestions=True)
    before = engine._plans.weight
    assert before == plan.bytes
    planned_whole(engine, plan.document)
    assert engine._plans.weight == plan.bytes > 2 * before


def test_documents_near_the_limits_take_no_more_than_their_caches_may_hold() -> None:
    most_bytes, plan_bytes = 2 * MEGABYTE, 6 * MEGABYTE
    kept, engine = documents(most_bytes=most_bytes), BreadthFirst(plan_bytes=plan_bytes)
    with allocated() as growth:
        for number in range(12):
            planned_whole(engine, kept.prepare(near_the_limits(number)).document)
        gc.collect()
        assert most_bytes / 2 <= kept._kept.weight <= most_bytes
        assert plan_bytes / 2 <= engine._plans.weight <= plan_bytes
        assert growth() <= most_bytes + plan_bytes


def test_documents_without_end_leave_the_documents_and_plans_in_use() -> None:
    kept, engine = documents(most_bytes=2 * MEGABYTE), BreadthFirst(plan_bytes=6 * MEGABYTE)
    used = [DOCUMENTS["usual"](number) for number in range(8)]

    def ask(text: str) -> tuple[Prepared, Plan]:
        prepared = kept.prepare(text)
        return prepared, planned_whole(engine, prepared.document)

    asked = [ask(text) for _ in range(3) for text in used][-len(used) :]
    for text in map(near_the_limits, range(25)):
        ask(text)
    assert [ask(text) for text in used] == asked


def test_a_document_too_heavy_for_its_cache_is_answered_and_not_kept() -> None:
    kept = documents(most_bytes=100_000)
    small = kept.prepare(DOCUMENTS["small"](1))
    heavy = near_the_limits(1)
    assert kept.prepare(heavy) is not kept.prepare(heavy)
    assert kept.prepare(DOCUMENTS["small"](1)) is small


def test_an_evicted_plan_and_its_document_are_freed_at_once() -> None:
    gc.collect()
    gc.disable()
    try:
        engine = BreadthFirst(plans=1)
        document = parse_document(near_the_limits(1), LIMITS)
        plan, token = ref(planned_whole(engine, document)), ref(document)
        del document
        assert plan() is not None
        engine.plan(SCHEMA, parse_document(DOCUMENTS["small"](1), LIMITS), hide_suggestions=True)
        assert (plan(), token()) == (None, None)
    finally:
        gc.enable()
