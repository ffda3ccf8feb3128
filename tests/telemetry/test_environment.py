"""What is said about the environment variables of OpenTelemetry: which are set and which are wrong, and no value."""

import logging
from io import StringIO

import pytest
from opentelemetry.sdk.resources import OTELResourceDetector
from opentelemetry.util.re import parse_env_headers

from app.telemetry.environment import configured, malformed
from app.telemetry.logging import MASK, start_logging
from app.telemetry.metrics import FOLDER

SECRET = "4f1c9a77secretkey"
HEADERS = [
    f"x-api-key={SECRET}",
    f"x-api-key = {SECRET} , team=a",
    f"authorization=Basic%20{SECRET}==",
    f"authorization=Bearer {SECRET}",
    "",
    "x-api-key=,",
    f"x-api-key: {SECRET}",
    f"x-api-key={SECRET};team=a",
    f'x-api-key="{SECRET}"',
    SECRET,
    f"={SECRET}",
    f"x-api-key={SECRET},{SECRET}",
    f"x api key={SECRET}",
]


@pytest.fixture(params=[True, False], ids=["text", "json"])
def stream(request: pytest.FixtureRequest, _logging_restored: None) -> StringIO:
    """Where lines go."""
    stream = StringIO()
    start_logging(development=request.param, stream=stream)
    return stream


@pytest.mark.parametrize("value", HEADERS)
@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"])
def test_header_fields_that_the_library_would_leave_out_are_reported(
    caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    parse_env_headers(value, liberal=True)
    assert list(malformed({name: value})) == ([name] if caplog.records else [])


@pytest.mark.parametrize("value", ["team=a, region = b", "", SECRET, f"team=a,{SECRET}"])
def test_attributes_that_the_library_would_leave_out_are_reported(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", value)
    OTELResourceDetector().detect()
    found = list(malformed({"OTEL_RESOURCE_ATTRIBUTES": value}))
    assert found == (["OTEL_RESOURCE_ATTRIBUTES"] if caplog.records else [])


def test_of_a_variable_that_is_set_nothing_else_is_shown() -> None:
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": SECRET, "OTEL_SERVICE_NAME": "", FOLDER: "/folder", "PATH": "/bin"}
    assert configured(variables) == {"OTEL_EXPORTER_OTLP_HEADERS": "set", FOLDER: "set"}


def test_what_opentelemetry_says_about_its_variables_has_no_values(
    stream: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", SECRET)
    OTELResourceDetector().detect()
    parse_env_headers(f"x-api-key: {SECRET}", liberal=True)
    written = stream.getvalue()
    assert SECRET not in written
    assert "Header format invalid!" in written
    assert written.count(MASK) == 3


def test_numbers_and_names_of_variables_are_kept(stream: StringIO) -> None:
    logging.getLogger("opentelemetry.sdk").warning("%s is %r; using %d, %.2f s", "OTEL_BSP_X", SECRET, 512, 0.5)
    assert f"OTEL_BSP_X is '{MASK}'; using 512, 0.50 s" in stream.getvalue()
