"""Access tokens of the provider, as apps and machines get them: accepted as long as they are valid, and no longer."""

import json
import os
import subprocess
import time

import pytest

from tests.docs.pages import page, shell_blocks
from tests.harness import CUSTOMER, LEAD

from .conftest import KEY_TTL_SECONDS, Site
from .people import NAMES, STRANGER
from .provider import MACHINE, Provider

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sign-in")]

WHO = "{ viewer { name role } }"
CREATE_MACHINE = """
mutation { createUser(input: {
  name: "Night Export", email: "export@carrier.example", role: PARTNER, subject: "machine"
}) { user { id } problems { code } } }
"""
LIFETIME_SECONDS, LEEWAY_SECONDS = 300, 30


@pytest.fixture(scope="module")
def machine(site: Site, provider: Provider) -> str:
    """The id of the user for whom the machine's tokens are."""
    lead = provider.app_tokens(LEAD)["access_token"]
    created = site.ask(CREATE_MACHINE, lead).data["createUser"]
    assert created["problems"] == []
    return str(created["user"]["id"])


@pytest.mark.usefixtures("machine")
def test_a_machine_signs_in_with_client_credentials_as_the_page_says(site: Site, provider: Provider) -> None:
    (command,) = [each for each, _ in shell_blocks(page("docs/sign-in.md")) if "client_credentials" in each]
    command = command.replace("https://issuer.example.com", provider.issuer)
    command = command.replace("https://api.example.com/graphql", f"{site.origin}/graphql")
    client_id, client_secret = MACHINE
    machine = {"CLIENT_ID": client_id, "CLIENT_SECRET": client_secret, "CURL_CA_BUNDLE": str(site.ca_file)}
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        env={**os.environ, **machine},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(ended.stdout)["data"] == {"viewer": {"name": "Night Export", "role": "PARTNER"}}


@pytest.mark.parametrize("who", [LEAD, CUSTOMER])
def test_an_app_signs_in_with_a_code(site: Site, provider: Provider, who: str) -> None:
    answer = site.ask(WHO, provider.app_tokens(who)["access_token"])
    assert answer.data["viewer"]["name"] == NAMES[who]


def test_who_is_no_user_is_refused(site: Site, provider: Provider) -> None:
    answer = site.ask(WHO, provider.app_tokens(STRANGER)["access_token"])
    assert (answer.status, answer.codes) == (401, ["UNAUTHENTICATED"])


def test_an_id_token_is_not_an_access_token(site: Site, provider: Provider) -> None:
    answer = site.ask(WHO, provider.app_tokens(LEAD)["id_token"])
    assert (answer.status, answer.codes) == (401, ["UNAUTHENTICATED"])


def test_an_expired_token_is_refused_and_a_refreshed_one_accepted(site: Site, provider: Provider) -> None:
    provider.set(clock=-(LIFETIME_SECONDS + LEEWAY_SECONDS + 1))
    tokens = provider.app_tokens(LEAD)
    refused = site.ask(WHO, tokens["access_token"])
    assert (refused.status, refused.codes) == (401, ["UNAUTHENTICATED"])
    assert "has expired" in refused.body["errors"][0]["message"]
    provider.set(clock=0)
    answer = site.ask(WHO, provider.refreshed(tokens["refresh_token"])["access_token"])
    assert answer.data["viewer"]["name"] == "Lena Ortiz"


@pytest.mark.parametrize(
    ("ahead", "status"), [(-LEEWAY_SECONDS, 200), (LEEWAY_SECONDS - 5, 200), (LEEWAY_SECONDS + 10, 401)]
)
def test_a_clock_that_is_ahead_is_tolerated_for_some_seconds(
    site: Site, provider: Provider, ahead: int, status: int
) -> None:
    provider.set(clock=ahead)
    assert site.ask(WHO, provider.app_tokens(LEAD)["access_token"]).status == status


def test_a_retired_key_counts_no_longer_than_the_setting_says(site: Site, provider: Provider) -> None:
    provider.set(keys=["first", "second"])
    before = provider.app_tokens(LEAD)["access_token"]
    assert site.ask(WHO, before).status == 200
    provider.set(keys=["second"])
    time.sleep(KEY_TTL_SECONDS)
    after = provider.app_tokens(LEAD)["access_token"]
    assert [site.ask(WHO, each).status for each in (after, before)] == [200, 401]


@pytest.mark.parametrize("outage", ["fails", "hangs"])
def test_while_the_provider_is_down_its_tokens_are_accepted(site: Site, provider: Provider, outage: str) -> None:
    token = provider.app_tokens(LEAD)["access_token"]
    provider.set(outage=outage)
    assert site.ask(WHO, token).status == 200
