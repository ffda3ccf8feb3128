"""Change a location's name, address or time zone."""

from dataclasses import replace

from app.domain.text import clean
from app.domain.vocabulary import Section
from app.operations.desk import Change, Input, UseCase, Work
from app.operations.editing import address_fields, edited, permitted


def decide(work: Work, given: Input) -> Change:
    """Change what is given; raises Locked, Conflict, InvalidInput."""
    override_id = permitted(work, Section.LOCATION)
    work.check_section_revision(Section.LOCATION, given["expected_revision"])
    content = work.content
    if "name" in given:
        content = replace(content, name=clean("location.name", given["name"], path=("name",)) or "")
    if "timezone" in given:
        content = replace(content, timezone=clean("location.timezone", given["timezone"], path=("timezone",)))
    if given.get("address") is not None:
        address = replace(content.address, **address_fields(given["address"], ("address",)))
        content = replace(content, address=address)
    return edited(work, Section.LOCATION, override_id, content)


UPDATE_LOCATION = UseCase(mutation="updateLocation", decide=decide)
