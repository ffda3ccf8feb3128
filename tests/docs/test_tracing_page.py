"""The page of traces lists the spans, steps and commands of the code."""

import re
from collections.abc import Iterator
from importlib import import_module

import pytest

from app.db.database import WAIT
from app.telemetry.spans import ERROR_CODE, ERROR_EVENT, ERROR_PATH, MOST_ERRORS, SCHEMA_URL, SpanType

from .pages import ROOT, page, table

PAGE = page("docs/tracing.md")


def named(kind: str) -> Iterator[str]:
    """The names with which the code observes steps or commands."""
    for folder in ("app", "graphql_schema", "resolvers"):
        for path in (ROOT / folder).rglob("*.py"):
            yield from re.findall(rf'observer?\("{kind}", "([^"]+)"', path.read_text(encoding="utf-8"))


def test_the_page_has_every_type_of_span() -> None:
    said = {
        name: (pattern, kind, frozenset(re.findall(r"[\w.]+", attributes)))
        for name, pattern, kind, attributes in table(PAGE, "Spans")
    }
    assert said == {each.name.lower(): (each.pattern, each.kind.name, each.attributes) for each in SpanType}


def test_the_page_has_every_step() -> None:
    assert {name for name, _ in table(PAGE, "Steps")} == {WAIT, *named("step")}


def test_the_page_has_every_command() -> None:
    assert {name for name, _ in table(PAGE, "Commands")} == set(named("command"))


def test_the_page_has_the_events_and_the_version_of_the_conventions() -> None:
    assert f"the first {MOST_ERRORS} errors" in PAGE
    assert all(f"`{name}`" in PAGE for name in (ERROR_EVENT, ERROR_CODE, ERROR_PATH))
    assert f"semantic conventions {SCHEMA_URL.rpartition('/')[2]}" in PAGE


OF_THE_CONVENTIONS = sorted({name for each in SpanType for name in each.attributes if not name.startswith("turnup.")})


@pytest.mark.parametrize("name", OF_THE_CONVENTIONS)
def test_an_attribute_without_the_prefix_of_this_product_is_one_of_the_conventions(name: str) -> None:
    namespace = name.partition(".")[0]
    module = import_module(f"opentelemetry.semconv._incubating.attributes.{namespace}_attributes")
    assert name in vars(module).values()
