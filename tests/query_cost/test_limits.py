"""Documents at the edge of every limit, bombs of many shapes, and the static price of operations."""

from collections.abc import Callable
from dataclasses import replace
from time import process_time
from typing import Any

import pytest
import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    get_introspection_query,
    parse,
    print_ast,
    specified_rules,
    validate,
)
from hypothesis import given
from hypothesis import strategies as st

from app.query_cost.limits import SATURATED, DocumentLimits, DocumentTooComplex, Measures, measure, parse_document
from app.query_cost.price import ASSUMED_SIZE, PRICE, Price, PriceRules, check_price, price_of
from tests.harness import is_within

LIMITS = DocumentLimits()
QUICK = 0.05  # seconds, for reading or refusing any document


def refusal(text: str, limits: DocumentLimits = LIMITS) -> str | None:
    """The name of the limit that refuses a text; None when it is let through."""
    try:
        parse_document(text, limits)
    except DocumentTooComplex as refused:
        return refused.limit
    return None


def is_quick(action: Callable[[], object], most: float = QUICK) -> bool:
    """Whether one of some attempts takes less than `most` seconds, on a processor that is not slow."""

    def seconds() -> float:
        start = process_time()
        action()
        return process_time() - start

    return any(is_within(seconds(), most) for _ in range(5))


def fragments(count: int, selections: Callable[[int], str], on: str = "Query") -> str:
    """Fragments f0, f1, ... and a last one that ends the chain."""
    chain = [f"fragment f{i} on {on} {{{selections(i + 1)}}}" for i in range(count)]
    return " ".join([*chain, f"fragment f{count} on {on} {{id}}"])


# Each limit at its edge


def selections_in_fragments(count: int) -> str:
    spreads, rest = divmod(count - 1, 99)
    return "{a{" + "...f " * spreads + "b " * rest + "}} fragment f on A {" + "b " * 98 + "}"


AT_THE_EDGE: dict[str, Callable[[int], str]] = {
    "characters": lambda n: "{a}" + " " * (n - 3),
    "tokens": lambda n: "{a{" + "b " * (n - 5) + "}}",
    "nesting": lambda n: "{a(x:" + "[" * (n - 2) + "]" * (n - 2) + ")}",
    "depth": lambda n: "{a" * n + "}" * n,
    "introspection_depth": lambda n: "{__schema" + "{a" * (n - 1) + "}" * n,
    "selections": selections_in_fragments,
    "aliases": lambda n: "{a{" + "x:b " * n + "}}",
    "directives": lambda n: "{a" + " @d" * n + "}",
    "variables": lambda n: (
        "{...f ...f ...f ...f " + "a(x: {y: $v}) " * (n % 4) + "} fragment f on A {a(x: [" + "$v " * (n // 4) + "])}"
    ),
    "root_fields": lambda n: "{" + "a " * n + "}",
}


def test_every_limit_has_a_document_at_its_edge() -> None:
    assert AT_THE_EDGE.keys() == vars(LIMITS).keys()


@pytest.mark.parametrize("limit", AT_THE_EDGE)
def test_a_document_at_a_limit_passes_and_one_beyond_it_is_refused(limit: str) -> None:
    maximum = getattr(LIMITS, limit)
    document = AT_THE_EDGE[limit]
    assert (refusal(document(maximum)), refusal(document(maximum + 1))) == (None, limit)


@pytest.mark.parametrize("limit", AT_THE_EDGE)
def test_a_limit_can_be_set(limit: str) -> None:
    maximum = getattr(LIMITS, limit) // 2
    document = AT_THE_EDGE[limit](maximum + 1)
    assert refusal(document, replace(LIMITS, **{limit: maximum})) == limit


@pytest.mark.parametrize(
    ("limit", "document"),
    [
        ("nesting", lambda n: "{...f0}" + fragments(n - 2, lambda i: f"...f{i}")),
        ("depth", lambda n: "{...f0}" + fragments(n - 1, lambda i: f"a{{...f{i}}}")),
        ("introspection_depth", lambda n: "{__schema{...f0}}" + fragments(n - 2, lambda i: f"a{{...f{i}}}")),
        ("aliases", lambda n: "{a{" + "...f " * n + "}} fragment f on A {x:b}"),
        ("directives", lambda n: "{a{" + "...f " * n + "}} fragment f on A @d {b}"),
        (
            "variables",
            lambda n: (
                "query A {...f} query B {...f} query C {...f "
                + "a(x: $v) " * (n - 999)
                + "} fragment f on A {a(x: ["
                + "$v " * 333
                + "])}"
            ),
        ),
        ("root_fields", lambda n: "{" + "...f " * n + "} fragment f on Query {... on Query {b}}"),
    ],
)
def test_a_limit_holds_across_fragments(limit: str, document: Callable[[int], str]) -> None:
    maximum = getattr(LIMITS, limit)
    assert (refusal(document(maximum)), refusal(document(maximum + 1))) == (None, limit)


def test_a_refusal_says_which_limit_and_how_much_is_allowed() -> None:
    with pytest.raises(DocumentTooComplex) as refused:
        parse_document(AT_THE_EDGE["depth"](13), LIMITS)
    assert (refused.value.limit, refused.value.maximum) == ("depth", 12)
    assert str(refused.value) == "The document exceeds the depth limit of 12 fields. Nest fewer fields."


def test_comments_and_commas_are_no_tokens() -> None:
    assert refusal("#,,,\n" * 2_000 + "{a,}") is None


def test_what_is_not_graphql_stays_a_syntax_error() -> None:
    with pytest.raises(GraphQLSyntaxError):
        parse_document("{a", LIMITS)


# Introspection


def test_the_standard_introspection_query_is_fifteen_deep_and_passes() -> None:
    text = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
        one_of=True,
    )
    measured = measure(parse_document(text, LIMITS))
    assert (measured.introspection_depth, measured.depth) == (15, 0)


def test_an_introspection_and_the_fields_beside_it_each_keep_their_own_depth() -> None:
    both = "{" + "a{" * 11 + "a" + "}" * 11 + " __schema" + "{a" * 15 + "}" * 16
    assert refusal(both) is None


def test_typename_is_no_introspection() -> None:
    assert refusal("{__typename " + "a{__typename}" * 3 + "}") is None


# Several operations, and fragments no operation reaches


def test_depth_and_root_fields_are_those_of_the_worst_operation_and_the_rest_is_counted_in_all() -> None:
    measured = measure(parse("query A {x:a{b}} query B {a y:b c @d}"))
    assert measured == Measures(
        nesting=2,
        depth=2,
        introspection_depth=0,
        selections=5,
        aliases=2,
        directives=1,
        variables=0,
        root_fields=3,
    )


def test_a_fragment_no_operation_reaches_counts_too() -> None:
    assert refusal("{a} fragment unused on Query {" + "x:a " * 31 + "}") == "aliases"


def test_directives_on_operations_variables_and_fragments_count() -> None:
    text = "query ($v: Int @d) @d {a @d ...f @d ... @d {b}} fragment f on Query @d {b}"
    assert measure(parse(text)).directives == 6


def test_variables_count_wherever_they_are_used_but_not_where_they_are_defined() -> None:
    text = "query ($v: Int = 1) @d(x: $v) {a(x: [$v, {y: $v}], z: 1) ...f @d(x: $v) ... @d(x: $v) {b}}"
    assert measure(parse(text + " fragment f on Query @d(x: $v) {b(x: $v)}")).variables == 7


# Bombs

BOMBS: dict[str, tuple[str, str | None]] = {
    "doubling fragments": ("{...f0}" + fragments(30, lambda i: f"...f{i} ...f{i}"), "selections"),
    "doubling fields": ("{...f0}" + fragments(10, lambda i: f"a{{...f{i}}} b{{...f{i}}}"), "selections"),
    "doubling fields beyond depth": ("{...f0}" + fragments(30, lambda i: f"a{{...f{i}}} b{{...f{i}}}"), "depth"),
    "doubling through inline fragments": ("{...f0}" + fragments(30, lambda i: f"...{{...f{i}}} ...f{i}"), "selections"),
    "doubling aliases": ("{...f0}" + fragments(30, lambda i: f"x:id ...f{i} ...f{i}"), "selections"),
    "aliases in fragments": (
        "{...f0}" + fragments(4, lambda i: f"x{i}:a{{...f{i}}} y{i}:a{{...f{i}}} z{i}:a{{...f{i}}}"),
        "aliases",
    ),
    "doubling introspection": ("{__schema{...f0}}" + fragments(30, lambda i: f"...f{i} ...f{i}"), "selections"),
    "doubling out of reach": ("{id}" + fragments(30, lambda i: f"...f{i} ...f{i}"), "selections"),
    "layers that all spread each other": (
        "{...f0x0}"
        + " ".join(
            f"fragment f{i}x{k} on Query {{" + " ".join(f"a{{...f{i + 1}x{j}}}" for j in range(5)) + "}"
            for i in range(6)
            for k in range(5)
        ),
        "selections",
    ),
    "a cycle": ("{...f0} fragment f0 on Query {id ...f1} fragment f1 on Query {id ...f0}", None),
    "a fragment that spreads itself": ("{...f} fragment f on Query {" + "...f " * 400 + "}", None),
    "fragments that all spread all": (
        "{...f0}"
        + " ".join(f"fragment f{i} on Query {{" + " ".join(f"...f{j}" for j in range(18)) + "}" for i in range(18)),
        "selections",
    ),
    "doubling into a cycle": ("{...f0}" + fragments(30, lambda i: f"...f{i} ...f{i} ...f0"), "selections"),
    "a chain of fragments": ("{...f0}" + fragments(120, lambda i: f"...f{i}"), "nesting"),
    "deep inline fragments": ("{" + "...{" * 240 + "id" + "}" * 241, "nesting"),
    "deep fields": ("{a" * 330 + "}" * 330, "nesting"),
    "directives on one field": ("{a" + " @d" * 400 + "}", "directives"),
    "directives through fragments": ("{...f0}" + fragments(30, lambda i: f"...f{i} @d ...f{i} @d"), "selections"),
    "a wide list": ("{a(x:[" + "1 " * 990 + "])}", None),
    "a wide list of objects": ("{a(x:[" + "{b:1} " * 180 + "])}", None),
    "deep input objects": ("{a(x:" + "{b:" * 240 + "1" + "}" * 240 + ")}", "nesting"),
    "deep lists in a default": ("query($v: X = " + "[" * 300 + "]" * 300 + "){a}", "nesting"),
    "a deep list type": ("query($v: " + "[" * 300 + "X" + "]" * 300 + "){a}", "nesting"),
    "a thousand spreads of one fragment": ("{a{" + "...f " * 490 + "}} fragment f on A {id}", None),
    "many spreads of a wide fragment": (
        "{a{" + "...f " * 300 + "}} fragment f on A {" + "id " * 300 + "}",
        "selections",
    ),
    "a thousand fields": ("{a{" + "id " * 990 + "}}", None),
    "many operations": (" ".join(f"query q{i} {{id}}" for i in range(190)), None),
    "many unknown fragments": ("{a{" + " ".join(f"...f{i}" for i in range(490)) + "}}", None),
    "one long string": ('{a(x:"' + "a" * 14_900 + '")}', None),
    "escaped quotes without an end": ('{a(x:"' + '\\"' * 7_400, "syntax"),
    "a block string of empty lines": ('{a(x:"""' + "\n" * 14_900 + '""")}', None),
    "comments": ("#\n" * 7_490 + "{a}", None),
    "seven thousand tokens": ("{a{" + "b " * 7_000 + "}}", "tokens"),
    "only brackets": ("{a(x:" + "[" * 14_000, "nesting"),
    "a long garbage": ("%" * 15_000, "syntax"),
    "a huge document": ("{a " * 1_000_000, "characters"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_answered_at_once(bomb: str) -> None:
    text, expected = BOMBS[bomb]
    outcome: list[str | None] = []

    def answer() -> None:
        try:
            outcome.append(refusal(text))
        except GraphQLSyntaxError:
            outcome.append("syntax")

    assert is_quick(answer)
    assert set(outcome) == {expected}


def test_counts_stop_growing_instead_of_overflowing() -> None:
    assert measure(parse("{...f0}" + fragments(100, lambda i: f"...f{i} ...f{i}"))).selections == SATURATED


# The counts are those of the expanded document

Tree = list[tuple[str, bool, str, "Tree"]]  # kind or field name, aliased, arguments and directives, selections below


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Small documents whose fragments spread later ones; some are unknown, some out of reach."""
    directives = st.sampled_from(["", " @d", " @d @d", " @d(x: $v)", " @d(x: [$v, 1]) @d(x: {y: [$v, $w]})"])
    arguments = st.sampled_from(["", "", "(x: 1)", "(x: $v, y: [{z: $v}])"])
    fragment_count = draw(st.integers(0, 4))

    def selection_set(first: int, levels: int) -> str:
        return "{" + " ".join(selection(first, levels) for _ in range(draw(st.integers(1, 3)))) + "}"

    def selection(first: int, levels: int) -> str:
        kind = draw(st.sampled_from(["field", "field", "inline", "spread", "spread"]))
        if kind == "spread":
            return f"...f{draw(st.integers(first, fragment_count))}{draw(directives)}"
        if kind == "inline":
            return f"...{draw(directives)}" + (selection_set(first, levels - 1) if levels else "{a}")
        alias = draw(st.sampled_from(["", "x:"]))
        name = draw(st.sampled_from(["a", "a", "b", "__schema", "__type", "__typename"]))
        below = selection_set(first, levels - 1) if levels and draw(st.booleans()) else ""
        return f"{alias}{name}{draw(arguments)}{draw(directives)}{below}"

    definitions = [f"query q{i} {draw(directives)} {selection_set(0, 2)}" for i in range(draw(st.integers(0, 2)))]
    definitions += [
        f"fragment f{i} on Query {draw(directives)} {selection_set(i + 1, 2)}" for i in range(fragment_count)
    ]
    return " ".join(draw(st.permutations(definitions or ["{a}"])))


@given(documents())
def test_the_counts_are_those_of_the_document_with_its_fragments_written_out(text: str) -> None:
    assert measure(parse(text)) == counted_by_writing_out(text)


def counted_by_writing_out(text: str) -> Measures:
    definitions = [
        each for each in parse(text).definitions if isinstance(each, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    named = {each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)}
    reached: set[str] = set()

    def written_out(selection_set: SelectionSetNode) -> Tree:
        tree: Tree = []
        for each in selection_set.selections:
            own = written(each)
            if isinstance(each, FragmentSpreadNode):
                name = each.name.value
                reached.add(name)
                if name not in named:
                    tree.append(("unknown", False, own, []))
                    continue
                own += written(named[name])
                tree.append(("fragment", False, own, written_out(named[name].selection_set)))
            elif isinstance(each, FieldNode):
                below = written_out(each.selection_set) if each.selection_set else []
                tree.append((f"field {each.name.value}", each.alias is not None, own, below))
            else:
                assert isinstance(each, InlineFragmentNode)
                tree.append(("fragment", False, own, written_out(each.selection_set)))
        return tree

    roots: list[tuple[bool, str, Tree]] = []
    for each in sorted(definitions, key=lambda each: isinstance(each, FragmentDefinitionNode)):
        is_operation = isinstance(each, OperationDefinitionNode)
        unreached = isinstance(each, FragmentDefinitionNode) and each.name.value not in reached
        if is_operation or unreached:
            roots.append((is_operation, written(each), written_out(each.selection_set)))
    trees = [tree for _, _, tree in roots]
    return Measures(
        nesting=max(map(nesting, trees)),
        depth=max(depth(tree) for tree in trees),
        introspection_depth=max(introspection_depth(tree) for tree in trees),
        selections=sum(total(tree, lambda *_: 1) for tree in trees),
        aliases=sum(total(tree, lambda _, aliased, __: aliased) for tree in trees),
        directives=sum(own.count("@") + total(tree, lambda _, __, own: own.count("@")) for _, own, tree in roots),
        variables=sum(own.count("$") + total(tree, lambda _, __, own: own.count("$")) for _, own, tree in roots),
        root_fields=max((root_fields(tree) for is_operation, _, tree in roots if is_operation), default=0),
    )


INTROSPECTIONS = {"field __schema", "field __type"}


def written(node: Any) -> str:
    """The arguments and directives of a node, as text."""
    return " ".join(map(print_ast, [*(getattr(node, "arguments", None) or ()), *(node.directives or ())]))


def total(tree: Tree, count: Callable[[str, bool, str], int]) -> int:
    return sum(count(kind, aliased, own) + total(below, count) for kind, aliased, own, below in tree)


def nesting(tree: Tree) -> int:
    return 1 + max((nesting(below) for kind, _, _, below in tree if below), default=0) if tree else 0


def height(tree: Tree) -> int:
    return max((kind.startswith("field") + height(below) for kind, _, _, below in tree), default=0)


def depth(tree: Tree) -> int:
    outside = [(kind, below) for kind, _, _, below in tree if kind not in INTROSPECTIONS]
    return max((kind.startswith("field") + depth(below) for kind, below in outside), default=0)


def introspection_depth(tree: Tree) -> int:
    return max(
        (1 + height(below) if kind in INTROSPECTIONS else introspection_depth(below) for kind, _, _, below in tree),
        default=0,
    )


def root_fields(tree: Tree) -> int:
    return sum(1 if kind.startswith("field") else root_fields(below) for kind, _, _, below in tree)


# Price


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    schema = build_schema("""
        type Query {
          viewer: Account
          locations(first: Int = 20): LocationConnection!
          history(first: Int): [Account!]!
          node: Node
        }
        type Mutation { approve: Approved }
        type Approved { location: Location, problems: [Account!]! }
        interface Node { id: ID! }
        type Account implements Node { id: ID!, name: String, tags: [String!] }
        type LocationConnection { nodes: [Location!]!, edges: [LocationEdge!]!, pageInfo: PageInfo!, totalCount: Int! }
        type LocationEdge { cursor: String, node: Location! }
        type PageInfo { endCursor: String }
        type Location implements Node {
          id: ID!
          account: Account
          devices: [Account!]!
          hours: [Account!]
          near(first: Int = 5): LocationConnection
        }
    """)
    connection, location = schema.type_map["LocationConnection"], schema.type_map["Location"]
    assert isinstance(connection, GraphQLObjectType)
    assert isinstance(location, GraphQLObjectType)
    connection.fields["totalCount"].extensions[PRICE] = 100
    location.fields["hours"].extensions[ASSUMED_SIZE] = 7
    return schema


def first_price(schema: GraphQLSchema, document: DocumentNode) -> Price:
    """The price of the first operation of the document."""
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return price_of(schema, document, operation, PriceRules())


def price(schema: GraphQLSchema, text: str, variables: dict[str, object] | None = None) -> int:
    document = parse(text)
    assert validate(schema, document) == []
    return first_price(schema, document).given(variables or {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{viewer {id name tags __typename}}", 1),
        ("{viewer {" + "a" * 63 + ": id}}", 1),
        ("{viewer {" + "a" * 64 + ": id}}", 1 + 1),
        ("{viewer {" + "a" * 640 + ": __typename}}", 1 + 10),
        ("{locations(first: 50) {nodes {" + "a" * 128 + ": account {id}}}}", 1 + 50 * (1 + 1 + 2)),
        ("{__typename}", 0),
        ("{locations {nodes {id}}}", 1 + 20),
        ("{locations(first: 50) {nodes {id}}}", 1 + 50),
        ("{locations(first: 50) {edges {cursor}}}", 1 + 50),
        ("{locations(first: 50) {edges {cursor node {id}}}}", 1 + 50 * 2),
        ("{locations(first: 50) {nodes {id} pageInfo {endCursor} totalCount}}", 1 + 50 + 1 + 100),
        ("{locations(first: 50) {nodes {account {id} devices {id}}}}", 1 + 50 * (1 + 1 + 10)),
        ("{locations(first: 50) {nodes {hours {id}}}}", 1 + 50 * (1 + 7)),
        ("{locations(first: 50) {nodes {near {nodes {id}}}}}", 1 + 50 * (1 + 1 + 5)),
        ("{locations(first: 50) {...P}} fragment P on LocationConnection {nodes {id}}", 1 + 50),
        ("{a: locations(first: 2) {...P} b: locations {...P}} fragment P on LocationConnection {nodes {id}}", 3 + 21),
        ("{locations(first: null) {nodes {id}}}", 1 + 20),
        ("{locations(first: -3) {nodes {id}}}", 1 + 1),
        ("{locations(first: 2000000000) {nodes {id}}}", 1 + 100),
        ("{history(first: 3) {id}}", 3),
        ("{history {id}}", 20),
        ("{node {id ... on Location {account {id}} ... on Account {name}}}", 2),
        ("{viewer {...A ... on Node {id}}} fragment A on Account {name}", 1),
        ("mutation {approve {location {id} problems {id}}}", 10 + 1 + 10),
        ("query ($unused: Int, $n: Int = 4) {locations(first: $n) {nodes {id}} history(first: $unused) {id}}", 25),
    ],
)
def test_an_operation_has_its_price(schema: GraphQLSchema, text: str, expected: int) -> None:
    assert price(schema, text) == expected


@pytest.mark.parametrize(
    ("variables", "page"),
    [
        ({"n": 30}, 30),
        ({"n": None}, 100),
        ({"n": "30"}, 100),
        ({"n": 30.0}, 100),
        ({"n": True}, 100),
        ({"n": 0}, 1),
        ({"n": 10**30}, 100),
    ],
)
def test_a_page_sized_by_a_variable_costs_what_is_asked_for(
    schema: GraphQLSchema, variables: dict[str, object], page: int
) -> None:
    text = "query ($n: Int) {locations(first: $n) {nodes {near(first: $n) {nodes {devices {id}}} account {id}}}}"
    assert price(schema, text, variables) == 1 + page * (1 + 1 + page * (1 + 10) + 1)


@given(st.integers(1, 100), st.integers(1, 100))
def test_a_variable_and_a_literal_cost_the_same(outer: int, inner: int) -> None:
    schema = build_schema(
        "type Query {all(first: Int): QueryConnection} type QueryConnection {nodes: [Query], edges: [Query]}"
    )
    text = (
        "{a: all(first: O) {...P} all(first: I) {nodes {all(first: O) {...P}} edges {...Q}}}"
        " fragment P on QueryConnection {nodes {...Q}} fragment Q on Query {all(first: I) {nodes {__typename}}}"
    )
    literal = text.replace("first: O", f"first: {outer}").replace("first: I", f"first: {inner}")
    variable = "query ($o: Int, $i: Int) " + text.replace("first: O", "first: $o").replace("first: I", "first: $i")
    assert price(schema, variable, {"o": outer, "i": inner}) == price(schema, literal)


@pytest.mark.parametrize(
    ("ids", "variables", "count"),
    [
        ('["a", "b", $one]', {"one": "c"}, 3),
        ("[]", {}, 1),
        ('["a"' + ', "a"' * 200 + "]", {}, 100),
        ("$all", {"all": ["a"] * 7}, 7),
        ("$all", {"all": []}, 1),
        ("$all", {"all": ["a"] * 200}, 100),
        ("$all", {}, 2),
    ],
)
def test_objects_by_their_ids_cost_as_much_as_there_are_ids(ids: str, variables: dict[str, object], count: int) -> None:
    schema = build_schema("type Query {nodes(ids: [ID!]!): [Query]! other: Query}")
    defined = {"one": '$one: ID! = "z"', "all": '$all: [ID!]! = ["y", "z"]'}
    header = next((f"query ({defined[name]})" for name in defined if f"${name}" in ids), "")
    text = f"{header} {{nodes(ids: {ids}) {{other {{__typename}}}}}}"
    assert price(schema, text, variables) == count * 2


def test_an_absent_variable_leaves_the_argument_its_default(schema: GraphQLSchema) -> None:
    text = "query ($n: Int) {locations(first: 1) {nodes {near(first: $n) {nodes {id}}}}}"
    assert price(schema, text) == 1 + (1 + 1 + 5)


def test_a_strawberry_field_states_its_price_and_size_in_its_metadata() -> None:
    @strawberry.type
    class Child:
        name: str

    @strawberry.type
    class Query:
        children: list[Child] = strawberry.field(metadata={ASSUMED_SIZE: 4})
        count: int = strawberry.field(metadata={PRICE: 100})

        @strawberry.field
        def page(self, first: int = 3) -> list[Child]:
            return [Child(name="")] * first

    core = strawberry.Schema(Query)._schema
    assert price(core, "{children {name} count page {name}}") == 4 + 100 + 3


def test_a_price_at_the_maximum_passes_and_one_beyond_it_is_refused() -> None:
    rules = PriceRules()
    check_price(50_000, rules)
    with pytest.raises(DocumentTooComplex) as refused:
        check_price(50_001, rules)
    assert (refused.value.limit, refused.value.maximum) == ("price", 50_000)


def test_doubling_fragments_are_priced_at_once_and_the_price_stops_growing() -> None:
    schema = build_schema("type Query {id: ID, all(first: Int): QueryConnection} type QueryConnection {nodes: [Query]}")
    text = "query ($n: Int) {...f0}" + fragments(
        30, lambda i: f"a: all(first: $n) {{nodes {{...f{i}}}}} b: all(first: $n) {{nodes {{...f{i}}}}}"
    )
    document = parse(text)
    prepared = first_price(schema, document)
    assert prepared.given({"n": 100}) == SATURATED
    assert is_quick(lambda: first_price(schema, document))
    assert is_quick(lambda: prepared.given({"n": 100}), QUICK / 10)


def test_a_fragment_that_spreads_itself_does_not_keep_the_price_waiting(schema: GraphQLSchema) -> None:
    document = parse("{...f} fragment f on Query {viewer {id} ...f}")
    assert first_price(schema, document).given({}) == 1


# What validation takes on after the limits


@pytest.mark.parametrize("bomb", [name for name, (_, expected) in BOMBS.items() if expected is None])
def test_what_the_limits_let_through_is_validated_within_half_a_second(bomb: str) -> None:
    schema = build_schema("type Query {a(x: [Int]): A, id: ID} type A {id: ID}")
    document = parse_document(BOMBS[bomb][0], LIMITS)
    assert is_quick(lambda: validate(schema, document, specified_rules, max_errors=5), 0.5)
