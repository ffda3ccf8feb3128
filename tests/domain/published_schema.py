"""An independent opinion on documents: the library jsonschema reads the published schema, formats included."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from app.domain.payload import json_schema


def violations(document: Any, version: str) -> list[str]:
    """Every place where a document breaks the schema of a version, with the keyword that it breaks."""
    return [f"{error.json_path} {error.validator}" for error in _validator(version).iter_errors(document)]


@cache
def _validator(version: str) -> Any:
    schema = json_schema(version)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
