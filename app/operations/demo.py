"""The demo data, walked along the path: every location comes to its status by the mutations that people would make."""

from collections.abc import Mapping
from typing import Any

from app.db import demo
from app.db.database import Database
from app.db.seed import is_only_demo, loading_demo, seed_demo
from app.domain.vocabulary import LocationStatus as S
from app.operations import preview
from app.operations.aggregate import Aggregate
from app.operations.answer_payload import ACKNOWLEDGE_PAYLOAD
from app.operations.approve import APPROVE
from app.operations.context import MutationCall, UseCase, WriteContext
from app.operations.generate_payload import GENERATE_PAYLOAD
from app.operations.submit_onboarding import SUBMIT_ONBOARDING
from app.operations.transitions import BLOCK, CANCEL
from app.operations.trigger_provisioning import TRIGGER_PROVISIONING
from app.operations.unit_of_work import perform

LEAD, REVIEWER = "lead@turnup.example", "lead2@turnup.example"
TIMEOUT_MS = 15_000
REQUEST_ID = "demo"

# From IN_PROGRESS, or NOT_STARTED, to a status: who does what. A lead's email, else a role of the account.
CLERK, PARTNER = "clerk", "partner"
_SUBMITTED = ((CLERK, SUBMIT_ONBOARDING),)
_APPROVED = (*_SUBMITTED, (REVIEWER, APPROVE))
_RELEASED = (*_APPROVED, (LEAD, GENERATE_PAYLOAD), (LEAD, TRIGGER_PROVISIONING))
WAY_TO: Mapping[S, tuple[tuple[str, UseCase], ...]] = {
    S.NOT_STARTED: (),
    S.IN_PROGRESS: (),
    S.PENDING_APPROVAL: _SUBMITTED,
    S.APPROVED: _APPROVED,
    S.PROVISIONING: _RELEASED,
    S.COMPLETED: (*_RELEASED, (PARTNER, ACKNOWLEDGE_PAYLOAD)),
    S.BLOCKED: ((LEAD, BLOCK),),
    S.CANCELLED: ((LEAD, CANCEL),),
}


# How many steps of its way a location in a status has behind it.
_BEHIND: Mapping[S, int] = {
    S.PENDING_APPROVAL: len(_SUBMITTED),
    S.APPROVED: len(_APPROVED),
    S.PROVISIONING: len(_RELEASED),
    S.COMPLETED: len(WAY_TO[S.COMPLETED]),
    S.BLOCKED: len(WAY_TO[S.BLOCKED]),
    S.CANCELLED: len(WAY_TO[S.CANCELLED]),
}


async def load_demo(owner_url: str, app_url: str, *, reset: bool = False) -> bool:
    """Load the demo data into an empty database, or after `reset` in place of whatever is there.

    A load that was cut off goes on where it was, as long as nobody has written anything since.
    Returns whether anything was loaded.
    """
    async with loading_demo(owner_url):
        loaded = await seed_demo(owner_url, reset=reset)
        if not loaded and not await is_only_demo(owner_url, REQUEST_ID):
            return False
        database = await Database.open(app_url, size=1)
        try:
            for branch in demo.BRANCHES:
                for actor, use_case in await _ahead(database, branch):
                    await _step(database, branch, _email(actor, branch.account_id), use_case)
                    loaded = True
        finally:
            await database.close()
    return loaded


async def _ahead(database: Database, branch: demo.Branch) -> tuple[tuple[str, UseCase], ...]:
    """The steps that a location's way still has ahead."""
    aggregate = await _preview(database, branch, LEAD)
    return WAY_TO[branch.status][_BEHIND.get(aggregate.status, 0) :]


async def _preview(database: Database, branch: demo.Branch, email: str) -> Aggregate:
    async with database.snapshot(email, timeout_ms=TIMEOUT_MS) as transaction:
        (aggregate,) = await preview.previews(transaction, [_id(branch)], self_approval_allowed=False)
    return aggregate


def _id(branch: demo.Branch) -> str:
    return f"location-{branch.number}"


async def _step(database: Database, branch: demo.Branch, email: str, use_case: UseCase) -> None:
    context = WriteContext(
        database=database,
        subject=email,
        request_id=REQUEST_ID,
        timeout_ms=TIMEOUT_MS,
        self_approval_allowed=False,
        performed=lambda _mutation, _outcome, _watched: None,
    )
    given: dict[str, Any] = {
        "location_id": _id(branch),
        "reason": "Waiting for the cabling contractor.",
    }
    aggregate = await _preview(database, branch, email)
    if use_case is APPROVE:
        given["expected_digest"] = aggregate.digest
    if use_case is ACKNOWLEDGE_PAYLOAD:
        payload = aggregate.record.payloads[0]
        given |= {"payload_id": payload.id, "document_digest": payload.document_digest}
    await perform(context, use_case, MutationCall(mutation=use_case.mutation, input=given))


def _email(actor: str, account_id: str) -> str:
    """The demo user's email: of a clerk or a partner of the account, else the actor itself."""
    if actor not in {CLERK, PARTNER}:
        return actor
    role = "CUSTOMER" if actor == CLERK else "PARTNER"
    found = [each.email for each in demo.USERS if each.role == role and account_id in each.accounts]
    return found[0] if found else LEAD
