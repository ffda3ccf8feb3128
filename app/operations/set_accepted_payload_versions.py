"""The versions of the payload document that a partner accepts, stated by the partner itself or by a lead for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.db import tables, writing
from app.db.writing import Delete, Insert, Write
from app.domain.limits import check_cap
from app.domain.payload import VERSIONS
from app.domain.refusals import InvalidInput, NotFound
from app.domain.vocabulary import Budget, Role
from app.operations.administration import AdministrationChange, AdministrationContext, AdministrationMutation
from app.operations.commands import Command
from permissions.matrix import Action
from permissions.policy import answers_payloads


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAcceptedPayloadVersions(Command):
    """The complete list of accepted versions. `user_id` is the partner, None for the viewer."""

    versions: tuple[str, ...]
    user_id: str | None = None


async def decide(context: AdministrationContext, command: SetAcceptedPayloadVersions) -> AdministrationChange:
    """Replace the accepted versions of a partner. They are kept as stated: a version added later is not among them.

    Raises NotFound, LimitReached, and InvalidInput for a user who is no partner and for versions that do not exist.
    """
    check_cap("versions", command.versions, path=("versions",))
    _check(command.versions)
    user_id = await _partner(context, command.user_id)
    stated = await writing.accepted_versions(context.transaction, user_id)
    writes: list[Write] = [
        Delete(tables.accepted_version, {"user_id": user_id, "version": version})
        for version in sorted(stated - set(command.versions))
    ]
    writes += (
        Insert(tables.accepted_version, {"user_id": user_id, "version": version})
        for version in command.versions
        if version not in stated
    )
    return AdministrationChange(writes=tuple(writes), ids={"user": user_id})


async def _partner(context: AdministrationContext, user_id: str | None) -> str:
    """The id of the partner that the call is about: a partner can name itself only."""
    if answers_payloads(context.viewer.role):
        if user_id not in {None, context.viewer.id}:
            raise NotFound(path=("userId",))
        return context.viewer.id
    if user_id is None:
        raise InvalidInput(field="userId", rule="required for leads", path=("userId",))
    user = await context.found(tables.user, user_id)
    if not answers_payloads(Role(user.role)):
        raise InvalidInput(
            field="userId", rule=f"must be a partner; this user has the role {user.role}", path=("userId",)
        )
    return user_id


def _check(versions: Sequence[str]) -> None:
    known = " and ".join(VERSIONS)
    if not versions:
        raise InvalidInput(field="versions", rule=f"must name at least one of {known}", path=("versions",))
    for place, version in enumerate(versions):
        path = ("versions", str(place))
        if version not in VERSIONS:
            raise InvalidInput(field="versions", rule=f"the versions are {known}", path=path)
        if version in versions[:place]:
            raise InvalidInput(field="versions", rule=f"each of {known} may appear only once", path=path)


SET_ACCEPTED_PAYLOAD_VERSIONS = AdministrationMutation(
    name="setAcceptedPayloadVersions",
    command=SetAcceptedPayloadVersions,
    decide=decide,
    action=Action.SET_ACCEPTED_VERSIONS,
    budget=Budget.EDITS,
    counts=(),
)
