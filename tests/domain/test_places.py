"""A path in the content is read as a section, the id of an object and the name of a field."""

import pytest

from app.domain.places import ContentPlace, place_of
from app.domain.readiness import readiness
from app.domain.vocabulary import Section

from .defects import a_location_with_every_defect, everything_outside

S = Section


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/devices/phone-1/macAddress", ContentPlace(section=S.DEVICES, object_id="phone-1", field="macAddress")),
        ("/devices/phone-1", ContentPlace(section=S.DEVICES, object_id="phone-1")),
        ("/devices", ContentPlace(section=S.DEVICES)),
        ("/contacts/contact-1/name", ContentPlace(section=S.CONTACTS, object_id="contact-1", field="fullName")),
        ("/contacts/contact-1/email", ContentPlace(section=S.CONTACTS, object_id="contact-1", field="email")),
        ("/people/person-1/firstName", ContentPlace(section=S.PEOPLE, object_id="person-1", field="firstName")),
        ("/extensions/extension-1/number", ContentPlace(section=S.EXTENSIONS, object_id="extension-1", field="number")),
        ("/location/name", ContentPlace(section=S.LOCATION, field="name")),
        ("/location/address/line1", ContentPlace(section=S.LOCATION, field="line1")),
        ("/phoneSystem/mainNumber", ContentPlace(section=S.PHONE_SYSTEM, field="mainNumber")),
        ("/workingHours/1/0/opens", ContentPlace(section=S.WORKING_HOURS, field="opens")),
        ("/workingHours/1/0", ContentPlace(section=S.WORKING_HOURS)),
        ("/callFlow/options/1/0/target/extensionId", ContentPlace(section=S.CALL_FLOW, field="extensionId")),
        ("/callFlow/options/*1", ContentPlace(section=S.CALL_FLOW, field="options")),
        ("/callFlow/directTargets/0", ContentPlace(section=S.CALL_FLOW, field="directTargets")),
        ("/metadata/sequence", ContentPlace()),
        ("/users/0/email", ContentPlace()),
        ("", ContentPlace()),
        ("no pointer", ContentPlace()),
    ],
)
def test_a_path_names_the_section_the_object_and_the_field(path, place):
    assert place_of(path) == place


def test_every_issue_that_is_not_about_the_whole_location_is_in_a_section():
    issues = readiness(a_location_with_every_defect(), everything_outside())
    assert {issue.path for issue in issues if issue.section is None} <= {""}
    assert {issue.section for issue in issues} >= set(Section)
