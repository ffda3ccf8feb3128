"""A plugin of pytest: the last line of a run is how many seconds of processor time its tests took by themselves."""

import sys
from collections.abc import Iterator
from time import process_time

import pytest

_seconds: list[float] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Take the time of the test, without what pytest does around it."""
    began = process_time()
    try:
        return (yield)
    finally:
        _seconds.append(process_time() - began)


def pytest_unconfigure() -> None:
    """Say what it came to."""
    sys.stdout.write(f"\n{sum(_seconds)}\n")
