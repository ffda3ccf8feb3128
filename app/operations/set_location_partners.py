"""Choose the partners of a location. They become the recipients of the payload that is released next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.db import tables, writing
from app.db.writing import Delete, Insert, Update
from app.domain.limits import check_cap, check_true
from app.domain.refusals import InvalidInput
from app.domain.vocabulary import Budget, PartnerPurpose, Role, UserStatus
from app.operations.administration import AdministrationChange, AdministrationContext, AdministrationMutation
from app.operations.commands import UNSET, Command, Unset, or_stored
from permissions.matrix import Action
from permissions.policy import answers_payloads


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationPartnerValue:
    """A partner of the location, its purpose, and whether its receipt is required."""

    user_id: str
    partner_purpose: PartnerPurpose
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationPartnersValue:
    """The partners of a location: all with access to the account, or those that are listed."""

    all_of_account: bool | Unset = UNSET
    listed: tuple[LocationPartnerValue, ...] | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLocationPartners(Command):
    """The complete partners of a location."""

    location_id: str
    partners: LocationPartnersValue


async def decide(context: AdministrationContext, command: SetLocationPartners) -> AdministrationChange:
    """Replace the partners of a location, in any status. Payloads that were released keep their recipients.

    Raises NotFound, LimitReached, and InvalidInput for a user who cannot answer payloads of the location.
    """
    partners = _listed(command.partners, ("partners",))
    location = await context.found(tables.location, command.location_id)
    rules = await broken_rules(context, location.account_id, [each.user_id for each in partners])
    for place, rule in enumerate(rules):
        if rule is not None:
            raise InvalidInput(field="userId", rule=rule, path=("partners", "listed", str(place), "userId"))
    rows = [
        {
            "id": context.new_id("LocationPartner"),
            "account_id": location.account_id,
            "location_id": location.id,
            "user_id": each.user_id,
            "purpose": each.partner_purpose,
            "required": each.required,
        }
        for each in partners
    ]
    changed = {"revision": location.revision + 1, "updated_at": context.now}
    return AdministrationChange(
        writes=(
            Delete(tables.location_partner, {"location_id": location.id}),
            *(Insert(tables.location_partner, row) for row in rows),
            Update(tables.location, {"id": location.id}, changed),
        ),
        chain=location.account_id,
        location_id=location.id,
        ids={"location": location.id},
    )


def _listed(given: LocationPartnersValue, path: tuple[str, ...]) -> tuple[LocationPartnerValue, ...]:
    """The listed partners; none stand for all partners with access to the account, which is stated."""
    if given.all_of_account is not UNSET:
        check_true("allOfAccount", given.all_of_account, path=(*path, "allOfAccount"))
        return ()
    listed, path = or_stored(given.listed, ()), (*path, "listed")
    check_cap("partners", listed, path=path)
    if not listed:
        raise InvalidInput(field="listed", rule="must name at least one partner", path=path)
    return listed


async def broken_rules(
    context: AdministrationContext, account_id: str, user_ids: Sequence[str]
) -> tuple[str | None, ...]:
    """For each user, why it cannot be a partner of a location of the account, or None. The users are locked."""
    users = await context.kept(tables.user, user_ids)
    granted = await writing.granted_users(context.transaction, account_id, users)
    return tuple(
        _broken_rule(users.get(each), granted=each in granted, named_before=each in user_ids[:place])
        for place, each in enumerate(user_ids)
    )


def _broken_rule(user: Any | None, *, granted: bool, named_before: bool) -> str | None:
    """Why the user cannot be a partner of the location, or None."""
    if user is None:
        return "must be the id of a user"
    if not answers_payloads(Role(user.role)):
        return f"must be a partner; this user has the role {user.role}"
    if user.status != UserStatus.ACTIVE:
        return f"must be an active partner; this user is {user.status}"
    if not granted:
        return "must be a partner with access to the location's account"
    return "must be named only once" if named_before else None


SET_LOCATION_PARTNERS = AdministrationMutation(
    name="setLocationPartners",
    command=SetLocationPartners,
    decide=decide,
    action=Action.ASSIGN_PARTNERS,
    budget=Budget.EDITS,
    counts=(),
)
