"""Progress is counted in sections that nothing stands against."""

import pytest

from app.domain.progress import completeness, progress, section_of
from app.domain.readiness import readiness
from app.domain.vocabulary import Section

from .builders import a_device, a_location


def test_a_location_that_nothing_can_be_said_against_is_complete():
    complete = completeness(readiness(a_location()))
    assert set(complete.values()) == {True}
    assert progress(complete) == 1


def test_a_section_with_a_blocker_is_not_complete_and_the_others_are():
    complete = completeness(readiness(a_location(working_hours=(), timezone="Mars/Olympus")))
    assert {section for section in Section if not complete[section]} == {"LOCATION", "WORKING_HOURS"}
    assert progress(complete) == 0.75


def test_a_warning_leaves_a_section_complete():
    issues = readiness(a_location(devices=(a_device(mac_address="00155d010101"),)))
    assert issues
    assert progress(completeness(issues)) == 1


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("/devices/phone-1/macAddress", Section.DEVICES),
        ("/contacts", Section.CONTACTS),
        ("/users/0/email", Section.PEOPLE),
        ("/metadata/sequence", None),
        ("", None),
    ],
)
def test_a_path_belongs_to_the_section_it_leads_into(path, section):
    assert section_of(path) is section
