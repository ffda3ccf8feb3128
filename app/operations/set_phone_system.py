"""Change the phone system of a location."""

from dataclasses import dataclass, replace

from app.domain.content import PhoneSystem
from app.domain.dialling import e164_of
from app.domain.limits import check_range
from app.domain.vocabulary import Budget, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import UNSET, Command, Unset, or_stored
from app.operations.context import LocationChange
from app.operations.editing import country_of, edited, permitted, text
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPhoneSystem(Command):
    """Changes to the phone system."""

    location_id: str
    expected_revision: int
    main_number: str | Unset | None = UNSET
    caller_id_name: str | Unset | None = UNSET
    provider: str | Unset | None = UNSET
    outbound_prefix: str | Unset | None = UNSET
    voicemail: bool | Unset = UNSET
    extension_length: int | Unset | None = UNSET


def decide(aggregate: Aggregate, command: SetPhoneSystem) -> LocationChange:
    """Change the given fields. Raises Locked, OverrideScope, Conflict, InvalidInput."""
    override_id = permitted(aggregate, Section.PHONE_SYSTEM)
    aggregate.check_section_revision(Section.PHONE_SYSTEM, command.expected_revision)
    system = _with(aggregate.content.phone_system or PhoneSystem(), command, country_of(aggregate))
    return edited(aggregate, Section.PHONE_SYSTEM, override_id, replace(aggregate.content, phone_system=system))


def _with(system: PhoneSystem, command: SetPhoneSystem, country: str | None) -> PhoneSystem:
    changed = replace(
        system,
        main_number=text("phoneSystem.mainNumber", command.main_number, system.main_number, ()),
        caller_id_name=text("phoneSystem.callerIdName", command.caller_id_name, system.caller_id_name, ()),
        provider=text("phoneSystem.provider", command.provider, system.provider, ()),
        outbound_prefix=text("phoneSystem.outboundPrefix", command.outbound_prefix, system.outbound_prefix, ()),
        voicemail=or_stored(command.voicemail, system.voicemail),
        extension_length=or_stored(command.extension_length, system.extension_length),
    )
    if command.extension_length is not UNSET:
        check_range("extensionLength", command.extension_length, path=("extensionLength",))
    if command.main_number is UNSET:
        return changed
    return replace(changed, main_number_e164=e164_of(changed.main_number, country))


SET_PHONE_SYSTEM = LocationMutation(
    name="setPhoneSystem",
    command=SetPhoneSystem,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
