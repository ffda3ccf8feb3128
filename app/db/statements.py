"""Statements: SQL composed by SQLAlchemy, the order of its parameters, and the struct built from each record.

A statement is built and compiled once per process (or once per shape, behind a bounded cache) and executed by the
driver's own `fetch`. SQLAlchemy's expression language is used for composing, without its cost per request.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, bindparam, func, literal_column
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

_DIALECT: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call] # - its constructor has no annotations


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """Compiled SQL. `name` appears in spans; `parameters` are the names of $1, $2, ...; `build` creates a row."""

    name: str
    sql: str
    parameters: tuple[str, ...]
    build: Callable[..., Any]

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        """Return the values in the order of the placeholders. Raises KeyError for a missing value."""
        return [values[name] for name in self.parameters]


def many_ids(name: str) -> ColumnElement[Any]:
    """Return a parameter for any number of ids, sent as the single text that `joined` creates.

    For each element of an array the driver checks twice whether it is itself a collection, through slow abstract
    classes.
    """
    return func.string_to_array(bindparam(name, type_=Text), literal_column("','"), type_=ARRAY(Text))


def joined(ids: Iterable[str]) -> str:
    """Join ids to one value; no id contains a comma (app.domain.ids)."""
    return ",".join(ids)


def compiled(name: str, clause: ClauseElement, build: Callable[..., Any]) -> Statement:
    """Compile a composed statement in which every value is a named bind parameter.

    Raises ValueError when it contains a literal value.
    """
    result = clause.compile(dialect=_DIALECT)
    assert isinstance(result, SQLCompiler)  # noqa: S101 - what every statement compiles to
    constants = {key: value for key, value in result.params.items() if value is not None}
    if constants:
        raise ValueError(f"statement {name} contains literal values instead of parameters: {sorted(constants)}")
    return Statement(name, str(result), tuple(result.positiontup or ()), build)
