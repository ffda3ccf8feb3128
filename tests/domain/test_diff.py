"""A reviewer sees each field that differs, where it stands and what it was."""

from app.domain.content_document import content_document
from app.domain.diff import ContentDifference, changed_paths, diff

from .builders import a_device, a_location, an_address, an_interval


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
