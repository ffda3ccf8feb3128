"""Time zones by their IANA name."""

from functools import cache
from importlib.resources import files


def is_timezone(name: str) -> bool:
    """Whether the name is one of the IANA time zone database, to the letter."""
    return name in _names()


@cache
def _names() -> frozenset[str]:
    """The zones of the `tzdata` package, so that every machine knows the same ones."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())
