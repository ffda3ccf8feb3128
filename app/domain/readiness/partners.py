"""The partners of the location: each can answer and accepts the payload's version, and one is the provider."""

from collections.abc import Iterator, Sequence

from app.domain.content import LocationContent
from app.domain.issue import Issue
from app.domain.payload import VERSIONS
from app.domain.payload_version import accepted_by_all, allowed_versions, values_beyond
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


def version_accepted(content: LocationContent, outside: Outside) -> Iterator[Issue]:
    partners = [partner for partner in outside.partners or () if partner.versions]
    if not partners:
        return
    allowed = allowed_versions(content)
    if accepted_by_all(allowed, partners) is not None:
        return
    stranded = [partner for partner in partners if partner.versions.isdisjoint(allowed)]
    fields = values_beyond(content, VERSIONS[0]) if stranded else ()
    if stranded:
        why = f"The content needs version {allowed[0]}, because of {_listed(fields)}"
        remedy = "choose other partners, or change these fields"
    else:
        stranded = [partner for partner in partners if not partner.versions.issuperset(allowed)]
        why = "The partners of the location accept no version in common"
        remedy = "or choose other partners"
    for partner in stranded:
        yield issue(
            IssueCode.PAYLOAD_VERSION_NOT_ACCEPTED,
            next(iter(fields), ""),
            partner=shown(partner, outside),
            accepted=_listed(sorted(partner.versions)),
            why=why,
            remedy=remedy,
        )


RULES = (present, available, provider_is_a_partner, version_accepted)

_MOST_LISTED = 10


def shown(partner: Partner, outside: Outside) -> str:
    """Return the partner in a message to the viewer."""
    return partner.name if outside.names_partners else "A partner"


def _listed(names: Sequence[str]) -> str:
    """Return names in a message: all of them, or the first ten and the number of the others."""
    others = [f"{len(names) - _MOST_LISTED} more"] if len(names) > _MOST_LISTED else []
    *first, last = [*names[:_MOST_LISTED], *others]
    return f"{', '.join(first)} and {last}" if first else last


def _compared(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))
