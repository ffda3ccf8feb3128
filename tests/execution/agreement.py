"""When two executors agree: the same data to the order of keys, and errors that the reference could have given."""

import json
from typing import Any

from graphql import ExecutionResult

Path = tuple[str | int, ...]


def assert_agrees(ours: ExecutionResult, reference: ExecutionResult, possible: ExecutionResult) -> None:
    """Compare with the reference's result, and its result without error propagation, which holds every error.

    graphql-core drops errors of siblings under a nulled parent by timing. So errors are compared by the null they
    explain: the same nulls are explained; a null that failed itself, by the same error; a null that something below it
    caused, by one error of those that happened below it.
    """
    assert _written(ours.data) == _written(reference.data)
    explained = _by_null(ours)
    expected = _by_null(reference)
    assert explained.keys() == expected.keys()
    happened = {error for errors in _by_null(possible).values() for error in errors}
    for null, errors in explained.items():
        assert len(errors) == 1
        if all(path == null for path, _ in expected[null]):
            assert errors == expected[null]
        else:
            assert set(errors) <= happened
            assert all(path[: len(null)] == null for path, _ in errors)


def _written(data: Any) -> str:
    return json.dumps(data, default=repr)


def _by_null(result: ExecutionResult) -> dict[Path, list[tuple[Path, str]]]:
    explained: dict[Path, list[tuple[Path, str]]] = {}
    for error in result.errors or ():
        path = tuple(error.path or ())
        explained.setdefault(_null_above(result.data, path), []).append((path, error.message))
    return explained


def _null_above(data: Any, path: Path) -> Path:
    for length, key in enumerate(path):
        if data is None:
            return path[:length]
        data = data[key]
    return path
