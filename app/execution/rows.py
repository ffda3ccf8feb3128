"""The dictionaries of a level, built by one generated function for each selection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .columns import assemble, leaf
from .leaves import is_disguised, names_of
from .locations import Level, Place, infos
from .markers import TYPED

if TYPE_CHECKING:
    from types import CodeType

    from .plan import PlanField, Selection
    from .run import Run

Builder = Callable[..., None]

_MOST_READERS = 64


def build(run: Run, level: Level) -> None:
    """Give the level its rows; the levels below it have theirs."""
    selection = level.selection
    columns = [assemble(level.columns[field]) for field in selection.columns]
    level.columns.clear()  # they refer to the levels below, which refer to this one

    def careful(parent: Any, *values: Any) -> dict[str, Any]:
        return _careful_row(run, level, len(level.rows), parent, iter(values))

    _builder(selection, level)(level.rows, level.objects, careful, *columns)


def is_promised(level: Level) -> bool:
    """Whether the objects' class promises all that is read of them, so that nothing comes to be awaited."""
    reader = _reader(level.selection, level.class_)
    return reader is not None and reader.is_promised


@dataclass(frozen=True, slots=True)
class Reader:
    """How the objects of one class that promises something are read."""

    build: Builder
    is_promised: bool
    """Whether all that is read is promised."""


def _reader(selection: Selection, class_: type | None) -> Reader | None:
    """The reader for objects of this class, None if it promises nothing."""
    readers = selection.readers
    if class_ in readers:
        return readers[class_]
    typed = getattr(class_, TYPED, None)
    reader = None
    is_told = class_ is None or not selection.reads_by_default or _way({class_}) is _BY_ATTRIBUTE
    if is_told and isinstance(typed, Mapping) and typed:
        is_promised = all(
            field.is_typename or (field.attribute is not None and field.attribute.name in typed)
            for field in selection.fields
        )
        reader = Reader(_generate(selection, by_key=False, typed=typed), is_promised)
    if len(readers) >= _MOST_READERS:  # classes made at run time must not pile up
        readers.clear()
    readers[class_] = reader
    return reader


def _builder(selection: Selection, level: Level) -> Builder:
    """The function for objects of this class, if it promises something, or for dictionaries, or for any objects."""
    reader = _reader(selection, level.class_)
    if reader is not None:
        return reader.build
    way = _way(set(map(type, level.objects))) if selection.reads_by_default else _BY_ATTRIBUTE
    if way is _ONE_BY_ONE:
        return _build_one_by_one
    builder = selection.builders.get(way)
    if builder is None:
        builder = selection.builders[way] = _generate(selection, by_key=way is _BY_KEY, typed={})
    return builder


_BY_ATTRIBUTE, _BY_KEY, _ONE_BY_ONE = range(3)
"""How fields without a resolver are read: graphql-core reads the keys of whatever is a mapping."""


def _way(classes: set[type]) -> int:
    """How objects of these classes are read; one by one if they differ, or if only the object can tell what it is."""
    ways = {_BY_KEY if issubclass(class_, Mapping) else _BY_ATTRIBUTE for class_ in classes}
    return ways.pop() if len(ways) == 1 and not any(map(is_disguised, classes)) else _ONE_BY_ONE


def _build_one_by_one(rows: list[Any], parents: Sequence[Any], careful: Callable[..., Any], *columns: Any) -> None:
    for values in zip(parents, *columns, strict=True):
        rows.append(careful(*values))


def _careful_row(run: Run, level: Level, index: int, parent: Any, columns: Any) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for field in level.selection.fields:
        if field.is_typename:
            row[field.key] = field.parent_type.name
        elif field.source is not None:
            row[field.key] = next(columns)
        else:
            try:
                value = _read(run, level, index, field, parent)
                is_late = run.executor.is_awaitable(value)
            except Exception as error:  # noqa: BLE001  stands where the value would
                value, is_late = error, False
            if is_late:
                run.late.append((row, field, value))
            row[field.key] = None if is_late else leaf(run, field, field.nullable, value)
    return row


def _read(run: Run, level: Level, index: int, field: PlanField, parent: Any) -> Any:
    attribute = field.attribute
    assert attribute is not None  # noqa: S101  other fields have a column
    if attribute.default:
        place = Place(level, field)
        return run.executor.field_resolver(parent, infos(run.info(place), place)(index))
    return attribute.get(parent, attribute.name)


def _generate(selection: Selection, *, by_key: bool, typed: Mapping[str, Collection[type]]) -> Builder:
    """Write the function `build(rows, parents, careful, *columns)` that appends a row for each parent.

    A value that is not what its type expects is converted; a row in which that fails is built by `careful`. All that
    stands in the source is numbers, names of GraphQL's grammar, and representations of strings.
    """
    names: dict[str, Any] = {}
    columns: list[str] = []
    reads: list[str] = []
    tests: list[str] = []
    later: list[str] = []
    conversions: list[str] = []
    entries: list[str] = []
    for number, field in enumerate(selection.fields):
        value = variable = f"v{number}"
        if field.is_typename:
            value = repr(field.parent_type.name)
        elif field.source is not None:
            columns.append(variable)
        else:
            assert field.leaf is not None  # noqa: S101  only leaves are read in rows
            reading = _reading(field, number, by_key, names)
            if field.leaf.table is not None:
                names[f"names{number}"] = names_of(field.leaf.table, field.nullable)
                value = f"names{number}[{reading}]"
            elif _is_sure(field, typed):
                value = reading
            else:
                reads.append(f"{variable} = {reading}")
                names[f"convert{number}"] = field.convert(field.nullable)
                conversion = f"{variable} = convert{number}({variable})"
                if field.leaf.test is None:
                    later.append(conversion)
                else:
                    names[f"native{number}"] = field.leaf.native
                    test = field.leaf.test.format(v=variable, native=f"native{number}")
                    tests.append(f"({variable} is None or {test})" if field.nullable else test)
                    conversions.append(conversion)
        entries.append(f"{field.key!r}: {value}")
    if tests:
        later[:0] = [f"if not ({' and '.join(tests)}):", *(f"    {line}" for line in conversions)]
    source = _function(columns, [*reads, *later], "{" + ", ".join(entries) + "}")
    exec(_compiled(source), names)  # noqa: S102  the source is made above
    builder: Builder = names["build"]
    return builder


def _function(columns: Sequence[str], steps: Sequence[str], row: str) -> str:
    """The source of a builder. Rows that need no steps are built all at once, as long as all goes well."""
    parents = ", ".join(["parent", *columns])
    each = f"for {parents} in {_zipped('parents', columns)}"
    lines = [f"def build(rows, parents, careful{''.join(', all_' + column for column in columns)}):"]
    if not steps:
        lines += [
            "    try:",
            f"        rows.extend([{row} {each}])",
            "        return",
            "    except Exception:",
            "        pass",
        ]
    lines += [
        "    append = rows.append",
        f"    {each}:",
        "        try:",
        *(f"            {step}" for step in steps),
        f"            append({row})",
        "        except Exception:",
        f"            append(careful({parents}))",
    ]
    return "\n".join(lines)


def _is_sure(field: PlanField, typed: Mapping[str, Collection[type]]) -> bool:
    """Whether the class of the objects promises values that stand in the response as they are."""
    attribute, leaf = field.attribute, field.leaf
    if attribute is None or leaf is None or attribute.get is not getattr:
        return False
    promised = set(typed.get(attribute.name, ()))
    return bool(promised) and promised <= leaf.sure | ({type(None)} if field.nullable else set())


def _reading(field: PlanField, number: int, by_key: bool, names: dict[str, Any]) -> str:
    attribute = field.attribute
    assert attribute is not None  # noqa: S101  other fields have a column
    if attribute.default and by_key:
        return f"parent.get({attribute.name!r})"
    if attribute.is_dotted:
        return f"parent.{attribute.name}"
    names[f"get{number}"] = attribute.get
    return f"get{number}(parent, {attribute.name!r})"


def _zipped(parents: str, columns: Sequence[str]) -> str:
    return f"zip({', '.join([parents, *('all_' + column for column in columns)])}, strict=True)" if columns else parents


@lru_cache(maxsize=512)
def _compiled(source: str) -> CodeType:
    return compile(source, "<selection>", "exec")
