"""The line of a request in the log, and its count in the metrics."""

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from starlette.types import Scope

from app.telemetry.logging import VETTED
from app.telemetry.metrics import FAILED, NONE, OTHER, REFUSED, Metrics

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
OTHER_METHOD = "_OTHER"
"""The name of every method that is not in METHODS."""
PREFLIGHT = "OPTIONS"
"""The method of a request that asks whether another one is allowed."""

ANSWERED, ABANDONED = "request.answered", "request.abandoned"
"""The messages of the line of a request: it has an answer, or its client has left before."""

log = logging.getLogger("turnup.requests")


class RequestSummary(Protocol):
    """What the log and the metrics take from the answer of a GraphQL request."""

    @property
    def outcome(self) -> str:
        """`ok`, `refused` or `failed`."""

    @property
    def codes(self) -> Collection[str]:
        """The distinct codes of the errors."""

    @property
    def fields(self) -> Mapping[str, tuple[str, Collection[str]]]:
        """The outcome and the codes of each executed root field."""

    @property
    def role(self) -> str | None:
        """The role of the signed-in user."""

    @property
    def trusted(self) -> bool | None:
        """Whether the document is one of the trusted documents; None if there are none, or it is not known."""

    @property
    def operation_name(self) -> str | None:
        """The name of the operation, which only of a trusted document is not the client's."""

    def facts(self) -> Mapping[str, object]:
        """Return all facts for the line in the log: ids, names, codes and numbers."""


class UnseenRefusal(Protocol):
    """An answer to a request that the application has not seen; method and path are None if they were not read."""

    @property
    def method(self) -> str | None: ...
    @property
    def path(self) -> str | None: ...
    @property
    def status(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def own_share(self) -> bool: ...


class RequestLog:
    """Writes one line per request, and counts it."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        paths: Collection[str],
        graphql: Collection[str],
        quiet: Collection[str],
        code_of: Callable[[int], str],
        outcome_of: Callable[[Collection[str], bool], str],
    ) -> None:
        """`paths` are the paths without parameters, `graphql` those of the API, `quiet` those that log at DEBUG
        unless the request is refused.

        `code_of` returns the code of a refusal without one by its status, `outcome_of` the outcome by the codes and by
        whether the client used up its own share.
        """
        self._metrics = metrics
        self._paths = frozenset(paths)
        self._graphql = frozenset(graphql)
        self._quiet = frozenset(quiet)
        self._code_of = code_of
        self._outcome_of = outcome_of

    def ended(self, scope: Scope, status: int | None, lasted: float, sending: float, *, crashed: bool) -> None:
        """Report a request that the application has seen to its end.

        `status` is that of its response, None if it has none. The request lasted so many seconds, of which the sending
        of the response took the last ones. `crashed` is whether an exception ended it.
        """
        state = scope.get("state", {})
        with_client = state.get("receive_seconds", 0.0) + sending
        seconds = lasted - with_client
        refused, own_share = state.get("refused"), state.get("own_share", False)
        route = self._route(scope) if refused is None else NONE
        method = _method(scope["method"])
        facts: dict[str, object] = {
            "method": method,
            "route": route,
            "duration_ms": round(seconds * 1000, 1),
            "client_ms": round(with_client * 1000, 1),
        }
        if refused is not None:
            status, code = refused
            self._answered(facts, scope["path"], status, (code,), seconds=seconds, own_share=own_share)
        elif crashed:
            self._answered(facts, scope["path"], status or 500, ("INTERNAL",), seconds=seconds)
        elif status is None:
            self._metrics.abandoned()
            known = state.get("abandoned", {})
            if (role := known.get("role")) is not None:
                self._metrics.signed_in_request(role)
            self._write(logging.INFO, ABANDONED, {**facts, **known})
        elif (summary := state.get("summary")) is not None:
            self._answered(facts, scope["path"], status, summary.codes, seconds=seconds, summary=summary)
        else:
            code = state.get("code") or (self._code_of(status) if status >= 400 else None)
            self._answered(facts, scope["path"], status, (code,) if code else (), seconds=seconds, own_share=own_share)

    def refused(self, refusal: UnseenRefusal) -> None:
        """Report an answer to a request that the application has not seen."""
        facts: dict[str, object] = {"method": _method(refusal.method), "route": NONE, "request_id": refusal.request_id}
        self._answered(facts, refusal.path, refusal.status, (refusal.code,), own_share=refusal.own_share)

    def _answered(
        self,
        facts: dict[str, object],
        path: str | None,
        status: int,
        codes: Collection[str],
        *,
        seconds: float | None = None,
        summary: RequestSummary | None = None,
        own_share: bool = False,
    ) -> None:
        """Count an answer and write its line. `seconds` is None if no time was measured."""
        outcome = self._outcome_of(codes, own_share) if summary is None else summary.outcome
        self._metrics.response(str(facts["route"]), status)
        if path in self._graphql and facts["method"] != PREFLIGHT:
            executed = summary.fields if summary is not None else {}
            self._metrics.request(outcome, executed or {NONE: (outcome, codes)}, seconds)
            if summary is not None and summary.role is not None:
                self._metrics.signed_in_request(summary.role)
            if summary is not None and summary.trusted:
                self._metrics.trusted_request(summary.operation_name or NONE, outcome)
        facts |= {"status": status, "outcome": outcome}
        if codes:
            facts["codes"] = list(codes)
        if summary is not None:
            facts |= summary.facts()
        self._write(self._level(path, outcome), ANSWERED, facts)

    def _level(self, path: str | None, outcome: str) -> int:
        """Return the level of a line. Refusals of quiet requests are shown: they may be guesses of the token."""
        if path in self._quiet and outcome != REFUSED:
            return logging.DEBUG
        return logging.WARNING if outcome == FAILED else logging.INFO

    def _write(self, level: int, message: str, facts: Mapping[str, object]) -> None:
        if log.isEnabledFor(level):
            # Not `log.log`, which looks for its caller: that takes longer than all the rest.
            log.handle(log.makeRecord(log.name, level, __file__, 0, message, (), None, extra={VETTED: facts}))

    def _route(self, scope: Scope) -> str:
        """Return the path of the route; for a request that was answered before it was routed, its path if that is one.

        Every other path is OTHER.
        """
        route = getattr(scope.get("route"), "path", None)
        if route is not None:
            return str(route)
        return scope["path"] if scope["path"] in self._paths else OTHER


def _method(sent: str | None) -> str:
    return sent if sent in METHODS else OTHER_METHOD
