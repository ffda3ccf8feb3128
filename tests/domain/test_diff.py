"""A reviewer and a partner see each field that differs, its place and its former value."""

from dataclasses import replace
from datetime import UTC, datetime

from app.domain.content_document import content_document
from app.domain.diff import ContentDifference, changed_paths, diff, payload_changes
from app.domain.vocabulary import ContactPurpose

from .builders import (
    a_contact,
    a_device,
    a_direct_flow,
    a_document,
    a_location,
    a_menu,
    a_person,
    an_address,
    an_extension,
    an_interval,
    an_option,
    hang_up,
)


def document(**changes):
    return content_document(a_location(**changes))


def test_equal_contents_do_not_differ():
    assert diff(document(), document()) == ()


def test_a_changed_field_is_shown_with_both_values_at_its_path():
    after = document(devices=(a_device(mac_address="805ec0999999"),))
    assert diff(document(), after) == (
        ContentDifference(path="/devices/phone-1/macAddress", before="805ec0010101", after="805ec0999999"),
    )


def test_a_new_row_shows_its_fields_as_absent_before():
    after = document(devices=(a_device(), a_device(id="phone-2", model=None, serial_number=None, label=None)))
    assert diff(document(), after) == (
        ContentDifference(path="/devices/phone-2/brand", before=None, after="YEALINK"),
        ContentDifference(path="/devices/phone-2/macAddress", before=None, after="805ec0010101"),
    )


def test_a_removed_row_leaves_the_others_where_they_are():
    before = document(devices=(a_device(id="phone-0"), a_device()))
    assert {path.rpartition("/")[0] for path in changed_paths(before, document())} == {"/devices/phone-0"}


def test_working_hours_differ_on_the_day_that_changed():
    before = document(working_hours=(an_interval(1), an_interval(2)))
    after = document(working_hours=(an_interval(1), an_interval(2, "08:00")))
    assert diff(before, after) == (ContentDifference(path="/workingHours/2/0/opens", before="09:00", after="08:00"),)


def test_without_anything_approved_before_everything_is_new():
    assert {change.before for change in diff(None, document())} == {None}
    assert "/location/address/city" in changed_paths(None, document())


def test_an_address_is_compared_part_by_part():
    assert changed_paths(document(), document(address=an_address(line2=None))) == ("/location/address/line2",)


# The documents of payloads


def payload(**changes):
    return a_document(a_location(**changes))


def test_a_payload_of_the_same_content_has_no_changes_whatever_its_time_number_and_digest():
    later = a_document(now=datetime(2024, 2, 1, tzinfo=UTC), sequence=9, location_revision=12, supersedes="payload-1")
    assert payload_changes(a_document(), later | {"metadata": {**later["metadata"], "contentDigest": "0" * 64}}) == ()


def test_a_replaced_phone_is_two_changes_at_its_id():
    new = payload(devices=(a_device(mac_address="805ec0999999", serial_number=None),))
    assert payload_changes(payload(), new) == (
        ContentDifference(path="/devices/phone-1/macAddress", before="80:5E:C0:01:01:01", after="80:5E:C0:99:99:99"),
        ContentDifference(path="/devices/phone-1/serialNumber", before=a_device().serial_number, after=None),
    )


def test_an_added_phone_moves_no_other_phone():
    new = payload(devices=(a_device(id="phone-0", mac_address="805ec0000001"), a_device()))
    changes = payload_changes(payload(), new)
    assert {each.path.rpartition("/")[0] for each in changes} == {"/devices/phone-0"}
    assert {each.before for each in changes} == {None}
    assert [each.after for each in changes if each.path.endswith("macAddress")] == ["80:5E:C0:00:00:01"]


def test_a_removed_phone_is_shown_with_its_former_values():
    old = payload(devices=(a_device(id="phone-0", mac_address="805ec0000001"), a_device()))
    changes = payload_changes(old, payload())
    assert {(each.path.rpartition("/")[0], each.after) for each in changes} == {("/devices/phone-0", None)}


def test_a_menu_option_is_named_by_its_digit_and_an_interval_by_its_weekday():
    old = payload(call_flow=a_menu(options=(an_option("1"), an_option("3"))), working_hours=(an_interval(1),))
    new = payload(
        call_flow=a_menu(options=(an_option("1"), an_option("2"), an_option("3", hang_up()))),
        working_hours=(an_interval(1, closes="16:00"), an_interval(1, "17:00", "18:00")),
    )
    groups = {each.path.rpartition("/")[0] for each in payload_changes(old, new)}
    assert groups == {
        "/callFlow/options/2/0",
        "/callFlow/options/2/0/target",
        "/callFlow/options/3/0/target",
        "/workingHours/1/0",
        "/workingHours/1/1",
    }


def test_the_numbers_that_a_person_has_are_one_field():
    people = (a_person(),)
    second = an_extension(id="extension-2", number="1002", person_id="person-1", device_id=None)
    old, new = payload(people=people), payload(people=people, extensions=(an_extension(), second))
    assert ContentDifference(path="/users/person-1/extensions", before=["1001"], after=["1001", "1002"]) in (
        payload_changes(old, new)
    )


def test_another_kind_of_call_flow_is_shown_field_by_field():
    changes = {
        each.path: each for each in payload_changes(payload(call_flow=a_menu()), payload(call_flow=a_direct_flow()))
    }
    assert (changes["/callFlow/kind"].before, changes["/callFlow/kind"].after) == ("IVR", "DIRECT")
    assert changes["/callFlow/extensions"].after == ["1001"]


def test_a_contact_that_appears_or_goes_is_shown_by_its_fields():
    technical = a_contact(id="contact-2", purpose=ContactPurpose.TECHNICAL)
    without, with_one = payload(), payload(contacts=(a_contact(), technical))
    assert [each.path for each in payload_changes(without, with_one)] == [
        "/contacts/technical/email",
        "/contacts/technical/name",
        "/contacts/technical/phone",
    ]
    assert {each.after for each in payload_changes(with_one, without)} == {None}


def test_a_key_that_an_older_version_does_not_have_is_null_there():
    coded = a_document(replace(a_location(), site_code="4711"))
    changes = {each.path: (each.before, each.after) for each in payload_changes(a_document(), coded)}
    assert changes["/version"] == ("1.0.0", "1.1.0")
    assert changes["/location/siteCode"] == (None, "4711")
    assert changes["/contacts/primary/phoneE164"] == (None, "+12125550101")


def test_the_version_of_the_document_is_a_change_like_any_other():
    assert [each.path for each in payload_changes(a_document(), a_document() | {"version": "1.1.0"})] == ["/version"]


def test_the_changes_are_complete_and_sorted():
    """Applied to the fields of the earlier document, they give those of the later one."""
    old = payload(devices=(a_device(), a_device(id="phone-2", mac_address="805ec0000002")))
    new = payload(devices=(a_device(label="Elsewhere"), a_device(id="phone-3", mac_address="805ec0000003")))
    changes = payload_changes(old, new)
    assert [each.path for each in changes] == sorted(each.path for each in changes)
    undone = payload_changes(new, old)
    assert [(each.path, each.before, each.after) for each in changes] == [
        (each.path, each.after, each.before) for each in undone
    ]
