"""What Prometheus reads: the operators' list under its names, and never more series than were declared."""

from http import HTTPStatus
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.metrics import CONTENT_TYPE, RESTARTS_FILE, LabelValues, Metrics, start_metrics

from .telemetry_builders import SECRETS

OF_PROCESS = ("turnup_process_", "turnup_build_", "turnup_event_loop_", "turnup_gauges_")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

DECLARED = LabelValues(
    fields=("location", "approve"),
    codes=("NOT_FOUND", "TIMEOUT"),
    failures=("TIMEOUT",),
    outcomes=("ok", "refused", "failed"),
    routes=("/graphql", "/healthz"),
    statuses=(200, 401),
    roles=("CUSTOMER",),
    mutations=("reopen",),
    bulk_mutations=("bulkApprove",),
    bulk_calls=("APPLIED", "REFUSED"),
    changes=("APPLIED", "CONFLICT"),
    guarded_fields=("devices",),
    security_events=("forged_identity_headers",),
    sign_ins=("signed_in",),
    connection_refusals=("malformed",),
    request_refusals=("server",),
    loggers=("turnup.graphql",),
)


@pytest.fixture
def metrics() -> Metrics:
    """Metrics that nobody used yet."""
    metrics = start_metrics("1.2.3")
    metrics.declare(DECLARED)
    return metrics


def test_every_event_is_rendered_under_its_name(metrics: Metrics) -> None:
    metrics.response("/graphql", 200)
    metrics.response("none", 503)
    metrics.request("failed", {"location": ("ok", ()), "approve": ("failed", ("TIMEOUT", "NOT_FOUND"))}, 0.3)
    metrics.request("refused", {"none": ("refused", ("NOT_FOUND",))}, None)
    metrics.signed_in_request("CUSTOMER")
    metrics.abandoned()
    metrics.submission("APPLIED")
    metrics.submission("CONFLICT")
    metrics.approval("APPLIED")
    metrics.approval_processed(7_200)
    for _ in range(40):
        metrics.bulk_item("bulkApprove", "APPLIED")
    metrics.bulk_called("bulkApprove", "APPLIED")
    metrics.bulk_ended("bulkApprove", 40, 2.5)
    metrics.permission_denied("devices")
    metrics.unexpected_exception("turnup.graphql")
    metrics.unexpected_exception("asyncio")
    metrics.override_opened()
    metrics.passed_lock("reopen")
    metrics.security_event("forged_identity_headers")
    metrics.limiter_failed()
    metrics.key_set_failed()
    metrics.connection_refused("malformed")
    metrics.request_refused("server")
    metrics.telemetry_dropped("traces", 3)
    metrics.error_reports_left_out(5)
    metrics.sign_in("signed_in")
    assert _counted(metrics) == {
        "turnup_responses_total route=/graphql status=200": 1,
        "turnup_responses_total route=none status=503": 1,
        "turnup_graphql_requests_total outcome=failed": 1,
        "turnup_graphql_requests_total outcome=refused": 1,
        "turnup_graphql_request_duration_seconds_count": 1,
        "turnup_graphql_request_duration_seconds_sum": 0.3,
        "turnup_requests_total field=location outcome=ok": 1,
        "turnup_requests_total field=approve outcome=failed": 1,
        "turnup_requests_total field=none outcome=refused": 1,
        "turnup_request_duration_seconds_count field=location": 1,
        "turnup_request_duration_seconds_sum field=location": 0.3,
        "turnup_request_duration_seconds_count field=approve": 1,
        "turnup_request_duration_seconds_sum field=approve": 0.3,
        "turnup_errors_total code=TIMEOUT field=approve": 1,
        "turnup_errors_total code=NOT_FOUND field=approve": 1,
        "turnup_errors_total code=NOT_FOUND field=none": 1,
        "turnup_signed_in_requests_total role=CUSTOMER": 1,
        "turnup_requests_abandoned_total": 1,
        "turnup_submissions_total outcome=APPLIED": 1,
        "turnup_submissions_total outcome=CONFLICT": 1,
        "turnup_approvals_total outcome=APPLIED": 1,
        "turnup_approval_processing_seconds_count": 1,
        "turnup_approval_processing_seconds_sum": 7_200,
        "turnup_bulk_items_total mutation=bulkApprove outcome=APPLIED": 40,
        "turnup_bulk_calls_total mutation=bulkApprove outcome=APPLIED": 1,
        "turnup_bulk_size_count mutation=bulkApprove": 1,
        "turnup_bulk_size_sum mutation=bulkApprove": 40,
        "turnup_bulk_duration_seconds_count mutation=bulkApprove": 1,
        "turnup_bulk_duration_seconds_sum mutation=bulkApprove": 2.5,
        "turnup_permission_denied_total field=devices": 1,
        "turnup_overrides_opened_total": 1,
        "turnup_overrides_moves_total mutation=reopen": 1,
        "turnup_security_events_total kind=forged_identity_headers": 1,
        "turnup_limiter_failures_total": 1,
        "turnup_key_set_failures_total": 1,
        "turnup_connections_refused_total reason=malformed": 1,
        "turnup_requests_refused_total reason=server": 1,
        "turnup_sign_ins_total outcome=signed_in": 1,
        "turnup_unexpected_exceptions_total logger=turnup.graphql": 1,
        "turnup_unexpected_exceptions_total logger=other": 1,
        "turnup_error_reports_left_out_total": 5,
        "turnup_telemetry_dropped_total signal=traces": 3,
    }


def test_the_first_event_of_a_declared_series_is_an_increase(metrics: Metrics) -> None:
    before = _samples(metrics)
    metrics.request("failed", {"approve": ("failed", ("TIMEOUT",))}, 0.3)
    metrics.response("/healthz", 401)
    metrics.bulk_item("bulkApprove", "CONFLICT")
    after = _samples(metrics)
    of_events = {series: value for series, value in after.items() if not series[0].startswith(OF_PROCESS)}
    changed = {series for series, value in of_events.items() if value != before.get(series)}
    assert after.keys() == before.keys()
    assert {name for name, _ in changed} >= {
        "turnup_graphql_requests_total",
        "turnup_graphql_request_duration_seconds_bucket",
        "turnup_requests_total",
        "turnup_errors_total",
        "turnup_responses_total",
        "turnup_bulk_items_total",
        "turnup_request_duration_seconds_bucket",
    }
    assert {before[series] for series in changed} == {0}


def test_no_family_is_rendered_twice(metrics: Metrics) -> None:
    metrics.request("failed", {"approve": ("failed", ("TIMEOUT",))}, 0.3)
    lines = metrics.render().decode().splitlines()
    series = [line.rpartition(" ")[0] for line in lines]
    assert len(series) == len(set(series))


def test_restarts_of_the_embedded_postgresql_are_read_at_each_scrape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "restarts"
    file.touch()
    monkeypatch.setenv(RESTARTS_FILE, str(file))
    metrics = start_metrics("1.2.3")
    for restarts in range(3):
        file.write_bytes(b"." * restarts)
        assert _samples(metrics)["turnup_embedded_restarts_total", frozenset()] == restarts
    file.unlink()  # as systemd-tmpfiles does
    assert _samples(metrics)["turnup_embedded_restarts_total", frozenset()] == restarts


@pytest.mark.parametrize("threshold", [0.3, 2.0])
def test_the_thresholds_of_alerts_are_buckets(metrics: Metrics, threshold: float) -> None:
    metrics.request("ok", {"location": ("ok", ())}, threshold - 0.01)
    metrics.request("ok", {"location": ("ok", ())}, threshold + 0.01)
    labels = {"field": "location", "le": str(threshold)}
    assert _samples(metrics)["turnup_request_duration_seconds_bucket", frozenset(labels.items())] == 1
    of_all = frozenset({("le", str(threshold))})
    assert _samples(metrics)["turnup_graphql_request_duration_seconds_bucket", of_all] == 1


def test_counters_without_labels_are_there_before_anything_happened(metrics: Metrics) -> None:
    samples = _samples(metrics)
    for name in ("turnup_overrides_opened_total", "turnup_limiter_failures_total", "turnup_embedded_restarts_total"):
        assert samples[name, frozenset()] == 0


def test_the_version_is_rendered_and_the_media_type_is_prometheus_own(metrics: Metrics) -> None:
    assert 'service_version="1.2.3"' in metrics.render().decode()
    assert CONTENT_TYPE.startswith("text/plain; version=")


def test_what_is_not_declared_is_counted_as_other_and_hides_nothing(metrics: Metrics) -> None:
    before = _samples(metrics).keys()
    for number in range(1_000):
        junk = f"invented{number}"
        metrics.request(junk, {junk: (junk, (junk,))}, 0.1)
        metrics.response(junk, number)
        metrics.signed_in_request(junk)
        metrics.submission(junk)
        metrics.approval(junk)
        metrics.bulk_item(junk, junk)
        metrics.bulk_called(junk, junk)
        metrics.bulk_ended(junk, number, 0.1)
        metrics.permission_denied(junk)
        metrics.passed_lock(junk)
        metrics.security_event(junk)
        metrics.sign_in(junk)
        metrics.connection_refused(junk)
        metrics.request_refused(junk)
    metrics.request("ok", {"location": ("ok", ())}, 0.1)
    new = {labels for _, labels in _samples(metrics).keys() - before}
    values = {value for labels in new for label, value in labels if label not in {"le", "status"}}
    statuses = {value for labels in new for label, value in labels if label == "status"}
    assert values == {"other"}
    assert statuses <= {"other", *(str(each.value) for each in HTTPStatus)}
    counted = _counted(metrics)
    assert counted["turnup_requests_total field=location outcome=ok"] == 1
    assert counted["turnup_requests_total field=other outcome=other"] == 1_000


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_what_is_no_name_is_not_rendered(metrics: Metrics, secret: str) -> None:
    metrics.request(secret, {secret: (secret, (secret,))}, 0.1)
    metrics.response(secret, 200)
    metrics.permission_denied(secret)
    metrics.security_event(secret)
    assert secret not in metrics.render().decode()


def test_two_servers_of_one_process_count_apart(metrics: Metrics) -> None:
    metrics.override_opened()
    assert _samples(start_metrics("1.2.3"))["turnup_overrides_opened_total", frozenset()] == 0


def _counted(metrics: Metrics) -> dict[str, float]:
    """The samples that are not 0, without buckets and those of the process that counts."""
    return {
        " ".join([name, *sorted(f"{label}={value}" for label, value in labels)]): value
        for (name, labels), value in _samples(metrics).items()
        if value and name.startswith("turnup_") and not name.endswith("_bucket") and not name.startswith(OF_PROCESS)
    }


def _samples(metrics: Metrics) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }
