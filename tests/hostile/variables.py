"""Hostile variables by family: valid variables of a generated operation, with one part replaced."""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from .case import Case, an_operation_with_variables

Path = tuple[str | int, ...]


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the places of all values inside variables, from the outside in."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield (*path, name), each
        yield from places(each, (*path, name))


def replaced(value: Any, path: Path, new: Any) -> Any:
    """Return a copy with another value at a place."""
    if not path:
        return new
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], new)  # type: ignore[index] # - the path fits
    return copy


def somewhere(random: Random, variables: Any, new: Any, kind: type | tuple[type, ...] = object) -> Any:
    """Replace a random value of this kind; any value if there is none."""
    found = list(places(variables)) or [((), variables)]
    fitting = [path for path, each in found if isinstance(each, kind) and type(each) is not bool] or [found[0][0]]
    return replaced(variables, random.choice(fitting), new)


def floats(random: Random, variables: Any) -> Any:
    new = random.choice([100.0, 1e2, 99.5, -0.0, 1.0, 5e-324, 1.7976931348623157e308, 100.00000000000001])
    return somewhere(random, variables, new, int)


def huge_numbers(random: Random, variables: Any) -> Any:
    new = random.choice([2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 10**30, 10**4_000])
    return somewhere(random, variables, new, int)


def page_sizes(random: Random, variables: Any) -> Any:
    given = dict(variables)
    given["first"] = random.choice([100, 100.0, 101, 0, -1, "100", True, [100], None, 1e2, {"first": 100}, 2**31 - 1])
    return given


def wrong_types(random: Random, variables: Any) -> Any:
    return somewhere(random, variables, random.choice([1, "x", True, None, [], {}, [[]], 1.5, {"a": 1}, [None]]))


def nested_lists(random: Random, variables: Any) -> Any:
    depth = random.choice([2, 20, 55])
    new: Any = random.choice([1, "x", None, []])
    for _ in range(depth):
        new = [new] * random.choice([1, 1, 2 if depth < 10 else 1])
    return somewhere(random, variables, new)


def deep_objects(random: Random, variables: Any) -> Any:
    new: Any = {}
    for _ in range(random.choice([2, 20, 55])):
        new = {random.choice(["a", "input", "filter", "address"]): new}
    return somewhere(random, variables, new)


def unknown_fields(random: Random, variables: Any) -> Any:
    count = random.choice([1, 500, 4_500, 20_000, 40_000])
    extra = {f"{random.choice(['f', 'status', 'name'])}{n}": n for n in range(count)}
    objects = [path for path, each in places(variables) if isinstance(each, dict)]
    path = random.choice([*objects, ()])
    return replaced(variables, path, {**_at(variables, path), **extra})


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def long_lists(random: Random, variables: Any) -> Any:
    count = random.choice([9, 101, 251, 4_000, 11_000])
    lists = [(path, each) for path, each in places(variables) if isinstance(each, list)]
    if not lists:
        return somewhere(random, variables, [1] * count)
    path, items = random.choice(lists)
    item = random.choice([*items, None, {}, "x"])
    return replaced(variables, path, [item] * count)


def long_strings(random: Random, variables: Any) -> Any:
    piece = random.choice(
        [
            "x",
            "é",
            "e\u0323\u0302",
            "\u1100\u1161\u11a8",
            "\ufdfa",
            " ",
            "\U0001f600",
            "a\u0301" * 5,
            "1",
            "%",
            "_",
            "\\",
        ]
    )
    size = random.choice([256, 10_000, 100_000, 900_000 // len(piece.encode())])
    return somewhere(random, variables, piece * (size // len(piece)), str)


def many_strings(random: Random, variables: Any) -> Any:
    count, size = random.choice([(100, 5_000), (2_000, 300), (9_000, 50)])
    return somewhere(random, variables, ["e\u0323" * (size // 2)] * count)


def control_characters(random: Random, variables: Any) -> Any:
    text = "".join(
        random.choice("\0\x01\x1b\r\n\t\x7f\u202e\u2028\ufeff\uffff\ufffe") for _ in range(random.choice([1, 4, 3_000]))
    )
    return somewhere(random, variables, random.choice(["%s", "a%sb", "location-1%s"]) % text, str)


def surrogates(random: Random, variables: Any) -> Any:
    text = random.choice(["\ud83d", "\ude00\ud83d", "a\udfff", "\ud83d\ude00", "\ud800" * 1_000])
    if random.random() < 0.3:
        return {**variables, text: 1}
    return somewhere(random, variables, text, str)


def strange_keys(random: Random, variables: Any) -> Any:
    key = random.choice(
        ["__proto__", "constructor", "__class__", "prototype", "", "a" * 10_000, "$first", "é", "\0", "0", "__typename"]
    )
    objects = [path for path, each in places(variables) if isinstance(each, dict)]
    path = random.choice([*objects, ()])
    return replaced(variables, path, {**_at(variables, path), key: random.choice([1, {}, None, {"polluted": True}])})


def wrong_enums(random: Random, variables: Any) -> Any:
    new = random.choice(["", "status", "in_progress", "IN PROGRESS", "__proto__", "NAME\0", "A" * 50_000, 0, ["NAME"]])
    return somewhere(random, variables, new, str)


def strange_numbers_as_text(random: Random, variables: Any) -> Any:
    new = random.choice(["١٢", "1_0", " 1", "1e2", "0x10", "NaN", "Infinity", "१", "+1", "1" * 5_000])
    return somewhere(random, variables, new)


def strange_times(random: Random, variables: Any) -> Any:
    new = random.choice(
        [
            "9999-12-31T23:59:59+00:00",
            "0001-01-01T00:00:00+23:59",
            "2026-02-30T00:00:00Z",
            "2026-01-01",
            "24:00:00",
            "09:00:00+99:99",
            "2026-01-01T00:00:00.123456789Z",
            "٢٠٢٦-01-01T00:00:00Z",
            "2026-W01-1",
            "P1Y" * 1_000,
            "-1-01-01T00:00:00Z",
            "23:59:60",
        ]
    )
    return somewhere(random, variables, new, str)


def strange_ids(random: Random, variables: Any) -> Any:
    new = random.choice(
        [
            0,
            -1,
            1.0,
            2**53,
            True,
            "'; DROP TABLE location; --",
            "%",
            "../..",
            "x" * 65,
            "x" * 300_000,
            "location-1\0",
            "Location-1",
        ]
    )
    return somewhere(random, variables, new, str)


def undeclared(random: Random, variables: Any) -> Any:
    count = random.choice([1, 100, 4_900, 30_000])
    return {**variables, **{f"v{n}": random.choice([n, None, "x"]) for n in range(count)}}


def missing(random: Random, variables: Any) -> Any:
    kept = list(variables.items())
    return random.choice([None, {}, dict(kept[1:]), dict.fromkeys(variables)])


def untouched(random: Random, variables: Any) -> Any:
    return variables


FAMILIES: Mapping[str, Callable[[Random, Any], Any]] = {
    f"{each.__name__}_in_variables": each
    for each in (
        floats,
        huge_numbers,
        page_sizes,
        wrong_types,
        nested_lists,
        deep_objects,
        unknown_fields,
        long_lists,
        long_strings,
        many_strings,
        control_characters,
        surrogates,
        strange_keys,
        wrong_enums,
        strange_numbers_as_text,
        strange_times,
        strange_ids,
        undeclared,
        missing,
        untouched,
    )
}


def of_variables(family: str, random: Random) -> Case:
    """Return an operation with hostile variables of a family."""
    document, _, variables = an_operation_with_variables(random)
    return Case(family, document=document, variables=FAMILIES[family](random, variables))
