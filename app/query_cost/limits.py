"""Limits on a GraphQL document, checked while it is parsed and before it is validated.

The lexer stops at the first token or bracket beyond its limit. One pass then counts the selections of the document as
if its fragments were expanded, without expanding them: it walks each definition once and adds its counts wherever the
definition is spread.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from graphql.language import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    ExecutableDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Lexer,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    Token,
    TokenKind,
    ValueNode,
    VariableNode,
)
from graphql.language.parser import Parser

__all__ = ["DocumentLimits", "DocumentTooComplex", "Measures", "check_document", "measure", "parse_document"]

INTROSPECTION_FIELDS = frozenset({"__schema", "__type"})

MESSAGES: Mapping[str, str] = {
    "characters": "The document exceeds the limit of {maximum} characters. Send a shorter document.",
    "tokens": "The document exceeds the limit of {maximum} tokens. Select fewer fields or use variables.",
    "nesting": "The document exceeds the nesting limit of {maximum} levels of brackets or selection sets.",
    "depth": "The document exceeds the depth limit of {maximum} fields. Nest fewer fields.",
    "introspection_depth": "The introspection in the document exceeds the depth limit of {maximum} fields.",
    "selections": "The document exceeds the limit of {maximum} selections, counted with its fragments expanded.",
    "aliases": "The document exceeds the limit of {maximum} aliases, counted with its fragments expanded.",
    "directives": "The document exceeds the limit of {maximum} directives, counted with its fragments expanded.",
    "variables": "The document exceeds the limit of {maximum} uses of variables, counted with its fragments expanded.",
    "root_fields": "An operation exceeds the limit of {maximum} root fields, counted with its fragments expanded.",
    "introspection_lists": "A selection set selects the list {field} under more than {maximum} name. Select it once.",
    "price": "The operation exceeds the price limit of {maximum}. Select fewer fields or request smaller pages.",
}


def parse_document(text: str, limits: "DocumentLimits") -> DocumentNode:
    """Parse a document and check its limits. The caller still has to validate the document.

    Raises DocumentTooComplex if the text exceeds a limit, and graphql-core's GraphQLSyntaxError if it is not GraphQL.
    """
    if len(text) > limits.characters:
        raise DocumentTooComplex(limit="characters", maximum=limits.characters)
    source = Source(text)
    document = Parser(source, lexer=_BoundedLexer(source, limits)).parse_document()
    check_document(document, limits)
    return document


def check_document(document: DocumentNode, limits: "DocumentLimits") -> None:
    """Raise DocumentTooComplex for the first measure of the document that exceeds its limit."""
    measures = measure(document)
    for each in fields(Measures):
        maximum: int = getattr(limits, each.name)
        if getattr(measures, each.name) > maximum:
            raise DocumentTooComplex(limit=each.name, maximum=maximum, document=document)


def measure(document: DocumentNode) -> "Measures":
    """Count the contents of a document with every fragment expanded, in time linear in the length of the document.

    Sums include the operations and the fragments that no operation uses, because both are validated. Depths are the
    maximum over all of them; `root_fields` is the maximum over the operations. A fragment that is unknown, or that
    spreads itself, counts up to that spread: validation rejects it later.
    """
    definitions = [
        _count_definition(each) for each in document.definitions if isinstance(each, ExecutableDefinitionNode)
    ]
    fragments = {each.fragment: each for each in definitions if each.fragment is not None}
    whole = _DefinitionCounts(fragment=None)
    for counts in sorted(definitions, key=lambda each: each.fragment is not None):
        if not counts.expanded:
            _expand(counts, fragments)
            whole.add(counts, _Position())
    return Measures(
        nesting=whole.nesting,
        depth=whole.depth,
        introspection_depth=whole.introspection_depth,
        selections=whole.selections,
        aliases=whole.aliases,
        directives=whole.directives,
        variables=whole.variables,
        root_fields=max((each.root_fields for each in definitions if each.fragment is None), default=0),
    )


def _count_definition(definition: ExecutableDefinitionNode) -> "_DefinitionCounts":
    """Count the contents of one definition, without its fragments, and note where it spreads fragments."""
    fragment = definition.name.value if isinstance(definition, FragmentDefinitionNode) else None
    counts = _DefinitionCounts(fragment=fragment)
    counts.add_directives(definition.directives)
    if isinstance(definition, OperationDefinitionNode):
        for each in definition.variable_definitions or ():
            counts.add_directives(each.directives)
    pending = [(definition.selection_set, _Position(nesting=1))]
    while pending:
        selection_set, position = pending.pop()
        counts.nesting = max(counts.nesting, position.nesting)
        counts.selections += len(selection_set.selections)
        for selection in selection_set.selections:
            counts.add_directives(selection.directives)
            inner: SelectionSetNode | None = None
            below = position
            if isinstance(selection, FieldNode):
                below = counts.enter(selection, position)
                inner = selection.selection_set
            elif isinstance(selection, InlineFragmentNode):
                inner = selection.selection_set
            elif isinstance(selection, FragmentSpreadNode):
                counts.spreads.append((selection.name.value, position))
            if inner is not None:
                pending.append((inner, _Position(below.nesting + 1, below.depth, below.introspection_depth)))
    return counts


def _variables_in(arguments: Iterable[ArgumentNode]) -> int:
    """Count the uses of variables in the values of arguments."""
    found = 0
    pending: list[ValueNode] = [each.value for each in arguments]
    while pending:
        value = pending.pop()
        if isinstance(value, VariableNode):
            found += 1
        elif isinstance(value, ListValueNode):
            pending.extend(value.values)
        elif isinstance(value, ObjectValueNode):
            pending.extend(each.value for each in value.fields)
    return found


def _expand(start: "_DefinitionCounts", fragments: Mapping[str, "_DefinitionCounts"]) -> None:
    """Add the counts of spread fragments to this definition and to every definition that it uses, innermost first."""
    stack = [start]
    while stack:
        counts = stack[-1]
        if not counts.entered:
            counts.entered = True
            names = dict.fromkeys(name for name, _ in counts.spreads)
            stack.extend(fragments[name] for name in names if name in fragments and not fragments[name].entered)
        else:
            stack.pop()
            if not counts.expanded:
                for name, position in counts.spreads:
                    if name in fragments and fragments[name].expanded:
                        counts.add(fragments[name], position)
                counts.expanded = True


class DocumentTooComplex(Exception):  # noqa: N818 - clients receive it as a rejection of their document
    """The document exceeds a limit. `limit` is the name of the limit, `maximum` its value.

    `document` is None if the limit ended its parsing.
    """

    def __init__(
        self, *, limit: str, maximum: int, field: str | None = None, document: DocumentNode | None = None
    ) -> None:
        """`field` is the field of introspection that the message names."""
        super().__init__(MESSAGES[limit].format(maximum=maximum, field=field))
        self.limit = limit
        self.maximum = maximum
        self.document = document


@dataclass(frozen=True, kw_only=True)
class DocumentLimits:
    """The maximum of each measure of a document. A document that equals a limit passes.

    Depth counts fields from the root, including leaf fields. Introspection has a separate limit: __schema, __type and
    everything below them count toward `introspection_depth` only (the standard introspection query is 15 deep).
    Nesting counts brackets as written and selection sets with fragments expanded, so it bounds every later recursion.
    Validation visits every use of a variable once per operation that reaches it, which `variables` bounds.
    """

    characters: int = 15_000
    tokens: int = 1_000
    nesting: int = 64
    depth: int = 12
    introspection_depth: int = 16
    selections: int = 5_000
    aliases: int = 30
    directives: int = 50
    variables: int = 1_000
    root_fields: int = 20


@dataclass(frozen=True, kw_only=True)
class Measures:
    """The counts of a document with its fragments expanded. Each count has a limit of the same name."""

    nesting: int
    depth: int
    introspection_depth: int
    selections: int
    aliases: int
    directives: int
    variables: int
    root_fields: int


class _Position(NamedTuple):
    """The position of a selection: the selection sets and fields around it, and the introspection fields among them."""

    nesting: int = 0
    depth: int = 0
    introspection_depth: int = 0


SATURATED = 1 << 30


@dataclass(slots=True, kw_only=True)
class _DefinitionCounts:
    """The counts of one definition: first its own contents, later with its fragment spreads expanded.

    `height` counts all nested fields, `depth` only those outside introspection.
    """

    fragment: str | None
    entered: bool = False
    expanded: bool = False
    nesting: int = 0
    height: int = 0
    depth: int = 0
    introspection_depth: int = 0
    selections: int = 0
    aliases: int = 0
    directives: int = 0
    variables: int = 0
    root_fields: int = 0
    spreads: list[tuple[str, _Position]] = field(default_factory=list)

    def enter(self, selected: FieldNode, position: _Position) -> _Position:
        """Count a field selected at a position. Return the position of the selections inside the field."""
        if position.depth == 0:
            self.root_fields += 1
        if selected.alias is not None:
            self.aliases += 1
        if selected.arguments:
            self.variables += _variables_in(selected.arguments)
        introspects = selected.name.value in INTROSPECTION_FIELDS
        introspection_depth = position.introspection_depth + 1 if introspects or position.introspection_depth else 0
        here = _Position(position.nesting, position.depth + 1, introspection_depth)
        self.height = max(self.height, here.depth)
        self.introspection_depth = max(self.introspection_depth, introspection_depth)
        if not introspection_depth:
            self.depth = max(self.depth, here.depth)
        return here

    def add_directives(self, directives: Iterable[DirectiveNode] | None) -> None:
        """Count directives, and the variables in their arguments."""
        for each in directives or ():
            self.directives += 1
            self.variables += _variables_in(each.arguments or ())

    def add(self, other: "_DefinitionCounts", position: _Position) -> None:
        """Add the expanded counts of another definition, which is spread at a position of this one."""
        self.nesting = max(self.nesting, position.nesting + other.nesting)
        self.height = max(self.height, position.depth + other.height)
        if position.introspection_depth:
            self.introspection_depth = max(self.introspection_depth, position.introspection_depth + other.height)
        else:
            self.depth = max(self.depth, position.depth + other.depth)
            self.introspection_depth = max(self.introspection_depth, other.introspection_depth)
        self.selections = min(SATURATED, self.selections + other.selections)
        self.aliases = min(SATURATED, self.aliases + other.aliases)
        self.directives = min(SATURATED, self.directives + other.directives)
        self.variables = min(SATURATED, self.variables + other.variables)
        if position.depth == 0:
            self.root_fields = min(SATURATED, self.root_fields + other.root_fields)


OPENING = frozenset({TokenKind.PAREN_L, TokenKind.BRACKET_L, TokenKind.BRACE_L})
CLOSING = frozenset({TokenKind.PAREN_R, TokenKind.BRACKET_R, TokenKind.BRACE_R})


class _BoundedLexer(Lexer):
    """A lexer that raises DocumentTooComplex at the first token or bracket beyond its limit.

    Each token refers to the next one that is not a comment, and not back. A document would otherwise keep its comments
    in memory (190 bytes per line of comments), and stay there until the garbage collector finds it.
    """

    def __init__(self, source: Source, limits: DocumentLimits) -> None:
        super().__init__(source)
        self.limits = limits
        self.tokens = self.nesting = 0

    def advance(self) -> Token:
        before, token = self.token, super().advance()
        if token.prev is not None:  # advancing past the end returns the last token again
            before.next, token.prev = token, None
        if token.kind is TokenKind.EOF:
            return token
        self.tokens += 1
        if self.tokens > self.limits.tokens:
            raise DocumentTooComplex(limit="tokens", maximum=self.limits.tokens)
        if token.kind in OPENING:
            self.nesting += 1
            if self.nesting > self.limits.nesting:
                raise DocumentTooComplex(limit="nesting", maximum=self.limits.nesting)
        elif token.kind in CLOSING:
            self.nesting -= 1
        return token
