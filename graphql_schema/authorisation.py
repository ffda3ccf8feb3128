"""The second step of a request: sign the user in and reserve the price of the operation."""

from dataclasses import dataclass

from graphql import GraphQLError

from app.db.reading import Reading
from app.db.request_transactions import RequestTransactions
from app.domain.viewer import Viewer
from app.domain.vocabulary import Role
from graphql_schema.errors import RequestRefused, refused
from graphql_schema.requests import PreparedOperation, Request
from graphql_schema.trusted_documents import not_trusted
from resolvers.budgets import BudgetCounter, Budgets


@dataclass(frozen=True, slots=True)
class Authorised:
    """The signed-in user, and the budgets from which the price was reserved."""

    viewer: Viewer
    budgets: Budgets
    reading: Reading | None
    """The snapshot in which the user of a query was signed in. A mutation has none before it writes."""


class ForgedIdentity(RequestRefused):
    """The identity headers contradict the token."""

    def __init__(self, viewer: Viewer) -> None:
        sentence = "The x-user-id and x-user-role headers do not match the token's user."
        super().__init__([refused("FORBIDDEN", GraphQLError(sentence))])
        self.viewer = viewer


async def authorise(
    prepared: PreparedOperation, request: Request, transactions: RequestTransactions, counter: BudgetCounter
) -> Authorised:
    """Sign the user in with the first transaction of the operation, and reserve the price of the operation.

    The first transaction of a query is its snapshot; that of a mutation is the transaction of its first write. Raises
    UnknownUser, SuspendedUser, ForgedIdentity, RateLimited, RequestRefused for a text that only leads may send, and the
    failures of the database.
    """
    reading = None if prepared.is_mutation else await transactions.read()
    viewer = reading.viewer if reading else await transactions.begin_write()
    check_identity(viewer, request)
    if prepared.for_leads and viewer.role is not Role.IMPLEMENTATION_LEAD:
        raise not_trusted()
    budgets = Budgets(counter, viewer.id, viewer.role)
    await budgets.reserve(prepared.price)
    return Authorised(viewer, budgets, reading)


def check_identity(viewer: Viewer, request: Request) -> None:
    """Raises ForgedIdentity if the identity headers of an older front end name another user or role.

    The headers prove nothing and are optional.
    """
    agrees = request.claimed_user_id in {None, viewer.id} and request.claimed_role in {None, viewer.role.value}
    if not agrees:
        raise ForgedIdentity(viewer)
