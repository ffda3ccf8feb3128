"""Documents are kept by their text as plans are by theirs: what is in use stays through a flood of others."""

import gc
from collections.abc import Iterator

import pytest
from graphql import build_schema

from app.execution import BreadthFirst
from app.query_cost.limits import DocumentLimits
from app.query_cost.price import PriceRules
from graphql_schema.documents import Documents
from graphql_schema.errors import RequestRefused

SCHEMA = build_schema("type Query { x: Int, inner: Inner } type Inner { x: Int }")


def documents(size: int) -> Documents:
    return Documents(SCHEMA, limits=DocumentLimits(), prices=PriceRules(), size=size)


def test_a_flood_of_documents_leaves_those_in_use_and_their_plans() -> None:
    kept, engine = documents(64), BreadthFirst(plans=64)
    texts = [f"{{ used{number}: x }}" for number in range(25)]
    plans = [engine.plan(SCHEMA, kept.prepare(text).document) for _ in range(10) for text in texts][-25:]
    for number in range(1_000):
        engine.plan(SCHEMA, kept.prepare(f"{{ flood{number}: x }}").document)
    assert [engine.plan(SCHEMA, kept.prepare(text).document) for text in texts] == plans
    assert len(kept._kept) <= 64


def test_documents_that_take_turns_are_made_ready_once() -> None:
    kept = documents(64)
    texts = [f"{{ used{number}: x }}" for number in range(60)]
    first = [kept.prepare(text) for text in texts]
    assert all(kept.prepare(text) is prepared for text, prepared in zip(texts, first, strict=True))


@pytest.fixture
def often_collected() -> Iterator[None]:
    """Young objects are collected often, older ones never."""
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(500, 100_000, 100_000)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("often_collected")
def test_refused_documents_are_garbage_before_they_are_old() -> None:
    of = documents(10)
    old = len(gc.get_objects(generation=1))
    for number in range(20):
        with pytest.raises(RequestRefused):
            of.prepare("{ inner { " + "... { x } " * 120 + f"unknown{number} }} }}")
        gc.collect(0)
    assert len(gc.get_objects(generation=1)) < old + 2_000
    assert gc.isenabled()
