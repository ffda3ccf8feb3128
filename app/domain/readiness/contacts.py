"""Contacts: there must be a primary contact, and each contact must be reachable."""

from collections.abc import Iterator

from app.domain.content import LocationContent
from app.domain.email_address import is_email
from app.domain.issue import Issue
from app.domain.readiness.findings import issue
from app.domain.readiness.outside import Outside
from app.domain.vocabulary import ContactPurpose, IssueCode


def primary(content: LocationContent, _: Outside) -> Iterator[Issue]:
    if not any(contact.purpose is ContactPurpose.PRIMARY for contact in content.contacts):
        yield issue(IssueCode.PRIMARY_CONTACT_MISSING, "/contacts")


def name(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for contact in content.contacts:
        if not contact.name:
            yield issue(IssueCode.CONTACT_NAME_MISSING, f"/contacts/{contact.id}/name")


def reachable(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for contact in content.contacts:
        path = f"/contacts/{contact.id}"
        if not contact.email and not contact.phone:
            yield issue(IssueCode.CONTACT_UNREACHABLE, path)
        elif not contact.email:
            yield issue(IssueCode.CONTACT_INCOMPLETE, f"{path}/email", missing="e-mail address")
        elif not contact.phone:
            yield issue(IssueCode.CONTACT_INCOMPLETE, f"{path}/phone", missing="phone number")


def email(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for contact in content.contacts:
        if contact.email and not is_email(contact.email):
            yield issue(IssueCode.EMAIL_MALFORMED, f"/contacts/{contact.id}/email", email=contact.email)


def phone(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for contact in content.contacts:
        if contact.phone and not contact.e164:
            yield issue(IssueCode.PHONE_NOT_E164, f"/contacts/{contact.id}/phone", phone=contact.phone)


RULES = (primary, name, reachable, email, phone)
