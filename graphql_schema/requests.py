"""The first step of a request: prepare the operation that the client sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import DocumentNode, GraphQLError, OperationType

from app.domain.credential import Credential
from app.execution.variables import GivenVariables
from app.query_cost.limits import DocumentTooComplex
from app.query_cost.price import PriceRules, check_price
from graphql_schema.documents import Documents, Operation, Prepared, hash_of
from graphql_schema.errors import RequestRefused, raised, refused
from graphql_schema.trusted_documents import TrustedDocuments, not_trusted, unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A GraphQL request: the credential, the user that the client claims, the document and its variables."""

    credential: Credential
    claimed_user_id: str | None = None
    claimed_role: str | None = None
    request_id: str
    client_request_id: str | None = None
    """The id that the client sent, if any."""
    query: str | None
    """The text of the document; None if only `document_hash` names it."""
    document_hash: str | None = None
    """The SHA-256 by which the client named the document; it is that of `query` if both are given."""
    operation_name: str | None
    variables: Mapping[str, Any] | None
    read_only: bool
    """Whether the transport allows queries only, as GET does."""
    spent_seconds: float = 0.0
    """The part of the deadline that was spent before the body was read."""
    writing: Callable[[], None]
    """Called before a mutation is executed. From then on, the request is completed even if the client disconnects."""
    abandoned: Callable[[Mapping[str, object]], None]
    """Called with the facts that are known of the request if it is cancelled, as when the client disconnects."""


@dataclass(frozen=True, slots=True)
class PreparedOperation:
    """The operation to execute, its valid document, its coerced variables, and its price in objects.

    `is_trusted` is whether the document is one of the trusted documents, None if there are none; `for_leads` whether it
    is none and only leads may run it. `surcharge` is the part of the price for field values of introspection, which are
    no objects of the response.
    """

    document: DocumentNode
    operation: Operation
    variables: GivenVariables
    price: int
    surcharge: int
    is_trusted: bool | None = None
    for_leads: bool = False

    @property
    def is_mutation(self) -> bool:
        """Whether the operation is a mutation."""
        return self.operation.type is OperationType.MUTATION


def prepare(request: Request, documents: Documents, prices: PriceRules, trusted: TrustedDocuments) -> PreparedOperation:
    """The operation of a request: parsed, validated, with its variables coerced, and priced.

    Raises RequestRefused for a hash that names no trusted document, for a text that is not trusted where it has to be,
    for a document or an operation name that is not valid, for an operation that the transport
    does not allow, for variables that do not match their types, and for a price over the maximum. If the document has
    the operation, the refusal names it.
    """
    known = _trusted(request, trusted)
    document = known or documents.prepare(_text(request, trusted), request.operation_name)
    operation = document.operation(request.operation_name)
    was_priced = operation.is_priced
    try:
        _check_type(operation.type, read_only=request.read_only)
        variables = operation.variables(request.variables or {})
        price, surcharge = _price(operation, variables, prices)
    except RequestRefused as refusal:
        refusal.operation = operation.requested
        raise
    finally:
        if not was_priced and request.query is not None:
            documents.reweigh(request.query)
    return PreparedOperation(
        document.document,
        operation,
        variables,
        price,
        surcharge,
        is_trusted=known is not None if trusted.policy.by_hash else None,
        for_leads=known is None and trusted.policy.only_trusted,
    )


def _trusted(request: Request, trusted: TrustedDocuments) -> Prepared | None:
    """The trusted document that a request names or contains, None if there is none."""
    if not trusted.policy.by_hash:
        return None
    document_hash = request.document_hash
    if document_hash is None and request.query is not None:
        document_hash = hash_of(request.query)
    return None if document_hash is None else trusted.get(document_hash)


def _text(request: Request, trusted: TrustedDocuments) -> str:
    """The text of a document that is not trusted. Raises RequestRefused if there is none, or it must be trusted."""
    if request.query is None:
        raise unknown(trusted.policy)
    if not trusted.untrusted_allowed(request.credential):
        raise not_trusted()
    return request.query


def _check_type(kind: OperationType, *, read_only: bool) -> None:
    if kind is OperationType.SUBSCRIPTION:
        raise RequestRefused([refused("BAD_REQUEST", GraphQLError("Subscriptions are not supported."))])
    if kind is OperationType.MUTATION and read_only:
        raise RequestRefused([refused("METHOD_NOT_ALLOWED", GraphQLError("GET accepts queries only."))])


def _price(operation: Operation, variables: GivenVariables, prices: PriceRules) -> tuple[int, int]:
    """The price of the operation, and the part of it for field values of introspection."""
    values = variables.coerced.coerced
    try:
        introspection = operation.introspection.given(values)
        price = operation.price.given(values) + introspection.objects + introspection.values
        check_price(price, prices)
    except DocumentTooComplex as error:
        raise RequestRefused([raised(error)]) from error
    return price, introspection.values
