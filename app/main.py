"""The composition root: creates the ASGI app from settings, with its routes, middleware and lifespan."""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from datetime import time as time_of_day
from functools import partial
from operator import attrgetter
from pathlib import Path
from time import time
from typing import Any

import httpx
import orjson
from graphql import MiddlewareManager
from graphql import execute as reference_execute
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from app.admission import Admission, AnonymousBound
from app.auth import development
from app.auth.keys import RemoteKeySet, StaticKeys, trusting
from app.auth.oidc import Registration, RelyingParty
from app.auth.verifier import Verifier
from app.db import demo
from app.db.connecting import check_bounds
from app.db.database import Database
from app.db.failures import DatabaseUnavailable, Overloaded, StatementTimeout
from app.db.migrate import is_current
from app.db.safety import check_app_role
from app.domain.credential import Credential
from app.domain.events import SIGN_IN_FAILED
from app.domain.payload import SHAPES, json_schema
from app.domain.vocabulary import Budget, BulkOutcome, LocationStatus, ProblemCode, Role
from app.execution import BreadthFirst, Native, has_resolver
from app.expiring_tokens import ExpiringTokens
from app.http.anonymous import AnonymousRequests
from app.http.answers import UniformAnswers, code_of
from app.http.body import BodyLimits
from app.http.caching import NOT_MODIFIED
from app.http.connections import ConnectionLimits, Connections, EdgeRefusal, Refused, descriptors, within_descriptors
from app.http.content_coding import CompressedResponses
from app.http.cookies import SESSION, Cookie
from app.http.documents import document_route, has_token
from app.http.failures import Failures
from app.http.graphiql import PAGE as GRAPHIQL
from app.http.graphiql import graphiql_routes
from app.http.graphql import Admitted, CallAnswer, GraphQLEndpoint, HttpCall, UnreadRequest
from app.http.health import LIVENESS, READINESS, SharedChecks, health_routes
from app.http.page_refusals import PageRefusals
from app.http.protocol import CONNECTIONS
from app.http.proxies import TrustedProxies
from app.http.published import HTML, TEXT, Published
from app.http.refusals import GRAPHQL_STATUS, PLAIN_JSON, TRANSPORT_STATUS, UNTRANSFORMED, TransportRefused
from app.http.request_fields import FROM_OTHER_ORIGINS
from app.http.sign_in import Outcome, SignInRoutes
from app.http.sign_in_paths import CALLBACK, SIGNED_OUT
from app.http.sign_in_paths import PATHS as SIGN_IN_PATHS
from app.http.slots import EXPOSED_FIELDS, PATHS, SLOTS, Full, RequestSlots
from app.limiting.limiter import Limiter
from app.limiting.stores import UNREACHABLE, store_at
from app.manifest_files import RELOAD, read_manifests
from app.operations.context import Measurements
from app.operations.event_log import emit
from app.operations.gauges import run_gauges
from app.operations.housekeeping import run_housekeeping, write_last_uses
from app.operations.mutation import Counted
from app.operations.registry import MUTATIONS
from app.query_cost.limits import DocumentLimits
from app.query_cost.price import PriceRules
from app.settings import Executor, SelfApprovalPolicy, Settings, TrustedDocumentsPolicy, exposure
from app.sign_in import BrowserSignIns
from app.telemetry import Telemetry, start_telemetry, unwired_telemetry
from app.telemetry.http_client import ObservedTransport
from app.telemetry.metrics import CONTENT_TYPE, LabelValues, Metrics
from app.telemetry.request_log import RequestLog
from app.telemetry.requests import ObservedRequests
from app.telemetry.tracing import NOTHING, OperationSpan
from app.version import VERSION
from graphql_schema.allowance import ENDING
from graphql_schema.answers import Answer
from graphql_schema.errors import (
    DEADLINE_MESSAGE,
    FAILURES,
    INTERNAL_MESSAGE,
    TABLE,
    RequestOutcome,
    outcome_of_request,
)
from graphql_schema.incidents import SECURITY_EVENTS, note_denial
from graphql_schema.manifests import ManifestRefused
from graphql_schema.names import guarded_fields, root_fields
from graphql_schema.reference.page import PATH as REFERENCE
from graphql_schema.reference.page import PAYLOAD_SCHEMAS_PATH, POLICY, SCHEMA_PATH, page
from graphql_schema.requests import Request
from graphql_schema.schema import printed, schema
from graphql_schema.service import Service, Watch, unplanned
from graphql_schema.trusted_documents import DocumentPolicy

log = logging.getLogger("turnup.server")

METRICS = "/metrics"
MACHINES = frozenset({LIVENESS, READINESS, METRICS})
"""The paths that machines ask all the time: their traces and log lines would say nothing."""
GRAPHIQL_DIST = Path(__file__).parent.parent / "web" / "dist"
START_SECONDS = 10.0
"""Seconds within which the database must answer at the start."""
CHECK_SECONDS = 15.0
CHECKS: Mapping[str, str] = {
    "database": "turnup_database_up",
    "migrations": "turnup_migrations_current",
    "writes": "turnup_database_writes",
}
"""The gauge of each check of `/readyz`."""
"""Seconds between two checks of the database that nobody asked for; its state is a metric."""
PREFLIGHT_SECONDS = 2 * 60 * 60
"""The time for which browsers keep the answer to a CORS preflight; Chromium keeps none for longer."""
DEVELOPMENT_TOKEN_SECONDS = 12 * 60 * 60
YOUNG_OBJECTS = 10_000  # allocations minus frees before a collection; Python's default is 700
# The survivors of two young collections are collected together, in up to 40 ms; those of eleven took 150 ms. After a
# thousand of these, all objects are collected, caches included, in 200 ms.
YOUNG_COLLECTIONS, MIDDLE_COLLECTIONS = 1, 1_000

EXPECTED: tuple[type[BaseException], ...] = (
    DatabaseUnavailable, Overloaded, StatementTimeout, TimeoutError, ConnectionError, *UNREACHABLE,
)  # fmt: skip
"""Exceptions of a server whose surroundings fail. Metrics count them; the error tracker receives only bugs."""

# The users for whom the development server prints tokens, and as whom GraphiQL can sign in.
DEMO_SIGN_INS = {
    "lead": "lead@turnup.example",
    "lead2": "lead2@turnup.example",
    "lead3": "acme.lead@turnup.example",
    "customer": "customer@acme.example",
    "partner": "partner@carrier.example",
    "auditor": "auditor@turnup.example",
}

# Values for GraphiQL's examples: demo locations in the status that each example needs.
GRAPHIQL_TABS = (
    {"example": "lead-approval", "variables": {"locationId": "location-3"}},
    {"example": "lead-override", "variables": {"locationId": "location-4", "deviceId": "phone-4-1"}},
)


def create_app(settings: Settings, telemetry: Telemetry | None = None) -> Starlette:
    """Return the app for these settings, which include `database_url`. Connections are opened when the server starts.

    The default `telemetry` does not configure logging and does not report errors.
    """
    watching = telemetry or unwired_telemetry(VERSION)
    metrics = watching.metrics
    runtime = Runtime(settings, watching)
    endpoint = GraphQLEndpoint(runtime.admit, runtime.answer, limits=BodyLimits(size=settings.limit_body_bytes))
    routes: list[BaseRoute] = [
        Route("/graphql", endpoint),
        Route("/graphql/", endpoint),
        *health_routes(runtime.shared_checks, runtime.stopping),
        *_metrics_route(settings, metrics),
        *map(payload_schema_route, SHAPES),
        payload_schema_list_route(),
    ]
    if settings.shows_reference:
        routes += reference_routes()
    if settings.shows_graphiql:
        routes += graphiql_routes(GRAPHIQL_DIST, runtime.graphiql_config)
    if settings.public_url is not None and settings.signs_in_browsers:
        routes += SignInRoutes(
            settings.public_url,
            lambda: runtime.sign_ins,
            home=GRAPHIQL if settings.shows_graphiql else None,
            session_seconds=settings.session_seconds,
            deadline_seconds=settings.limit_deadline_seconds,
            counted=partial(_signed_in, metrics),
        ).routes()
    paths = [each.path for each in routes if isinstance(each, Route)]
    metrics.declare(_label_values(paths))
    requests = runtime.requests = RequestLog(
        metrics,
        paths=paths,
        graphql=PATHS,
        quiet=MACHINES,
        code_of=code_of,
        outcome_of=outcome_of_request,
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, object]]:
        async with AsyncExitStack() as stack:
            await runtime.start(stack)
            yield {CONNECTIONS: runtime.connections, SLOTS: runtime.slots(), RELOAD: runtime.reload}

    app = Starlette(
        routes=routes,
        middleware=_middleware(settings, watching, requests, partial(_count_anonymous, runtime.bound, settings)),
        lifespan=lifespan,
    )
    # A redirect would name the scheme of the connection, which behind a proxy is not the client's.
    app.router.redirect_slashes = False
    return app


def _middleware(
    settings: Settings, telemetry: Telemetry, requests: RequestLog, count_anonymous: Callable[[Scope], None]
) -> list[Middleware]:
    """Return the middleware, from the outside in.

    Every answer passes the request's id, and CORS, so that a page can read refusals and failures as well.
    """
    proxies = Middleware(TrustedProxies, networks=settings.trusted_proxies or ())
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.origins,
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=[*FROM_OTHER_ORIGINS, *(settings.cors_headers or ())],
        expose_headers=EXPOSED_FIELDS,
        max_age=PREFLIGHT_SECONDS,
    )
    return [
        *([proxies] if settings.trusted_proxies else []),
        Middleware(UniformAnswers),
        Middleware(ObservedRequests, tracing=telemetry.tracing, requests=requests, untraced=MACHINES),
        Middleware(CompressedResponses),
        *([cors] if settings.origins else []),
        *([Middleware(PageRefusals, paths=SIGN_IN_PATHS)] if settings.signs_in_browsers else []),
        Middleware(Failures, message=INTERNAL_MESSAGE),
        Middleware(AnonymousRequests, count=count_anonymous),
    ]


def from_environment() -> Starlette:
    """Return the app for the settings of the environment. uvicorn's worker processes call this."""
    settings = Settings()
    exposed = exposure(settings)
    if exposed is not None:
        sys.exit(f"turnup: HOST: {exposed}")
    dsn = settings.sentry_dsn.get_secret_value() if settings.sentry_dsn else None
    telemetry = start_telemetry(
        service_version=VERSION,
        environment=settings.env.value,
        sentry_dsn=dsn,
        expected=EXPECTED,
        log_level=settings.log_level.value,
        log_as_text=not settings.logs_json,
        port=settings.port,
    )
    app = create_app(settings, telemetry)
    _spare_the_collector()
    return app


def _spare_the_collector() -> None:
    """Run the garbage collector rarely, and exclude permanent objects: schema, statements and code.

    A page of locations consists of thousands of dictionaries, which reference counting frees. Each collection would
    traverse all of them, and every hundredth the whole schema as well.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_COLLECTIONS, MIDDLE_COLLECTIONS)


def payload_schema_route(version: str) -> Route:
    """Return the route of the JSON Schema of a payload version."""
    path = f"{PAYLOAD_SCHEMAS_PATH}{_file_of_schema(version)}"
    return Published(lambda: orjson.dumps(json_schema(version)), "application/schema+json").route(path)


def payload_schema_list_route() -> Route:
    """Return the route of the list of all payload schemas, the newest version last, with their relative addresses."""
    listed = [
        {"version": version, "id": json_schema(version)["$id"], "href": _file_of_schema(version)} for version in SHAPES
    ]
    return Published(lambda: orjson.dumps({"schemas": listed}), PLAIN_JSON).route(PAYLOAD_SCHEMAS_PATH)


def reference_routes() -> list[Route]:
    """Return the routes of the schema and of its reference."""
    reference = Published(lambda: page(schema._schema, VERSION).encode(), HTML, {"Content-Security-Policy": POLICY})
    return [
        Published(lambda: printed().encode(), TEXT).route(SCHEMA_PATH),
        reference.route(REFERENCE),
    ]


def _file_of_schema(version: str) -> str:
    return f"provisioning-payload-{version}.json"


def _metrics_route(settings: Settings, metrics: Metrics) -> list[Route]:
    """Return the route of the metrics: in production only with a token, which development does not need."""
    token = _metrics_token(settings)
    if token is None and settings.in_production:
        return []
    return [document_route(METRICS, metrics.render, CONTENT_TYPE, token=token)]


def _count_anonymous(bound: AnonymousBound, settings: Settings, scope: Scope) -> None:
    """Count a request to a path that needs no user, unless it is a scrape with the token. Raises TransportRefused.

    Others with the scraper's address must not take its place, or the server seems to be down.
    """
    token = _metrics_token(settings)
    if token is None or scope["path"] != METRICS or not has_token(scope, token):
        bound.count_request(scope)


def _metrics_token(settings: Settings) -> str | None:
    return None if settings.metrics_token is None else settings.metrics_token.get_secret_value()


def _label_values(paths: Collection[str]) -> LabelValues:
    """Return the values of the labels of metrics, of which each is declared elsewhere."""
    codes = {*TRANSPORT_STATUS, *GRAPHQL_STATUS, *[code for code, _, _ in TABLE.values()]}
    return LabelValues(
        fields=root_fields(schema._schema),
        codes=codes,
        failures=FAILURES,
        outcomes=tuple(RequestOutcome),
        routes=paths,
        statuses=sorted({200, NOT_MODIFIED, *TRANSPORT_STATUS.values()}),
        roles=tuple(Role),
        mutations=tuple(MUTATIONS),
        bulk_mutations=[name for name, each in MUTATIONS.items() if Counted.BULK_ITEMS in each.counts],
        bulk_calls=(*BulkOutcome, "REPLAYED", *ProblemCode),
        changes=(BulkOutcome.APPLIED, BulkOutcome.UNCHANGED, "REPLAYED", *ProblemCode),
        guarded_fields=guarded_fields(schema),
        security_events=SECURITY_EVENTS,
        sign_ins=tuple(Outcome),
        connection_refusals=tuple(Refused),
        request_refusals=tuple(Full),
        loggers=sorted(each for each in logging.root.manager.loggerDict if each.startswith("turnup.")),
    )


def connections_of(settings: Settings, metrics: Metrics, answered: Callable[[EdgeRefusal], None]) -> Connections:
    """Return the clients' connections to this process; there are none yet.

    `answered` is called with each answer to a request that the application has not seen.
    """
    limits = ConnectionLimits(
        total=settings.limit_connections,
        per_address=settings.limit_connections_per_address,
        head_seconds=settings.limit_header_seconds,
        body_seconds=settings.limit_body_seconds,
        write_seconds=settings.limit_write_seconds,
        keep_alive_seconds=settings.keep_alive_seconds,
        exempt=settings.trusted_proxies or (),
    )
    connections = Connections(within_descriptors(limits, descriptors()), metrics.connection_refused, answered)
    metrics.gauges.watch({"turnup_connections": lambda: len(connections)})
    return connections


def _in_background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start a task that runs until it is cancelled. If it fails, which nobody would see, the exception is logged."""
    task = asyncio.create_task(work)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    failure = None if task.cancelled() else task.exception()
    if failure is not None:
        log.error("a task in the background has ended", exc_info=failure)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _check_regularly(what: str, check: Callable[[], Awaitable[object]]) -> None:
    """Check something every 15 seconds until cancelled, whether or not somebody asks for its state."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        try:
            await check()
        except Exception:
            log.exception("%s could not be checked", what)


def _document_policy(settings: Settings) -> DocumentPolicy:
    return DocumentPolicy(
        by_hash=settings.trusts_documents,
        only_trusted=settings.trusted_documents is TrustedDocumentsPolicy.ONLY,
        leads_send_text=settings.trusted_documents_graphiql and settings.shows_graphiql,
    )


def _executor(settings: Settings, telemetry: Telemetry) -> tuple[Callable[..., Any], Callable[..., object]]:
    """Return the breadth-first executor or, as the reference, graphql-core's; and what plans operations for it.

    Both executors create a span per resolved field. The reference plans nothing.
    """
    tracing = telemetry.tracing
    if settings.executor is Executor.REFERENCE:
        if tracing.tracer is None:
            return reference_execute, unplanned
        middleware = MiddlewareManager(tracing.resolver_middleware(has_resolver))
        return partial(reference_execute, middleware=middleware), unplanned

    def observed(path: tuple[str, ...], parent_type: str, field_name: str, count: int) -> Any:
        span = tracing.field_observer(parent_type, field_name, path, count)
        return None if span is NOTHING else span

    # orjson writes them as the scalars do, except that it writes no fraction of a second for a datetime without one.
    native = {"DateTime": Native({datetime}, unless_false="microsecond"), "Time": Native({time_of_day})}
    engine = BreadthFirst(
        observer=observed if tracing.tracer else None,
        native=native,
        sequential_batches=True,
        allowance=attrgetter("allowance"),
        ending=ENDING,
        failing=note_denial,
    )
    return engine.execute, engine.plan


async def _state_of(connection: Any) -> dict[str, bool]:
    """Return the checks of a database that answers."""
    writes = await connection.fetchval("SELECT current_setting('transaction_read_only') = 'off'")
    return {"database": True, "migrations": await is_current(connection), "writes": writes}


def _watch(telemetry: Telemetry) -> Watch:
    metrics = telemetry.metrics
    return Watch(
        observe=telemetry.tracing.observer,
        security_event=metrics.security_event,
        denied=metrics.permission_denied,
        performed=partial(_count, metrics),
        bulk_called=metrics.bulk_called,
        bulk_ended=metrics.bulk_ended,
    )


def _signed_in(metrics: Metrics, outcome: str) -> None:
    """Count a sign-in by browser that ended, and log one that failed."""
    metrics.sign_in(outcome)
    if outcome != Outcome.SIGNED_IN:
        emit(SIGN_IN_FAILED, code=outcome)


def _limiter(settings: Settings, telemetry: Telemetry) -> Limiter:
    """Return the limiter with the budgets of the settings, by name."""
    limits = {budget.value: getattr(settings, f"limit_{budget.lower()}") for budget in Budget}
    url = settings.redis_url.get_secret_value() if settings.redis_url else None
    return Limiter(limits, store_at(url, telemetry.tracing.observer), failed=telemetry.metrics.limiter_failed)


def _count(metrics: Metrics, mutation: str, outcome: str, measurements: Measurements) -> None:
    """Count what a mutation declares, and every transition past a lock."""
    counts = MUTATIONS[mutation].counts
    if Counted.SUBMISSIONS in counts:
        metrics.submission(outcome)
    if Counted.BULK_ITEMS in counts:
        metrics.bulk_item(mutation, outcome)
    if Counted.APPROVALS in counts:
        metrics.approval(outcome)
        if measurements.waited_seconds is not None:
            metrics.approval_processed(measurements.waited_seconds)
    if Counted.OVERRIDES_OPENED in counts and outcome == "APPLIED":
        metrics.override_opened()
    if measurements.past_lock:
        metrics.passed_lock(mutation)


def _describe(span: OperationSpan, answer: Answer) -> None:
    """Record what a GraphQL request asked for, and the errors of its answer."""
    summary = answer.summary
    assert summary is not None  # noqa: S101 - the service summarises every request that it answers
    operation = {
        "graphql.operation.type": summary.operation_type,
        "graphql.operation.name": summary.operation_name,
        "turnup.document.hash": summary.document_hash,
    }
    span.answered(
        {name: value for name, value in operation.items() if value is not None},
        [(error["extensions"]["code"], error.get("path", ())) for error in answer.body.get("errors", ())],
        next((code for code in summary.codes if code in FAILURES), None),
    )


class Runtime:
    """The objects that exist while the server runs, and the callables of the routes."""

    requests: RequestLog
    connections: Connections
    database: Database
    admission: Admission
    service: Service
    sign_ins: BrowserSignIns
    issuer: development.DevelopmentIssuer | None = None
    accepted_writes = True
    """Whether the database accepted writes at the last check."""
    found: Mapping[str, bool]
    """What the last check of the database found."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self.settings = settings
        self.telemetry = telemetry
        self.bound = AnonymousBound(settings.limit_anonymous)
        self.expiring_tokens = ExpiringTokens()
        self.shared_checks = SharedChecks(self.checks)

    async def start(self, stack: AsyncExitStack) -> None:
        """Open all resources; `stack` closes them. Raises if the database is not fit to serve."""
        settings, telemetry = self.settings, self.telemetry
        assert settings.database_url is not None, "the command line finds a database before it serves"  # noqa: S101 - for mypy
        self.connections = connections_of(settings, telemetry.metrics, self.requests.refused)
        stack.push_async_callback(asyncio.to_thread, telemetry.shutdown)
        observe = telemetry.tracing.observer
        url = settings.database_url.get_secret_value()
        async with asyncio.timeout(START_SECONDS):
            self.database = await Database.open(
                url,
                size=settings.pool_size,
                observe=observe,
                per_user=settings.limit_user_connections,
                per_location=settings.limit_location_connections,
                transaction_pooling=settings.transaction_pooling,
            )
            stack.push_async_callback(self.database.close)
            async with self.database.connection() as connection:
                await check_app_role(connection)
                await check_bounds(connection)
                self.found = await _state_of(connection)
            telemetry.tracing.name_database(await self.database.name())
        stack.push_async_callback(write_last_uses, self.database)
        keys = await self._keys(stack)
        verifier = Verifier(
            issuer=settings.configured_issuer,
            audience=settings.audience or development.AUDIENCE,
            keys=keys,
            types=settings.token_types,
        )
        limiter = _limiter(settings, telemetry)
        stack.push_async_callback(limiter.close)
        self._watch_state(keys, limiter)
        business = telemetry.metrics.business
        business.expect(tuple(LocationStatus))
        for work in (
            run_housekeeping(self.database),
            run_gauges(self.database, lambda reading: business.take(reading.values, reading.age_seconds)),
            _check_regularly("the database", self.shared_checks),
            _check_regularly("the store of the budgets", limiter.look_again),
            _check_regularly("the key set", keys.look_again),
            telemetry.metrics.gauges.run(),
        ):
            stack.push_async_callback(_ended, _in_background(work))
        execute, plan = _executor(settings, telemetry)
        self.service = Service(
            schema._schema,
            self.database,
            _watch(telemetry),
            limiter,
            limits=DocumentLimits(),
            prices=PriceRules(maximum=settings.limit_price),
            deadline_seconds=settings.limit_deadline_seconds,
            self_approval_allowed=settings.self_approval is SelfApprovalPolicy.ALLOW,
            configured_issuer=settings.configured_issuer,
            sign_in_url=settings.sign_in_url,
            execute=execute,
            plan=plan,
            document_policy=_document_policy(settings),
        )
        stack.push_async_callback(self.service.close)
        if settings.trusts_documents:
            await self._load_trusted_documents()
            telemetry.metrics.gauges.watch({"turnup_trusted_documents": lambda: len(self.service.trusted)})
        self.admission = Admission(
            verifier,
            Cookie(SESSION, secure=settings.secure_cookies),
            self.bound,
            self.database.user_keys,
            self._recent_refusal,
        )
        if settings.signs_in_browsers:
            self.sign_ins = await self._browser_sign_ins(stack)

    async def reload(self) -> None:
        """Load the trusted documents again. If that fails, those before stay; the log and a metric say so."""
        try:
            await self._load_trusted_documents()
        except ManifestRefused as refusal:
            self.telemetry.metrics.trusted_documents_refused()
            log.error("the trusted documents were not loaded again: %s", refusal.problem)  # noqa: TRY400 - it says all
        except Exception:
            self.telemetry.metrics.trusted_documents_refused()
            log.exception("the trusted documents were not loaded again")
        else:
            log.info("the trusted documents were loaded again: %d", len(self.service.trusted))

    async def _load_trusted_documents(self) -> None:
        """Trust the documents of the manifests, and no others. Raises ManifestRefused and changes nothing."""
        listed = await asyncio.to_thread(read_manifests, self.settings.trusted_documents_files or ())
        await self.service.trust(listed)
        self.telemetry.metrics.trusted_documents_loaded(self.service.trusted.names)

    def _watch_state(self, keys: StaticKeys | RemoteKeySet, limiter: Limiter) -> None:
        """Let the gauges read what this process knows."""
        database = self.database
        self.telemetry.metrics.gauges.watch(
            {
                "turnup_pool_size": lambda: database.usage().size,
                "turnup_pool_in_use": lambda: database.usage().in_use,
                "turnup_pool_waiting": lambda: database.usage().waiting,
                "turnup_pool_refused": lambda: database.usage().refused,
                "turnup_requests_waiting": database.waiting_in_bulkheads,
                "turnup_key_set_up": lambda: keys.state().up,
                "turnup_key_set_age_seconds": lambda: keys.state().age_seconds,
                "turnup_limiter_up": lambda: limiter.is_up,
                **{gauge: partial(self._found, check) for check, gauge in CHECKS.items()},
            }
        )

    def _found(self, check: str) -> bool:
        """Whether the last check succeeded. Of a database that does not answer, what was found before."""
        return self.found[check]

    def slots(self) -> RequestSlots:
        """Return the slots for requests in progress; all are free."""
        settings, metrics = self.settings, self.telemetry.metrics
        slots = RequestSlots(
            settings.most_requests,
            burst=settings.limit_request_burst,
            user_of=self.admission.known_user,
            floods=self.bound.is_used_up,
            waiting=self.database.waiting_in_bulkheads,
            refused=metrics.request_refused,
            origins=settings.origins,
        )
        metrics.gauges.watch({"turnup_requests_in_progress": lambda: len(slots)})
        return slots

    async def admit(self, head: UnreadRequest) -> Admitted:
        """Admit a request. Raises TransportRefused, after the deadline at the latest."""
        try:
            with self.telemetry.tracing.observer("step", "admit request", {}):
                async with asyncio.timeout(self.settings.limit_deadline_seconds):
                    return await self.admission.admit(head)
        except TimeoutError:
            raise TransportRefused("TIMEOUT", DEADLINE_MESSAGE) from None

    async def answer(self, call: HttpCall) -> CallAnswer:
        """Pass the request to the service."""
        request = Request(
            credential=call.credential,
            claimed_user_id=call.head.field(b"x-user-id"),
            claimed_role=call.head.field(b"x-user-role"),
            request_id=call.head.request_id,
            client_request_id=call.head.client_request_id,
            query=call.parameters["query"],
            document_hash=call.parameters["documentHash"],
            operation_name=call.parameters["operationName"],
            variables=call.parameters["variables"],
            read_only=call.read_only,
            spent_seconds=call.spent_seconds,
            writing=call.writing,
            abandoned=call.abandoned,
        )
        with self.telemetry.tracing.operation() as span:
            answer = await self.service.answer(request)
            if span is not None:
                _describe(span, answer)
        headers = {"Cache-Control": UNTRANSFORMED} if answer.holds_secret else {}
        headers |= self.expiring_tokens.fields_for(answer.viewer)
        return CallAnswer(answer.body, answer.executed, headers, answer.summary)

    async def _recent_refusal(
        self, credential: Credential, head: UnreadRequest, before_look_up: Callable[[], None]
    ) -> tuple[str, str] | None:
        answer = await self.service.recent_refusal(
            credential, head.request_id, head.client_request_id, before_look_up=before_look_up
        )
        if answer is None:
            return None
        (error,) = answer.body["errors"]
        return error["extensions"]["code"], error["message"]

    def stopping(self) -> bool:
        """Whether the server was told to stop."""
        return self.connections.stopping

    async def checks(self) -> dict[str, bool]:
        """Whether the database can be reached, has the newest revision, and accepts writes.

        Raises exceptions of the driver that are not translated; for the gauges the database is then not up.
        """
        try:
            found = await self.database.probe(_state_of)
        except Exception as error:
            self.found = {**self.found, "database": False}
            if not isinstance(error, DatabaseUnavailable):
                raise
            return dict.fromkeys(CHECKS, False)
        self.found = found
        if not (found["writes"] and self.accepted_writes):  # each connection keeps the mode that it began with
            await self.database.forget_connections()
        self.accepted_writes = found["writes"]
        return found

    def graphiql_config(self) -> Mapping[str, object]:
        """Return the page's configuration: the demo users in development; in production the page asks for a token."""
        browsers = {"signIn": True} if self.settings.signs_in_browsers else {}
        if self.issuer is None:
            return {"mode": "production", **browsers}
        users = {user.email: user for user in demo.USERS}
        people = [
            {"role": user.role, "name": user.name, "email": user.email, "token": self._development_token(user.email)}
            for user in map(users.__getitem__, DEMO_SIGN_INS.values())
        ]
        return {"mode": "development", "people": people, "tabs": GRAPHIQL_TABS, **browsers}

    def _development_token(self, email: str) -> str:
        assert self.issuer is not None  # noqa: S101 - asked only in development
        audience = self.settings.audience or development.AUDIENCE
        return self.issuer.issue(email, lifetime_seconds=DEVELOPMENT_TOKEN_SECONDS, now=time(), audience=audience)

    async def _keys(self, stack: AsyncExitStack) -> StaticKeys | RemoteKeySet:
        if self.settings.jwks_url is None:
            self.issuer = development.DevelopmentIssuer.load_or_create(self.settings.home)
            return self.issuer.public_keys()
        http = await self._http(stack)
        keys = RemoteKeySet(
            self.settings.jwks_url,
            http,
            refresh_seconds=self.settings.key_ttl,
            failed=self.telemetry.metrics.key_set_failed,
        )
        stack.push_async_callback(keys.aclose)
        return keys

    async def _browser_sign_ins(self, stack: AsyncExitStack) -> BrowserSignIns:
        settings = self.settings
        secret, issuer = settings.oidc_client_secret, settings.provider_issuer
        assert issuer is not None and settings.oidc_client_id is not None  # noqa: S101, PT018 - the settings are complete
        registration = Registration(
            issuer=issuer,
            client_id=settings.oidc_client_id,
            client_secret=None if secret is None else secret.get_secret_value(),
            scopes=settings.oidc_scopes,
            redirect_uri=f"{settings.public_url}{CALLBACK}",
            signed_out_uri=f"{settings.public_url}{SIGNED_OUT}",
        )
        relying_party = RelyingParty(registration, await self._http(stack), key_seconds=settings.key_ttl)
        stack.push_async_callback(relying_party.aclose)
        return BrowserSignIns(
            relying_party,
            self.database,
            issuer=None if issuer == settings.configured_issuer else issuer,
            idle_seconds=settings.session_idle_seconds,
            lifetime_seconds=settings.session_seconds,
        )

    async def _http(self, stack: AsyncExitStack) -> httpx.AsyncClient:
        """Return a client for requests to the token issuer or the identity provider."""
        ca_file = self.settings.jwks_ca_file
        verify = True if ca_file is None else trusting(ca_file)
        transport = httpx.AsyncHTTPTransport(verify=verify, trust_env=False)
        observed = ObservedTransport(transport, self.telemetry.tracing)
        return await stack.enter_async_context(httpx.AsyncClient(transport=observed, trust_env=False))
