"""When two executors agree: the same data to the order of keys, and errors that the reference could have given."""

import json
from typing import Any, NamedTuple

from graphql import ExecutionResult, GraphQLError

Path = tuple[str | int, ...]


class Told(NamedTuple):
    """What an error tells."""

    path: Path
    message: str
    locations: tuple[tuple[int, int], ...]
    extensions: str
    original: type[BaseException] | None


def assert_agrees(
    ours: ExecutionResult, reference: ExecutionResult, possible: ExecutionResult, *, serial: bool = False
) -> None:
    """Compare with the reference's result, and its result without error propagation, which holds every error.

    graphql-core drops errors of siblings under a nulled parent by timing. So errors are compared by the null they
    explain: the same nulls are explained; a null that failed itself, by the same error; a null that something below it
    caused, by one error of those that happened below it. What failed in a mutation (`serial`) before a field took the
    data away is told too.
    """
    assert _written(ours.data) == _written(reference.data)
    explained = _by_null(ours)
    expected = _by_null(reference)
    assert explained.keys() == expected.keys()
    happened = {error for errors in _by_null(possible).values() for error in errors}
    for null, errors in explained.items():
        if serial and null == ():
            assert _roots(errors) == _roots(expected[null])
        else:
            assert len(errors) == 1
        if all(error.path == null for error in expected[null]):
            assert errors == expected[null]
        else:
            assert set(errors) <= happened
            assert all(error.path[: len(null)] == null for error in errors)


def _written(data: Any) -> str:
    return json.dumps(data, default=repr)


def _roots(errors: list[Told]) -> list[str | int]:
    """The root fields that failed, in order."""
    return list(dict.fromkeys(error.path[0] for error in errors if error.path))


def _by_null(result: ExecutionResult) -> dict[Path, list[Told]]:
    explained: dict[Path, list[Told]] = {}
    for error in result.errors or ():
        told = _told(error)
        explained.setdefault(_null_above(result.data, told.path), []).append(told)
    return explained


def _told(error: GraphQLError) -> Told:
    return Told(
        path=tuple(error.path or ()),
        message=error.message,
        locations=tuple((location.line, location.column) for location in error.locations or ()),
        extensions=json.dumps(error.extensions, default=repr),
        original=type(error.original_error) if error.original_error else None,
    )


def _null_above(data: Any, path: Path) -> Path:
    for length, key in enumerate(path):
        if data is None:
            return path[:length]
        data = data[key]
    return path
