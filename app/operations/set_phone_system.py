"""Change how a location as a whole is reached and dials out."""

from dataclasses import replace

from app.domain.vocabulary import Section
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import country_of, edited, empty_phone_system, permitted, phone_system_fields


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """The phone system becomes what is given; what is left out stays as it is."""
    override_id = permitted(aggregate, Section.PHONE_SYSTEM)
    aggregate.check_section_revision(Section.PHONE_SYSTEM, given["expected_revision"])
    fields = phone_system_fields(given, country_of(aggregate), ())
    if "extension_length" in given:
        fields["extension_length"] = given["extension_length"]
    system = replace(empty_phone_system(aggregate), **fields)
    return edited(aggregate, Section.PHONE_SYSTEM, override_id, replace(aggregate.content, phone_system=system))


SET_PHONE_SYSTEM = UseCase(mutation="setPhoneSystem", decide=decide)
