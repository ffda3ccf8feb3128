"""Documents of the product's own schema that are small to send and made to be costly to answer."""

from collections.abc import Callable

LOCATION = '{location(id: "none"){'


def fragments(count: int, selections: Callable[[int], str], on: str = "Location") -> str:
    """Fragments f0, f1, ... each selecting what its successor's number gives, and a last one that ends the chain."""
    chain = [f"fragment f{i} on {on} {{{selections(i + 1)}}}" for i in range(count)]
    return " ".join([*chain, f"fragment f{count} on {on} {{id}}"])


FULL_TYPE = """
fragment F on __Type {
  kind name description specifiedByURL isOneOf
  fields(includeDeprecated: true) {
    name description isDeprecated deprecationReason
    args(includeDeprecated: true) { name description defaultValue type { ...R } }
    type { ...R }
  }
  inputFields(includeDeprecated: true) { name description defaultValue type { ...R } }
  interfaces { name } enumValues(includeDeprecated: true) { name description } possibleTypes { name }
}
fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }
"""


def aliased(count: int, selection: str) -> str:
    """The selection under this many response names."""
    return " ".join(f"a{i}: {selection}" for i in range(count))


# Each with the limit that stops it; a code where another check does; None where it is legal and has to be quick.
BOMBS: dict[str, tuple[str, str | None]] = {
    "doubling spreads": (LOCATION + "...f0}} " + fragments(30, lambda i: f"...f{i} ...f{i}"), "selections"),
    "doubling fields": (
        LOCATION
        + "...f0}} "
        + fragments(10, lambda i: f"devices{{location{{...f{i}}}}} people{{location{{...f{i}}}}}"),
        "depth",
    ),
    "doubling fields within depth": (
        LOCATION + "...f0}} " + fragments(5, lambda i: f"devices{{location{{...f{i}}}}} " * 6),
        "selections",
    ),
    "doubling inline fragments": (
        LOCATION + "...f0}} " + fragments(30, lambda i: f"...{{...f{i}}} ...f{i}"),
        "selections",
    ),
    "aliases in fragments": (
        LOCATION
        + "...f0}} "
        + fragments(5, lambda i: f"a{i}:devices{{location{{...f{i}}}}} b{i}: name ...f{i} ...f{i}"),
        "aliases",
    ),
    "doubling introspection": (
        "{__schema{types{...f0}}} " + fragments(30, lambda i: f"...f{i} ...f{i}", "__Type").replace("{id}", "{name}"),
        "selections",
    ),
    "introspection by fields": (
        "{__schema{types{" + "fields{type{" * 7 + "name" + "}}" * 7 + "}}}",
        "introspection_depth",
    ),
    "every type 30 times": (f"{{__schema{{{aliased(30, 'types{...F}')}}}}}{FULL_TYPE}", "introspection_lists"),
    "every type twice": ("{__schema{types{name} all: types{name}}}", "introspection_lists"),
    "every type by 30 fragments": (
        "{__schema{"
        + " ".join(f"...g{i}" for i in range(30))
        + "}}"
        + " ".join(f"fragment g{i} on __Schema{{a{i}: types{{...F}}}}" for i in range(30))
        + FULL_TYPE,
        "introspection_lists",
    ),
    "every type by inline fragments": (
        "{__schema{" + " ".join(f"...{{... on __Schema{{a{i}: types{{...F}}}}}}" for i in range(30)) + "}}" + FULL_TYPE,
        "introspection_lists",
    ),
    "every type in selections that merge": (
        "{" + " ".join(f"__schema{{a{i}: types{{...F}}}}" for i in range(20)) + "}" + FULL_TYPE,
        "introspection_lists",
    ),
    "the arguments of every field 30 times": (
        f"{{__schema{{types{{fields{{{aliased(30, 'args{type{...F}}')}}}}}}}}}{FULL_TYPE}",
        "introspection_lists",
    ),
    "the fields of one type 30 times": (
        f'{{__type(name: "Location"){{{aliased(30, "fields{type{...F}}")}}}}}{FULL_TYPE}',
        "introspection_lists",
    ),
    "the locations of directives 30 times": (
        f"{{__schema{{directives{{{aliased(30, 'locations')}}}}}}}",
        "introspection_lists",
    ),
    "the type of every field 30 times": (
        f"{{__schema{{types{{fields{{{aliased(30, 'type{...F}')}}}}}}}}}{FULL_TYPE}",
        "price",
    ),
    "the inner type of every type 30 times": (
        f"{{__schema{{types{{fields{{type{{{aliased(30, 'ofType{...F ofType{...F}}')}}}}}}}}}}}{FULL_TYPE}",
        "price",
    ),
    "the whole schema 20 times": (f"{{{aliased(20, '__schema{types{...F}}')}}}{FULL_TYPE}", "price"),
    "the type of every field, by a long name": (
        f"{{__schema{{types{{fields{{{'a' * 13_000}: type{{name}}}}}}}}}}",
        None,
    ),
    "every device, by a long name": (f"{{locations(first: 100){{nodes{{devices{{{'a' * 13_000}: id}}}}}}}}", "price"),
    "the whole schema five times": (f"{{{aliased(5, '__schema{types{...F}}')}}}{FULL_TYPE}", None),
    "one type 20 times": (
        f"{{{aliased(20, '__type(name: LOCATION){...F}')}}}{FULL_TYPE}".replace("LOCATION", '"Location"'),
        None,
    ),
    "the description of every field 30 times": (
        f"{{__schema{{types{{fields{{{aliased(30, 'description')}}}}}}}}}",
        None,
    ),
    "the defaults of every input field 30 times": (
        f"{{__schema{{types{{inputFields{{{aliased(30, 'defaultValue')}}}}}}}}}",
        None,
    ),
    "doubling out of reach": ("{viewer{name}} " + fragments(30, lambda i: f"...f{i} ...f{i}"), "selections"),
    "a cycle": (
        LOCATION + "...a}} fragment a on Location {id ...b} fragment b on Location {id ...a}",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "a fragment that spreads itself": (
        LOCATION + "...f}} fragment f on Location {" + "...f " * 400 + "}",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "doubling into a cycle": (
        LOCATION + "...f0}} " + fragments(30, lambda i: f"...f{i} ...f{i} ...f0"),
        "selections",
    ),
    "a chain of fragments": (LOCATION + "...f0}} " + fragments(100, lambda i: f"...f{i}"), "nesting"),
    "fragments that spread all later ones": (
        LOCATION + "...f0}} " + fragments(12, lambda i: "account{id} " + " ".join(f"...f{j}" for j in range(i, 13))),
        "selections",
    ),
    "deep inline fragments": (LOCATION + "...{" * 240 + "id" + "}" * 242, "nesting"),
    "directives through fragments": (
        LOCATION + "...f0}} " + fragments(30, lambda i: f"...f{i} @skip(if: false) ...f{i}"),
        "selections",
    ),
    "one object 240 times": (LOCATION + "account{id} " * 240 + "}}", "comparisons"),
    "one scalar 900 times": (LOCATION + "id " * 900 + "}}", "comparisons"),
    "one nested list 95 times": (LOCATION + "devices{location{devices{id}}} " * 95 + "}}", "comparisons"),
    "seventy fragments alike": (
        LOCATION
        + " ".join(f"...f{i}" for i in range(70))
        + "}} "
        + " ".join(f"fragment f{i} on Location {{account{{id}}}}" for i in range(70)),
        "comparisons",
    ),
    "inline fragments alike": ('{node(id: "none"){' + "... on Location{account{id}} " * 100 + "}}", "comparisons"),
    "one object 60 times": (LOCATION + "account{id} " * 60 + "}}", None),
    "one fragment 400 times": (LOCATION + "...f " * 400 + "}} fragment f on Location {account{id}}", None),
    "two types 30 times": (
        '{node(id: "none"){' + "... on Location{account{id}} ... on Device{location{id}} " * 30 + "}}",
        None,
    ),
    "unknown fields": (LOCATION + " ".join(f"name{i}" for i in range(900)) + "}}", "GRAPHQL_VALIDATION_FAILED"),
    "unknown fragments": (LOCATION + " ".join(f"...f{i}" for i in range(490)) + "}}", "GRAPHQL_VALIDATION_FAILED"),
    "unknown enum values": (
        "{locations(filter: {status: [" + " ".join(f"STATUS{i}" for i in range(900)) + "]}){nodes{id}}}",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "unknown input fields": (
        "{locations(filter: {" + " ".join(f"status{i}: 1" for i in range(300)) + "}){nodes{id}}}",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "many operations": (" ".join(f"query q{i} {{viewer{{name}}}}" for i in range(120)), "BAD_REQUEST"),
    "many variables": (
        "query(" + " ".join(f"$v{i}: ID" for i in range(240)) + "){viewer{name}}",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "comments": ("#\n" * 7_450 + "{viewer{name}}", None),
    "escaped quotes without an end": ('{location(id:"' + '\\"' * 7_400, "GRAPHQL_PARSE_FAILED"),
    "a block string of empty lines": ('{location(id:"""' + "\n" * 14_900 + '"""){id}}', None),
    "a long garbage": ("%" * 14_900, "GRAPHQL_PARSE_FAILED"),
    "a huge document": ("{a " * 300_000, "characters"),
    "brackets alone": ("{location(id:" + "[" * 14_000, "nesting"),
}
