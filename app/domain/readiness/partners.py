"""The partners of the location: there is one, each can answer, and one is the provider of the phone system."""

from collections.abc import Iterator

from app.domain.content import LocationContent
from app.domain.issue import Issue
from app.domain.readiness.findings import issue
from app.domain.readiness.outside import Outside
from app.domain.recipients import Partner
from app.domain.vocabulary import IssueCode


def present(_: LocationContent, outside: Outside) -> Iterator[Issue]:
    if outside.partners is not None and not outside.partners:
        yield issue(IssueCode.PARTNER_MISSING, "")


def available(_: LocationContent, outside: Outside) -> Iterator[Issue]:
    partners = {shown(each, outside) for each in outside.partners or () if not each.available}
    if partners:
        yield issue(IssueCode.PARTNER_UNAVAILABLE, "", partners=" and ".join(sorted(partners)))


def provider_is_a_partner(content: LocationContent, outside: Outside) -> Iterator[Issue]:
    provider = content.phone_system.provider if content.phone_system else None
    if provider is None or outside.partners is None:
        return
    if _compared(provider) not in {_compared(partner.name) for partner in outside.partners}:
        yield issue(IssueCode.PROVIDER_WITHOUT_PARTNER, "/phoneSystem/provider", provider=provider)


RULES = (present, available, provider_is_a_partner)


def shown(partner: Partner, outside: Outside) -> str:
    """Return the partner in a message to the viewer."""
    return partner.name if outside.names_partners else "A partner"


def _compared(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))
