"""Everything wired at once."""

import pytest
from sentry_sdk.utils import BadDsn

from app.telemetry import start_telemetry


@pytest.mark.usefixtures("_logging_restored")
def test_everything_starts_and_stops_without_any_setting() -> None:
    telemetry = start_telemetry(service_version="1.2.3", environment="production")
    assert telemetry.tracing.tracer is None
    assert b"turnup_overrides_opened_total 0" in telemetry.metrics.render()
    telemetry.shutdown()


@pytest.mark.usefixtures("_logging_restored")
def test_a_dsn_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(BadDsn):
        start_telemetry(service_version="1.2.3", environment="production", sentry_dsn="nonsense")
