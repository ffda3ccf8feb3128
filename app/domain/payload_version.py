"""Which version a payload document has: the oldest one that the content allows and every recipient accepts.

A version does not allow a content with a value that was entered and has no key in it, or whose document it does not
validate. Derived values decide nothing: a document has them only if its version has keys for them.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from app.domain.canonical import Json
from app.domain.content import LocationContent
from app.domain.payload import SHAPES, VERSIONS, content_members
from app.domain.payload_paths import content_paths
from app.domain.recipients import Partner

_NEWEST = VERSIONS[-1]


def payload_version(content: LocationContent, partners: Collection[Partner]) -> str | None:
    """Return the version of a document for these recipients, or None if no version suits the content and all of them.

    Values that no version can express are ignored: readiness reports them.
    """
    return accepted_by_all(allowed_versions(content), partners)


def allowed_versions(content: LocationContent) -> tuple[str, ...]:
    """Return the versions that the content allows, oldest first."""
    return tuple(version for version in VERSIONS if not values_beyond(content, version))


def accepted_by_all(versions: Iterable[str], partners: Collection[Partner]) -> str | None:
    """Return the first version that all partners accept, or None if there is none."""
    return next((version for version in versions if all(partner.accepts(version) for partner in partners)), None)


def values_beyond(content: LocationContent, version: str) -> tuple[str, ...]:
    """Return JSON pointers into the content document to the values that need a later version."""
    beyond = _misfits(content, version) if version != _NEWEST else set()
    if beyond:
        beyond -= _misfits(content, _NEWEST)
    places = set(content_paths(content, list(beyond)))
    return tuple(sorted(place for place in places if not _refers_to_extension(place)))


def _refers_to_extension(place: str) -> bool:
    """Whether the value in the content is a reference to an extension, where the document has the number again."""
    return place.endswith("/extensionId") or place.startswith("/callFlow/directTargets/")


def _misfits(content: LocationContent, version: str) -> set[str]:
    kinds = _members(SHAPES[version])
    return {
        pointer
        for name, value in content_members(content, version).items()
        for pointer in _misfits_in(value, kinds[name], f"/{name}")
    }


def _misfits_in(value: Json, kind: Any, path: str) -> Iterator[str]:
    """Yield pointers to the innermost values that do not match their type."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        yield from list(_misfits_of_parts(value, _inside(kind), path)) or (path,)


def _misfits_of_parts(value: Json, kind: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        kinds = _members(kind)
        for name, part in value.items():
            yield from _misfits_in(part, kinds[name], f"{path}/{name}") if name in kinds else (f"{path}/{name}",)
    elif isinstance(value, list) and get_origin(kind) is list:
        (item,) = get_args(kind)
        for position, part in enumerate(value):
            yield from _misfits_in(part, item, f"{path}/{position}")


def _inside(kind: Any) -> Any:
    """The type without its annotations and without null."""
    if get_origin(kind) is Annotated:
        return _inside(get_args(kind)[0])
    if get_origin(kind) in {Union, UnionType}:
        return next((_inside(each) for each in get_args(kind) if each is not type(None)), kind)
    return kind


@cache
def _members(shape: type) -> dict[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
