"""The environment variables of OpenTelemetry. Their values can be secrets, so none of them is shown."""

import re
from collections.abc import Iterator, Mapping

from app.telemetry.metrics import FOLDER

PREFIX = "OTEL_"
"""How the variables of OpenTelemetry begin."""

_HEADERS = re.compile(r"OTEL_EXPORTER_OTLP_(?:[A-Z]+_)?HEADERS")
_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"
_PAIR = re.compile(r"[\w!#$%&'*+.^`|~-]+\s*=[^\"\\;]*", re.ASCII)
"""A header field as OpenTelemetry reads it, without the comma that separates two."""


def configured(variables: Mapping[str, str]) -> dict[str, str]:
    """Return which variables are set, each with the value `set`."""
    names = sorted(name for name, value in variables.items() if value and (name.startswith(PREFIX) or name == FOLDER))
    return dict.fromkeys(names, "set")


def malformed(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables that OpenTelemetry would not read completely: those of header fields and of attributes."""
    for name, value in variables.items():
        pairs = [each.strip() for each in value.split(",") if each.strip()]
        if _HEADERS.fullmatch(name):
            is_understood = all(map(_PAIR.fullmatch, pairs))
        else:
            is_understood = name != _ATTRIBUTES or all("=" in each for each in pairs)
        if not is_understood:
            yield name
