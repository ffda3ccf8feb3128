"""Builds the response objects of a level with one generated function per selection."""

from __future__ import annotations  # a run defines inner functions: evaluating their annotations costs time

from collections.abc import Callable, Collection, Mapping, Sequence
from types import CodeType
from typing import Any

from app.execution.cache import ScanResistantCache
from app.execution.columns import assemble
from app.execution.infos import infos
from app.execution.leaf_values import complete_leaf
from app.execution.leaves import is_disguised, names_of
from app.execution.markers import TYPED
from app.execution.model import Level, Place, PlanField, Run, Selection, TypedBuilder
from app.execution.weights import BUILDER, BUILDER_FIELD, CODE, CODE_CHARACTER

Builder = Callable[..., None]

MOST_COMPILED = 512
"""The maximum number of compiled builders that all executors of a process share."""
MOST_COMPILED_BYTES = 4 * 1024 * 1024
"""The maximum weight of these builders."""
_MOST_BUILDERS = 64


def build_rows(run: Run, level: Level) -> None:
    """Build the rows of a level. The levels below must have their rows."""
    selection = level.selection
    columns = [assemble(level.columns[field]) for field in selection.columns]
    level.columns.clear()  # breaks the reference cycle with the levels below

    def build_slowly(parent: Any, *values: Any) -> dict[str, Any]:
        return _slow_row(run, level, len(level.rows), parent, iter(values))

    _builder(run, level)(level.rows, level.objects, build_slowly, *columns)


def is_fully_typed(run: Run, level: Level) -> bool:
    """Return whether the objects' class declares everything that is read of them, so that nothing is awaitable."""
    builder = _typed_builder(run, level.selection, level.class_)
    return builder is not None and builder.is_complete


def _typed_builder(run: Run, selection: Selection, class_: type | None) -> TypedBuilder | None:
    """Return the builder for objects of this class, None if the class declares no attribute types."""
    builders = selection.typed_builders
    if class_ in builders:
        return builders[class_]
    typed = getattr(class_, TYPED, None)
    builder = None
    by_attribute = class_ is None or not selection.reads_by_default or _access({class_}) is _BY_ATTRIBUTE
    if by_attribute and isinstance(typed, Mapping) and typed:
        is_complete = all(
            field.is_typename or (field.attribute is not None and field.attribute.name in typed)
            for field in selection.fields
        )
        builder = TypedBuilder(_generate(run, selection, by_key=False, typed=typed), is_complete)
    if len(builders) >= _MOST_BUILDERS:  # bounds the dict if classes are created at run time
        builders.clear()
    builders[class_] = builder
    return builder


def _builder(run: Run, level: Level) -> Builder:
    """Return the builder for the class of the objects, or for mappings, or for other objects."""
    selection = level.selection
    typed_builder = _typed_builder(run, selection, level.class_)
    if typed_builder is not None:
        return typed_builder.build
    access = _access(set(map(type, level.objects))) if selection.reads_by_default else _BY_ATTRIBUTE
    if access is _PER_OBJECT:
        return _build_per_object
    builder = selection.builders.get(access)
    if builder is None:
        builder = selection.builders[access] = _generate(run, selection, by_key=access is _BY_KEY, typed={})
    return builder


_BY_ATTRIBUTE, _BY_KEY, _PER_OBJECT = range(3)
"""How fields without a resolver are read: graphql-core reads the keys of every mapping, and attributes otherwise."""


def _access(classes: set[type]) -> int:
    """Return how objects of these classes are read: per object if they differ or if a class hides what it is."""
    found = {_BY_KEY if issubclass(class_, Mapping) else _BY_ATTRIBUTE for class_ in classes}
    return found.pop() if len(found) == 1 and not any(map(is_disguised, classes)) else _PER_OBJECT


def _build_per_object(rows: list[Any], parents: Sequence[Any], build_slowly: Callable[..., Any], *columns: Any) -> None:
    for values in zip(parents, *columns, strict=True):
        rows.append(build_slowly(*values))


def _slow_row(run: Run, level: Level, index: int, parent: Any, columns: Any) -> dict[str, Any]:
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
            except Exception as error:  # noqa: BLE001 - the exception takes the position of the value
                value, is_late = error, False
            if is_late:
                run.late.append((row, field, value))
            row[field.key] = None if is_late else complete_leaf(run, field, field.nullable, value)
    return row


def _read(run: Run, level: Level, index: int, field: PlanField, parent: Any) -> Any:
    attribute = field.attribute
    assert attribute is not None  # noqa: S101 - other fields have a column
    if attribute.default:
        place = Place(level, field)
        return run.executor.field_resolver(parent, infos(run.info(place), place)(index))
    return attribute.get(parent, attribute.name)


def _generate(run: Run, selection: Selection, *, by_key: bool, typed: Mapping[str, Collection[type]]) -> Builder:
    """Generate the function `build(rows, parents, build_slowly, *columns)`, which appends one row per parent.

    The function converts values that fail the test of their type. If a conversion raises, `build_slowly` builds that
    row. The generated source contains only numbers, names of the schema and string representations. Aliases are values
    of variables, so that documents that differ only in their aliases share the compiled code.
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
            assert field.leaf is not None  # noqa: S101 - only leaf fields are read here
            reading = _reading(field, number, by_key, names)
            if field.leaf.table is not None:
                names[f"names{number}"] = names_of(field.leaf.table, field.nullable)
                value = f"names{number}[{reading}]"
            elif _is_always_valid(field, typed):
                names[f"convert{number}"] = field.convert(field.nullable)
                value = _valid(reading, variable, field, f"convert{number}")
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
        if field.key == field.name:
            entries.append(f"{field.key!r}: {value}")
        else:
            names[f"key{number}"] = field.key
            entries.append(f"key{number}: {value}")
    if tests:
        later[:0] = [f"if not ({' and '.join(tests)}):", *(f"    {line}" for line in conversions)]
    source = _function(columns, [*reads, *later], "{" + ", ".join(entries) + "}")
    exec(_code_of(source), names)  # noqa: S102 - the source is generated above
    builder: Builder = names.pop("build")  # not among its own globals, which would be a reference cycle
    run.plan.grow(run.shape, BUILDER + BUILDER_FIELD * len(selection.fields))
    return builder


def _function(columns: Sequence[str], steps: Sequence[str], row: str) -> str:
    """Return the source of a builder. Rows that need no steps are built by one comprehension unless a read raises."""
    parents = ", ".join(["parent", *columns])
    each = f"for {parents} in {_zipped('parents', columns)}"
    lines = [f"def build(rows, parents, build_slowly{''.join(', all_' + column for column in columns)}):"]
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
        f"            append(build_slowly({parents}))",
    ]
    return "\n".join(lines)


def _is_always_valid(field: PlanField, typed: Mapping[str, Collection[type]]) -> bool:
    """Return whether the class of the objects declares values of this field that need no check."""
    attribute, leaf = field.attribute, field.leaf
    if attribute is None or leaf is None or attribute.get is not getattr:
        return False
    declared = set(typed.get(attribute.name, ()))
    return bool(declared) and declared <= leaf.always_valid | ({type(None)} if field.nullable else set())


def _valid(reading: str, variable: str, field: PlanField, convert: str) -> str:
    """Return the source of a value that needs no test of its class."""
    attribute = field.leaf.native_if if field.leaf else None
    if attribute is None:
        return reading
    read = f"({variable} := {reading})"
    is_native = f"{read} is None or {variable}.{attribute}" if field.nullable else f"{read}.{attribute}"
    return f"({variable} if {is_native} else {convert}({variable}))"


def _reading(field: PlanField, number: int, by_key: bool, names: dict[str, Any]) -> str:
    attribute = field.attribute
    assert attribute is not None  # noqa: S101 - other fields have a column
    if attribute.default and by_key:
        return f"parent.get({attribute.name!r})"
    if attribute.is_dotted:
        return f"parent.{attribute.name}"
    names[f"get{number}"] = attribute.get
    return f"get{number}(parent, {attribute.name!r})"


def _zipped(parents: str, columns: Sequence[str]) -> str:
    return f"zip({', '.join([parents, *('all_' + column for column in columns)])}, strict=True)" if columns else parents


_COMPILED: ScanResistantCache[str, tuple[CodeType, int]] = ScanResistantCache(
    MOST_COMPILED, lambda compiled: compiled[1], MOST_COMPILED_BYTES
)


def _code_of(source: str) -> CodeType:
    compiled = _COMPILED.get(source)
    if compiled is None:
        compiled = compile(source, "<selection>", "exec"), CODE + CODE_CHARACTER * len(source)
        _COMPILED.put(source, compiled)
    return compiled[0]
