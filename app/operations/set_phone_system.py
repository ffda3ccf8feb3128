"""Change how a location as a whole is reached and dials out."""

from dataclasses import replace

from app.domain.vocabulary import Section
from app.operations.desk import Change, Input, UseCase, Work
from app.operations.editing import country_of, edited, empty_phone_system, permitted, phone_system_fields


def decide(work: Work, given: Input) -> Change:
    """The phone system becomes what is given; what is left out stays as it is."""
    override_id = permitted(work, Section.PHONE_SYSTEM)
    work.check_section_revision(Section.PHONE_SYSTEM, given["expected_revision"])
    fields = phone_system_fields(given, country_of(work), ())
    if "extension_length" in given:
        fields["extension_length"] = given["extension_length"]
    system = replace(empty_phone_system(work), **fields)
    return edited(work, Section.PHONE_SYSTEM, override_id, replace(work.content, phone_system=system))


SET_PHONE_SYSTEM = UseCase(mutation="setPhoneSystem", decide=decide)
