"""Estimates of the memory, in bytes, that documents, plans and their parts take.

The numbers are means of what tracemalloc measures on 64-bit CPython. tests/execution/test_weights.py keeps the
estimates within a factor of two of the memory that is allocated.
"""

from sys import getsizeof

from graphql import DocumentNode, Token

DOCUMENT = 1_500
TOKEN = 350
"""A token with its share of the nodes, without its text."""
WITHOUT_TOKENS = 64 * 1024
"""A document that was not parsed, or was parsed without locations: its tokens cannot be counted."""

PLAN = 2_000
SHAPE = 500
SELECTION = 300
FIELD = 1_900
DETAIL = 110
"""A node of a field that the document selects more than once under one response key."""
BUILDER = 1_200
BUILDER_FIELD = 600
CODE = 1_000
CODE_CHARACTER = 4
"""A character of the source of a compiled builder, with its code."""


def document_bytes(document: DocumentNode) -> int:
    """Return the weight of a parsed document, in time linear in its number of tokens."""
    if document.loc is None:
        return WITHOUT_TOKENS
    weight = DOCUMENT + getsizeof(document.loc.source.body)
    token: Token | None = document.loc.start_token
    while token is not None:
        weight += TOKEN if token.value is None else TOKEN + getsizeof(token.value)
        token = token.next
    return weight
