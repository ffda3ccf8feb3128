"""Extensions: each must be dialable, not be confused with another number, and be assigned."""

import re
from collections import Counter
from collections.abc import Iterator

from app.domain.content import Extension, LocationContent
from app.domain.issue import Issue
from app.domain.limits import RANGES
from app.domain.readiness.findings import issue
from app.domain.readiness.outside import Outside
from app.domain.readiness.reserved_numbers import is_service, shadows_emergency
from app.domain.vocabulary import IssueCode

_SHORTEST, _LONGEST = RANGES["extensionLength"]
_WELL_FORMED = re.compile(rf"[0-9]{{{_SHORTEST},{_LONGEST}}}")


def form(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for extension in content.extensions:
        if not _WELL_FORMED.fullmatch(extension.number):
            yield issue(
                IssueCode.EXTENSION_MALFORMED,
                _path(extension),
                number=extension.number,
                shortest=_SHORTEST,
                longest=_LONGEST,
            )


def leading_zero(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for extension in content.extensions:
        if extension.number.startswith("0"):
            yield issue(IssueCode.EXTENSION_LEADING_ZERO, _path(extension), number=extension.number)


def once(content: LocationContent, _: Outside) -> Iterator[Issue]:
    counts = Counter(extension.number for extension in content.extensions)
    for extension in content.extensions:
        count = counts[extension.number]
        if count > 1:
            yield issue(IssueCode.EXTENSION_TWICE, _path(extension), number=extension.number, count=count)


def length(content: LocationContent, _: Outside) -> Iterator[Issue]:
    wanted = content.phone_system and content.phone_system.extension_length
    for extension in content.extensions:
        if wanted and len(extension.number) != wanted:
            yield issue(IssueCode.EXTENSION_WRONG_LENGTH, _path(extension), number=extension.number, length=wanted)


def reserved(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for extension in content.extensions:
        if shadows_emergency(extension.number, content.address.country):
            yield issue(IssueCode.EXTENSION_SHADOWS_EMERGENCY, _path(extension), number=extension.number)
        elif is_service(extension.number):
            yield issue(IssueCode.EXTENSION_RESERVED, _path(extension), number=extension.number)


def outbound_prefix(content: LocationContent, _: Outside) -> Iterator[Issue]:
    prefix = content.phone_system and content.phone_system.outbound_prefix
    for extension in content.extensions:
        if prefix and extension.number.startswith(prefix):
            yield issue(
                IssueCode.EXTENSION_SHADOWS_OUTBOUND_PREFIX, _path(extension), number=extension.number, prefix=prefix
            )


def assigned(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for extension in content.extensions:
        if not extension.person_id and not extension.device_id:
            yield issue(IssueCode.EXTENSION_UNASSIGNED, f"/extensions/{extension.id}", number=extension.number)


RULES = (form, leading_zero, once, length, reserved, outbound_prefix, assigned)


def _path(extension: Extension) -> str:
    return f"/extensions/{extension.id}/number"
