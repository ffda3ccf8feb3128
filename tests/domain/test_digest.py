"""The content digest moves with the content, with all of it, and with nothing else."""

import random
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import time
from enum import Enum
from typing import Any

import pytest

from app.domain.content_document import content_document
from app.domain.diff import diff
from app.domain.digest import content_digest, digest_version, document_digest

from .builders import (
    a_contact,
    a_device,
    a_direct_flow,
    a_document,
    a_location,
    a_menu,
    a_person,
    an_extension,
    an_interval,
    an_option,
)


def a_full_location():
    return a_location(
        site_code="Store 7",
        contacts=(a_contact(), a_contact(id="contact-2", position=1)),
        devices=(a_device(), a_device(id="phone-2", mac_address="805ec0010102")),
        people=(a_person(), a_person(id="person-2")),
        extensions=(an_extension(), an_extension(id="extension-2", number="1002", device_id="phone-2")),
        working_hours=(an_interval(1), an_interval(2), an_interval(2, "18:00", "20:00")),
        call_flow=a_menu(options=(an_option("1"), an_option("2"), an_option("2")), direct_targets=("extension-1",)),
    )


def another(value: Any) -> Any:
    """A value of the same kind that differs."""
    match value:
        case None:
            return "x"
        case bool():
            return not value
        case Enum():
            return next(member for member in type(value) if member is not value)
        case time():
            return value.replace(minute=(value.minute + 1) % 60)
        case int():
            return value + 1
        case _:
            return value + "x"


def variants(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each single change that a value of the content can undergo."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            for place, changed in variants(getattr(value, field.name), f"{path}.{field.name}"):
                yield place, replace(value, **{field.name: changed})
    elif isinstance(value, tuple):
        for position, part in enumerate(value):
            yield f"{path}[{position}] gone", value[:position] + value[position + 1 :]
            for place, changed in variants(part, f"{path}[{position}]"):
                yield place, (*value[:position], changed, *value[position + 1 :])
    else:
        yield path, another(value)


VARIANTS = dict(variants(a_full_location()))
# The document groups working hours by weekday, so their ids are not part of what is approved.
IDS_OF_HOURS = {place for place in VARIANTS if place.startswith(".working_hours[") and place.endswith(".id")}


@pytest.mark.parametrize("place", [place for place in VARIANTS if place not in IDS_OF_HOURS])
def test_a_change_of_any_field_moves_the_digest_and_shows_in_the_diff(place):
    before, after = a_full_location(), VARIANTS[place]
    assert content_digest(after) != content_digest(before)
    assert diff(content_document(before), content_document(after))


def test_the_ids_of_working_hours_do_not_move_the_digest():
    assert len(IDS_OF_HOURS) == 3
    assert {content_digest(VARIANTS[place]) for place in IDS_OF_HOURS} == {content_digest(a_full_location())}


@pytest.mark.parametrize("seed", range(10))
def test_the_order_in_which_rows_arrive_does_not_move_the_digest(seed):
    location, chance = a_full_location(), random.Random(seed)

    def shuffled(rows):
        return tuple(chance.sample(rows, len(rows)))

    arrived = replace(
        location,
        **{
            name: shuffled(getattr(location, name))
            for name in ("contacts", "devices", "people", "extensions", "working_hours")
        },
        call_flow=replace(location.call_flow, options=shuffled(location.call_flow.options)),
    )
    assert content_digest(arrived) == content_digest(location)


def test_the_order_in_which_extensions_ring_moves_the_digest():
    one, other = (
        a_location(call_flow=a_direct_flow(direct_targets=targets))
        for targets in [("extension-1", "extension-2"), ("extension-2", "extension-1")]
    )
    assert content_digest(one) != content_digest(other)


def test_a_name_has_one_digest_however_its_accents_are_composed():
    composed, decomposed = a_location(name="Caf\u00e9"), a_location(name="Cafe\u0301")
    assert content_digest(composed) == content_digest(decomposed)


def test_a_section_that_was_never_filled_in_has_a_digest_too():
    assert len(content_digest(a_location(phone_system=None, call_flow=None))) == 64


def test_content_without_later_fields_has_the_digest_and_the_document_of_version_1():
    assert digest_version(a_location()) == 1
    location: Any = content_document(a_location())["location"]
    assert "siteCode" not in location


def test_a_later_field_makes_a_later_version_and_emptied_again_the_earlier_digest():
    coded = a_location(site_code="Store 7")
    assert digest_version(coded) == 2
    assert [change.path for change in diff(content_document(a_location()), content_document(coded))] == [
        "/location/siteCode"
    ]
    emptied = replace(coded, site_code=None)
    assert (content_digest(emptied), digest_version(emptied)) == (content_digest(a_location()), 1)


def test_the_digest_is_pinned_so_that_no_release_outdates_every_approval_unnoticed():
    assert content_digest(a_location()) == "05f9ffa4fb4de116a3f14fde377b848d9774c030b0c108855eaf3c7fe9d0e579"


def test_renaming_the_account_moves_the_document_digest_alone():
    before, after = a_document(), a_document(account_name="Acme Medical Holding")
    assert document_digest(before) != document_digest(after)
    assert before["metadata"]["contentDigest"] == after["metadata"]["contentDigest"]
