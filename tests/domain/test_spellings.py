"""Hardware addresses, phone numbers, e-mail addresses and time zones are read as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.email_address import is_email
from app.domain.mac_address import is_locally_administered, is_multicast, read_mac, show_mac
from app.domain.phone_number import PhoneNumber, is_country, read_phone
from app.domain.refusals import InvalidInput
from app.domain.timezone import is_timezone


@pytest.mark.parametrize(
    "text",
    [
        "00:15:5D:01:01:01",
        "00-15-5d-01-01-01",
        "0015.5d01.0101",
        "0015-5d01-0101",
        "00155D-010101",
        "00155D010101",
        " 00 15 5d 01 01 01 ",
    ],
)
def test_a_hardware_address_is_read_in_any_usual_spelling(text):
    assert read_mac(text) == "00155d010101"


@pytest.mark.parametrize(
    "text",
    ["", "00:15:5D:01:01", "00:15:5D:01:01:01:01:01", "00155D01010", "0g155d010101", "１０155d010101", "0x155d010101"],
)
def test_anything_else_is_no_hardware_address(text):
    with pytest.raises(InvalidInput) as refusal:
        read_mac(text, path=("input", "macAddress"))
    assert refusal.value.path == ("input", "macAddress")


@given(st.integers(0, 2**48 - 1))
def test_a_shown_hardware_address_reads_back_as_itself(number):
    mac = f"{number:012x}"
    assert read_mac(show_mac(mac)) == mac


def test_group_and_local_bits_are_those_of_the_first_octet():
    assert [is_multicast(mac) for mac in ("01005e000001", "00155d010101")] == [True, False]
    assert [is_locally_administered(mac) for mac in ("020000000001", "00155d010101")] == [True, False]


@pytest.mark.parametrize(
    ("text", "country", "e164"),
    [
        ("+1 (212) 555-0101", None, "+12125550101"),
        ("212.555.0101", "US", "+12125550101"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("+1-555-0101", "US", None),
        ("555-0101", "US", None),
        ("212 555 0101", None, None),
        ("911", "US", None),
        ("call me", "US", None),
        ("+49 12345678901", None, "+4912345678901"),
        ("+49 123456789012345", None, None),
        ("+1 212 555 0101 ext 77", None, None),
        ("+999 123", None, None),
        ("", None, None),
    ],
)
def test_a_phone_number_keeps_its_text_and_gets_its_international_form_where_it_has_one(text, country, e164):
    assert read_phone(text, country=country) == PhoneNumber(text, e164)


def test_a_country_is_one_with_a_numbering_plan():
    assert [is_country(code) for code in ("US", "DE", "XX", "us")] == [True, True, False, False]


@pytest.mark.parametrize("text", ["alice@example.com", "a.b+c@sub.example.co.uk", "ü@example.com"])
def test_an_address_that_mail_can_be_sent_to_is_an_email(text):
    assert is_email(text)


@pytest.mark.parametrize("text", ["alice", "alice@", "alice@example", "a b@example.com", "Alice <alice@example.com>"])
def test_anything_else_is_no_email(text):
    assert not is_email(text)


def test_a_time_zone_is_a_name_of_the_iana_database_to_the_letter():
    names = ("America/New_York", "Europe/Berlin", "UTC", "america/new_york", "EST5", "../etc/passwd", "")
    assert [is_timezone(name) for name in names] == [True, True, True, False, False, False, False]
