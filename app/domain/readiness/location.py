"""The location itself: name, address and time zone."""

from collections.abc import Iterator

from app.domain.content import LocationContent
from app.domain.issue import Issue
from app.domain.phone_number import is_country
from app.domain.readiness.addresses import required_parts
from app.domain.readiness.findings import issue
from app.domain.readiness.outside import Outside
from app.domain.timezone import is_timezone
from app.domain.vocabulary import IssueCode


def name(content: LocationContent, _: Outside) -> Iterator[Issue]:
    if not content.name:
        yield issue(IssueCode.NAME_MISSING, "/location/name")


def address(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for part in required_parts(content.address.country):
        if not getattr(content.address, part):
            yield issue(IssueCode.ADDRESS_INCOMPLETE, f"/location/address/{part}", part=part)


def country(content: LocationContent, _: Outside) -> Iterator[Issue]:
    code = content.address.country
    if code and not is_country(code):
        yield issue(IssueCode.COUNTRY_UNKNOWN, "/location/address/country", country=code)


def timezone(content: LocationContent, _: Outside) -> Iterator[Issue]:
    if not content.timezone:
        yield issue(IssueCode.TIMEZONE_MISSING, "/location/timezone")
    elif not is_timezone(content.timezone):
        yield issue(IssueCode.TIMEZONE_UNKNOWN, "/location/timezone", timezone=content.timezone)


RULES = (name, address, country, timezone)
