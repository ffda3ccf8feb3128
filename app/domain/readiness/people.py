"""People: each needs a name, an extension and well-formed contact data."""

from collections.abc import Iterator

from app.domain.content import LocationContent
from app.domain.email_address import is_email
from app.domain.issue import Issue
from app.domain.readiness.findings import issue
from app.domain.readiness.outside import Outside
from app.domain.vocabulary import IssueCode


def name(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for person in content.people:
        if not person.first_name and not person.last_name:
            yield issue(IssueCode.PERSON_NAME_MISSING, f"/people/{person.id}")


def email(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for person in content.people:
        if person.email and not is_email(person.email):
            yield issue(IssueCode.EMAIL_MALFORMED, f"/people/{person.id}/email", email=person.email)


def mobile(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for person in content.people:
        if person.mobile and not person.mobile_e164:
            yield issue(IssueCode.PHONE_NOT_E164, f"/people/{person.id}/mobile", phone=person.mobile)


def extension(content: LocationContent, _: Outside) -> Iterator[Issue]:
    holders = {row.person_id for row in content.extensions}
    for person in content.people:
        if person.id not in holders:
            yield issue(IssueCode.PERSON_WITHOUT_EXTENSION, f"/people/{person.id}")


RULES = (name, email, mobile, extension)
