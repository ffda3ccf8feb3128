"""Each alert fires, is silent just below its threshold, and resolves: promtool evaluates the rules on made-up series.

promtool's time starts on Thursday, 1 January 1970, at 00:00 UTC. The order of the groups of rules is not defined, so a
rule may see what another group recorded one step before.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.needs import needs

from .rules import CONFIGURATION, RULES, alerts

pytestmark = pytest.mark.slow

STEP = 15
"""Seconds between two samples, and between two evaluations; Prometheus scrapes less often."""
LEAD = "IMPLEMENTATION_LEAD"
HOUR, DAY = 60, 1_440  # minutes
ABSENT = "_"


@dataclass(frozen=True, slots=True)
class Case:
    """An alert on series. `firing` and `silent` are minutes after the start; `step` is in seconds.

    `offset` is the local time of the rules, in hours ahead of UTC.
    """

    alert: str
    claim: str
    series: Mapping[str, str]
    firing: tuple[float, ...] = ()
    silent: tuple[float, ...] = ()
    step: int = STEP
    offset: int = 0


def series(name: str, **labels: str) -> str:
    """Return the name of a series of one server."""
    given = {"job": "turnup", "instance": "a:8001", **labels}
    prefix = "" if name == "up" else "turnup_"
    return f"{prefix}{name}{{{','.join(f'{label}={json.dumps(value)}' for label, value in given.items())}}}"


def level(*parts: tuple[float | str, float], step: int = STEP) -> str:
    """Return the values of a gauge that has each value for so many minutes."""
    return " ".join(str(value) for value, minutes in parts for _ in range(round(minutes * 60 / step)))


def counter(*parts: tuple[float, float], step: int = STEP, restart_after: int | None = None) -> str:
    """Return the values of a counter that grows by so much per minute for so many minutes.

    It starts again at 0 after `restart_after` parts.
    """
    value, values = 0.0, []
    for number, (per_minute, minutes) in enumerate(parts):
        if number == restart_after:
            value = 0.0
        for _ in range(round(minutes * 60 / step)):
            values.append(f"{value:g}")
            value += per_minute * step / 60
    return " ".join(values)


def burst(size: float, at: float, until: float) -> str:
    """Return the values of a counter that is 0 from the start, and grows by `size` once, after `at` minutes."""
    return level((0, at), (size, until - at))


OK, FAILED = (
    series("graphql_requests_total", outcome="ok"),
    series("graphql_requests_total", outcome="failed"),
)


def durations(slow: float, quick: float) -> dict[str, str]:
    """Return the series of requests of which so many per minute take between 2 and 5 s, and so many at most 0.1 s."""
    name, span = "graphql_request_duration_seconds", 20
    return {
        series(f"{name}_bucket", le="0.1"): counter((quick, span), (quick, span)),
        series(f"{name}_bucket", le="2.0"): counter((quick, span), (quick, span)),
        series(f"{name}_bucket", le="5.0"): counter((quick + slow, span), (quick, span)),
        series(f"{name}_bucket", le="+Inf"): counter((quick + slow, span), (quick, span)),
        series(f"{name}_count"): counter((quick + slow, span), (quick, span)),
        # By field, another one's quick requests count for twenty.
        series("request_duration_seconds_bucket", field="viewer", le="0.1"): counter((20 * quick, 2 * span)),
        series("request_duration_seconds_bucket", field="viewer", le="+Inf"): counter((20 * quick, 2 * span)),
    }


def waiting(submitted: int, until: int, *seen: int, step: int = 60) -> dict[str, str]:
    """Return the series of an approval that waits from one minute to another, with requests of leads at minutes."""
    minutes = range(0, until + HOUR, step // 60)
    ages = [f"{60 * (minute - submitted)}" if submitted <= minute < until else "0" for minute in minutes]
    numbers = ["1" if submitted <= minute < until else "0" for minute in minutes]
    requests = [f"{sum(moment <= minute for moment in seen)}" for minute in minutes]
    return {
        series("approvals_oldest_seconds"): " ".join(ages),
        series("approvals_waiting"): " ".join(numbers),
        series("signed_in_requests_total", role=LEAD): " ".join(requests),
    }


def denied(*parts: tuple[float, float], step: int = 60) -> dict[str, str]:
    """Return the series of refused fields, per minute."""
    return {series("permission_denied_total", field="Location.devices"): counter(*parts, step=step)}


def bulk(applied: float, refused: float) -> dict[str, str]:
    """Return the series of a bulk call after five minutes."""
    return {
        series("bulk_items_total", mutation="bulkApprove", outcome="APPLIED"): burst(applied, 5, 30),
        series("bulk_items_total", mutation="bulkApprove", outcome="NotReady"): burst(refused, 5, 30),
    }


def calls(applied: float, refused: float) -> dict[str, str]:
    """Return the series of bulk calls after five minutes, some of them refused as a whole."""
    return {
        series("bulk_calls_total", mutation="bulkApprove", outcome="APPLIED"): burst(applied, 5, 30),
        series("bulk_calls_total", mutation="bulkApprove", outcome="INVALID_INPUT"): burst(refused, 5, 30),
    }


UP = {series("up"): level((1, 30))}
VERIFIED = series("audit_verification_age_seconds")

CASES = (
    Case(
        "TurnupServerDown",
        "fires after a minute without an answer, and resolves with the first answer",
        {series("up"): level((1, 2), (0, 3), (1, 5))},
        firing=(3.25, 4.5),
        silent=(1, 2.75, 5.25),
    ),
    Case(
        "TurnupServerDown",
        "is silent about one lost scrape",
        {series("up"): level((1, 2), (0, 0.5), (1, 5))},
        (),
        (2.25, 3.5),
    ),
    Case("TurnupServerDown", "fires if Prometheus knows no server", {}, firing=(2,)),
    Case(
        "TurnupDatabaseDown",
        "fires after a minute, and resolves",
        {series("database_up"): level((1, 2), (0, 3), (1, 5))},
        firing=(3.25, 4.5),
        silent=(1, 2.75, 5.25),
    ),
    Case("TurnupDatabaseDown", "is silent without the series", UP, silent=(5, 20)),
    Case(
        "TurnupDatabaseReadOnly",
        "fires after a minute, and resolves",
        {series("database_writes"): level((1, 2), (0, 3), (1, 5)), series("database_up"): level((1, 10))},
        firing=(3.25, 4.5),
        silent=(1, 2.75, 5.25),
    ),
    Case(
        "TurnupDatabaseReadOnly",
        "is silent while the database is down, which has an alert of its own",
        {series("database_writes"): level((0, 12)), series("database_up"): level((0, 12))},
        silent=(2, 11),
    ),
    Case(
        "TurnupMigrationsMissing",
        "fires after five minutes, and resolves",
        {series("migrations_current"): level((0, 7), (1, 5)), series("database_up"): level((1, 12))},
        firing=(5.25, 6.5),
        silent=(4.5, 7.25),
    ),
    Case(
        "TurnupMigrationsMissing",
        "is silent while the database is down, which has an alert of its own",
        {series("migrations_current"): level((0, 12)), series("database_up"): level((0, 12))},
        silent=(6, 11),
    ),
    Case(
        "TurnupLimiterDown",
        "fires after a minute, and resolves",
        {series("limiter_up"): level((1, 2), (0, 3), (1, 5))},
        firing=(3.25, 4.5),
        silent=(1, 2.75, 5.25),
    ),
    Case(
        "TurnupKeySetDown",
        "fires after two minutes, and resolves",
        {series("key_set_up"): level((1, 2), (0, 4), (1, 5))},
        firing=(4.25, 5.5),
        silent=(1, 3.75, 6.25),
    ),
    Case(
        "TurnupPoolExhausted",
        "fires if requests wait all the time, and resolves when none waits",
        {series("pool_waiting"): level((0, 5), (3, 5), (0, 5))},
        firing=(8.5, 9.5),
        silent=(4, 6.75, 10.25),
    ),
    Case(
        "TurnupPoolExhausted",
        "is silent if the queue becomes empty in between",
        {series("pool_waiting"): level(*[(3, 1.5), (0, 0.25)] * 8)},
        silent=(3, 5, 9, 13),
    ),
    Case(
        "TurnupPoolExhausted",
        "fires if requests are refused without a connection",
        {series("pool_refused_total"): burst(8, 5, 30)},
        firing=(6.5, 9),
        silent=(4.5, 11),
    ),
    Case(
        "TurnupPoolExhausted",
        "is silent about four refusals",
        {series("pool_refused_total"): burst(4, 5, 30)},
        (),
        (6.5, 9),
    ),
    Case(
        "TurnupGaugesStale",
        "fires when they were not measured for five minutes, and resolves",
        {series("gauges_age_seconds"): level((60, 5), (300, 5), (301, 5), (20, 5))},
        firing=(12.25, 14.5),
        silent=(9.5, 11.5, 15.25),
    ),
    Case("TurnupGaugesStale", "is silent without the series", UP, silent=(5, 20)),
    Case(
        "TurnupTelemetryDropped",
        "fires for the signal that was lost, and resolves",
        {series("telemetry_dropped_total", signal="traces"): burst(1, 5, 30)},
        firing=(5.25, 15),
        silent=(4.5, 21),
    ),
    Case(
        "TurnupTelemetryDropped",
        "fires for one line of the log that was lost",
        {series("telemetry_dropped_total", signal="logs"): burst(1, 5, 30)},
        firing=(5.25, 15),
        silent=(4.5, 21),
    ),
    Case(
        "TurnupTelemetryDropped",
        "is silent about three exports of metrics that failed, as the next one has their values",
        {series("telemetry_dropped_total", signal="metrics"): burst(3, 5, 30)},
        silent=(5.25, 15),
    ),
    Case(
        "TurnupTelemetryDropped",
        "fires if every export of metrics fails, and resolves",
        {series("telemetry_dropped_total", signal="metrics"): counter((0, 5), (1, 20), (0, 20))},
        firing=(12, 25),
        silent=(4.5, 6, 44),
    ),
    Case(
        "TurnupEmbeddedDatabaseRestarted",
        "fires for fifteen minutes",
        {series("embedded_restarts_total"): burst(1, 5, 30)},
        firing=(5.25, 15),
        silent=(4.5, 21),
    ),
    Case(
        "TurnupErrorRate",
        "fires at 5.1 percent, however many are refused or have many fields, and resolves",
        {
            OK: counter((94.9, 20), (100, 20)),
            FAILED: counter((5.1, 20), (0, 20)),
            series("graphql_requests_total", outcome="refused"): counter((5_000, 40)),
            series("requests_total", field="viewer", outcome="ok"): counter((2_000, 40)),
        },
        firing=(10, 19),
        silent=(26,),
    ),
    Case(
        "TurnupErrorRate",
        "is silent at 4.9 percent",
        {OK: counter((95.1, 20)), FAILED: counter((4.9, 20))},
        silent=(5, 10, 19),
    ),
    Case(
        "TurnupErrorRate",
        "sees the first burst of failures after a start",
        {OK: counter((0, 30)), FAILED: burst(20, 5, 30)},
        firing=(6.5, 9.5),
        silent=(4.5, 11),
    ),
    Case(
        "TurnupErrorRate",
        "is silent about one failure of two requests",
        {OK: burst(1, 5, 30), FAILED: burst(1, 5, 30)},
        silent=(6, 7, 9),
    ),
    Case(
        "TurnupErrorRate",
        "sees failures through a restart, which begins the counters again",
        {OK: counter((60, 6), (60, 10), restart_after=1), FAILED: counter((10, 6), (10, 10), restart_after=1)},
        firing=(5, 6, 7, 8, 15),
    ),
    Case(
        "TurnupErrorRate",
        "takes no restart for failures",
        {OK: counter((60, 6), (60, 10), restart_after=1), FAILED: counter((1, 6), (1, 10), restart_after=1)},
        silent=(5, 6, 6.25, 7, 8, 15),
    ),
    Case("TurnupErrorRate", "is silent without the series", UP, silent=(5, 20)),
    Case(
        "TurnupInternalError",
        "fires at the first one, and resolves",
        {series("unexpected_exceptions_total", logger="turnup.graphql"): burst(1, 5, 30)},
        firing=(5.25, 9),
        silent=(4.5, 11),
    ),
    Case(
        "TurnupInternalError",
        "is silent about what happened before the first scrape of a new target, and fires at the next one",
        {series("unexpected_exceptions_total", logger="turnup.graphql"): level((1, 5), (2, 10))},
        firing=(5.25, 9),
        silent=(0.25, 4.5, 11),
    ),
    Case(
        "TurnupInternalError",
        "fires if the first one after a restart is before the first scrape",
        {series("unexpected_exceptions_total", logger="turnup.graphql"): level((0, 5), (ABSENT, 1), (1, 10))},
        firing=(6.25, 9),
        silent=(4.5, 11.5),
    ),
    Case(
        "TurnupInternalError",
        "fires at the first one of a worker that ended",
        {series("unexpected_exceptions_total", logger="turnup.serving"): burst(1, 5, 30)},
        firing=(5.25, 9),
        silent=(4.5, 11),
    ),
    Case(
        "TurnupInternalError",
        "is silent about refusals",
        {series("errors_total", field="location", code="NOT_FOUND"): burst(50, 5, 30)},
        silent=(5.25, 9),
    ),
    *(
        Case(
            "TurnupPagesFail",
            f"fires if sign-in is answered {status}, and resolves",
            {series("responses_total", route="/auth/login", status=status): burst(7, 5, 30)},
            firing=(5.25, 9),
            silent=(4.5, 11),
        )
        for status in ("500", "503")
    ),
    Case(
        "TurnupPagesFail",
        "is silent about four, about refusals, and about the routes that have alerts of their own",
        {
            series("responses_total", route="/auth/login", status="500"): burst(4, 5, 30),
            series("responses_total", route="/auth/callback", status="400"): burst(50, 5, 30),
            series("responses_total", route="/graphql", status="503"): burst(50, 5, 30),
            series("responses_total", route="/graphql/", status="500"): burst(50, 5, 30),
            series("responses_total", route="/readyz", status="503"): burst(50, 5, 30),
            series("responses_total", route="none", status="503"): burst(50, 5, 30),
        },
        silent=(5.25, 9),
    ),
    Case(
        "TurnupSlow",
        "fires if 6 percent take longer than 2 s, and resolves",
        durations(6, 94),
        firing=(10, 19),
        silent=(1, 26),
    ),
    Case("TurnupSlow", "is silent if 4 percent take longer than 2 s", durations(4, 96), silent=(10, 19)),
    Case(
        "TurnupSlow",
        "is silent about three slow requests of fifteen in five minutes",
        durations(0.6, 2.4),
        silent=(10, 19),
    ),
    Case(
        "TurnupOverloaded",
        "fires if more than five are refused, and resolves",
        {series("requests_refused_total", reason="server"): burst(8, 5, 30)},
        firing=(6.5, 9),
        silent=(4.5, 11),
    ),
    Case(
        "TurnupOverloaded",
        "is silent about four, and about refusals of one user",
        {
            series("requests_refused_total", reason="server"): burst(4, 5, 30),
            series("requests_refused_total", reason="user"): burst(100, 5, 30),
        },
        silent=(6.5, 9),
    ),
    Case(
        "TurnupClientsThrottled",
        "fires if many requests of a client are refused, and resolves",
        {series("requests_refused_total", reason="user"): burst(25, 5, 30)},
        firing=(5.25, 9),
        silent=(4.5, 11),
    ),
    Case(
        "TurnupClientsThrottled",
        "fires if many connections are refused, and resolves",
        {series("connections_refused_total", reason="address_limit"): burst(25, 5, 30)},
        firing=(5.25, 9),
        silent=(4.5, 11),
    ),
    Case(
        "TurnupClientsThrottled",
        "is silent about a few, and about malformed requests",
        {
            series("requests_refused_total", reason="user"): burst(15, 5, 30),
            series("connections_refused_total", reason="malformed"): burst(100, 5, 30),
        },
        silent=(5.25, 9),
    ),
    Case(
        "TurnupClientsLeave",
        "fires if a tenth of the clients leaves, and resolves",
        {series("requests_abandoned_total"): burst(25, 5, 30), OK: burst(250, 5, 30)},
        firing=(5.25, 9),
        silent=(4.5, 11),
    ),
    Case(
        "TurnupClientsLeave",
        "is silent about 25 of a thousand",
        {series("requests_abandoned_total"): burst(25, 5, 30), OK: burst(1_000, 5, 30)},
        silent=(5.25, 9),
    ),
    Case(
        "TurnupClientsLeave",
        "is silent about 15 of 15",
        {series("requests_abandoned_total"): burst(15, 5, 30), OK: burst(15, 5, 30)},
        silent=(5.25, 9),
    ),
    Case(
        "TurnupBulkFailures",
        "fires if a quarter of the items is refused, and resolves",
        bulk(60, 20),
        firing=(5.25, 15),
        silent=(4.5, 21),
    ),
    Case("TurnupBulkFailures", "is silent if a sixth is refused", bulk(100, 20), silent=(5.25, 15)),
    Case("TurnupBulkFailures", "is silent about eight refused items of eight", bulk(0, 8), silent=(5.25, 15)),
    Case(
        "TurnupBulkFailures",
        "fires if every call of a client is refused as a whole, and resolves",
        calls(0, 5),
        firing=(5.25, 15),
        silent=(4.5, 21),
    ),
    Case("TurnupBulkFailures", "is silent if a sixth of the calls is refused", calls(25, 5), silent=(5.25, 15)),
    Case("TurnupBulkFailures", "is silent about two refused calls of two", calls(0, 2), silent=(5.25, 15)),
    Case(
        "TurnupBulkFailures",
        "fires if one whole call fails, and resolves",
        {series("requests_total", field="bulkApprove", outcome="failed"): burst(1, 5, 30)},
        firing=(5.25, 15),
        silent=(4.5, 21),
    ),
    Case(
        "TurnupBulkFailures",
        "is silent about other mutations",
        {series("requests_total", field="approve", outcome="failed"): burst(5, 5, 30)},
        silent=(5.25, 15),
    ),
    Case(
        "TurnupPermissionDeniedSpike",
        "fires at the first spike, and resolves",
        denied((0, 5), (10, 5), (0, 20)),
        firing=(9, 12),
        silent=(4, 25),
        step=60,
    ),
    Case(
        "TurnupPermissionDeniedSpike",
        "is silent about fifteen",
        denied((0, 5), (3, 5), (0, 20)),
        silent=(9, 12),
        step=60,
    ),
    Case(
        "TurnupPermissionDeniedSpike",
        "is silent at three times the average of the day, and fires at seven times",
        denied((2, DAY), (6, 20), (14, 20), step=300),
        firing=(DAY + 35,),
        silent=(DAY - 60, DAY + 15),
        step=300,
    ),
    Case(
        "TurnupSecurityEvent",
        "fires at the first one, and resolves",
        {series("security_events_total", kind="unknown_user"): burst(1, 5, 30)},
        firing=(5.25, 15),
        silent=(4.5, 21),
    ),
    *(
        Case(
            "TurnupSignInsFail",
            f"fires if {why}, and resolves",
            {series("sign_ins_total", outcome=outcome): burst(8, 5, 30)},
            firing=(5.25, 15),
            silent=(4.5, 21),
        )
        for why, outcome in (("the provider is out of reach", "provider_unavailable"), ("the code fails", "failed"))
    ),
    *(
        Case(
            "TurnupSignInsFail",
            f"is silent about four requests of a stranger: {outcome}",
            {series("sign_ins_total", outcome=outcome): burst(4, 5, 30)},
            silent=(5.25, 15),
        )
        for outcome in ("other_origin", "response_refused", "refused_by_provider", "provider_unavailable")
    ),
    Case(
        "TurnupSignInsFail",
        "is silent if more people get in than forged responses are refused",
        {
            series("sign_ins_total", outcome="response_refused"): burst(20, 5, 30),
            series("sign_ins_total", outcome="signed_in"): burst(25, 5, 30),
        },
        silent=(5.25, 15),
    ),
    Case(
        "TurnupSignInsFail",
        "is silent about people who cancel or are unknown",
        {
            series("sign_ins_total", outcome="cancelled"): burst(9, 5, 30),
            series("sign_ins_total", outcome="unknown_user"): burst(9, 5, 30),
        },
        silent=(5.25, 15),
    ),
    Case(
        "TurnupPayloadUnacknowledged",
        "fires five minutes after four hours, and resolves",
        {series("payloads_oldest_unacknowledged_seconds"): level((14_400, 10), (14_401, 10), (0, 5))},
        firing=(15.25, 19),
        silent=(9, 14.5, 20.25),
    ),
    Case(
        "TurnupApprovalsUnattended",
        "fires after four hours from the start of the working day, and resolves when a lead is seen",
        waiting(7 * HOUR, 15 * HOUR, 6 * HOUR, 13 * HOUR),
        firing=(12 * HOUR + 1, 12 * HOUR + 59),
        silent=(11 * HOUR + 59, 13 * HOUR + 1, 14 * HOUR + 59),
        step=60,
    ),
    Case(
        "TurnupApprovalsUnattended",
        "resolves when nothing waits any more",
        waiting(8 * HOUR, 13 * HOUR),
        firing=(12 * HOUR + 1, 13 * HOUR - 1),
        silent=(12 * HOUR - 1, 13 * HOUR + 1),
        step=60,
    ),
    Case(
        "TurnupApprovalsUnattended",
        "does not count evenings and weekends: Friday 15:00 and four hours are Monday 10:00",
        waiting(DAY + 15 * HOUR, 4 * DAY + 11 * HOUR, step=300),
        firing=(4 * DAY + 10 * HOUR + 5,),
        silent=(2 * DAY, 3 * DAY + 12 * HOUR, 4 * DAY + 10 * HOUR - 5),
        step=300,
    ),
    Case(
        "TurnupApprovalsUnattended",
        "knows Los Angeles: Friday 15:00 there and four hours are Monday 10:00 there, 18:00 UTC",
        waiting(DAY + 23 * HOUR, 4 * DAY + 19 * HOUR, step=300),
        firing=(4 * DAY + 18 * HOUR + 5, 4 * DAY + 18 * HOUR + 55),
        # Friday 17:30 there is Saturday in UTC.
        silent=(2 * DAY + 90, 2 * DAY + 20 * HOUR, 4 * DAY + 10 * HOUR, 4 * DAY + 18 * HOUR - 5),
        step=300,
        offset=-8,
    ),
    Case(
        "TurnupApprovalsUnattended",
        "knows Tokyo: Monday 8:00 there, Sunday in UTC, and four hours are 12:00 there, 3:00 UTC",
        waiting(3 * DAY, 4 * DAY + 5 * HOUR, step=300),
        firing=(4 * DAY + 3 * HOUR + 5, 4 * DAY + 4 * HOUR),
        silent=(3 * DAY + 12 * HOUR, 4 * DAY + 2 * HOUR + 55),
        step=300,
        offset=9,
    ),
    Case(
        "TurnupApprovalsUnattended",
        "counts from the last request of a lead: 10:00 and four hours are 14:00",
        # The recorded moment of a request is up to five minutes late.
        waiting(8 * HOUR, 16 * HOUR, 10 * HOUR),
        firing=(14 * HOUR + 6,),
        silent=(12 * HOUR, 13 * HOUR + 59),
        step=60,
    ),
    Case(
        "TurnupApprovedByNewUser",
        "fires at once, and resolves",
        {series("approvals_by_new_users"): level((0, 5), (1, 5), (0, 5))},
        firing=(5.25, 9),
        silent=(4, 10.25),
    ),
    Case(
        "TurnupManyOverrides",
        "fires above ten in an hour, both kinds counted, and resolves",
        {
            series("overrides_opened_total"): burst(6, 5, 80),
            series("overrides_moves_total", mutation="reopen"): burst(6, 5, 80),
        },
        firing=(6, 60),
        silent=(4.5, 66),
    ),
    Case(
        "TurnupManyOverrides",
        "is silent about nine",
        {series("overrides_opened_total"): burst(9, 5, 80)},
        silent=(6, 60),
    ),
    Case(
        "TurnupAuditChainBroken",
        "fires at once, and resolves after a verification that succeeds",
        {series("audit_verification_ok"): level((1, 5), (0, 5), (1, 5))},
        firing=(5.25, 9),
        silent=(4, 10.25),
    ),
    Case("TurnupAuditChainBroken", "is silent if the audit log was never verified", UP, silent=(5, 20)),
    Case(
        "TurnupAuditNotVerified",
        "fires a quarter of an hour after the second day, and resolves",
        {VERIFIED: level((2 * 86_400, 30), (2 * 86_400 + 1, 30), (60, 30))},
        firing=(45.25, 59),
        silent=(29, 44, 60.25),
    ),
    Case(
        "TurnupAuditNotVerified",
        "fires if the audit log was never verified, and resolves",
        {VERIFIED: level((ABSENT, 30), (60, 30)), series("approvals_waiting"): level((0, 60))},
        firing=(16, 29),
        silent=(14, 31),
    ),
    Case("TurnupAuditNotVerified", "is silent before the gauges were read", UP, silent=(16, 29)),
)


def promtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run promtool."""
    program = Path(needs("prometheus")).with_name("promtool")
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False, timeout=120)


def test_promtool_accepts_the_rules() -> None:
    ended = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_promtool_accepts_the_configuration() -> None:
    ended = promtool("check", "config", "--syntax-only", str(CONFIGURATION))
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("case", CASES, ids=[f"{case.alert} {case.claim}" for case in CASES])
def test_an_alert_fires_and_resolves(case: Case, tmp_path: Path) -> None:
    expr = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}})'
    expected = [(minute, [{"labels": "{}", "value": 1}]) for minute in case.firing]
    expected += [(minute, []) for minute in case.silent]
    text, offset = RULES.read_text(), "vector(0 * 3600)"
    assert text.count(offset) == 1
    rules = tmp_path / RULES.name
    rules.write_text(text.replace(offset, f"vector({case.offset} * 3600)"))
    tests = {
        "rule_files": [str(rules)],
        "evaluation_interval": f"{case.step}s",
        "tests": [
            {
                "interval": f"{case.step}s",
                "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
                "promql_expr_test": [
                    {"expr": expr, "eval_time": f"{round(minute * 60)}s", "exp_samples": samples}
                    for minute, samples in expected
                ],
            }
        ],
    }
    file = tmp_path / "rules.test.json"
    file.write_text(json.dumps(tests))
    ended = promtool("test", "rules", str(file))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_each_alert_has_cases_in_which_it_fires_and_in_which_it_is_silent() -> None:
    names = {alert.name for alert in alerts(RULES.read_text())}
    assert {case.alert for case in CASES if case.firing} == names
    assert {case.alert for case in CASES if case.silent} == names
