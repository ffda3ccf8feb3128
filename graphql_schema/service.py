"""The life of one request: prepare the document, sign in, execute on one snapshot, and format what came of it."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationType
from graphql import execute as reference_execute

from app import audit
from app.db.database import Database, Observer, SuspendedUser, UnknownUser
from app.db.reading import Reading
from app.domain.viewer import Viewer
from app.execution import Executed
from app.execution.limits import DocumentLimits, DocumentTooComplex
from app.execution.price import PriceRules, check_price
from app.operations.context import Watched, WriteContext
from graphql_schema import errors
from graphql_schema.documents import Documents, Operation, Prepared
from graphql_schema.errors import RequestRefused
from resolvers.budgets import Budgets, Limiter
from resolvers.context import Context

log = logging.getLogger("turnup.graphql")


@dataclass(frozen=True, slots=True)
class Incident:
    """What the audit trail counts of a user: a field that the role was refused, or a security event."""

    user_id: str
    field: str | None = None
    event: str | None = None


@dataclass(slots=True, kw_only=True)
class Request:
    """What a client sent: who by the token, who the client says it is, and what it wants."""

    subject: str
    claimed_user_id: str | None = None
    claimed_role: str | None = None
    request_id: str
    query: str
    operation_name: str | None
    variables: Mapping[str, Any] | None
    read_only: bool
    """Whether the transport allows queries only, as GET does."""
    writing: Callable[[], None]
    """Told when a mutation begins."""
    mutating: bool = False
    """Whether a mutation has begun."""
    written: set[str | int] = field(default_factory=set)
    """The keys of its root fields that have begun to write: from then on a request that is cut off may have written."""
    incidents: list[Incident] = field(default_factory=list)
    """What has come up so far that the audit trail counts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: `body` is the response's JSON; `executed` tells a GraphQL result from a refused request."""

    body: dict[str, Any]
    executed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the service tells those who watch it. Names of operations are as clients sent them."""

    observe: Observer
    security_event: Callable[[str, str | None], None]
    """Told the kind of event and the id of the user, when known."""
    answered: Callable[[str | None, bool, float], None]
    """Told the operation (None for who is not signed in), whether it was executed without errors, and the seconds."""
    failed: Callable[[str | None, str], None]
    """Told the operation and the code of each of its errors."""
    denied: Callable[[str], None]
    """Told the name of the field that a role was refused."""
    performed: Callable[[str, str, Watched], None]
    """Told each mutation's field, its outcome, and what it did; of a bulk mutation, for each item."""


class Service:
    """Answers GraphQL requests of signed-in users."""

    def __init__(
        self,
        schema: GraphQLSchema,
        database: Database,
        watch: Watch,
        limiter: Limiter,
        *,
        limits: DocumentLimits,
        prices: PriceRules,
        deadline_seconds: float,
        self_approval_allowed: bool,
        execute: Callable[..., Any] = reference_execute,
        suggestions: bool = False,
    ) -> None:
        """With `suggestions`, errors name the schema's similar fields and values; for development."""
        self._schema = schema
        self._database = database
        self._watch = watch
        self._limiter = limiter
        self._prices = prices
        self._deadline_seconds = deadline_seconds
        self._timeout_ms = int(deadline_seconds * 1000)
        self._self_approval_allowed = self_approval_allowed
        self._execute_document = execute
        self._suggestions = suggestions
        self._documents = Documents(schema, limits=limits, prices=prices, suggestions=suggestions)

    async def answer(self, request: Request) -> Answer:
        """Run the request to its end, within the deadline; every exception becomes an error of the API."""
        began = perf_counter()
        answer = await self._safely(request)
        await self._enter(set(request.incidents), request)
        operation = request.operation_name if answer.executed else None
        codes = [error["extensions"]["code"] for error in answer.body.get("errors", ())]
        for code in codes:
            self._watch.failed(operation, code)
        self._watch.answered(operation, not codes, perf_counter() - began)
        return answer

    async def _safely(self, request: Request) -> Answer:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await self._answer(request)
        except RequestRefused as refusal:
            return self._refused(refusal.errors, request)
        except Exception as error:
            formatted = errors.raised(error)
            if request.mutating:
                formatted = errors.with_outcome(formatted, "UNKNOWN" if request.written else "NONE")
            if errors.is_bug(formatted):
                log.exception("request failed")
            return self._refused([formatted], request)

    async def _answer(self, request: Request) -> Answer:
        prepared = self._documents.prepare(request.query)
        operation = prepared.operation(request.operation_name)
        if operation.type is OperationType.SUBSCRIPTION:
            raise RequestRefused([errors.refused("BAD_REQUEST", GraphQLError("There are no subscriptions."))])
        if operation.type is OperationType.MUTATION and request.read_only:
            raise RequestRefused([errors.refused("METHOD_NOT_ALLOWED", GraphQLError("GET runs queries only."))])
        price = self._checked_price(operation, request)
        with self._watch.observe("operation", operation.name or "", {"graphql.operation.type": operation.type.value}):
            result, returned = await self._execute(prepared, operation, request, price)
        return self._formatted(result, request, {"price": price, "returned": returned})

    async def _execute(
        self, prepared: Prepared, operation: Operation, request: Request, price: int
    ) -> tuple[ExecutionResult, int]:
        """Run the operation: a query on one snapshot, a mutation's fields each on one that follows its commit.

        Returns the number of the objects returned, too. An operation reserves its price, and settles for that number;
        one that ends without a result keeps what it reserved, for it was worked on.
        """
        async with AsyncExitStack() as stack:
            reading = await self._open_reading(request, stack)
            budgets = Budgets(self._limiter, reading.viewer.id)
            await budgets.reserve(price)
            context = Context(
                viewer=reading.viewer,
                budgets=budgets,
                write_context=self._write_context(request),
                open_reading=lambda: self._open_reading(request, stack),
                current=reading,
                written=request.written,
            )
            if operation.type is OperationType.MUTATION:
                await stack.aclose()
                context.current = None
                request.mutating = True
                request.writing()
            result = self._execute_document(
                self._schema,
                prepared.document,
                context_value=context,
                variable_values=dict(request.variables or {}),
                operation_name=request.operation_name,
                hide_suggestions=not self._suggestions,
            )
            result = result if isinstance(result, ExecutionResult) else await result
            self._note_denials(result, context.viewer, request)
        counted = result.objects if isinstance(result, Executed) else None
        returned = operation.returned.count(result.data) if counted is None else counted
        await budgets.settle(returned)
        return result, returned

    async def _open_reading(self, request: Request, stack: AsyncExitStack) -> Reading:
        """A reading of a new snapshot, in place of the one before."""
        await stack.aclose()
        snapshot = self._database.snapshot(request.subject, timeout_ms=self._timeout_ms)
        try:
            transaction = await stack.enter_async_context(snapshot)
        except UnknownUser as error:
            suspended = error.user_id if isinstance(error, SuspendedUser) else None
            self._watch.security_event("suspended_user" if suspended else "unknown_user", suspended)
            if suspended is not None:
                request.incidents.append(Incident(suspended, event="suspended_user"))
            raise
        self._check_identity(transaction.viewer, request)
        return Reading(transaction, self._watch.observe)

    def _write_context(self, request: Request) -> WriteContext:
        return WriteContext(
            database=self._database,
            subject=request.subject,
            request_id=request.request_id,
            timeout_ms=self._timeout_ms,
            self_approval_allowed=self._self_approval_allowed,
            performed=self._watch.performed,
        )

    def _checked_price(self, operation: Operation, request: Request) -> int:
        price = operation.price.given(request.variables or {})
        try:
            check_price(price, self._prices)
        except DocumentTooComplex as error:
            raise RequestRefused([errors.raised(error)]) from error
        return price

    def _check_identity(self, viewer: Viewer, request: Request) -> None:
        """The identity headers of an older front end prove nothing; sent, they must not contradict the token."""
        agrees = request.claimed_user_id in {None, viewer.id} and request.claimed_role in {None, viewer.role.value}
        if not agrees:
            self._watch.security_event("forged_identity_headers", viewer.id)
            request.incidents.append(Incident(viewer.id, event="forged_identity_headers"))
            sentence = "The x-user-id and x-user-role headers do not agree with the token's user."
            raise RequestRefused([errors.refused("FORBIDDEN", GraphQLError(sentence))])

    def _note_denials(self, result: ExecutionResult, viewer: Viewer, request: Request) -> None:
        for error in result.errors or ():
            denied = errors.denied_field(error)
            if denied is not None:
                self._watch.denied(denied)
                request.incidents.append(Incident(viewer.id, field=denied))

    async def _enter(self, incidents: Iterable[Incident], request: Request) -> None:
        """Have the audit trail count what came up, each in a transaction of its own; the answer stands either way."""
        for each in incidents:
            about = {"user_id": each.user_id, "request_id": request.request_id}
            try:
                if each.field is not None:
                    await audit.record_denial(self._database, field=each.field, **about)
                if each.event is not None:
                    await audit.record_security_event(self._database, kind=each.event, **about)
            except Exception:
                log.exception("the audit trail could not count an incident")

    def _formatted(self, result: ExecutionResult, request: Request, cost: dict[str, int]) -> Answer:
        if result.data is None and result.errors and all(error.path is None for error in result.errors):
            return self._refused([errors.resolved(error) for error in result.errors], request)
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = [self._named(self._resolved(error, request), request) for error in result.errors]
        body["extensions"] = {"cost": {**cost, "maximum": self._prices.maximum}}
        return Answer(body, executed=True)

    def _resolved(self, error: GraphQLError, request: Request) -> dict[str, Any]:
        formatted = errors.resolved(error)
        if request.mutating:
            formatted = errors.with_outcome(formatted, errors.outcome_of(error, request.written))
        if errors.is_bug(formatted):
            log.error("resolver failed", exc_info=error.original_error or error, extra={"path": str(error.path)})
        return formatted

    def _refused(self, formatted: list[dict[str, Any]], request: Request) -> Answer:
        return Answer({"errors": [self._named(each, request) for each in formatted]}, executed=False)

    def _named(self, error: dict[str, Any], request: Request) -> dict[str, Any]:
        return {**error, "extensions": {**error["extensions"], "requestId": request.request_id}}
