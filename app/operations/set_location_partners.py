"""Choose the partners of a location. They become the recipients of the payload that is released next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.db import tables, writing
from app.db.writing import Delete, Insert, Update
from app.domain.limits import check_cap
from app.domain.refusals import InvalidInput
from app.domain.vocabulary import Budget, PartnerPurpose, Role, UserStatus
from app.operations.administration import AdministrationChange, AdministrationContext, AdministrationMutation
from app.operations.commands import Command
from permissions.matrix import Action
from permissions.policy import answers_payloads


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationPartnerValue:
    """A partner of the location, its purpose, and whether its receipt is required."""

    user_id: str
    purpose: PartnerPurpose
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLocationPartners(Command):
    """The complete partners of a location. None of them: all partners with access to the account."""

    location_id: str
    partners: tuple[LocationPartnerValue, ...]


async def decide(context: AdministrationContext, command: SetLocationPartners) -> AdministrationChange:
    """Replace the partners of a location, in any status. Payloads that were released keep their recipients.

    Raises NotFound, LimitReached, and InvalidInput for a user who cannot answer payloads of the location.
    """
    check_cap("partners", command.partners, path=("partners",))
    location = await context.found(tables.location, command.location_id)
    rules = await broken_rules(context, location.account_id, [each.user_id for each in command.partners])
    for place, rule in enumerate(rules):
        if rule is not None:
            raise InvalidInput(field="userId", rule=rule, path=("partners", str(place), "userId"))
    rows = [
        {
            "id": context.new_id("LocationPartner"),
            "account_id": location.account_id,
            "location_id": location.id,
            "user_id": each.user_id,
            "purpose": each.purpose,
            "required": each.required,
        }
        for each in command.partners
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
