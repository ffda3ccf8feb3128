"""Answers GraphQL requests in four steps: prepare, authorise, execute, format.

Each step is a function from values to a value, in its own module. This module connects the steps, sets the deadline,
and reports to the callbacks of the operators.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from graphql import GraphQLError, GraphQLSchema
from graphql import execute as reference_execute

from app.db.bulkheads import Share
from app.db.database import Database, UnknownUser
from app.db.request_transactions import RequestTransactions
from app.domain.credential import Credential
from app.observing import Observer, statement_of
from app.operations.context import Measurements, WriteContext
from app.operations.event_log import emit_attempt
from app.operations.registry import MUTATIONS
from app.query_cost.limits import DocumentLimits
from app.query_cost.price import PriceRules
from graphql_schema import answers, errors, incidents
from graphql_schema.allowance import ObjectAllowance
from graphql_schema.answers import LONGEST_NAME, Answer, Summary, summaries_of
from graphql_schema.authorisation import Authorised, authorise
from graphql_schema.documents import Documents, hash_of
from graphql_schema.errors import RequestedOperation, RequestRefused, outcome_of_request
from graphql_schema.execution import Execution, execute
from graphql_schema.incidents import Denial, Incident, IncidentRecorder, log_incidents
from graphql_schema.introspection import KeptAnswers
from graphql_schema.manifests import Listed
from graphql_schema.refused_credentials import RefusedCredentials
from graphql_schema.requests import PreparedOperation, Request, prepare
from graphql_schema.trusted_documents import ANY_TEXT, DocumentPolicy, TrustedDocuments
from resolvers.budgets import BudgetCounter, Budgets
from resolvers.context import Context

log = logging.getLogger("turnup.graphql")

# The mutations after which a credential that sign-in refused may be accepted.
ADMITTING_MUTATIONS = frozenset({"createUser", "reinstateUser"})
assert MUTATIONS.keys() >= ADMITTING_MUTATIONS  # noqa: S101 - a renamed mutation stops the import

SETTLE_SECONDS = 0.3
"""Seconds for which an answer waits until its operation is charged for what it returned."""


def unplanned(*_arguments: Any, **_options: Any) -> None:
    """The reference executor has no plans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Callbacks for traces and metrics. What they are passed is named by the schema or the code, never by a client."""

    observe: Observer
    security_event: Callable[[str], None]
    """Called with the kind of each distinct security event of a request."""
    denied: Callable[[str], None]
    """Called once per request with the name of each field that the user's role does not include."""
    performed: Callable[[str, str, Measurements], None]
    """Called with the field, outcome and measurements of each mutation; for a bulk mutation, once per item."""
    bulk_called: Callable[[str, str], None]
    """Called with the field and the outcome of each bulk mutation that is not a dry run.

    The outcome is APPLIED if an item was applied, else REFUSED if one was refused, else UNCHANGED; REPLAYED; or the
    code of the problem for which the whole call was refused.
    """
    bulk_ended: Callable[[str, int, float], None]
    """Called with the field, the number of items and the seconds of each bulk mutation that is not a dry run."""


@dataclass(slots=True)
class RequestProgress:
    """How far a request has come: its transactions, its operation once it is prepared, and whether that began."""

    transactions: RequestTransactions
    prepared: PreparedOperation | None = None
    refused: RequestedOperation | None = None
    """The operation, if it was refused before it was prepared, and is known."""
    execution: Execution | None = None
    began: bool = False
    denied: set[str] = field(default_factory=set)
    """The fields that were refused for the user's role so far."""

    def denials(self) -> list[Incident]:
        """Return the denials of a request that has no result."""
        viewer = self.transactions.viewer
        return [] if viewer is None else [Denial(viewer.id, each, viewer.role) for each in sorted(self.denied)]

    def facts(self) -> dict[str, object]:
        """Return who requested what, as far as it is known, for the log line of a bug."""
        facts: dict[str, object] = {}
        if self.prepared is not None:
            operation = self.prepared.operation
            facts |= {"operation_type": operation.type.value, "root_fields": operation.root_field_names}
        if self.transactions.viewer is not None:
            facts |= {"user_id": self.transactions.viewer.id, "role": self.transactions.viewer.role.value}
        return facts


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
        configured_issuer: str,
        sign_in_url: str | None,
        execute: Callable[..., Any] = reference_execute,
        plan: Callable[..., object] = unplanned,
        document_policy: DocumentPolicy = ANY_TEXT,
        suggestions: bool = False,
    ) -> None:
        """With `suggestions`, errors name similar fields and values of the schema; for development only.

        `plan` has the arguments of the executor's method, and plans an operation of a trusted document.
        """
        self._database = database
        self._watch = watch
        self._budget_counter = budget_counter
        self._prices = prices
        self._deadline_seconds = deadline_seconds
        self._timeout_ms = int(deadline_seconds * 1000)
        self._self_approval_allowed = self_approval_allowed
        self._configured_issuer = configured_issuer
        self._sign_in_url = sign_in_url
        self._run = partial(execute, schema, hide_suggestions=not suggestions)
        self._recorder = IncidentRecorder(database)
        self._refused_credentials = RefusedCredentials()
        self._kept_answers = KeptAnswers()
        self._documents = Documents(schema, limits=limits, prices=prices, suggestions=suggestions)
        self._plan = partial(plan, schema, hide_suggestions=not suggestions)
        self.trusted = TrustedDocuments(document_policy)

    async def answer(self, request: Request) -> Answer:
        """Run the request within the deadline. Every exception becomes an error of the API."""
        progress = RequestProgress(self._transactions(request.credential))
        found: list[Incident] | None = None
        try:
            answer, found = await self._answered(request, progress)
            self._report(found)
            log_incidents(found)
            await self._recorder.record(found, request.request_id, request.client_request_id)
        except asyncio.CancelledError:
            if found is None:
                denials = progress.denials()
                self._report(denials)
                log_incidents(denials)
                self._recorder.begin(denials, request.request_id, request.client_request_id)
            request.abandoned(_summarised(request, None, progress, ()).facts())
            raise
        return answer.with_summary(_summarised(request, answer, progress, found))

    async def trust(self, listed: Mapping[str, Listed]) -> None:
        """Trust these documents, by SHA-256, and no others. Raises ManifestRefused and changes nothing."""
        await self.trusted.load(
            listed,
            self._documents,
            self._prices,
            lambda prepared, operation: self._plan(prepared.document, operation.name),
        )

    async def close(self) -> None:
        """Wait, for a bounded time, until all incidents are counted."""
        await self._recorder.close()

    async def recent_refusal(
        self,
        credential: Credential,
        request_id: str,
        client_request_id: str | None = None,
        *,
        before_look_up: Callable[[], None],
    ) -> Answer | None:
        """The answer to a credential that sign-in refused in the last two seconds; None admits the request.

        A secret that has never signed in is signed in now. `before_look_up` is called before that, and may raise an
        exception. The caller bounds the time.
        """
        memory = self._refused_credentials
        refused = memory.recall(credential)
        if refused is None:
            is_unknown = memory.is_unknown_secret(credential)
            if is_unknown:
                before_look_up()
            failure = await self._sign_in(credential) if is_unknown or memory.admit(credential) else None
            if is_unknown and failure is not None:
                return answers.failed(failure, request_id, outcome=None)
            refused = memory.recall(credential)
        if refused is None:
            return None
        self._report(refused.incidents)
        if refused.to_record > 0:
            refused.to_record -= 1
            log_incidents(refused.incidents)
            await self._recorder.record(refused.incidents, request_id, client_request_id)
        return answers.failed(UnknownUser(credential.kind), request_id, outcome=None)

    async def _sign_in(self, credential: Credential) -> Exception | None:
        """Sign a user in without an operation, or remember the refusal. Any other failure is logged and returned."""
        try:
            async with self._transactions(credential) as transactions:
                await transactions.read()
            self._refused_credentials.signed_in(credential)
        except UnknownUser as error:
            self._refused_credentials.remember(credential, incidents.incidents_of(error))
        except Exception as error:
            level = logging.ERROR if errors.is_bug(error) else logging.WARNING
            log.log(level, "a user could not be signed in before its request is read", exc_info=True)
            return error
        return None

    async def _answered(self, request: Request, progress: RequestProgress) -> tuple[Answer, list[Incident]]:
        """The answer and the incidents of the request. A request that exceeds the deadline has no result to format."""
        written: set[str | int] | None = None
        transactions = progress.transactions
        try:
            async with asyncio.timeout(self._deadline_seconds - request.spent_seconds):
                with self._watch.observe("step", "prepare document", {}):
                    prepared = progress.prepared = prepare(request, self._documents, self._prices, self.trusted)
                written = set() if prepared.is_mutation else None
                execution, budgets = await self._executed(prepared, request, progress, written)
                result, maximum = execution.result, self._prices.maximum
                answer = answers.executed(execution, request.request_id, maximum=maximum, written=written)
        except RequestRefused as refusal:
            progress.refused = refusal.operation
            return answers.refused(refusal.errors, request.request_id), incidents.incidents_of(refusal)
        except Exception as error:
            if errors.is_bug(error):
                log.exception("request failed", extra=progress.facts())
            found = incidents.incidents_of(error)
            if isinstance(error, UnknownUser):
                self._refused_credentials.remember(request.credential, found)
            found = [*found, *progress.denials()]
            outcome = None if written is None else "UNKNOWN" if transactions.commit_sent else "NONE"
            return answers.failed(error, request.request_id, outcome=outcome), found
        progress.execution = execution
        await self._settle(budgets, execution.charged, progress)
        _log_bugs(result.errors or (), progress)
        return answer, incidents.incidents_in(result, execution.viewer)

    async def _executed(
        self,
        prepared: PreparedOperation,
        request: Request,
        progress: RequestProgress,
        written: set[str | int] | None,
    ) -> tuple[Execution, Budgets]:
        """Authorise and execute an operation. Returns the budgets with what they reserved for it.

        An operation reserves its price, and more if it finds more objects. It is then charged for the objects that it
        returned, and for the field values of introspection. An operation without a result is charged what it reserved,
        because it was executed as well.
        """
        transactions = progress.transactions
        async with transactions:
            authorised = await authorise(prepared, request, transactions, self._budget_counter)
            self._refused_credentials.signed_in(request.credential)
            if prepared.is_mutation:
                request.writing()
            allowance = ObjectAllowance(
                authorised.budgets,
                price=prepared.price,
                maximum=self._prices.maximum,
                has_written=prepared.is_mutation,
            )
            context = self._context(
                request,
                authorised,
                transactions,
                allowance,
                written=set() if written is None else written,
                denied=progress.denied,
            )
            progress.began = True
            execution = await execute(
                self._run, prepared, context, allowance=allowance, kept_answers=self._kept_answers
            )
        return execution, authorised.budgets

    async def _settle(self, budgets: Budgets, charged: int, progress: RequestProgress) -> None:
        """Charge for an operation that has its result, which neither a failure nor a long wait changes.

        The operation then stays charged for what it reserved.
        """
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await budgets.settle(charged)
        except Exception:
            log.exception("an operation could not be charged for what it returned", extra=progress.facts())

    def _transactions(self, credential: Credential) -> RequestTransactions:
        return RequestTransactions(self._database, credential, timeout_ms=self._timeout_ms, observe=self._watch.observe)

    def _context(
        self,
        request: Request,
        authorised: Authorised,
        transactions: RequestTransactions,
        allowance: ObjectAllowance,
        *,
        written: set[str | int],
        denied: set[str],
    ) -> Context:
        write_context = WriteContext(
            database=self._database,
            user_id=authorised.viewer.id,
            request_id=request.request_id,
            client_request_id=request.client_request_id,
            transaction=transactions.write,
            locations=Share(self._database.locations),
            self_approval_allowed=self._self_approval_allowed,
            configured_issuer=self._configured_issuer,
            sign_in_url=self._sign_in_url,
            performed=self._performed,
            bulk_called=self._watch.bulk_called,
            bulk_ended=self._watch.bulk_ended,
            emit=partial(emit_attempt, authorised.viewer),
        )
        return Context(
            viewer=authorised.viewer,
            budgets=authorised.budgets,
            allowance=allowance,
            write_context=write_context,
            open_reading=transactions.read,
            current=authorised.reading,
            written=written,
            denied=denied,
        )

    def _performed(self, mutation: str, outcome: str, measurements: Measurements) -> None:
        if mutation in ADMITTING_MUTATIONS and outcome == "APPLIED":
            self._refused_credentials.forget_all()
        self._watch.performed(mutation, outcome, measurements)

    def _report(self, found: Iterable[Incident]) -> None:
        for each in dict.fromkeys(found):
            if isinstance(each, Denial):
                self._watch.denied(each.field)
            else:
                self._watch.security_event(each.kind)


def _summarised(
    request: Request, answer: Answer | None, progress: RequestProgress, found: Collection[Incident]
) -> Summary:
    """The summary of a request. An incident names the user of one that nobody was signed in for."""
    prepared, viewer, execution = progress.prepared, progress.transactions.viewer, progress.execution
    codes = () if answer is None else tuple(dict.fromkeys(answer.codes))
    user_id = viewer.id if viewer else next((each.user_id for each in found), None)
    if prepared is None:
        kind, name, root_fields = progress.refused or (None, None, ())
        return Summary(
            operation_type=kind,
            operation_name=_shortened(name),
            root_fields=root_fields,
            document_hash=request.document_hash or (hash_of(request.query) if request.query is not None else None),
            user_id=user_id,
            outcome=outcome_of_request(codes),
            codes=codes,
            fields={},
            statements=progress.transactions.sent.count,
        )
    operation = prepared.operation
    return Summary(
        operation_type=operation.type.value,
        operation_name=_shortened(operation.name),
        root_fields=operation.root_field_names,
        document_hash=operation.document_hash,
        trusted=prepared.is_trusted,
        user_id=user_id,
        role=viewer.role.value if viewer else None,
        outcome=outcome_of_request(codes),
        codes=codes,
        fields=summaries_of(answer.body, operation.root_fields) if answer is not None and progress.began else {},
        statements=progress.transactions.sent.count,
        price=execution.price if execution else prepared.price,
        returned=execution.returned if execution else None,
    )


def _shortened(name: str | None) -> str | None:
    return name[:LONGEST_NAME] if name else None


def _log_bugs(found: Iterable[GraphQLError], progress: RequestProgress) -> None:
    for error in found:
        if errors.is_bug(error):
            cause = errors.cause_of(error)
            facts = {**progress.facts(), "field": errors.field_of(error)}  # no path, which has the client's aliases
            statement = statement_of(cause)
            if statement is not None:
                facts["statement"] = statement
            log.error("resolver failed", exc_info=cause, extra=facts)
