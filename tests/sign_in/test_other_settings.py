"""Providers that need other settings: access tokens of the type JWT, and people who sign in at another issuer."""

from collections.abc import Iterator

import pytest

from tests.harness import CUSTOMER, LEAD

from .conftest import Running, Site
from .people import CONTRACTOR, NAMES, PEOPLE
from .provider import Provider, running_provider
from .test_invited import link_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sign-in")]

WHO = "{ viewer { name } }"


@pytest.fixture(scope="module")
def login() -> Iterator[Provider]:
    """A second provider: people sign in there, and it issues no tokens for the API."""
    with running_provider(PEOPLE) as running:
        yield running


@pytest.fixture(scope="module")
def other_site(running_site: Running, login: Provider) -> Iterator[Site]:
    """The site with both settings."""
    with running_site(TURNUP_TOKEN_TYPES="at+jwt,JWT", TURNUP_OIDC_ISSUER=login.issuer) as other:
        login.set(origin=other.origin)
        yield other


@pytest.mark.parametrize("type_", ["JWT", "at+jwt"])
def test_access_tokens_of_both_types_are_accepted_with_the_setting(
    other_site: Site, provider: Provider, type_: str
) -> None:
    provider.set(type=type_)
    assert other_site.ask(WHO, provider.app_tokens(CUSTOMER)["access_token"]).data["viewer"]["name"] == NAMES[CUSTOMER]


def test_without_the_setting_an_access_token_of_the_type_jwt_is_refused(site: Site, provider: Provider) -> None:
    provider.set(type="JWT")
    answer = site.ask(WHO, provider.app_tokens(LEAD)["access_token"])
    assert (answer.status, answer.codes) == (401, ["UNAUTHENTICATED"])


def test_an_id_token_is_refused_even_where_its_type_is_accepted(other_site: Site, provider: Provider) -> None:
    answer = other_site.ask(WHO, provider.app_tokens(LEAD)["id_token"])
    assert (answer.status, answer.codes) == (401, ["UNAUTHENTICATED"])


def test_people_sign_in_at_the_issuer_of_people_alone(other_site: Site, provider: Provider, login: Provider) -> None:
    link = link_for(other_site, provider, CONTRACTOR)
    with other_site.browser() as browser:
        invited = login.sign_in(browser, CONTRACTOR, link)
        assert invited.status_code == 303, invited.text
        answer = browser.post("/graphql", json={"query": WHO}, headers={"sec-fetch-site": "same-origin"})
        assert answer.json()["data"] == {"viewer": {"name": NAMES[CONTRACTOR]}}
    same_subject = other_site.ask(WHO, provider.app_tokens(CONTRACTOR)["access_token"])
    assert (same_subject.status, same_subject.codes) == (401, ["UNAUTHENTICATED"])
    with other_site.browser() as browser:
        lead_of_tokens = login.sign_in(browser, LEAD)
        assert (lead_of_tokens.status_code, "You have no access" in lead_of_tokens.text) == (403, True)
