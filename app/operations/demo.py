"""The demo data: each location reaches its status by the same mutations that users make."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from app.db import demo
from app.db.bulkheads import Share
from app.db.database import Database
from app.db.seed import is_only_demo, loading_demo, seed_demo
from app.domain.credential import Credential
from app.domain.secrets import SERVICE_TOKEN_BYTES, NewServiceToken, new_service_token
from app.domain.vocabulary import LocationStatus as S
from app.operations import preview
from app.operations.aggregate import Aggregate
from app.operations.answer_payload import ACKNOWLEDGE_PAYLOAD, AcknowledgePayload
from app.operations.approve import APPROVE, Approve
from app.operations.commands import Command
from app.operations.context import MutationCall, WriteContext
from app.operations.generate_payload import GENERATE_PAYLOAD, GeneratePayload
from app.operations.mutation import LocationMutation
from app.operations.submit_onboarding import SUBMIT_ONBOARDING, SubmitOnboarding
from app.operations.transitions import BLOCK, CANCEL, Block, Cancel
from app.operations.trigger_provisioning import TRIGGER_PROVISIONING, TriggerProvisioning
from app.operations.unit_of_work import perform

LEAD, REVIEWER = "lead@turnup.example", "lead2@turnup.example"
TIMEOUT_MS = 15_000
REQUEST_ID = "demo"

REASON = "Waiting for the cabling contractor."
C = TypeVar("C", bound=Command)


@dataclass(frozen=True, slots=True)
class Step(Generic[C]):
    """One step towards a status: the actor, the mutation, and a function that makes the command for an aggregate."""

    actor: str
    mutation: LocationMutation[C]
    command: Callable[[Aggregate], C]

    def call(self, aggregate: Aggregate) -> MutationCall[C]:
        """The mutation call of this step."""
        return MutationCall(mutation=self.mutation.name, command=self.command(aggregate))


def _location_id(aggregate: Aggregate) -> str:
    return aggregate.record.location.id


def _approve(aggregate: Aggregate) -> Approve:
    return Approve(location_id=_location_id(aggregate), expected_digest=aggregate.digest)


def _acknowledge(aggregate: Aggregate) -> AcknowledgePayload:
    payload = aggregate.record.payloads[0]
    return AcknowledgePayload(payload_id=payload.id, document_digest=payload.document_digest)


# The steps from IN_PROGRESS or NOT_STARTED to a status. An actor is a lead's email address or a role of the account.
CLERK, PARTNER = "clerk", "partner"
_SUBMITTED = (Step(CLERK, SUBMIT_ONBOARDING, lambda each: SubmitOnboarding(location_id=_location_id(each))),)
_APPROVED = (*_SUBMITTED, Step(REVIEWER, APPROVE, _approve))
_RELEASED = (
    *_APPROVED,
    Step(LEAD, GENERATE_PAYLOAD, lambda each: GeneratePayload(location_id=_location_id(each))),
    Step(LEAD, TRIGGER_PROVISIONING, lambda each: TriggerProvisioning(location_id=_location_id(each))),
)
WAY_TO: Mapping[S, tuple[Step[Any], ...]] = {
    S.NOT_STARTED: (),
    S.IN_PROGRESS: (),
    S.PENDING_APPROVAL: _SUBMITTED,
    S.APPROVED: _APPROVED,
    S.PROVISIONING: _RELEASED,
    S.COMPLETED: (*_RELEASED, Step(PARTNER, ACKNOWLEDGE_PAYLOAD, _acknowledge)),
    S.BLOCKED: (Step(LEAD, BLOCK, lambda each: Block(location_id=_location_id(each), reason=REASON)),),
    S.CANCELLED: (Step(LEAD, CANCEL, lambda each: Cancel(location_id=_location_id(each), reason=REASON)),),
}


# The number of completed steps of a location by status.
_BEHIND: Mapping[S, int] = {
    S.PENDING_APPROVAL: len(_SUBMITTED),
    S.APPROVED: len(_APPROVED),
    S.PROVISIONING: len(_RELEASED),
    S.COMPLETED: len(WAY_TO[S.COMPLETED]),
    S.BLOCKED: len(WAY_TO[S.BLOCKED]),
    S.CANCELLED: len(WAY_TO[S.CANCELLED]),
}


def service_tokens_of_partners(derived: Callable[[str, int], bytes]) -> dict[str, NewServiceToken]:
    """Return the service token of each partner, by email address. `derived(purpose, length)` makes secret bytes."""
    return {
        partner.email: new_service_token(derived(f"service token of {partner.id}", SERVICE_TOKEN_BYTES))
        for partner in demo.PARTNERS
    }


async def load_demo(
    owner_url: str,
    app_url: str,
    *,
    reset: bool = False,
    other_accounts: int | None = None,
    service_tokens: Mapping[str, NewServiceToken] | None = None,
    transaction_pooling: bool = False,
) -> bool:
    """Load the demo data into an empty database; with `reset`, replace the existing data.

    The partners with these email addresses get these service tokens, whether or not anything is loaded.
    An interrupted load continues where it stopped, unless other data was written since.
    Returns whether anything was loaded. Raises what `seed_demo` raises.
    """
    async with loading_demo(owner_url):
        loaded = await seed_demo(owner_url, reset=reset, other_accounts=other_accounts, service_tokens=service_tokens)
        if not loaded and not await is_only_demo(owner_url, REQUEST_ID):
            return False
        database = await Database.open(app_url, size=1, transaction_pooling=transaction_pooling)
        try:
            for branch in demo.BRANCHES:
                for step in await _ahead(database, branch):
                    await _make(database, branch, step)
                    loaded = True
        finally:
            await database.close()
    return loaded


async def _ahead(database: Database, branch: demo.Branch) -> tuple[Step[Any], ...]:
    """The remaining steps of a location."""
    aggregate = await _preview(database, branch, LEAD)
    return WAY_TO[branch.status][_BEHIND.get(aggregate.status, 0) :]


async def _preview(database: Database, branch: demo.Branch, email: str) -> Aggregate:
    async with database.snapshot(Credential.of_access_token(email), timeout_ms=TIMEOUT_MS) as transaction:
        (aggregate,) = await preview.previews(transaction, [_id(branch)], self_approval_allowed=False)
    return aggregate


def _id(branch: demo.Branch) -> str:
    return f"location-{branch.number}"


async def _make(database: Database, branch: demo.Branch, step: Step[Any]) -> None:
    email = _email(step.actor, branch.account_id)
    context = WriteContext(
        database=database,
        user_id=_IDS[email],
        request_id=REQUEST_ID,
        transaction=partial(database.writing, Credential.of_access_token(email), timeout_ms=TIMEOUT_MS),
        locations=Share(database.locations),
        self_approval_allowed=False,
        sign_in_url=None,
        performed=lambda _mutation, _outcome, _measurements: None,
        emit=lambda _mutation, _effect, _code: None,
    )
    await perform(context, step.mutation, step.call(await _preview(database, branch, email)))


_IDS = {user.email: user.id for user in demo.USERS}


def _email(actor: str, account_id: str) -> str:
    """The email address of the demo user: of a clerk or partner of the account, or the actor itself."""
    if actor not in {CLERK, PARTNER}:
        return actor
    role = "CUSTOMER" if actor == CLERK else "PARTNER"
    found = [each.email for each in demo.USERS if each.role == role and account_id in each.accounts]
    return found[0] if found else LEAD
