"""Enums whose members follow from other declarations, so that no member is listed twice."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any


def derived_enum(name: str, module: str, members: Iterable[tuple[str, str]]) -> type[StrEnum]:
    """Return an enum of `module` with these names and values. Raises ValueError if a name or a value occurs twice."""
    listed = list(members)
    if any(len(set(column)) < len(listed) for column in zip(*listed, strict=True)):
        raise ValueError(f"two members of {name} have the same name or the same value")
    functional: Any = StrEnum  # the type checker wants the members to be literals
    made: type[StrEnum] = functional(name, listed, module=module)
    return made


def members_of(*enums: type[StrEnum]) -> list[tuple[str, str]]:
    """Return the names and values of all members of enums."""
    return [(member.name, member.value) for enum in enums for member in enum]
