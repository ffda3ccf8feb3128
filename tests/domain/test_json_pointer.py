"""JSON pointers, by the examples of RFC 6901."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.canonical import Json
from app.domain.diff import diff
from app.domain.json_pointer import pointer_along, resolved, resolves, tokens_of

# Section 5 of the RFC.
EXAMPLE: Json = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}
POINTERS = ["", "/foo", "/foo/0", "/", "/a~1b", "/c%d", "/e^f", "/g|h", "/i\\j", '/k"l', "/ ", "/m~0n"]


@pytest.mark.parametrize("pointer", POINTERS)
def test_the_pointers_of_the_rfc_lead_to_values(pointer):
    assert resolves(EXAMPLE, pointer)


@pytest.mark.parametrize(
    "pointer",
    [
        "foo",
        "/foo/2",
        "/foo/-",
        "/foo/-1",
        "/foo/00",
        "/foo/01",
        "/foo/+1",
        "/foo/1e0",
        "/foo/\u0661",
        "/foo/",
        "/foo/0/0",
        "/bar",
        "/a/b",
        "/m~n",
        "/m~2n",
        "/m~",
        "/a~01b",
        "//",
        "/foo/" + "9" * 500,
    ],
)
def test_a_pointer_to_nothing_leads_nowhere(pointer):
    assert not resolves(EXAMPLE, pointer)


def test_a_pointer_does_not_lead_into_text():
    assert not resolves({"name": "Dune"}, "/name/0")
    assert not resolves("Dune", "/0")


def test_a_null_is_a_value():
    assert resolves({"label": None}, "/label")
    assert resolves(None, "")
    assert not resolves(None, "/label")


def test_the_part_of_a_pointer_that_leads_to_a_value_is_known():
    assert resolved({"devices": [{"id": 1}]}, ("devices", "0", "macAddress")) == ("devices", "0")
    assert resolved({}, ("devices",)) == ()


@settings(max_examples=25)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=4))
def test_every_name_survives_a_pointer(tokens):
    assert tokens_of(pointer_along(tokens)) == tuple(tokens)
    document: Json = None
    for token in reversed(tokens):
        document = {token: document}
    assert resolves(document, pointer_along(tokens))


def test_what_a_difference_names_is_a_pointer():
    assert [each.path for each in diff({"a": [1]}, {"a": [2]})] == ["/a/0"]
