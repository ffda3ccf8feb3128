"""A statement: SQL that SQLAlchemy composed once, its parameters in order, and the struct each record becomes.

Building and compiling happens once a process (or once a shape, behind a bounded cache); running it is the
driver's own `fetch`. That keeps SQLAlchemy's expression language for composing and its cost off the requests.
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
    """Compiled SQL. `name` appears in spans; `parameters` are the names of $1, $2, ...; `build` makes a row."""

    name: str
    sql: str
    parameters: tuple[str, ...]
    build: Callable[..., Any]

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        """The values in the order of the placeholders; raises KeyError for one that was not given."""
        return [values[name] for name in self.parameters]


def many_ids(name: str) -> ColumnElement[Any]:
    """A parameter for any number of ids, which travel as one text that `joined` makes.

    Of each element of an array the driver asks twice whether it is a collection itself, by classes that answer slowly.
    """
    return func.string_to_array(bindparam(name, type_=Text), literal_column("','"), type_=ARRAY(Text))


def joined(ids: Iterable[str]) -> str:
    """Ids as one value; no id holds a comma (app.domain.ids)."""
    return ",".join(ids)


def compiled(name: str, clause: ClauseElement, build: Callable[..., Any]) -> Statement:
    """Compile a composed statement whose every value is a named bind parameter."""
    result = clause.compile(dialect=_DIALECT)
    assert isinstance(result, SQLCompiler)  # noqa: S101 - what every statement compiles to
    constants = {key: value for key, value in result.params.items() if value is not None}
    if constants:
        raise ValueError(f"statement {name} carries values instead of parameters: {sorted(constants)}")
    return Statement(name, str(result), tuple(result.positiontup or ()), build)
