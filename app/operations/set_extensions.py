"""Replace a location's list of extensions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.domain.content import Extension
from app.domain.limits import check_cap
from app.domain.text import clean
from app.domain.text import given as given_text
from app.domain.vocabulary import Section
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import check_known, check_once, edited, permitted


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """The list becomes what is given; an extension given by its id keeps it. A device has one extension at most."""
    override_id = permitted(aggregate, Section.EXTENSIONS)
    aggregate.check_section_revision(Section.EXTENSIONS, given["expected_revision"])
    check_cap("extensions", given["extensions"], path=("extensions",))
    extensions = tuple(_extension(aggregate, each, place) for place, each in enumerate(given["extensions"]))
    check_once("id", [each.id for each in extensions], path=("extensions",))
    rung = [each.device_id for each in extensions if each.device_id is not None]
    check_once("deviceId", rung, path=("extensions",))
    return edited(aggregate, Section.EXTENSIONS, override_id, replace(aggregate.content, extensions=extensions))


def _extension(aggregate: Aggregate, given: Mapping[str, Any], place: int) -> Extension:
    path = ("extensions", str(place))
    content = aggregate.content
    known = given.get("id")
    check_known(known, {each.id for each in content.extensions}, (*path, "id"))
    check_known(given.get("person_id"), {each.id for each in content.people}, (*path, "personId"))
    check_known(given.get("device_id"), {each.id for each in content.devices}, (*path, "deviceId"))
    return Extension(
        id=known or aggregate.new_id("Extension"),
        number=given_text("extension.number", given["number"], path=(*path, "number")),
        label=clean("extension.label", given.get("label"), path=(*path, "label")),
        person_id=given.get("person_id"),
        device_id=given.get("device_id"),
    )


SET_EXTENSIONS = UseCase(mutation="setExtensions", decide=decide)
