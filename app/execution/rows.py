"""The dictionaries of a level, built by one generated function for each selection."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .columns import assemble, leaf
from .leaves import names_of
from .locations import Level, Place, infos

if TYPE_CHECKING:
    from types import CodeType

    from .plan import PlanField, Selection
    from .run import Run

Builder = Callable[..., list[Any]]


def build(run: Run, level: Level) -> None:
    """Give the level its rows; the levels below it have theirs."""
    selection = level.selection
    columns = [assemble(level.columns[field]) for field in selection.columns]
    level.columns.clear()  # they refer to the levels below, which refer to this one

    def careful(parent: Any, *values: Any) -> dict[str, Any]:
        return _careful_row(run, level, len(level.rows), parent, iter(values))

    by_key = selection.reads_by_default and all(type(parent) is dict for parent in level.objects)
    builder = selection.builders.get(by_key)
    if builder is None:
        builder = selection.builders[by_key] = _generate(selection, by_key)
    builder(level.rows, level.objects, careful, *columns)


def _careful_row(run: Run, level: Level, index: int, parent: Any, columns: Any) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for field in level.selection.fields:
        if field.is_typename:
            row[field.key] = field.parent_type.name
        elif field.source is not None:
            row[field.key] = next(columns)
        else:
            value = _read(run, level, index, field, parent)
            if run.executor.is_awaitable(value):
                run.late.append((row, field, value))
                row[field.key] = None
            else:
                row[field.key] = leaf(run, field, field.nullable, value)
    return row


def _read(run: Run, level: Level, index: int, field: PlanField, parent: Any) -> Any:
    attribute = field.attribute
    assert attribute is not None  # noqa: S101  other fields have a column
    try:
        if attribute.default:
            place = Place(level, field)
            return run.executor.field_resolver(parent, infos(run.info(place), place)(index))
        return attribute.get(parent, attribute.name)
    except Exception as error:  # noqa: BLE001  stands where the value would
        return error


def _generate(selection: Selection, by_key: bool) -> Builder:
    """Write the function `build(rows, parents, careful, *columns)` that appends a row for each parent.

    A value that is not what its type expects is converted; a row in which that fails is built by `careful`. All that
    stands in the source is numbers, names of GraphQL's grammar, and representations of strings.
    """
    names: dict[str, Any] = {}
    columns: list[str] = []
    reads: list[str] = []
    tests: list[str] = []
    conversions: list[str] = []
    later: list[str] = []
    entries: list[str] = []
    for number, field in enumerate(selection.fields):
        variable = f"v{number}"
        entries.append(
            f"{field.key!r}: {field.parent_type.name!r}" if field.is_typename else f"{field.key!r}: {variable}"
        )
        if field.source is not None:
            columns.append(variable)
        elif not field.is_typename:
            assert field.leaf is not None  # noqa: S101  only leaves are read in rows
            reads.append(f"{variable} = {_reading(field, number, by_key, names)}")
            if field.leaf.table is not None:
                names[f"names{number}"] = names_of(field.leaf.table, field.nullable)
                later.append(f"{variable} = names{number}[{variable}]")
                continue
            names[f"convert{number}"] = field.convert(field.nullable)
            conversion = f"{variable} = convert{number}({variable})"
            if field.leaf.test is None:
                later.append(conversion)
                continue
            names[f"native{number}"] = field.leaf.native
            test = field.leaf.test.format(v=variable, native=f"native{number}")
            tests.append(f"({variable} is None or {test})" if field.nullable else test)
            conversions.append(conversion)
    row = "{" + ", ".join(entries) + "}"
    parents = ", ".join(["parent", *columns])
    source = [f"def build(rows, parents, careful{''.join(', all_' + column for column in columns)}):"]
    if reads:
        source += [
            "    append = rows.append",
            f"    for {parents} in {_zipped('parents', columns)}:",
            "        try:",
            *(f"            {line}" for line in reads),
            *(
                [f"            if not ({' and '.join(tests)}):", *(f"                {line}" for line in conversions)]
                if tests
                else []
            ),
            *(f"            {line}" for line in later),
            f"            append({row})",
            "        except Exception:",
            f"            append(careful({parents}))",
        ]
    else:
        source.append(f"    rows.extend([{row} for {parents} in {_zipped('parents', columns)}])")
    exec(_compiled("\n".join(source)), names)  # noqa: S102  the source is made above
    builder: Builder = names["build"]
    return builder


def _reading(field: PlanField, number: int, by_key: bool, names: dict[str, Any]) -> str:
    attribute = field.attribute
    assert attribute is not None  # noqa: S101  other fields have a column
    if attribute.default and by_key:
        return f"parent.get({attribute.name!r})"
    if attribute.is_dotted:
        return f"parent.{attribute.name}"
    names[f"get{number}"] = attribute.get
    return f"get{number}(parent, {attribute.name!r})"


def _zipped(parents: str, columns: list[str]) -> str:
    return f"zip({', '.join([parents, *('all_' + column for column in columns)])}, strict=True)" if columns else parents


@lru_cache(maxsize=512)
def _compiled(source: str) -> CodeType:
    return compile(source, "<selection>", "exec")
