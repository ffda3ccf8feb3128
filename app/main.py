"""The composition root: creates the ASGI app from settings, with its routes, middleware and lifespan."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Mapping
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
from graphql import execute as reference_execute
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from app.admission import Admission, AnonymousBound
from app.auth import development
from app.auth.keys import KeySource, RemoteKeySet, trusting
from app.auth.verifier import Verifier
from app.db import demo
from app.db.connecting import check_bounds
from app.db.database import Database
from app.db.failures import DatabaseUnavailable
from app.db.migrate import is_current
from app.db.safety import check_app_role
from app.domain.payload import SHAPES, json_schema
from app.domain.vocabulary import Budget
from app.execution import BreadthFirst
from app.http.anonymous import AnonymousRequests
from app.http.answers import UniformAnswers
from app.http.body import BodyLimits
from app.http.connections import ConnectionLimits, Connections, descriptors, within_descriptors
from app.http.documents import document_route
from app.http.failures import Failures
from app.http.graphiql import graphiql_routes
from app.http.graphql import GraphQLEndpoint, HttpCall, UnreadRequest
from app.http.health import health_routes
from app.http.protocol import CONNECTIONS
from app.http.proxies import TrustedProxies
from app.http.refusals import TransportRefused
from app.http.slots import EXPOSED_FIELDS, SLOTS, RequestSlots
from app.limiting.limiter import Limiter
from app.limiting.stores import store_at
from app.operations.context import Measurements
from app.operations.housekeeping import run_housekeeping
from app.operations.mutation import Counted
from app.operations.registry import MUTATIONS
from app.query_cost.limits import DocumentLimits
from app.query_cost.price import PriceRules
from app.settings import Executor, SelfApprovalPolicy, Settings, exposure
from app.telemetry import Telemetry, start_telemetry, unwired_telemetry
from app.telemetry.metrics import CONTENT_TYPE, Metrics
from app.telemetry.requests import ObservedRequests
from app.telemetry.tracing import NOTHING
from app.version import VERSION
from graphql_schema.allowance import ENDING
from graphql_schema.errors import DEADLINE_MESSAGE, INTERNAL_MESSAGE
from graphql_schema.requests import Request
from graphql_schema.schema import schema
from graphql_schema.service import Service, Watch

GRAPHIQL_DIST = Path(__file__).parent.parent / "web" / "dist"
START_SECONDS = 10.0
"""Seconds within which the database must answer at the start."""
DEVELOPMENT_TOKEN_SECONDS = 12 * 60 * 60
YOUNG_OBJECTS = 10_000  # allocations minus frees before a collection; Python's default is 700
# The survivors of two young collections are collected together, in up to 40 ms; those of eleven took 150 ms. After a
# thousand of these, all objects are collected, caches included, in 200 ms.
YOUNG_COLLECTIONS, MIDDLE_COLLECTIONS = 1, 1_000

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
    runtime = Runtime(settings, watching)
    endpoint = GraphQLEndpoint(runtime.admit, runtime.answer, limits=BodyLimits(size=settings.limit_body_bytes))
    routes: list[BaseRoute] = [
        Route("/graphql", endpoint),
        Route("/graphql/", endpoint),
        *health_routes(runtime.checks, runtime.stopping),
        document_route("/metrics", watching.metrics.render, CONTENT_TYPE),
        *map(payload_schema_route, SHAPES),
    ]
    if settings.shows_graphiql:
        routes += graphiql_routes(GRAPHIQL_DIST, runtime.graphiql_config)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, object]]:
        async with AsyncExitStack() as stack:
            await runtime.start(stack)
            yield {CONNECTIONS: runtime.connections, SLOTS: runtime.slots()}

    app = Starlette(
        routes=routes, middleware=_middleware(settings, watching, runtime.bound.count_request), lifespan=lifespan
    )
    # A redirect would name the scheme of the connection, which behind a proxy is not the client's.
    app.router.redirect_slashes = False
    return app


def _middleware(settings: Settings, telemetry: Telemetry, count_anonymous: Callable[[Scope], None]) -> list[Middleware]:
    """Return the middleware, from the outside in.

    Every answer passes the request's id, and CORS, so that a page can read refusals and failures as well.
    """
    proxies = Middleware(TrustedProxies, networks=settings.trusted_proxies or ())
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.origins,
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["authorization", "content-type", "x-request-id"],
        expose_headers=EXPOSED_FIELDS,
        max_age=600,
    )
    return [
        *([proxies] if settings.trusted_proxies else []),
        Middleware(UniformAnswers),
        Middleware(ObservedRequests, tracing=telemetry.tracing),
        *([cors] if settings.origins else []),
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
    app = create_app(settings, start_telemetry(service_version=VERSION, environment=settings.env.value, sentry_dsn=dsn))
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
    path = f"/schemas/provisioning-payload-{version}.json"
    return document_route(path, lambda: orjson.dumps(json_schema(version)), "application/schema+json")


def connections_of(settings: Settings, metrics: Metrics) -> Connections:
    """Return the clients' connections to this process; there are none yet."""
    limits = ConnectionLimits(
        total=settings.limit_connections,
        per_address=settings.limit_connections_per_address,
        head_seconds=settings.limit_header_seconds,
        body_seconds=settings.limit_body_seconds,
        write_seconds=settings.limit_write_seconds,
        keep_alive_seconds=settings.keep_alive_seconds,
        exempt=settings.trusted_proxies or (),
    )
    connections = Connections(within_descriptors(limits, descriptors()), metrics.connection_refused)
    metrics.watch_connections(lambda: len(connections))
    return connections


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _executor(settings: Settings, telemetry: Telemetry) -> Callable[..., Any]:
    """Return the breadth-first executor or, as the reference, graphql-core's. Both create a span per resolved field."""
    if settings.executor is Executor.REFERENCE:
        telemetry.tracing.trace_root_fields(schema._schema)
        return reference_execute
    tracing = telemetry.tracing

    def observed(path: tuple[str, ...], parent_type: str, field_name: str, count: int) -> Any:
        span = tracing.field_observer(parent_type, field_name, path, count)
        return None if span is NOTHING else span

    native: dict[str, set[type]] = {
        "DateTime": {datetime},
        "Time": {time_of_day},
    }  # orjson formats them as Strawberry's scalars do
    engine = BreadthFirst(
        observer=observed if tracing.tracer else None,
        native=native,
        sequential_batches=True,
        allowance=attrgetter("allowance"),
        ending=ENDING,
    )
    return engine.execute


async def _state_of(connection: Any) -> dict[str, bool]:
    """Return the checks of a database that answers."""
    writes = await connection.fetchval("SELECT current_setting('transaction_read_only') = 'off'")
    return {"database": True, "migrations": await is_current(connection), "writes": writes}


def _watch(telemetry: Telemetry) -> Watch:
    metrics = telemetry.metrics
    return Watch(
        observe=telemetry.tracing.observer,
        security_event=lambda kind, _user: metrics.security_event(kind),
        answered=lambda operation, whole, seconds: metrics.request(operation, "ok" if whole else "error", seconds),
        failed=metrics.error,
        denied=metrics.permission_denied,
        performed=partial(_count, metrics),
    )


def _limiter(settings: Settings, metrics: Metrics) -> Limiter:
    """Return the limiter with the budgets of the settings, by name."""
    limits = {budget.value: getattr(settings, f"limit_{budget.lower()}") for budget in Budget}
    url = settings.redis_url.get_secret_value() if settings.redis_url else None
    return Limiter(limits, store_at(url), failed=metrics.limiter_failed)


def _count(metrics: Metrics, mutation: str, outcome: str, measurements: Measurements) -> None:
    """Count what a mutation declares, and every transition past a lock."""
    counts = MUTATIONS[mutation].counts
    if Counted.SUBMISSIONS in counts:
        metrics.submission(outcome)
    if Counted.BULK_ITEMS in counts:
        metrics.bulk_item(mutation, outcome)
    if Counted.APPROVAL_WAITING_TIME in counts and measurements.waited_seconds is not None:
        metrics.approval_processed(measurements.waited_seconds)
    if Counted.OVERRIDES_OPENED in counts and outcome == "APPLIED":
        metrics.override_opened()
    if measurements.past_lock:
        metrics.passed_lock(mutation)


class Runtime:
    """The objects that exist while the server runs, and the callables of the routes."""

    connections: Connections
    database: Database
    admission: Admission
    service: Service
    issuer: development.DevelopmentIssuer | None = None
    accepted_writes = True
    """Whether the database accepted writes at the last check."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self.settings = settings
        self.telemetry = telemetry
        self.bound = AnonymousBound(settings.limit_anonymous)

    async def start(self, stack: AsyncExitStack) -> None:
        """Open all resources; `stack` closes them. Raises if the database is not fit to serve."""
        settings, telemetry = self.settings, self.telemetry
        assert settings.database_url is not None, "the command line finds a database before it serves"  # noqa: S101 - for mypy
        self.connections = connections_of(settings, telemetry.metrics)
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
            telemetry.metrics.watch_pool(self.database.usage)
            stack.push_async_callback(self.database.close)
            async with self.database.connection() as connection:
                await check_app_role(connection)
                await check_bounds(connection)
        housekeeping = asyncio.create_task(run_housekeeping(self.database))
        stack.push_async_callback(_ended, housekeeping)
        verifier = Verifier(
            issuer=settings.issuer or development.ISSUER,
            audience=settings.audience or development.AUDIENCE,
            keys=await self._keys(stack),
        )
        limiter = _limiter(settings, telemetry.metrics)
        stack.push_async_callback(limiter.close)
        self.service = Service(
            schema._schema,
            self.database,
            _watch(telemetry),
            limiter,
            limits=DocumentLimits(),
            prices=PriceRules(maximum=settings.limit_price),
            deadline_seconds=settings.limit_deadline_seconds,
            self_approval_allowed=settings.self_approval is SelfApprovalPolicy.ALLOW,
            execute=_executor(settings, telemetry),
        )
        stack.push_async_callback(self.service.close)
        self.admission = Admission(verifier, self.bound, self._recent_refusal)

    def slots(self) -> RequestSlots:
        """Return the slots for requests in progress; all are free."""
        settings, metrics = self.settings, self.telemetry.metrics
        slots = RequestSlots(
            settings.most_requests,
            burst=settings.limit_request_burst,
            user_of=self.admission.known_subject,
            floods=self.bound.is_used_up,
            waiting=self.database.waiting_in_bulkheads,
            refused=metrics.request_refused,
            origins=settings.origins,
        )
        metrics.watch_requests(lambda: len(slots))
        return slots

    async def admit(self, head: UnreadRequest) -> str:
        """Return the subject of a request's token. Raises TransportRefused, after the deadline at the latest."""
        try:
            async with asyncio.timeout(self.settings.limit_deadline_seconds):
                return await self.admission.subject(head)
        except TimeoutError:
            raise TransportRefused("TIMEOUT", DEADLINE_MESSAGE) from None

    async def answer(self, call: HttpCall) -> tuple[dict[str, Any], bool]:
        """Pass the request to the service."""
        answer = await self.service.answer(
            Request(
                subject=call.subject,
                claimed_user_id=call.head.field(b"x-user-id"),
                claimed_role=call.head.field(b"x-user-role"),
                request_id=call.head.request_id,
                client_request_id=call.head.client_request_id,
                query=call.parameters["query"],
                operation_name=call.parameters["operationName"],
                variables=call.parameters["variables"],
                read_only=call.read_only,
                spent_seconds=call.spent_seconds,
                writing=call.writing,
            )
        )
        return answer.body, answer.executed

    async def _recent_refusal(self, subject: str, head: UnreadRequest) -> tuple[str, str] | None:
        answer = await self.service.recent_refusal(subject, head.request_id, head.client_request_id)
        if answer is None:
            return None
        (error,) = answer.body["errors"]
        return error["extensions"]["code"], error["message"]

    def stopping(self) -> bool:
        """Whether the server was told to stop."""
        return self.connections.stopping

    async def checks(self) -> dict[str, bool]:
        """Whether the database can be reached, has the newest revision, and accepts writes."""
        try:
            found = await self.database.probe(_state_of)
        except DatabaseUnavailable:
            return {"database": False, "migrations": False, "writes": False}
        if not (found["writes"] and self.accepted_writes):  # each connection keeps the mode that it began with
            await self.database.forget_connections()
        self.accepted_writes = found["writes"]
        return found

    def graphiql_config(self) -> Mapping[str, object]:
        """Return the page's configuration: the demo users in development; in production the page asks for a token."""
        if self.issuer is None:
            return {"mode": "production"}
        users = {user.email: user for user in demo.USERS}
        people = [
            {"role": user.role, "name": user.name, "email": user.email, "token": self._development_token(user.email)}
            for user in map(users.__getitem__, DEMO_SIGN_INS.values())
        ]
        return {"mode": "development", "people": people, "tabs": GRAPHIQL_TABS}

    def _development_token(self, email: str) -> str:
        assert self.issuer is not None  # noqa: S101 - asked only in development
        audience = self.settings.audience or development.AUDIENCE
        return self.issuer.issue(email, lifetime_seconds=DEVELOPMENT_TOKEN_SECONDS, now=time(), audience=audience)

    async def _keys(self, stack: AsyncExitStack) -> KeySource:
        if self.settings.jwks_url is None:
            self.issuer = development.DevelopmentIssuer.load_or_create(self.settings.home)
            return self.issuer.public_keys()
        ca_file = self.settings.jwks_ca_file
        verify = True if ca_file is None else trusting(ca_file)
        client = await stack.enter_async_context(httpx.AsyncClient(verify=verify, trust_env=False))
        keys = RemoteKeySet(self.settings.jwks_url, client)
        stack.push_async_callback(keys.aclose)
        return keys
