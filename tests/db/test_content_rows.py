"""A location's content is kept in rows without loss; a declaration that the tables do not match stops the import."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Index, MetaData, SmallInteger, Table, Text

from app.db import content_columns, content_rows, tables
from app.db.content_rows import comparison_key, from_rows, to_rows
from app.domain import content as declared
from app.domain.content import Device, LocationContent
from app.domain.content_field import ContentField, content_field, content_fields
from app.domain.digest import content_digest

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES: dict[type, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(0, 9),
    bool: st.booleans(),
    time: st.times().map(lambda value: value.replace(microsecond=0)),
}


def of(kind: type) -> st.SearchStrategy[Any]:
    """Any value of a class of the content."""
    return st.builds(kind, **{field.name: of_field(field) for field in content_fields(kind)})


def of_field(field: ContentField) -> st.SearchStrategy[Any]:
    """Any value that a field of the content can have."""
    if field.is_structured:
        one = of(field.kind)
    else:
        one = st.sampled_from(list(field.kind)) if issubclass(field.kind, StrEnum) else VALUES[field.kind]
    if field.many:
        return st.lists(one, max_size=3).map(tuple)
    return st.none() | one if field.optional else one


def rows_of(content: LocationContent) -> list[tuple[Table, dict[str, Any]]]:
    ids = count()
    return list(to_rows(content, lambda type_name: f"{type_name}-{next(ids)}"))


@given(content=of(LocationContent))
def test_content_comes_back_from_its_rows(content: LocationContent) -> None:
    assert from_rows(rows_of(content)) == content


@given(content=of(LocationContent))
def test_content_comes_back_from_its_rows_as_json_and_without_nulls(content: LocationContent) -> None:
    told = [
        (table, {name: value for name, value in json.loads(msgspec.json.encode(row)).items() if value is not None})
        for table, row in rows_of(content)
    ]
    assert from_rows(told) == content


@given(content=of(LocationContent))
def test_the_row_of_a_location_has_the_digest_of_the_whole_content(content: LocationContent) -> None:
    (table, row), *_ = rows_of(content)
    assert table is tables.location
    assert row["content_digest"] == content_digest(content)


def test_columns_that_hold_no_content_are_passed_over() -> None:
    content = LocationContent(location_id="location-1", account_id="account-1", name="Dune Opticians")
    (table, row), *_ = rows_of(content)
    assert from_rows([(table, {**row, "status": "IN_PROGRESS", "revision": 7})]) == content


def test_rows_that_were_read_have_no_column_that_nobody_declared() -> None:
    location = {"id": "location-1", "account_id": "account-1", "name": "Dune Opticians", "colour": "blue"}
    with pytest.raises(msgspec.ValidationError, match="unknown field `colour`"):
        msgspec.convert({"location": location}, content_rows.ContentRows)


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("Store 7", "STORE 7"),
        ("Straße", "STRASSE"),
        ("Caf\u00e9", "cafe\u0301"),
        ("\u1e9e", "ss"),
        ("\u0345", "\u03b9"),
    ],
)
def test_values_are_compared_case_folded_and_in_nfc(written: str, same: str) -> None:
    assert comparison_key(written) == comparison_key(same)


def test_values_that_differ_in_more_than_case_have_different_keys() -> None:
    assert len({comparison_key(value) for value in ("S-1", "S-2", "S1", "S 1", None)}) == 5


# Planted faults: a table, a change to its columns, and what the import says.
def without(column: str) -> Callable[[Table], list[Column[Any]]]:
    return lambda table: [each for each in table.c if each.name != column]


def with_another(column: Column[Any]) -> Callable[[Table], list[Column[Any]]]:
    return lambda table: [*(each for each in table.c if each.name != column.name), column]


FAULTS = {
    "a field without a column": ("device", without("label"), "Device.label has no column: there is no device.label"),
    "a part's field without a column": ("location", without("zipcode"), "Address.zipcode has no column"),
    "a target's field without a column": (
        "call_flow_option",
        without("external_number"),
        "Target.external_number has no column: there is no call_flow_option.external_number",
    ),
    "a column without a field": (
        "person",
        with_another(Column("nickname", Text)),
        "the column person.nickname holds no field of the content",
    ),
    "a column of another type": (
        "device",
        with_another(Column("serial_number", SmallInteger)),
        "Device.serial_number is str, but the column device.serial_number is SMALLINT",
    ),
    "an optional field in a column that is NOT NULL": (
        "device",
        with_another(Column("model", Text, nullable=False)),
        "Device.model is optional, but the column device.model is NOT NULL",
    ),
    "a field that is always given in a nullable column": (
        "contact",
        with_another(Column("purpose", Text)),
        "Contact.purpose is always given, but the column contact.purpose is nullable",
    ),
    "a listed column that is not there": ("extension", without("revision"), "lists extension.revision"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_tables_that_do_not_match_the_content_stop_the_import(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, columns, message = FAULTS[fault]
    planted = columns(getattr(tables, name))
    monkeypatch.setattr(tables, name, copied(name, planted))
    with pytest.raises(TypeError, match=message) as stopped:
        imported_again()
    assert type(stopped.value).__name__ == "ContentMappingError"


@dataclass(frozen=True, kw_only=True)
class WithText(LocationContent):
    """A field was declared, and nothing else was done."""

    colour: str | None = None


@dataclass(frozen=True, kw_only=True)
class WithRows(LocationContent):
    """A list was declared, and nothing else was done."""

    spares: tuple[Device, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WithUniqueText(LocationContent):
    """A field was declared as unique in an account."""

    colour: str | None = content_field(default=None, unique_in_account=True)


@pytest.mark.parametrize(
    ("kind", "columns", "message"),
    [
        (WithText, (), "WithText.colour has no column: there is no location.colour"),
        (WithRows, (), "WithRows.spares has no table"),
        (WithUniqueText, ("colour",), "WithUniqueText.colour has no column: there is no location.colour_key"),
        (
            WithUniqueText,
            ("colour", "colour_key"),
            "WithUniqueText.colour is unique in an account, but no unique index",
        ),
    ],
    ids=["text", "rows", "no key", "no index"],
)
def test_a_field_that_was_only_declared_stops_the_import(
    kind: type, columns: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(declared, "LocationContent", kind)
    more = [Column(column, Text) for column in columns]
    monkeypatch.setattr(tables, "location", copied("location", [*tables.location.c, *more]))
    with pytest.raises(TypeError, match=message):
        imported_again()


def test_a_field_with_its_columns_and_its_index_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [*tables.location.c, Column("colour", Text), Column("colour_key", Text)]
    location = copied("location", columns)
    Index("uq_location_colour", location.c.account_id, location.c.colour_key, unique=True)
    monkeypatch.setattr(declared, "LocationContent", WithUniqueText)
    monkeypatch.setattr(tables, "location", location)
    assert "colour" in {cell.column for cell in imported_again().CELLS[location]}


def copied(name: str, columns: list[Column[Any]]) -> Table:
    """A table with these columns, and with the original's unique indexes as far as they are on them."""
    table = Table(name, MetaData(), *(column._copy() for column in columns))
    for index in getattr(tables, name).indexes:
        if index.unique and set(index.columns.keys()) <= set(table.c.keys()):
            Index(index.name, *(table.c[column.name] for column in index.columns), unique=True)
    return table


def imported_again() -> Any:
    """A second copy of the module, which reads the declarations anew."""
    spec = spec_from_file_location("content_columns_again", content_columns.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert spec.name not in sys.modules
    return module


def test_a_later_field_needs_an_empty_default() -> None:
    with pytest.raises(ValueError, match="digest version 2 must be empty"):
        content_field(default=False, since=2)
