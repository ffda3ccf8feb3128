"""Replace a location's list of extensions."""

from dataclasses import dataclass, replace

from app.domain.content import Extension
from app.domain.limits import check_cap
from app.domain.text import clean
from app.domain.text import given as given_text
from app.domain.vocabulary import Budget, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.editing import check_known, check_once, edited, permitted
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionValue:
    """An extension in the new list. `id` identifies an existing extension."""

    id: str | None = None
    number: str
    label: str | None = None
    person_id: str | None = None
    device_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetExtensions(Command):
    """The complete list of extensions."""

    location_id: str
    expected_revision: int
    extensions: tuple[ExtensionValue, ...]


def decide(aggregate: Aggregate, command: SetExtensions) -> LocationChange:
    """Replace the list of extensions. An extension with an id keeps it. A device has at most one extension."""
    override_id = permitted(aggregate, Section.EXTENSIONS)
    aggregate.check_section_revision(Section.EXTENSIONS, command.expected_revision)
    check_cap("extensions", command.extensions, path=("extensions",))
    extensions = tuple(_extension(aggregate, each, place) for place, each in enumerate(command.extensions))
    check_once("id", [each.id for each in extensions], path=("extensions",))
    rung = [each.device_id for each in extensions if each.device_id is not None]
    check_once("deviceId", rung, path=("extensions",))
    return edited(aggregate, Section.EXTENSIONS, override_id, replace(aggregate.content, extensions=extensions))


def _extension(aggregate: Aggregate, given: ExtensionValue, place: int) -> Extension:
    path = ("extensions", str(place))
    content = aggregate.content
    check_known(given.id, {each.id for each in content.extensions}, (*path, "id"))
    check_known(given.person_id, {each.id for each in content.people}, (*path, "personId"))
    check_known(given.device_id, {each.id for each in content.devices}, (*path, "deviceId"))
    return Extension(
        id=given.id or aggregate.new_id("Extension"),
        number=given_text("extension.number", given.number, path=(*path, "number")),
        label=clean("extension.label", given.label, path=(*path, "label")),
        person_id=given.person_id,
        device_id=given.device_id,
    )


SET_EXTENSIONS = LocationMutation(
    name="setExtensions",
    command=SetExtensions,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
