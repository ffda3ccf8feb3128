"""Time zones by IANA name."""

from functools import cache
from importlib.resources import files


def is_timezone(name: str) -> bool:
    """Return whether the name is in the IANA time zone database, compared exactly."""
    return name in _names()


@cache
def _names() -> frozenset[str]:
    """The zones of the `tzdata` package, so that every machine has the same set."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())
