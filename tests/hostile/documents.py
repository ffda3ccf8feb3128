"""Hostile documents by family: each function draws one document."""

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from graphql import GraphQLField, get_named_type, is_list_type, is_non_null_type

from tests.contract.bombs import BOMBS, LOCATION
from tests.execution.operations import an_operation

from .case import SCHEMA, Case, GoodValues, literal, mutations, queries, selection

LEAVES = ("id", "name", "status", "revision", "timezone")
OBJECTS = ("account{id}", "devices{id}", "people{id}", "extensions{id}", "contacts{id}")
NAMES = ("__proto__", "constructor", "toString", "é", "a" * 2_000, "_" * 50, "null", "true", "on", "__typename")
STRANGE_TEXT = (
    "\0", "\ufeff", "\u202e", "\ud83d", "\ude00", "\u2028", "e\u0323\u0302", "\U0001f600", "\x7f", "\u00a0", "\uffff",
)  # fmt: skip


def aliases(random: Random) -> str:
    count = random.choice([5, 30, 31, 300, 900])
    field = random.choice(["id", *OBJECTS])
    return LOCATION + " ".join(f"a{n}:{field}" for n in range(count)) + "}}"


def aliases_of_roots(random: Random) -> str:
    count = random.choice([5, 20, 21, 30, 200])
    root = random.choice(["viewer{name}", "locations(first:100){nodes{id}}", 'location(id:"location-1"){name}'])
    return "{" + " ".join(f"a{n}:{root}" for n in range(count)) + "}"


def cyclic_fragments(random: Random) -> str:
    count = random.randint(1, 40)
    following = [random.sample(range(count), random.randint(1, min(count, 5))) for _ in range(count)]
    bodies = [
        f"fragment f{n} on Location {{id {' '.join(f'...f{other}' for other in others)}}}"
        for n, others in enumerate(following)
    ]
    return LOCATION + "...f0}} " + " ".join(bodies)


def nested_fragments(random: Random) -> str:
    depth, width = random.randint(2, 60), random.randint(1, 6)
    between = random.choice(["", "devices{location{%s}}", "account{id} %s", "...{%s}"])
    chain = []
    for n in range(depth):
        spreads = f"...f{n + 1} " * width
        chain.append(f"fragment f{n} on Location {{id {between % spreads if between else spreads}}}")
    return LOCATION + "...f0}} " + " ".join([*chain, f"fragment f{depth} on Location {{id}}"])


def wide_fragments(random: Random) -> str:
    count = random.choice([10, 60, 150])
    field = random.choice(["id", "account{id}", "devices{location{id}}", "a%d:id"])
    bodies = [f"fragment f{n} on Location {{{field % n if '%' in field else field}}}" for n in range(count)]
    return LOCATION + " ".join(f"...f{random.randrange(count)}" for _ in range(count)) + "}} " + " ".join(bodies)


def unused_fragments(random: Random) -> str:
    count = random.choice([10, 100])
    used = random.choice(["", "...f0 "])
    return (
        "{viewer{name}} "
        + LOCATION.replace("{", "query Q {", 1)
        + used
        + "id}} "
        + " ".join(f"fragment f{n} on Location {{...f{n + 1} id}}" for n in range(count))
        + f" fragment f{count} on Location {{id}}"
    )


def _introspected(kind_name: str, random: Random, depth: int) -> str:
    """A selection below an introspection type, which follows its list fields."""
    fields: dict[str, GraphQLField] = SCHEMA.type_map[kind_name].fields  # type: ignore[attr-defined] # - introspection types have fields
    lists = [
        name for name, each in fields.items() if _is_list(each.type) and hasattr(get_named_type(each.type), "fields")
    ]
    chosen = random.sample(lists, min(len(lists), random.randint(1, 3))) if depth else []
    parts = ["name"]
    for name in chosen:
        below = get_named_type(fields[name].type).name
        times = random.choice([1, 1, 2, 5])
        for n in range(times):
            alias = f"x{n}{name}: " if times > 1 else ""
            parts.append(f"{alias}{name}{{{_introspected(below, random, depth - 1)}}}")
    if kind_name in {"__Field", "__InputValue", "__Type"} and depth > 1 and random.random() < 0.5:
        step = "ofType" if kind_name == "__Type" else "type"
        parts.append(f"{step}{{{_introspected('__Type', random, depth - 1)}}}")
    return " ".join(parts)


def _is_list(kind: object) -> bool:
    return is_list_type(kind.of_type if is_non_null_type(kind) else kind)


def introspection_lists(random: Random) -> str:
    field = random.choice(["types", "directives"])
    below = "__Type" if field == "types" else "__Directive"
    body = _introspected(below, random, random.randint(1, 4))
    count = random.choice([1, 2, 30])
    if random.random() < 0.5:
        return "{__schema{" + " ".join(f"a{n}:{field}{{{body}}}" for n in range(count)) + "}}"
    return (
        "{__schema{" + " ".join(f"a{n}:{field}{{...F}}" for n in range(count)) + f"}}}} fragment F on {below}{{{body}}}"
    )


def introspection_by_fragments(random: Random) -> str:
    count = random.randint(2, 12)
    spreads = [random.choice(["...F%d", "...{...F%d}", "...F%d @include(if: true)"]) % n for n in range(count)]
    name = random.choice(["fields", "possibleTypes", "interfaces", "inputFields", "enumValues"])
    alias = random.choice(["", "b%d:"])
    below = "name type{name}" if name == "fields" else "name"
    bodies = [f"fragment F{n} on __Type{{{alias % n if alias else ''}{name}{{{below}}}}}" for n in range(count)]
    return "{__schema{types{" + " ".join(spreads) + "}}} " + " ".join(bodies)


def introspection_deep(random: Random) -> str:
    steps = random.choice([["fields", "type"], ["possibleTypes"], ["interfaces"], ["fields", "args", "type"]])
    depth = random.randint(2, 9)
    path = [steps[n % len(steps)] for n in range(depth * len(steps))][:14]
    root = random.choice(["__schema{types{%s}}", '__type(name:"Location"){%s}', "__schema{queryType{%s}}"])
    return "{" + root % ("".join(f"{step}{{" for step in path) + "name" + "}" * len(path)) + "}"


def introspection_often(random: Random) -> str:
    count = random.choice([2, 20, 30, 60])
    body = _introspected("__Type", random, random.randint(1, 3))
    return (
        "{"
        + " ".join(f't{n}:__type(name:"{random.choice(list(SCHEMA.type_map))}"){{{body}}}' for n in range(count))
        + "}"
    )


def inline_fragments(random: Random) -> str:
    kinds = ["Location", "Device", "Person", "Node", "Account", "Nothing"]
    depth, width = random.choice([(2, 60), (10, 5), (40, 1), (5, 30)])
    inner = "id"
    for _ in range(depth):
        on = random.choice(["", f" on {random.choice(kinds)}"])
        inner = f"...{on}{{{inner}}}"
    return '{node(id:"location-1"){' + f"{inner} " * width + "}}"


def directives(random: Random) -> str:
    each = random.choice(
        [
            "@skip(if: false)",
            "@include(if: true)",
            "@nothing",
            '@deprecated(reason: "x")',
            "@oneOf",
            "@skip",
            "@skip(if: 1)",
        ]
    )
    count = random.choice([2, 49, 51, 200])
    places = ["name " + each + " ", f"...{{name}} {each} ", f"name {each} {each} "]
    return "{viewer{" + random.choice(places) * count + "}}"


def declared_variables(random: Random) -> str:
    count = random.choice([3, 50, 250])
    kinds = ["Int", "[Int!]!", "LocationFilter", "Nothing", "Location", "[[[ID]]]", "UpdateLocationInput!"]
    defaults = ["", " = 1", ' = {name: "x"}', " = [1, 2]", " = $v0", " = null", " = 99999999999999999999"]
    declared = " ".join(f"$v{n}: {random.choice(kinds)}{random.choice(defaults)}" for n in range(count))
    used = random.choice(["", "first: $v0", "first: $nothing", "filter: $v1"])
    return f"query({declared}) {{ locations{f'({used})' if used else ''} {{ nodes {{ id }} }} }}"


def deep_brackets(random: Random) -> str:
    depth = random.choice([20, 63, 65, 500, 6_000])
    opening, closing = random.choice([("{a", "}"), ("[", "]"), ("{a:", "}"), ("(", ")"), ("...{", "}")])
    ended = random.choice([1, 0])
    head = random.choice(["{location(id:", "{", "query($v:Int=", LOCATION])
    return head + opening * depth + "id" + closing * depth * ended + "}" * ended


def deep_fields(random: Random) -> str:
    pairs = random.choice(
        [("devices", "location"), ("extension", "device"), ("account", "account"), ("person", "extensions")]
    )
    depth = random.randint(2, 25)
    return LOCATION + "devices{" + "".join(f"{pairs[n % 2]}{{" for n in range(depth)) + "id" + "}" * (depth + 3)


def long_names(random: Random) -> str:
    name = random.choice("abc_") * random.choice([100, 5_000, 14_000])
    shape = random.choice(
        [
            "{%s}",
            "query %s {viewer{name}}",
            "{viewer{%s:name}}",
            "{...%s}",
            "{viewer{name @%s}}",
            "{location(%s:1){id}}",
        ]
    )
    return shape % name


def long_strings(random: Random) -> str:
    size = random.choice([100, 5_000, 14_500, 200_000])
    piece = random.choice(
        ["x", '\\"', "\\u00e9", "\\n", "é", "e\u0323\u0302", "\\uD83D\\uDE00", "\\uD83D", "\\u{1F600}", "\\x"]
    )
    text = (piece * size)[:size]
    quote = random.choice(['"%s"', '"""%s"""', '"""\n  %s\n"""', '"%s'])
    root = random.choice(
        ["{location(id:%s){id}}", "{locations(filter:{name:%s}){totalCount}}", "query($v:ID=%s){node(id:$v){id}}"]
    )
    return root % (quote % text)


def block_strings(random: Random) -> str:
    lines = random.choice(["\n" * 14_000, ("  " * 40 + "x\n") * 150, "\r" * 7_000, ("\t x\n") * 3_000, '\\"""' * 3_000])
    return f'{{location(id:"""{lines}"""){{id}}}}'


def comments(random: Random) -> str:
    piece = random.choice(["#\n", "# x" * 10 + "\n", "#" * 100 + "\r", "#\u2028", ",", " ", "\ufeff", "\t"])
    count = random.choice([10, 14_000 // len(piece), 100_000])
    return piece * count + "{viewer{name}}"


def unicode_text(random: Random) -> str:
    text = "".join(random.choice(STRANGE_TEXT) for _ in range(random.choice([1, 5, 200])))
    shapes = [
        "{viewer{name}}%s",
        "%s{viewer{name}}",
        '{location(id:"%s"){id}}',
        "{viewer{%s}}",
        "#%s\n{viewer{name}}",
        "{%s:viewer{name}}",
    ]
    return random.choice(shapes).replace("%s", text)


def many_operations(random: Random) -> str:
    count = random.choice([2, 50, 120, 300])
    kind = random.choice(["query", "mutation", "subscription", "{viewer{name}}"])
    names = random.choice(["q%d", "q"])
    if kind.startswith("{"):
        return kind * count
    return " ".join(f"{kind} {names % n if '%' in names else names} {{viewer{{name}}}}" for n in range(count))


def overlapping_fields(random: Random) -> str:
    count = random.choice([10, 63, 95, 230])
    field = random.choice(
        ["account{id}", "devices{location{devices{id}}}", "id", "x:id x:name", "devices{id} devices{name:id}"]
    )
    wrap = random.choice(["%s", "...{%s}", "... on Location{%s}"])
    return LOCATION + " ".join(wrap % field for _ in range(count)) + "}}"


def unknown_names(random: Random) -> str:
    count = random.choice([1, 50, 450])
    shape = random.choice(
        [
            LOCATION + "%s}}",
            "{locations(filter:{%s:1}){totalCount}}",
            "{locations(orderBy:{field:%s}){totalCount}}",
            "{viewer{...%s}}",
            "{location(%s:1){id}}",
            "{viewer{name @%s}}",
            '{node(id:"x"){... on %s{id}}}',
        ]
    )
    known = random.choice(["name", "status", "locations", "PROVISIONING", "Location", "deprecated"])
    names = [_misspelt(known, random) for _ in range(count)]
    return shape % " ".join(names) if shape.startswith(LOCATION) else shape % names[0]


def _misspelt(word: str, random: Random) -> str:
    at = random.randrange(len(word))
    return word[:at] + random.choice("abcxyz_") * random.choice([1, 1, 60]) + word[at + random.randint(0, 1) :]


def strange_names(random: Random) -> str:
    shape = random.choice(
        [
            "{%s}",
            "{viewer{%s:name}}",
            "{__type(name:%s){name}}",
            "fragment %s on Viewer{name} {viewer{name}}",
            "query %s{viewer{name}}",
        ]
    )
    return shape % random.choice(NAMES)


def literals(random: Random) -> str:
    name, definition = random.choice([each for each in [*queries().items(), *mutations().items()] if each[1].args])
    values = GoodValues(random, optional=0.8)
    given = {
        argument: literal(values.value(each.type, argument), each.type) for argument, each in definition.args.items()
    }
    broken = random.choice(list(given))
    given[broken] = random.choice(
        [
            given[broken],
            "[" * 30 + "]" * 30,
            "[" + "1 " * 450 + "]",
            "{" + " ".join(f"a{n}:1" for n in range(200)) + "}",
            "{" + "a:1 " * 200 + "}",
            "1" * 5_000,
            "1." + "1" * 5_000,
            "1e999999",
            "-0",
            "$undeclared",
            '"' + "x" * 10_000 + '"',
            "null",
            json.dumps("\0"),
        ]
    )
    operation = "mutation" if name in mutations() else "query"
    return f"{operation} {{ {name}({', '.join(f'{n}: {v}' for n, v in given.items())}) {selection(definition)} }}"


def mutated(random: Random) -> str:
    """A generated operation with a few tokens deleted, repeated or exchanged."""
    words = an_operation(random, SCHEMA).text.replace("%s", "").split()
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(words))
        what = random.randrange(4)
        if what == 0:
            del words[at]
        elif what == 1:
            words[at:at] = words[at : at + random.randint(1, 20)]
        elif what == 2:
            other = random.randrange(len(words))
            words[at], words[other] = words[other], words[at]
        else:
            words[at] = random.choice(
                [*STRANGE_TEXT, "{", "}", "(", ")", "...", "$", "@", "!", "&", "|", '"', '"""', "#"]
            )
    return " ".join(words)


def generated(random: Random) -> str:
    return an_operation(random, SCHEMA).text.replace("%s", "")


def definitions(random: Random) -> str:
    kinds = [
        "type A {a: Int}",
        "schema {query: A}",
        "extend type Query {a: Int}",
        "directive @a on FIELD",
        "scalar S",
        "enum E {A}",
    ]
    count = random.choice([1, 10, 100])
    text = " ".join(random.choice(kinds) for _ in range(count))
    return random.choice(["%s", "{viewer{name}} %s", "%s {viewer{name}}"]) % text


def subscriptions(random: Random) -> str:
    return random.choice(
        [
            "subscription{viewer{name}}",
            "subscription S{__typename}",
            "subscription{a b}",
            "query Q{a} subscription S{b}",
        ]
    )


def at_the_highest_price(random: Random) -> str:
    count = random.choice([5, 20, 28, 60])
    page = random.choice([10, 50, 100])
    below = random.choice(["devices{id}", "people{id}", "extensions{id device{id}}", "account{id}"])
    return f"{{locations(first:{page}){{nodes{{" + " ".join(f"a{n}:{below}" for n in range(count)) + "}}}"


def garbage(random: Random) -> str:
    size = random.choice([1, 100, 14_900])
    return "".join(random.choice("{}()[]:$@!|&.#\"'\\ \n,=azAZ09_-+%é\0") for _ in range(size))


def bombs(random: Random) -> str:
    return BOMBS[random.choice(list(BOMBS))][0]


FAMILIES: Mapping[str, Callable[[Random], str]] = {
    each.__name__: each
    for each in (
        aliases,
        aliases_of_roots,
        cyclic_fragments,
        nested_fragments,
        wide_fragments,
        unused_fragments,
        introspection_lists,
        introspection_by_fragments,
        introspection_deep,
        introspection_often,
        inline_fragments,
        directives,
        declared_variables,
        deep_brackets,
        deep_fields,
        long_names,
        long_strings,
        block_strings,
        comments,
        unicode_text,
        many_operations,
        overlapping_fields,
        unknown_names,
        strange_names,
        literals,
        mutated,
        generated,
        definitions,
        subscriptions,
        at_the_highest_price,
        garbage,
        bombs,
    )
}


def a_document(family: str, random: Random) -> Case:
    """Return a hostile document of a family, with a few variables that some of the documents use."""
    variables: dict[str, Any] = {"yes": True, "no": False, "n": random.choice([0, 3, None]), "v0": 1, "v1": {}}
    return Case(family, document=FAMILIES[family](random), variables=variables)
