"""Answers GraphQL requests in four steps: prepare, authorise, execute, format.

Each step is a function from values to a value, in its own module. This module connects the steps, sets the deadline,
and reports to the callbacks of the operators.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from graphql import GraphQLError, GraphQLSchema
from graphql import execute as reference_execute

from app.db.bulkheads import Share
from app.db.database import Database, Observer, UnknownUser
from app.db.request_transactions import RequestTransactions
from app.operations.context import Measurements, WriteContext
from app.operations.registry import MUTATIONS
from app.query_cost.limits import DocumentLimits
from app.query_cost.price import PriceRules
from graphql_schema import answers, errors, incidents
from graphql_schema.allowance import ObjectAllowance
from graphql_schema.answers import Answer
from graphql_schema.authorisation import Authorised, authorise
from graphql_schema.documents import Documents
from graphql_schema.errors import RequestRefused
from graphql_schema.execution import Execution, execute
from graphql_schema.incidents import Denial, Incident, IncidentRecorder
from graphql_schema.introspection import KeptAnswers
from graphql_schema.refused_subjects import RefusedSubjects
from graphql_schema.requests import PreparedOperation, Request, prepare
from resolvers.budgets import BudgetCounter, Budgets
from resolvers.context import Context

log = logging.getLogger("turnup.graphql")

# The mutations after which a subject that sign-in refused may be signed in.
ADMITTING_MUTATIONS = frozenset({"createUser", "reinstateUser"})
assert MUTATIONS.keys() >= ADMITTING_MUTATIONS  # noqa: S101 - a renamed mutation stops the import

SETTLE_SECONDS = 0.3
"""Seconds for which an answer waits until its operation is charged for what it returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Callbacks for logs and metrics. Names of operations are passed as clients sent them."""

    observe: Observer
    security_event: Callable[[str, str | None], None]
    """Called with the kind of the event and the id of the user, if known."""
    answered: Callable[[str | None, bool, float], None]
    """Called with the operation (None if the request was refused), whether there were no errors, and the seconds."""
    failed: Callable[[str | None, str], None]
    """Called with the operation and the code of each of its errors."""
    denied: Callable[[str], None]
    """Called with the name of each field that the user's role does not include."""
    performed: Callable[[str, str, Measurements], None]
    """Called with the field, outcome and measurements of each mutation; for a bulk mutation, once per item."""


class Service:
    """Answers GraphQL requests of signed-in users."""

    def __init__(
        self,
        schema: GraphQLSchema,
        database: Database,
        watch: Watch,
        budget_counter: BudgetCounter,
        *,
        limits: DocumentLimits,
        prices: PriceRules,
        deadline_seconds: float,
        self_approval_allowed: bool,
        execute: Callable[..., Any] = reference_execute,
        suggestions: bool = False,
    ) -> None:
        """With `suggestions`, errors name similar fields and values of the schema; for development only."""
        self._database = database
        self._watch = watch
        self._budget_counter = budget_counter
        self._prices = prices
        self._deadline_seconds = deadline_seconds
        self._timeout_ms = int(deadline_seconds * 1000)
        self._self_approval_allowed = self_approval_allowed
        self._run = partial(execute, schema, hide_suggestions=not suggestions)
        self._recorder = IncidentRecorder(database)
        self._refused_subjects = RefusedSubjects()
        self._kept_answers = KeptAnswers()
        self._documents = Documents(schema, limits=limits, prices=prices, suggestions=suggestions)

    async def answer(self, request: Request) -> Answer:
        """Run the request within the deadline. Every exception becomes an error of the API."""
        began = perf_counter()
        answer, found = await self._answered(request)
        self._report(found)
        await self._recorder.record(found, request.request_id, request.client_request_id)
        self._count(answer, request.operation_name if answer.executed else None, began)
        return answer

    async def close(self) -> None:
        """Wait, for a bounded time, until all incidents are counted."""
        await self._recorder.close()

    async def recent_refusal(
        self, subject: str, request_id: str, client_request_id: str | None = None
    ) -> Answer | None:
        """The answer to a subject that sign-in refused in the last two seconds; None admits the request.

        The caller bounds the time.
        """
        refused = self._refused_subjects.recall(subject)
        if refused is None and self._refused_subjects.admit(subject):
            await self._sign_in(subject)
            refused = self._refused_subjects.recall(subject)
        if refused is None:
            return None
        began = perf_counter()
        self._report(refused.incidents)
        if refused.to_record > 0:
            refused.to_record -= 1
            await self._recorder.record(refused.incidents, request_id, client_request_id)
        answer = answers.failed(UnknownUser(), request_id, outcome=None)
        self._count(answer, None, began)
        return answer

    async def _sign_in(self, subject: str) -> None:
        """Sign a subject in without an operation. A failure is logged; the request's own sign-in answers it."""
        try:
            async with self._transactions(subject) as transactions:
                await transactions.read()
            self._refused_subjects.signed_in(subject)
        except UnknownUser as error:
            self._refused_subjects.remember(subject, incidents.incidents_of(error))
        except Exception:
            log.warning("a subject could not be signed in before its request is read", exc_info=True)

    def _count(self, answer: Answer, operation: str | None, began: float) -> None:
        for code in answer.codes:
            self._watch.failed(operation, code)
        self._watch.answered(operation, not answer.codes, perf_counter() - began)

    async def _answered(self, request: Request) -> tuple[Answer, list[Incident]]:
        """The answer and the incidents of the request. A request that exceeds the deadline has no result to format."""
        written: set[str | int] | None = None
        transactions = self._transactions(request.subject)
        try:
            async with asyncio.timeout(self._deadline_seconds - request.spent_seconds):
                prepared = prepare(request, self._documents, self._prices)
                written = set() if prepared.is_mutation else None
                execution, budgets = await self._executed(prepared, request, transactions, written)
                result, maximum = execution.result, self._prices.maximum
                answer = answers.executed(execution, request.request_id, maximum=maximum, written=written)
        except RequestRefused as refusal:
            return answers.refused(refusal.errors, request.request_id), incidents.incidents_of(refusal)
        except Exception as error:
            if errors.is_bug(error):
                log.exception("request failed")
            found = incidents.incidents_of(error)
            if isinstance(error, UnknownUser):
                self._refused_subjects.remember(request.subject, found)
            outcome = None if written is None else "UNKNOWN" if transactions.commit_sent else "NONE"
            return answers.failed(error, request.request_id, outcome=outcome), found
        await self._settle(budgets, execution.charged)
        _log_bugs(result.errors or ())
        return answer, incidents.incidents_in(result, execution.viewer)

    async def _executed(
        self,
        prepared: PreparedOperation,
        request: Request,
        transactions: RequestTransactions,
        written: set[str | int] | None,
    ) -> tuple[Execution, Budgets]:
        """Authorise and execute an operation. Returns the budgets with what they reserved for it.

        An operation reserves its price, and more if it finds more objects. It is then charged for the objects that it
        returned, and for the field values of introspection. An operation without a result is charged what it reserved,
        because it was executed as well.
        """
        operation = prepared.operation
        facts = {"graphql.operation.type": operation.type.value}
        with self._watch.observe("operation", operation.name or "", facts):
            async with transactions:
                authorised = await authorise(prepared, request, transactions, self._budget_counter)
                self._refused_subjects.signed_in(request.subject)
                if prepared.is_mutation:
                    request.writing()
                allowance = ObjectAllowance(
                    authorised.budgets,
                    price=prepared.price,
                    maximum=self._prices.maximum,
                    has_written=prepared.is_mutation,
                )
                context = self._context(
                    request, authorised, transactions, allowance, set() if written is None else written
                )
                execution = await execute(
                    self._run, prepared, request, context, allowance=allowance, kept_answers=self._kept_answers
                )
        return execution, authorised.budgets

    async def _settle(self, budgets: Budgets, charged: int) -> None:
        """Charge for an operation that has its result, which neither a failure nor a long wait changes.

        The operation then stays charged for what it reserved.
        """
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await budgets.settle(charged)
        except Exception:
            log.exception("an operation could not be charged for what it returned")

    def _transactions(self, subject: str) -> RequestTransactions:
        return RequestTransactions(self._database, subject, timeout_ms=self._timeout_ms, observe=self._watch.observe)

    def _context(
        self,
        request: Request,
        authorised: Authorised,
        transactions: RequestTransactions,
        allowance: ObjectAllowance,
        written: set[str | int],
    ) -> Context:
        write_context = WriteContext(
            database=self._database,
            subject=request.subject,
            request_id=request.request_id,
            client_request_id=request.client_request_id,
            transaction=transactions.write,
            locations=Share(self._database.locations),
            self_approval_allowed=self._self_approval_allowed,
            performed=self._performed,
        )
        return Context(
            viewer=authorised.viewer,
            budgets=authorised.budgets,
            allowance=allowance,
            write_context=write_context,
            open_reading=transactions.read,
            current=authorised.reading,
            written=written,
        )

    def _performed(self, mutation: str, outcome: str, measurements: Measurements) -> None:
        if mutation in ADMITTING_MUTATIONS and outcome == "APPLIED":
            self._refused_subjects.forget_all()
        self._watch.performed(mutation, outcome, measurements)

    def _report(self, found: Iterable[Incident]) -> None:
        for each in found:
            if isinstance(each, Denial):
                self._watch.denied(each.field)
            else:
                self._watch.security_event(each.kind, each.user_id)


def _log_bugs(found: Iterable[GraphQLError]) -> None:
    for error in found:
        if errors.is_bug(error):
            log.error("resolver failed", exc_info=error.original_error or error, extra={"path": str(error.path)})
