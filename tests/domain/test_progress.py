"""Progress is counted in sections that nothing stands against."""

from dataclasses import replace

from app.domain.progress import completeness, progress
from app.domain.readiness import Outside, readiness
from app.domain.vocabulary import Section

from .builders import a_device, a_location
from .defects import a_location_with_every_defect, everything_outside


def test_a_location_that_nothing_can_be_said_against_is_complete():
    complete = completeness(readiness(a_location()))
    assert set(complete.values()) == {True}
    assert progress(complete.values()) == 100


def test_a_section_with_a_blocker_is_not_complete_and_the_others_are():
    complete = completeness(readiness(a_location(working_hours=(), timezone="Mars/Olympus")))
    assert {section for section in Section if not complete[section]} == {"LOCATION", "WORKING_HOURS"}
    assert progress(complete.values()) == 75


def test_a_warning_leaves_a_section_complete():
    issues = readiness(a_location(devices=(a_device(mac_address="00155d010101"),)))
    assert issues
    assert progress(completeness(issues).values()) == 100


def test_of_all_that_is_outside_a_location_only_an_address_in_use_elsewhere_makes_a_section_incomplete():
    for content in (a_location(), a_location_with_every_defect()):
        free = replace(everything_outside(), claimed_elsewhere={})
        assert completeness(readiness(content, free)) == completeness(readiness(content))
    in_use = Outside(claimed_elsewhere={"805ec0010101": None})
    complete = completeness(readiness(a_location(), in_use))
    assert {section for section in Section if not complete[section]} == {"DEVICES"}
