"""What Prometheus reads: the operators' list under its names, and never more series than were planned."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.metrics import CONTENT_TYPE, RESTARTS_FILE, Metrics, start_metrics

from .telemetry_builders import SECRETS

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def metrics() -> Metrics:
    """Metrics that nobody used yet."""
    return start_metrics("1.2.3")


def test_every_event_is_rendered_under_its_name(metrics: Metrics) -> None:
    metrics.request("Rollout", "succeeded", 0.3)
    metrics.request(None, "failed", 3.0)
    metrics.error("Rollout", "NOT_FOUND")
    metrics.submission("succeeded")
    metrics.submission("refused")
    metrics.approval_processed(7_200)
    for _ in range(40):
        metrics.bulk_item("bulkApprove", "APPLIED")
    metrics.permission_denied("Location.devices")
    metrics.override_opened()
    metrics.passed_lock("reopen")
    metrics.security_event("forged_identity_headers")
    metrics.limiter_failed()
    metrics.connection_refused("malformed")
    metrics.request_refused("server")
    metrics.watch_requests(lambda: 9)
    metrics.watch_connections(lambda: 5)
    metrics.watch_pool(lambda: (3, 7))
    samples = _samples(metrics)
    assert {_sample(name, labels): value for (name, labels), value in samples.items() if _is_plain(name)} == {
        "turnup_request_duration_seconds_count operation=Rollout outcome=succeeded": 1,
        "turnup_request_duration_seconds_sum operation=Rollout outcome=succeeded": 0.3,
        "turnup_request_duration_seconds_count operation=anonymous outcome=failed": 1,
        "turnup_request_duration_seconds_sum operation=anonymous outcome=failed": 3.0,
        "turnup_errors_total code=NOT_FOUND operation=Rollout": 1,
        "turnup_submissions_total outcome=succeeded": 1,
        "turnup_submissions_total outcome=refused": 1,
        "turnup_approval_processing_seconds_count": 1,
        "turnup_approval_processing_seconds_sum": 7_200,
        "turnup_bulk_items_total operation=bulkApprove outcome=APPLIED": 40,
        "turnup_permission_denied_total field=Location.devices": 1,
        "turnup_overrides_opened_total": 1,
        "turnup_overrides_moves_total operation=reopen": 1,
        "turnup_security_events_total kind=forged_identity_headers": 1,
        "turnup_limiter_failures_total": 1,
        "turnup_connections_refused_total reason=malformed": 1,
        "turnup_requests_refused_total reason=server": 1,
        "turnup_requests_in_progress": 9,
        "turnup_connections": 5,
        "turnup_embedded_restarts_total": 0,
        "turnup_pool_in_use": 3,
        "turnup_pool_waiting": 7,
    }


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


def test_the_alerts_threshold_is_a_bucket(metrics: Metrics) -> None:
    metrics.request("Rollout", "succeeded", 1.9)
    metrics.request("Rollout", "succeeded", 2.1)
    labels = {"operation": "Rollout", "outcome": "succeeded", "le": "2.0"}
    assert _samples(metrics)["turnup_request_duration_seconds_bucket", frozenset(labels.items())] == 1


def test_counters_without_labels_are_there_before_anything_happened(metrics: Metrics) -> None:
    samples = _samples(metrics)
    for name in ("turnup_overrides_opened_total", "turnup_limiter_failures_total", "turnup_embedded_restarts_total"):
        assert samples[name, frozenset()] == 0


def test_the_version_is_rendered_and_the_media_type_is_prometheus_own(metrics: Metrics) -> None:
    assert 'service_version="1.2.3"' in metrics.render().decode()
    assert CONTENT_TYPE.startswith("text/plain; version=")


def test_a_client_that_invents_operations_ends_up_under_other(metrics: Metrics) -> None:
    for number in range(1_000):
        metrics.request(f"Invented{number}", "succeeded", 0.1)
        metrics.error(f"Invented{number}", "NOT_FOUND")
    operations = {value for _, labels in _samples(metrics) for label, value in labels if label == "operation"}
    assert len(operations) == 201
    assert "other" in operations


def test_names_of_ours_stay_whatever_clients_invent(metrics: Metrics) -> None:
    for number in range(1_000):
        metrics.request(f"Invented{number}", "succeeded", 0.1)
    metrics.request(None, "succeeded", 0.1)
    metrics.bulk_item("bulkApprove", "APPLIED")
    metrics.passed_lock("reopen")
    samples = {_sample(name, labels) for name, labels in _samples(metrics)}
    assert "turnup_request_duration_seconds_count operation=anonymous outcome=succeeded" in samples
    assert "turnup_bulk_items_total operation=bulkApprove outcome=APPLIED" in samples
    assert "turnup_overrides_moves_total operation=reopen" in samples


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_what_is_no_name_is_not_rendered(metrics: Metrics, secret: str) -> None:
    metrics.request(secret, secret, 0.1)
    metrics.error(secret, secret)
    metrics.permission_denied(secret)
    metrics.security_event(secret)
    assert secret not in metrics.render().decode()


def test_two_servers_of_one_process_count_apart(metrics: Metrics) -> None:
    metrics.override_opened()
    assert _samples(start_metrics("1.2.3"))["turnup_overrides_opened_total", frozenset()] == 0


def _samples(metrics: Metrics) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def _is_plain(name: str) -> bool:
    return name.startswith("turnup_") and not name.endswith("_bucket")


def _sample(name: str, labels: frozenset[tuple[str, str]]) -> str:
    return " ".join([name, *sorted(f"{label}={value}" for label, value in labels)])
