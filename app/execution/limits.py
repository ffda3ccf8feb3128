"""Bounds on a GraphQL document, applied while it is read and before it is validated.

Reading stops at the first token too many; one pass then counts what the document holds once its fragments are
expanded, without expanding them: each definition is walked once and its counts are added up along the spreads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from graphql.language import (
    DirectiveNode,
    DocumentNode,
    ExecutableDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Lexer,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    Token,
    TokenKind,
)
from graphql.language.parser import Parser

__all__ = ["DocumentLimits", "DocumentTooComplex", "Measures", "check_document", "measure", "parse_document"]

INTROSPECTION_FIELDS = frozenset({"__schema", "__type"})

SENTENCES: Mapping[str, str] = {
    "characters": "The document is longer than {maximum} characters.",
    "tokens": "The document has more than {maximum} tokens.",
    "nesting": "The document nests brackets, or selections through its fragments, more than {maximum} deep.",
    "depth": "The document nests fields more than {maximum} deep.",
    "introspection_depth": "The document nests fields of an introspection more than {maximum} deep.",
    "introspections": "The document introspects (__schema, __type) more often than allowed: {maximum} in all.",
    "selections": "The document has more than {maximum} selections once its fragments are expanded.",
    "aliases": "The document has more than {maximum} aliases once its fragments are expanded.",
    "directives": "The document has more than {maximum} directives once its fragments are expanded.",
    "root_fields": "An operation selects more than {maximum} root fields once its fragments are expanded.",
    "price": "The operation may cost more than {maximum}: select less, or ask for smaller pages.",
}


def parse_document(text: str, limits: "DocumentLimits") -> DocumentNode:
    """Read a document and refuse one beyond the limits; what is returned is still to be validated.

    Raises DocumentTooComplex, or graphql-core's GraphQLSyntaxError for text that is not GraphQL.
    """
    if len(text) > limits.characters:
        raise DocumentTooComplex(limit="characters", maximum=limits.characters)
    source = Source(text)
    document = Parser(source, lexer=_BoundedLexer(source, limits)).parse_document()
    check_document(document, limits)
    return document


def check_document(document: DocumentNode, limits: "DocumentLimits") -> None:
    """Raise DocumentTooComplex for the first measure of the document that is beyond its limit."""
    measures = measure(document)
    for each in fields(Measures):
        maximum: int = getattr(limits, each.name)
        if getattr(measures, each.name) > maximum:
            raise DocumentTooComplex(limit=each.name, maximum=maximum)


def measure(document: DocumentNode) -> "Measures":
    """Count what the document holds with every fragment expanded, in time linear in what is written.

    Sums are over the operations and over fragments that no operation reaches, for those are validated too; depths
    and root fields are those of the worst of them. Fragments that are unknown or that spread themselves count up
    to that spread; it is validation that refuses them.
    """
    outlines = [_outline(each) for each in document.definitions if isinstance(each, ExecutableDefinitionNode)]
    fragments = {each.fragment: each for each in outlines if each.fragment is not None}
    whole = _Outline(fragment=None)
    for outline in sorted(outlines, key=lambda each: each.fragment is not None):
        if not outline.expanded:
            _expand(outline, fragments)
            whole.add(outline, _Place())
    return Measures(
        nesting=whole.nesting,
        depth=whole.depth,
        introspection_depth=whole.introspection_depth,
        introspections=whole.introspections,
        selections=whole.selections,
        aliases=whole.aliases,
        directives=whole.directives,
        root_fields=max((each.root_fields for each in outlines if each.fragment is None), default=0),
    )


def _outline(definition: ExecutableDefinitionNode) -> "_Outline":
    """Count what one definition holds itself, and where it spreads which fragments."""
    fragment = definition.name.value if isinstance(definition, FragmentDefinitionNode) else None
    outline = _Outline(fragment=fragment)
    outline.directives = _count(definition.directives)
    if isinstance(definition, OperationDefinitionNode):
        outline.directives += sum(_count(each.directives) for each in definition.variable_definitions or ())
    pending = [(definition.selection_set, _Place(nesting=1))]
    while pending:
        selection_set, place = pending.pop()
        outline.nesting = max(outline.nesting, place.nesting)
        outline.selections += len(selection_set.selections)
        for selection in selection_set.selections:
            outline.directives += _count(selection.directives)
            inner: SelectionSetNode | None = None
            below = place
            if isinstance(selection, FieldNode):
                below = outline.enter(selection, place)
                inner = selection.selection_set
            elif isinstance(selection, InlineFragmentNode):
                inner = selection.selection_set
            elif isinstance(selection, FragmentSpreadNode):
                outline.spreads.append((selection.name.value, place))
            if inner is not None:
                pending.append((inner, _Place(below.nesting + 1, below.depth, below.introspection_depth)))
    return outline


def _count(directives: tuple[DirectiveNode, ...] | None) -> int:
    return len(directives) if directives else 0


def _expand(start: "_Outline", fragments: Mapping[str, "_Outline"]) -> None:
    """Add to an outline, and to every outline it reaches, what their spreads bring in: the innermost first."""
    stack = [start]
    while stack:
        outline = stack[-1]
        if not outline.entered:
            outline.entered = True
            names = dict.fromkeys(name for name, _ in outline.spreads)
            stack.extend(fragments[name] for name in names if name in fragments and not fragments[name].entered)
        else:
            stack.pop()
            if not outline.expanded:
                for name, place in outline.spreads:
                    if name in fragments and fragments[name].expanded:
                        outline.add(fragments[name], place)
                outline.expanded = True


class DocumentTooComplex(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """The document is beyond a limit."""

    def __init__(self, *, limit: str, maximum: int) -> None:
        super().__init__(SENTENCES[limit].format(maximum=maximum))
        self.limit = limit
        self.maximum = maximum


@dataclass(frozen=True, kw_only=True)
class DocumentLimits:
    """The most a document may hold; what is equal to a limit passes.

    Depth counts fields from the root, leaves included. An introspection is apart: __schema and everything below it
    count toward `introspection_depth` alone (the standard introspection query is 15 deep). Nesting counts brackets
    as written, and selection sets once fragments are expanded; it bounds every recursion that comes later.
    """

    characters: int = 15_000
    tokens: int = 1_000
    nesting: int = 64
    depth: int = 12
    introspection_depth: int = 16
    introspections: int = 1
    selections: int = 5_000
    aliases: int = 30
    directives: int = 50
    root_fields: int = 20


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What a document holds once its fragments are expanded; each has its limit of the same name."""

    nesting: int
    depth: int
    introspection_depth: int
    introspections: int
    selections: int
    aliases: int
    directives: int
    root_fields: int


class _Place(NamedTuple):
    """Where a selection stands: selection sets and fields around it, and fields since an introspection began."""

    nesting: int = 0
    depth: int = 0
    introspection_depth: int = 0


SATURATED = 1 << 30


@dataclass(slots=True, kw_only=True)
class _Outline:
    """The counts of one definition: first its own, then with its spreads expanded.

    `height` counts all fields, `depth` those outside an introspection.
    """

    fragment: str | None
    entered: bool = False
    expanded: bool = False
    nesting: int = 0
    height: int = 0
    depth: int = 0
    introspection_depth: int = 0
    introspections: int = 0
    selections: int = 0
    aliases: int = 0
    directives: int = 0
    root_fields: int = 0
    spreads: list[tuple[str, _Place]] = field(default_factory=list)

    def enter(self, selected: FieldNode, place: _Place) -> _Place:
        """Count a field selected at a place; return the place its own selections stand at."""
        if place.depth == 0:
            self.root_fields += 1
        if selected.alias is not None:
            self.aliases += 1
        introspects = selected.name.value in INTROSPECTION_FIELDS
        self.introspections += introspects
        apart = place.introspection_depth + 1 if introspects or place.introspection_depth else 0
        here = _Place(place.nesting, place.depth + 1, apart)
        self.height = max(self.height, here.depth)
        self.introspection_depth = max(self.introspection_depth, apart)
        if not apart:
            self.depth = max(self.depth, here.depth)
        return here

    def add(self, other: "_Outline", place: _Place) -> None:
        """Add the expanded counts of another definition, spread at a place of this one."""
        self.nesting = max(self.nesting, place.nesting + other.nesting)
        self.height = max(self.height, place.depth + other.height)
        if place.introspection_depth:
            self.introspection_depth = max(self.introspection_depth, place.introspection_depth + other.height)
        else:
            self.depth = max(self.depth, place.depth + other.depth)
            self.introspection_depth = max(self.introspection_depth, other.introspection_depth)
        self.introspections = min(SATURATED, self.introspections + other.introspections)
        self.selections = min(SATURATED, self.selections + other.selections)
        self.aliases = min(SATURATED, self.aliases + other.aliases)
        self.directives = min(SATURATED, self.directives + other.directives)
        if place.depth == 0:
            self.root_fields = min(SATURATED, self.root_fields + other.root_fields)


OPENING = frozenset({TokenKind.PAREN_L, TokenKind.BRACKET_L, TokenKind.BRACE_L})
CLOSING = frozenset({TokenKind.PAREN_R, TokenKind.BRACKET_R, TokenKind.BRACE_R})


class _BoundedLexer(Lexer):
    """A lexer that stops at the first token or bracket beyond its limit."""

    def __init__(self, source: Source, limits: DocumentLimits) -> None:
        super().__init__(source)
        self.limits = limits
        self.tokens = self.nesting = 0

    def advance(self) -> Token:
        token = super().advance()
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
