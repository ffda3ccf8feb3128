"""Text from outside is kept in one form, or refused with the rule it breaks."""

import unicodedata

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from app.domain.refusals import InvalidInput
from app.domain.text import RULES, clean, given, visible_length


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("  Main Office ", "Main Office"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("東京オフィス", "東京オフィス"),
        ("", None),
        (None, None),
        (" \t ", None),
        ("\u200b", None),
        ("O'Brien & Sons; DROP TABLE", "O'Brien & Sons; DROP TABLE"),
    ],
)
def test_a_name_is_trimmed_and_composed_and_nothing_visible_is_nothing(text, kept):
    assert clean("location.name", text) == kept


@pytest.mark.parametrize(
    "text", ["a\x00b", "a\x1bb", "a\x85b", "a\ud800b", "a\u202eb", "a\u2066b", "a\u200fb", "a\nb", "a\tb", "a\u2028b"]
)
def test_a_name_with_control_characters_or_text_direction_is_refused(text):
    with pytest.raises(InvalidInput) as refusal:
        clean("location.name", text, path=("input", "name"))
    assert (refusal.value.field, refusal.value.path) == ("name", ("input", "name"))


def test_a_greeting_may_have_lines_but_no_other_controls():
    assert clean("callFlow.greeting", "Welcome.\r\nPress 1.\n") == "Welcome.\nPress 1."
    with pytest.raises(InvalidInput):
        clean("callFlow.greeting", "Welcome\x07")


@pytest.mark.parametrize("field", RULES)
def test_each_field_takes_its_longest_text_and_not_one_character_more(field):
    longest = RULES[field].longest
    filler = {"address.country": "U", "rejection.path": "/"}.get(field, "1")
    assert clean(field, filler * longest) == filler * longest
    with pytest.raises(InvalidInput) as refusal:
        clean(field, filler * (longest + 1))
    assert refusal.value.rule == f"must have at most {longest} characters"


def test_length_is_counted_in_characters_not_bytes():
    assert clean("address.zipcode", "😀" * 20) == "😀" * 20


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("address.country", "us"),
        ("address.country", "U"),
        ("callFlow.digit", "A"),
        ("callFlow.digit", "１"),
        ("phoneSystem.outboundPrefix", "nine"),
        ("rejection.path", "devices/0"),
    ],
)
def test_text_that_is_not_of_its_form_is_refused(field, text):
    with pytest.raises(InvalidInput):
        clean(field, text)


def test_a_field_that_must_be_given_refuses_emptiness():
    assert given("location.name", " A ") == "A"
    with pytest.raises(InvalidInput, match="must not be empty"):
        given("location.name", "  ")


def test_the_reason_of_an_override_needs_ten_visible_characters():
    assert clean("override.reason", "Swap phones") == "Swap phones"
    for thin in ["too short", "a a a a a a", "123456789\u200b\u200b"]:
        with pytest.raises(InvalidInput, match="at least 10 visible"):
            clean("override.reason", thin)


def test_blank_letters_and_format_characters_are_not_visible():
    assert visible_length("a \u200b\u3164\u2800\u00adb") == 2


@drawn(st.text())
def test_what_is_kept_is_kept_as_it_is_when_it_comes_again(text):
    try:
        kept = clean("callFlow.greeting", text)
    except InvalidInput:
        return
    assert clean("callFlow.greeting", kept) == kept
    assert kept is None or unicodedata.is_normalized("NFC", kept)
