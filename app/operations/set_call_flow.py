"""Replace a location's call flow."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.domain.content import CallFlow, CallFlowOption, Target
from app.domain.limits import check_cap, check_range
from app.domain.text import clean
from app.domain.text import given as given_text
from app.domain.vocabulary import Budget, CallFlowKind, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.editing import TargetValue, check_known, country_of, edited, permitted, target_of
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFlowOptionValue:
    """A key of a menu, and the target that a caller reaches by pressing it."""

    digit: str
    target: TargetValue


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCallFlow(Command):
    """The complete call flow."""

    location_id: str
    expected_revision: int
    kind: CallFlowKind
    greeting: str | None = None
    timeout_seconds: int | None = None
    retries: int | None = None
    options: tuple[CallFlowOptionValue, ...] | None = None
    timeout_target: TargetValue | None = None
    invalid_target: TargetValue | None = None
    direct_targets: tuple[str, ...] | None = None


def decide(aggregate: Aggregate, command: SetCallFlow) -> LocationChange:
    """Replace the call flow. Raises NotFound for a target that is no extension of the location.

    An external number can be missing, and a target whose extension is removed later stays. Readiness reports both.
    """
    override_id = permitted(aggregate, Section.CALL_FLOW)
    aggregate.check_section_revision(Section.CALL_FLOW, command.expected_revision)
    options, direct = command.options or (), command.direct_targets or ()
    check_cap("options", options, path=("options",))
    check_cap("directTargets", direct, path=("directTargets",))
    check_range("timeoutSeconds", command.timeout_seconds, path=("timeoutSeconds",))
    check_range("retries", command.retries, path=("retries",))
    flow = CallFlow(
        kind=command.kind,
        greeting=clean("callFlow.greeting", command.greeting, path=("greeting",)),
        timeout_seconds=command.timeout_seconds,
        retries=command.retries,
        timeout_target=_target(aggregate, command.timeout_target, ("timeoutTarget",)),
        invalid_target=_target(aggregate, command.invalid_target, ("invalidTarget",)),
        options=tuple(_option(aggregate, each, place) for place, each in enumerate(options)),
        direct_targets=direct,
    )
    known = {each.id for each in aggregate.content.extensions}
    for extension_id, path in _named_extensions(command):
        check_known(extension_id, known, path)
    return edited(aggregate, Section.CALL_FLOW, override_id, replace(aggregate.content, call_flow=flow))


def _named_extensions(command: SetCallFlow) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The ids of extensions in the command, and where they are."""
    for place, direct in enumerate(command.direct_targets or ()):
        yield direct, ("directTargets", str(place))
    for place, option in enumerate(command.options or ()):
        yield from option.target.named_extensions(("options", str(place), "target"))
    for name, target in (("timeoutTarget", command.timeout_target), ("invalidTarget", command.invalid_target)):
        if target is not None:
            yield from target.named_extensions((name,))


def _option(aggregate: Aggregate, given: CallFlowOptionValue, place: int) -> CallFlowOption:
    path = ("options", str(place))
    digit = given_text("callFlow.digit", given.digit, path=(*path, "digit"))
    return CallFlowOption(digit=digit, target=target_of(given.target, country_of(aggregate), (*path, "target")))


def _target(aggregate: Aggregate, given: TargetValue | None, path: tuple[str, ...]) -> Target | None:
    return None if given is None else target_of(given, country_of(aggregate), path)


SET_CALL_FLOW = LocationMutation(
    name="setCallFlow",
    command=SetCallFlow,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
