"""A schema made to be awkward, and a world of objects behind it that misbehave in every way an object can.

What a field of an object gives is decided by the seed of the world, the object and the field alone, so that executors
that visit objects in different orders see the same world.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date
from enum import Enum
from functools import partial
from inspect import iscoroutine
from random import Random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.pyutils import Undefined

from app.execution import BATCH_RESOLVER, by_class

SDL = """
scalar Date
scalar Picky
enum Mood { GOOD BAD ODD }
input Point { x: Int! = 1, y: Int, tags: [String!] }

interface Node { id: ID! label: String }
interface Named { name: String! nick(short: Boolean = true, n: Int): String }
union Pet = Cat | Dog | Person

type Cat implements Node & Named {
  id: ID! label: String name: String! nick(short: Boolean = true, n: Int): String
  lives: Int mood: Mood weight: Float! born: Date picky: Picky happy: Boolean
  tags: [String!] grid: [[Int!]]! moods: [Mood]! friend: Named friends: [Named!]! kin: [Cat]
  boxes: [[Pet!]!] owner: Person!
}
type Dog implements Node & Named {
  id: ID! label: String name: String! nick(short: Boolean = true, n: Int): String
  lives: Int! mood: Mood! weight: Float born: Date! picky: Picky! happy: Boolean!
  tags: [String] grid: [[Int]!] moods: [Mood!] friend: Node! friends: [Node]! kin: [Dog!]! boxes: [[Pet]]! owner: Person
}
type Person implements Named {
  name: String! nick(short: Boolean = true, n: Int): String
  age: Int pets(mood: Mood, near: Point): [Pet] pet: Pet! named: [Named!] spouse: Person boss: Person!
}
type Query {
  cat: Cat dog: Dog! person(name: String!): Person pets: [Pet!]! nodes: [Node]! named: Named
  echo(n: Int!, p: Point): String count: Int people: [Person!]
}
type Mutation { cat: Cat dog: Dog! bump: Int! pets: [Pet] }
"""

OBJECTS_OF_A_TYPE = 3


class Moody(Enum):
    """Values of an enum that are no text."""

    GOOD = ("good",)
    BAD = 2


class Thing:
    """An object whose attributes are looked up in its class."""

    def __init__(self, type_: str, number: int) -> None:
        self.type_ = type_
        self.number = number


class Cat(Thing):
    pass


class Dog(Thing):
    pass


class Shy(Thing):
    """An object that makes up its attributes when they are asked for."""

    made: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["made"][name]
        except KeyError:
            raise AttributeError(name) from None


class Key(dict[str, Any]):
    """A mapping that is no plain dictionary."""


Built = tuple[str, int]
"""An object of the world is known by its type's name and its number."""


class World:
    """All objects of one seed. `calm` worlds misbehave less."""

    def __init__(self, schema: GraphQLSchema, seed: int, calm: bool) -> None:
        self.schema = schema
        self.seed = seed
        self.trouble = 0.25 if calm else 1.0
        self.bumps = 0
        self.things: dict[Built, Any] = {}
        self.names: dict[int, Built] = {}
        types = [t for t in schema.type_map.values() if isinstance(t, GraphQLObjectType) and t.name[0] != "_"]
        for type_ in types:
            for number in range(OBJECTS_OF_A_TYPE):
                thing = _empty(type_.name, number)
                self.things[type_.name, number] = thing
                self.names[id(thing)] = type_.name, number
        for type_ in types:
            for number in range(OBJECTS_OF_A_TYPE):
                self._fill(type_, number)

    @property
    def root(self) -> Any:
        """The root value."""
        return self.things["Query", 0]

    def give(self, thing: Any, type_: str, field: str, definition: GraphQLField, resolved: bool) -> Any:
        """What a field gives, made anew; raises if that is what the field does."""
        _, number = self.names.get(id(thing), ("", 0))
        random = Random(f"{self.seed}/{type_}/{number}/{field}")
        return self._made(random, definition.type, resolved, f"{type_}:{number}.{field}")

    def _fill(self, type_: GraphQLObjectType, number: int) -> None:
        thing = self.things[type_.name, number]
        for name, definition in type_.fields.items():

            def give(_info: Any, name: str = name, definition: GraphQLField = definition, **_: Any) -> Any:
                return self.give(thing, type_.name, name, definition, True)

            random = Random(f"{self.seed}/{type_.name}/{number}/{name}/static")
            value: Any = give
            if random.random() < 0.8 and not definition.args:
                try:
                    value = self._made(random, definition.type, False, f"{type_.name}:{number}.{name}")
                except Exception as error:  # noqa: BLE001 - a world of mishaps
                    value = error
            if random.random() > 0.02:  # others lack the attribute
                _set(thing, name, value)

    def _made(self, random: Random, type_: Any, resolved: bool, place: str) -> Any:
        calm = place.startswith("Query") and random.random() < 0.8  # or little would be seen below
        roll = 1.0 if calm else random.random() / self.trouble
        if roll < 0.02 and resolved:
            raise _mishap(f"raised at {place}")
        if roll < 0.04:
            return _mishap(f"returned at {place}")
        if resolved and random.random() < 0.2:
            return self._later(_of_its_own(random), type_, place)
        value = self._value(random, type_, resolved, place)
        return self._value(random, type_, resolved, place) if calm and value is None else value

    async def _later(self, random: Random, type_: Any, place: str) -> Any:
        for _ in range(random.randint(0, 2)):
            await asyncio.sleep(0)
        if random.random() / self.trouble < 0.05:
            raise LookupError(f"raised later at {place}")
        return self._value(random, type_, True, place)

    def _value(self, random: Random, type_: Any, resolved: bool, place: str) -> Any:
        null = 0.15
        if is_non_null_type(type_):
            null, type_ = 0.03 * self.trouble, type_.of_type
        if random.random() < null:
            return random.choice([None, None, Undefined])
        if random.random() / self.trouble < 0.03:
            return random.choice(["wrong", 2**40, object, 1.5, [None], True, {"name": "lone"}, float("inf"), b"raw"])
        if is_list_type(type_):
            return self._list(random, type_.of_type, resolved, place)
        if is_leaf_type(type_):
            return _scalar(random, type_.name, place)
        return self._object(random, type_)

    def _list(self, random: Random, type_: Any, resolved: bool, place: str) -> Any:
        def item(index: int) -> Any:
            here = f"{place}[{index}]"
            roll = random.random() / self.trouble
            if roll < 0.03:
                return KeyError(f"returned at {here}")
            if roll < 0.06 and resolved:
                return self._later(_of_its_own(random), type_, here)
            return self._value(random, type_, resolved, here)

        length = random.choice([0, 1, 2, 3, 4])
        fails_at = random.randint(0, 3) if random.random() / self.trouble < 0.1 else None
        kind = random.choice(["list"] * 5 + ["tuple", "generator", "asynchronous"] if resolved else ["list", "tuple"])
        if kind == "generator":
            return _generated([item(index) for index in range(length)], fails_at, place)
        if kind == "asynchronous":
            return _generated_later([item(index) for index in range(length)], fails_at, place)
        return (list if kind == "list" else tuple)(item(index) for index in range(length))

    def _object(self, random: Random, type_: Any) -> Any:
        possible = self.schema.get_possible_types(type_) if is_abstract_type(type_) else [type_]
        if random.random() / self.trouble < 0.04:
            possible = [self.schema.type_map[name] for name in ("Cat", "Dog", "Person")]
        return self.things[random.choice(list(possible)).name, random.randrange(OBJECTS_OF_A_TYPE)]


def awkward_schema(variant: int) -> GraphQLSchema:
    """The schema with its fields' resolvers, and what tells its types, dealt out by this number."""
    random = Random(variant)
    schema = build_schema(SDL)
    _coerce(schema)
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                _deal(random, type_.name, name, field)
            if random.random() < 0.5 or variant % 2:
                type_.is_type_of = random.choice([_is(type_.name), _is_later(type_.name), by_class(_is(type_.name))])
        elif is_abstract_type(type_) and not variant % 2:
            type_.resolve_type = random.choice([_type_name, _type_name_later, by_class(_type_name_of_class)])
    return schema


def _deal(random: Random, type_: str, name: str, field: GraphQLField) -> None:
    if name == "bump":
        field.resolve = _bump
        return
    kind = random.choice(["default", "default", "default", "call", "later", "batch", "batch later"])
    if kind == "default":
        return

    def call(thing: Any, info: Any, **arguments: Any) -> Any:
        if name in {"nick", "echo"} and arguments:
            _used(arguments)
            return f"{name} {info.path.as_list()} {info.parent_type} {sorted(arguments.items(), key=repr)}"
        return info.context.give(thing, type_, name, field, True)

    async def later(thing: Any, info: Any, **arguments: Any) -> Any:
        await asyncio.sleep(0)
        value = call(thing, info, **arguments)
        return await value if iscoroutine(value) else value

    def batch(things: list[Any], info: Any, **arguments: Any) -> list[Any]:
        return [_caught(partial(info.context.give, thing, type_, name, field, True)) for thing in things]

    async def batch_later(things: list[Any], info: Any, **arguments: Any) -> list[Any]:
        await asyncio.sleep(0)
        return batch(things, info, **arguments)

    field.resolve = later if kind == "later" else call
    if kind.startswith("batch") and name not in {"nick", "echo"}:
        field.extensions = {BATCH_RESOLVER: batch if kind == "batch" else batch_later}


def _used(arguments: dict[str, Any]) -> None:
    """Do what a careless resolver does: change what it was given."""
    point = arguments.get("p")
    if point is not None and isinstance(point.get("tags"), list):
        point["tags"].append("spoiled")
        arguments["p"] = {**point, "tags": point["tags"][:-1]} if len(point["tags"]) < 4 else "spoiled by a sibling"


def _bump(_root: Any, info: Any) -> Any:
    info.context.bumps += 1
    if info.context.bumps == 3:
        raise ValueError("bumped too often")
    return info.context.bumps


def _coerce(schema: GraphQLSchema) -> None:
    date_, picky, mood = schema.type_map["Date"], schema.type_map["Picky"], schema.type_map["Mood"]
    assert isinstance(date_, GraphQLScalarType)
    assert isinstance(picky, GraphQLScalarType)
    assert isinstance(mood, GraphQLEnumType)
    date_.coerce_output_value = lambda value: value.isoformat()
    picky.coerce_output_value = lambda value: None if value == "odd" else value
    mood.values["BAD"].value = Moody.BAD
    mood.values["ODD"].value = ["unhashable"]


def _scalar(random: Random, name: str, place: str) -> Any:
    choices: dict[str, list[Any]] = {
        "Int": [0, 1, -5, 2**31 - 1, True, 3.0, "7"],
        "Float": [0.5, 2, -1e300, "1.5", False],
        "String": [place, "", "é", 5, True, Moody.BAD],
        "ID": [place, 7, 10**12, 3.0],
        "Boolean": [True, False, 1, 0.0],
        "Mood": ["GOOD", Moody.BAD, ["unhashable"], "GOOD"],
        "Date": [date(2026, 1, 2), date(1999, 12, 31)],
        "Picky": [{"any": ["json"]}, "text", 4, "odd"],
    }
    return random.choice(choices[name])


def _mishap(message: str) -> Exception:
    """An error, every other one with a code."""
    return GraphQLError(message, extensions={"code": message[:8]}) if len(message) % 2 else ValueError(message)


def _of_its_own(random: Random) -> Random:
    """What is drawn later must not depend on who draws first: executors await in orders of their own."""
    return Random(random.getrandbits(64))


def _generated(items: list[Any], fails_at: int | None, place: str) -> Iterator[Any]:
    for index, item in enumerate(items):
        if index == fails_at and not any(map(iscoroutine, items)):
            raise OSError(f"generator failed at {place}")
        yield item


async def _generated_later(items: list[Any], fails_at: int | None, place: str) -> AsyncIterator[Any]:
    for index, item in enumerate(items):
        await asyncio.sleep(0)
        if index == fails_at and not any(map(iscoroutine, items)):
            raise OSError(f"stream failed at {place}")
        yield item


def _empty(type_: str, number: int) -> Any:
    if type_ in {"Cat", "Dog"}:
        return {"Cat": Cat, "Dog": Dog}[type_](type_, number)
    if number == 0:
        return Shy(type_, number)
    return {"__typename": type_} if number == 1 else Key(__typename=type_)


def _set(thing: Any, name: str, value: Any) -> None:
    if isinstance(thing, dict):
        thing[name] = value
    elif isinstance(thing, Shy):
        thing.__dict__.setdefault("made", {})[name] = value
    else:
        setattr(thing, name, value)


def _name_of(value: Any) -> Any:
    return value.get("__typename") if isinstance(value, dict) else getattr(value, "type_", None)


def _is(name: str) -> Callable[..., Any]:
    return lambda value, _info: _name_of(value) == name


def _is_later(name: str) -> Callable[..., Any]:
    async def is_type_of(value: Any, _info: Any) -> bool:
        await asyncio.sleep(0)
        return bool(_name_of(value) == name)

    return is_type_of


def _type_name(value: Any, _info: Any, _type: Any) -> Any:
    return _name_of(value)


async def _type_name_later(value: Any, info: Any, type_: Any) -> Any:
    await asyncio.sleep(0)
    return _type_name(value, info, type_)


def _type_name_of_class(value: Any, _info: Any, _type: Any) -> Any:
    return {Cat: "Cat", Dog: "Dog"}.get(type(value), "Person")


def _caught(give: Callable[[], Any]) -> Any:
    try:
        return give()
    except Exception as error:  # noqa: BLE001 - an item of a batch
        return error
