"""The page of the reference: HTML that reads without scripts, and one script of its own for the search.

Each type, field, argument and value has an anchor that is its path in the schema, such as `#Location.devices`. It stays
as long as the schema has the element.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLType,
    get_named_type,
    is_introspection_type,
    is_required_argument,
    is_required_input_field,
    print_ast,
)
from graphql.utilities import get_default_value_ast

from app.domain.refusals import Refusal
from app.domain.vocabulary import Role
from app.operations.mutation import Mutation
from app.operations.registry import MUTATIONS
from app.query_cost.price import ASSUMED_SIZE, PRICE, PriceRules, declared_cost, is_connection
from graphql_schema.reference.audiences import EVERYBODY, Audiences, actions_of, audiences, judges_by_type
from graphql_schema.reference.examples import Example, examples, laid_out, resolved
from permissions.matrix import AUDIENCE, NEEDS_ALL_ACCOUNTS, Action
from permissions.policy import can_be_limited

PATH = "/reference"
SCHEMA_PATH = "/schema.graphql"
PAYLOAD_SCHEMAS_PATH = "/schemas/"

_FOLDER = Path(__file__).parent
_STYLE = _FOLDER.joinpath("page.css").read_text(encoding="utf-8")
_SCRIPT = _FOLDER.joinpath("search.js").read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


POLICY = "; ".join(
    [
        "default-src 'none'",
        f"script-src {_hash(_SCRIPT)}",
        f"style-src {_hash(_STYLE)}",
        "img-src data:",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
"""The Content-Security-Policy of the page: its own style and script by their hashes, and no request at all."""

ROLES = {
    Role.CUSTOMER: "customers",
    Role.IMPLEMENTATION_LEAD: "leads",
    Role.PARTNER: "partners",
    Role.AUDITOR: "auditors",
}
_OF_MUTATION = {
    name: each.name
    for each in MUTATIONS.values()
    for name in (each.input_name, each.payload_name, f"{each.type_name}ItemResult")
}
_CODES = {each.__name__: each.code for each in Refusal.__subclasses__()}
_CODE = re.compile(r"`([^`]+)`")


def page(schema: GraphQLSchema, version: str) -> str:
    """Return the reference of a schema as a page of HTML."""
    return _ReferencePage(schema).whole(version)


class _ReferencePage:
    """The parts of the page, each as lines of HTML."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self.audiences: Audiences = audiences(schema)
        self.types = {name: each for name, each in sorted(schema.type_map.items()) if not is_introspection_type(each)}
        self.anchors = frozenset(_anchors(self.types.values()))
        self.answers: dict[Role, dict[str, object]] = {role: {} for role in Role}
        for each in examples():
            self.answers[each.user.role][each.name] = each.data

    def whole(self, version: str) -> str:
        sections = [each for each in _SECTIONS if each.anchor == "examples" or self._of(each)]
        lines = [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            "<title>Turnup API reference</title>",
            '<link rel="icon" href="data:,">',
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            "<header>",
            "<h1>Turnup API reference</h1>",
            f"<p>Version {escape(version)}, generated from the schema. The schema itself is "
            f'<a href="{SCHEMA_PATH[1:]}">schema.graphql</a>; the documents that partners receive have '
            f'<a href="{PAYLOAD_SCHEMAS_PATH[1:]}">JSON Schemas</a>.</p>',
            "</header>",
            '<div id="search" hidden><div><label for="find">Find</label>'
            '<input id="find" type="search" autocomplete="off" placeholder="Name or words; press / to begin">'
            '<span id="status" role="status"></span><ul id="found"></ul></div></div>',
            "<main>",
            '<nav aria-label="Contents">',
            *(line for each in sections for line in self._contents(each)),
            "</nav>",
            *(line for each in sections for line in self._section(each)),
            "</main>",
            f"<footer><p>{escape(_READING)}</p></footer>",
            f"<script>{_SCRIPT}</script>",
            "</body>",
            "</html>",
        ]
        return "\n".join(lines) + "\n"

    # Sections

    def _of(self, section: "_Section") -> list[GraphQLNamedType]:
        return [each for each in self.types.values() if section.holds(each)]

    def _contents(self, section: "_Section") -> Iterator[str]:
        if section.anchor == "examples":
            links = [(f"examples-{role.lower()}", f"of {name}") for role, name in ROLES.items()]
        elif section.is_root:
            links = [(f"{each.name}.{name}", name) for each in self._of(section) for name in sorted(_fields(each))]
        else:
            links = [(each.name, each.name) for each in self._of(section)]
        yield f'<details><summary><a href="#{section.anchor}">{section.title}</a> ({len(links)})</summary><ul>'
        yield from (f'<li><a href="#{anchor}">{escape(text)}</a></li>' for anchor, text in links)
        yield "</ul></details>"

    def _section(self, section: "_Section") -> Iterator[str]:
        yield f'<section aria-labelledby="{section.anchor}">'
        yield f'<h2 id="{section.anchor}" data-name="{section.title}">'
        yield f'<a href="#{section.anchor}">{section.title}</a></h2>'
        yield f"<p>{self._text(section.about)}</p>"
        if section.anchor == "examples":
            yield from self._examples()
        for each in self._of(section):
            yield from self._root(each) if section.is_root else self._type(each)
        yield "</section>"

    def _root(self, root: GraphQLNamedType) -> Iterator[str]:
        yield f"<p>{self._text(root.description)}</p>"
        for name, field in sorted(_fields(root).items()):
            place = f"{root.name}.{name}"
            yield f'<h3 id="{place}" data-name="{name}"><a href="#{place}"><code>{name}</code></a> '
            yield f'<span class="kind">{self._shape(field.type)} {_nullability(field.type)}</span></h3>'
            yield from self._about(place, field)

    def _type(self, named: GraphQLNamedType) -> Iterator[str]:
        yield f'<article><h3 id="{named.name}"><a href="#{named.name}">{named.name}</a> '
        yield f'<span class="kind">{_kind(named)}</span></h3>'
        yield f"<p>{self._text(named.description)}</p>"
        yield from self._facts(self._facts_of_type(named))
        members = self._members(named)
        if members:
            yield "<dl>"
            yield from members
            yield "</dl>"
        yield "</article>"

    def _members(self, named: GraphQLNamedType) -> list[str]:
        lines: list[str] = []
        for name, field in _fields(named).items():
            place = f"{named.name}.{name}"
            lines += [
                self._term(place, name, field.type, _nullability(field.type)),
                "<dd>",
                *self._about(place, field),
                "</dd>",
            ]
        if isinstance(named, GraphQLInputObjectType):
            for name, each in named.fields.items():
                lines += self._given(f"{named.name}.{name}", name, each, required=is_required_input_field(each))
        if isinstance(named, GraphQLEnumType):
            for name, value in named.values.items():
                place = f"{named.name}.{name}"
                lines += [f'<dt id="{place}"><a href="#{place}"><code>{name}</code></a></dt><dd>']
                lines += [f"<p>{self._text(value.description)}</p>", *self._deprecation(value.deprecation_reason)]
                lines += ["</dd>"]
        return lines

    def _about(self, place: str, field: GraphQLField) -> Iterator[str]:
        yield f"<p>{self._text(field.description)}</p>"
        yield from self._deprecation(field.deprecation_reason)
        yield from self._facts(self._facts_of_field(place, field))
        if field.args:
            yield "<dl>"
            for name, argument in field.args.items():
                required = is_required_argument(argument)
                yield from self._given(f"{place}.{name}", name, argument, required=required)
            yield "</dl>"

    def _given(
        self, place: str, name: str, given: GraphQLArgument | GraphQLInputField, *, required: bool
    ) -> Iterator[str]:
        default = _default(given)
        need = "required" if required else "optional" if default is None else f"optional, {default} if left out"
        yield self._term(place, name, given.type, f"{need}, {_nullability(given.type)}")
        yield f"<dd><p>{self._text(given.description)}</p>"
        yield from self._deprecation(given.deprecation_reason)
        yield "</dd>"

    def _term(self, place: str, name: str, kind: GraphQLType, words: str) -> str:
        return (
            f'<dt id="{place}"><a href="#{place}"><code>{name}</code></a> '
            f'<span class="kind">{self._shape(kind)} {words}</span></dt>'
        )

    # Facts

    def _facts_of_type(self, named: GraphQLNamedType) -> Iterator[str]:
        if isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
            action = AUDIENCE.get(named.name)
            seen = f"Visible to {in_words(self.audiences.of_type[named.name])}."
            yield seen + (f" Needs the action {self._action(action)}." if action else "")
            if named.interfaces:
                yield f"Implements {', '.join(self._link(each.name) for each in named.interfaces)}."
        if isinstance(named, GraphQLInterfaceType):
            possible = sorted(each.name for each in self.schema.get_possible_types(named))
            yield f"Implemented by {', '.join(map(self._link, possible))}."
        if named.name in _CODES:
            yield f"Code {self._link(f'ProblemCode.{_CODES[named.name]}', _CODES[named.name])}."
        if named.name in _OF_MUTATION:
            yield f"Of the mutation {self._link(f'Mutation.{_OF_MUTATION[named.name]}', _OF_MUTATION[named.name])}."
        if isinstance(named, GraphQLInputObjectType) and named.is_one_of:
            yield "Exactly one of the fields is set."

    def _facts_of_field(self, place: str, field: GraphQLField) -> Iterator[str]:
        parent, _, name = place.partition(".")
        seen = self.audiences.of_field[place]
        actions = actions_of(field)
        if parent in _ROOTS or seen != self.audiences.of_type[parent]:
            limited = not NEEDS_ALL_ACCOUNTS.isdisjoint(actions)
            yield f"{'Open' if parent in _ROOTS else 'Visible'} to {in_words(seen, of_all_accounts=limited)}."
        if actions:
            yield f"Needs the action {' and '.join(map(self._action, actions))}."
        if judges_by_type(field):
            yield "Returns objects of the types that the viewer can see."
        if parent == "Mutation":
            yield from self._facts_of_mutation(MUTATIONS[name])
        price, size = declared_cost(field, PRICE), declared_cost(field, ASSUMED_SIZE)
        if price is not None:
            yield f"Price: {price}."
        if size is not None:
            yield f"Priced as {size} items."
        shown = [each for each in examples() if place in each.root_fields] if parent in _ROOTS else []
        if shown:
            yield f"Examples: {', '.join(map(self._to_example, shown))}."

    def _facts_of_mutation(self, mutation: Mutation[Any]) -> Iterator[str]:
        budget = self._link(f"Budget.{mutation.budget}", mutation.budget)
        yield f"Uses the budget {budget}. Price: {PriceRules().mutation}, plus that of what is selected."

    def _facts(self, facts: Iterable[str]) -> Iterator[str]:
        text = " ".join(facts)
        if text:
            yield f'<p class="facts">{text}</p>'

    def _deprecation(self, reason: str | None) -> Iterator[str]:
        if reason is not None:
            yield f'<p><span class="deprecated">Deprecated.</span> {self._text(reason)}</p>'

    # Examples

    def _examples(self) -> Iterator[str]:
        for role, name in ROLES.items():
            shown = [each for each in examples() if each.user.role is role]
            anchor = f"examples-{role.lower()}"
            yield f'<h3 id="{anchor}" data-name="Examples of {name}"><a href="#{anchor}">Examples of {name}</a></h3>'
            yield f"<p>Sent by {escape(shown[0].user.name)}, in this order, to the demo data.</p>"
            for each in shown:
                yield from self._example(each)

    def _example(self, example: Example) -> Iterator[str]:
        anchor = _anchor_of(example)
        yield f'<article><h4 id="{anchor}" data-name="Example {example.name}, {ROLES[example.user.role]}">'
        yield f'<a href="#{anchor}">{example.name}</a></h4>'
        yield f"<p>{self._text(example.description)}</p>"
        yield f"<pre><code>{escape(example.operation)}</code></pre>"
        if example.variables:
            variables = resolved(example.variables, self.answers[example.user.role])
            yield f"<p>Variables:</p><pre><code>{escape(laid_out(variables))}</code></pre>"
        yield "<details open><summary>Answer</summary>"
        yield f"<pre><code>{escape(laid_out({'data': example.data}))}</code></pre></details></article>"

    def _to_example(self, example: Example) -> str:
        return f'<a href="#{_anchor_of(example)}">{example.name} ({ROLES[example.user.role]})</a>'

    # Texts

    def _text(self, text: str | None) -> str:
        """Return a description as HTML. Names between backquotes are code, and lead to their elements."""

        def code(match: "re.Match[str]") -> str:
            name = match[1]
            anchors = (name, *(f"{parent}.{name}" for parent in ("Query", "Mutation", "ProblemCode")))
            anchor = next((each for each in anchors if each in self.anchors), None)
            shown = f"<code>{name}</code>"
            return shown if anchor is None else f'<a href="#{anchor}">{shown}</a>'

        return _CODE.sub(code, escape(text or "", quote=False))

    def _shape(self, kind: GraphQLType) -> str:
        name = get_named_type(kind).name
        before, _, after = str(kind).partition(name)
        return f"<code>{before}{self._link(name)}{after}</code>"

    def _action(self, action: Action) -> str:
        anchor = f"ServiceTokenAction.{action}"
        return self._link(anchor, action) if anchor in self.anchors else f"<code>{action}</code>"

    def _link(self, anchor: str, text: str | None = None) -> str:
        return f'<a href="#{anchor}">{text or anchor}</a>'


class _Section(NamedTuple):
    """A section of the page: its anchor, title and introduction, and which types it holds."""

    anchor: str
    title: str
    about: str
    holds: Callable[[GraphQLNamedType], bool]

    @property
    def is_root(self) -> bool:
        """Whether it shows the fields of a root type, and not types."""
        return self.anchor in _ROOTS


def in_words(roles: Collection[Role], *, of_all_accounts: bool = False) -> str:
    """Return roles in words. `of_all_accounts` is whether only leads with access to all accounts are meant."""
    if frozenset(roles) == EVERYBODY and not of_all_accounts:
        return "every signed-in user"
    named = [
        f"{name} of all accounts" if of_all_accounts and can_be_limited(role) else name
        for role, name in ROLES.items()
        if role in roles
    ]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named) or "nobody"


def _fields(named: GraphQLNamedType) -> Mapping[str, GraphQLField]:
    return named.fields if isinstance(named, GraphQLObjectType | GraphQLInterfaceType) else {}


def _is_problem(named: GraphQLNamedType) -> bool:
    interfaces = named.interfaces if isinstance(named, GraphQLObjectType) else ()
    return named.name == _PROBLEM or any(each.name == _PROBLEM for each in interfaces)


def _is_page(named: GraphQLNamedType) -> bool:
    return is_connection(named) or named.name.endswith("Edge")


def _is_plain_object(named: GraphQLNamedType) -> bool:
    if not isinstance(named, GraphQLObjectType) or named.name in _ROOTS:
        return False
    return not (named.name in _OF_MUTATION or _is_page(named) or _is_problem(named))


def _anchors(types: Iterable[GraphQLNamedType]) -> Iterator[str]:
    for named in types:
        yield named.name
        members = getattr(named, "fields", None) or getattr(named, "values", None) or {}
        yield from (f"{named.name}.{name}" for name in members)


def _anchor_of(example: Example) -> str:
    return f"example-{example.user.role.lower()}-{example.name}"


def _kind(named: GraphQLNamedType) -> str:
    return next(words for kind, words in _KINDS.items() if isinstance(named, kind))


def _nullability(kind: GraphQLType) -> str:
    """Return in words whether a value, and the items of a list, can be null."""
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    words = "can be null" if inner is kind else "never null"
    if not isinstance(inner, GraphQLList):
        return words
    return f"{words}, its items {'never null' if isinstance(inner.of_type, GraphQLNonNull) else 'can be null'}"


def _default(given: GraphQLArgument | GraphQLInputField) -> str | None:
    """Return the default as HTML, None if there is none."""
    value = get_default_value_ast(given)
    return None if value is None else f"<code>{escape(print_ast(value), quote=False)}</code>"


_ROOTS = {"Query", "Mutation"}
_PROBLEM = "Problem"
_KINDS = {
    GraphQLObjectType: "object",
    GraphQLInterfaceType: "interface",
    GraphQLInputObjectType: "input",
    GraphQLEnumType: "enum",
    GraphQLScalarType: "scalar",
}
_SECTIONS = (
    _Section("examples", "Examples", "Operations of each role with their answers. A test sends them to a server with "
             "the demo data and compares the answers.", lambda _: False),
    _Section("Query", "Queries", "The fields of `Query`.", lambda each: each.name == "Query"),
    _Section("Mutation", "Mutations", "The fields of `Mutation`. A refusal is a value of `problems`, and nothing was "
             "written then; `ProblemCode` lists the codes.", lambda each: each.name == "Mutation"),
    _Section("objects", "Objects", "What queries return.", _is_plain_object),
    _Section("payloads", "Payloads of mutations", "What mutations return.",
             lambda each: isinstance(each, GraphQLObjectType) and each.name in _OF_MUTATION),
    _Section("pages", "Pages of lists", "A list with `first` and `after` is a connection, after Relay's specification "
             "of cursor connections.", _is_page),
    _Section("interfaces", "Interfaces", "Fields that several objects have.",
             lambda each: isinstance(each, GraphQLInterfaceType) and not _is_problem(each)),
    _Section("inputs", "Inputs", "What mutations and filters take.",
             lambda each: isinstance(each, GraphQLInputObjectType)),
    _Section("enums", "Enums", "Closed sets of values. A release can add values, so clients have a branch for unknown "
             "ones.", lambda each: isinstance(each, GraphQLEnumType)),
    _Section("scalars", "Scalars", "Single values and their formats.",
             lambda each: isinstance(each, GraphQLScalarType)),
    _Section("problems", "Problems", "Why a mutation was refused: the interface `Problem` and a type for each code.",
             _is_problem),
)  # fmt: skip
_READING = (
    "Visible to: the roles that reach a type or a field by any path, after the permission matrix. Which objects of a "
    "type a viewer sees depends on the viewer's grants. Price: the cost of a field in objects, without its selections."
)
