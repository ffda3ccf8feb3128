"""People who are invited become users when they first sign in at a certified provider with the verified address."""

import pytest
from playwright.sync_api import expect

from tests.harness import LEAD

from .conftest import Site, Visit, reads, say
from .people import NEWCOMER, PEOPLE, STRANGER, UNVERIFIED
from .provider import Provider

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sign-in")]

INVITE = """
mutation ($email: String!, $name: String!) {
  inviteUser(input: {email: $email, name: $name, role: AUDITOR, grants: []}) { link problems { code } } }
"""


def link_for(site: Site, provider: Provider, who: str) -> str:
    """The link of a new invitation to this person's address."""
    lead = provider.app_tokens(LEAD)["access_token"]
    person = PEOPLE[who]
    invited = site.ask(INVITE, lead, email=person["email"], name=person["name"]).data["inviteUser"]
    assert invited["problems"] == []
    return str(invited["link"])


def test_who_is_invited_becomes_a_user_at_the_first_sign_in_and_signs_in_without_the_link_afterwards(
    visit: Visit, site: Site, provider: Provider
) -> None:
    page = visit(link_for(site, provider, NEWCOMER)).page
    say(page, NEWCOMER)
    expect(page.get_by_role("banner")).to_contain_text("Signed in as Nora Lind (Auditor)")
    again = visit("/auth/login").page
    say(again, NEWCOMER)
    expect(again.get_by_role("banner")).to_contain_text("Signed in as Nora Lind (Auditor)")


def test_an_invitation_is_refused_for_an_address_that_the_provider_has_not_verified(
    visit: Visit, site: Site, provider: Provider
) -> None:
    page = visit(link_for(site, provider, UNVERIFIED)).page
    say(page, UNVERIFIED)
    reads(page, "Your e-mail address is not verified")


def test_an_invitation_is_refused_for_somebody_else(visit: Visit, site: Site, provider: Provider) -> None:
    page = visit(link_for(site, provider, STRANGER)).page
    say(page, NEWCOMER)
    reads(page, "This invitation is for another e-mail address")
