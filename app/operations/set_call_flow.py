"""Replace a location's call flow."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.domain.content import CallFlow, CallFlowOption, Target
from app.domain.ids import is_well_formed
from app.domain.limits import check_cap, check_range
from app.domain.refusals import InvalidInput
from app.domain.text import clean
from app.domain.text import given as given_text
from app.domain.vocabulary import Section
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import country_of, edited, permitted, target_of


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """The call flow becomes what is given; a target that leads nowhere may be saved and is readiness."""
    override_id = permitted(aggregate, Section.CALL_FLOW)
    aggregate.check_section_revision(Section.CALL_FLOW, given["expected_revision"])
    options, direct = given.get("options") or (), given.get("direct_targets") or ()
    check_cap("options", options, path=("options",))
    check_cap("directTargets", direct, path=("directTargets",))
    for name, field in (("timeoutSeconds", "timeout_seconds"), ("retries", "retries")):
        check_range(name, given.get(field), path=(name,))
    flow = CallFlow(
        kind=given["kind"],
        greeting=clean("callFlow.greeting", given.get("greeting"), path=("greeting",)),
        timeout_seconds=given.get("timeout_seconds"),
        retries=given.get("retries"),
        timeout_target=_target(aggregate, given.get("timeout_target"), ("timeoutTarget",)),
        invalid_target=_target(aggregate, given.get("invalid_target"), ("invalidTarget",)),
        options=tuple(_option(aggregate, each, place) for place, each in enumerate(options)),
        direct_targets=tuple(_extension(each, ("directTargets", str(place))) for place, each in enumerate(direct)),
    )
    return edited(aggregate, Section.CALL_FLOW, override_id, replace(aggregate.content, call_flow=flow))


def _extension(value: str, path: tuple[str, ...]) -> str:
    if not is_well_formed(value):
        raise InvalidInput(field=path[0], rule="one of them is not an id", path=path)
    return value


def _option(aggregate: Aggregate, given: Mapping[str, Any], place: int) -> CallFlowOption:
    path = ("options", str(place))
    digit = given_text("callFlow.digit", given["digit"], path=(*path, "digit"))
    return CallFlowOption(digit=digit, target=target_of(given["target"], country_of(aggregate), (*path, "target")))


def _target(aggregate: Aggregate, given: Mapping[str, Any] | None, path: tuple[str, ...]) -> Target | None:
    return None if given is None else target_of(given, country_of(aggregate), path)


SET_CALL_FLOW = UseCase(mutation="setCallFlow", decide=decide)
