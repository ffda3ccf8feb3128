"""Sign-in with a browser at a server in a process of its own, and what its log and its metrics say."""

import httpx
import pytest

from app.http.sign_in_paths import CALLBACK, LOGIN
from tests.auth.small_provider import CLIENT_ID, CLIENT_SECRET, providing
from tests.contract.served import served
from tests.harness import LEAD

VIEWER = {"query": "{ viewer { user { email } } }"}


@pytest.mark.slow
async def test_a_session_counts_and_the_log_has_no_secret_of_it() -> None:
    async with providing() as provider:
        provider.subject = LEAD
        variables = {
            "TURNUP_GRAPHIQL": "false",
            "TURNUP_ISSUER": provider.issuer,
            "TURNUP_PUBLIC_URL": "http://127.0.0.1:8000",  # the port does not matter to cookies
            "TURNUP_OIDC_CLIENT_ID": CLIENT_ID,
            "TURNUP_OIDC_CLIENT_SECRET": CLIENT_SECRET,
        }
        with served(**variables) as server:
            async with httpx.AsyncClient(base_url=server.origin, trust_env=False, timeout=30) as browser:
                began = await browser.get(LOGIN)
                back = httpx.URL(provider.authorize(began.headers["location"]))
                ended = await browser.get(back.raw_path.decode())
                assert (ended.status_code, ended.headers["location"]) == (303, "/auth/signed-in")
                answer = await browser.post("/graphql", json=VIEWER, headers={"sec-fetch-site": "same-origin"})
                assert answer.json()["data"]["viewer"]["user"]["email"] == LEAD
                metrics = (await browser.get("/metrics")).text
                secrets = [*browser.cookies.values(), back.params["state"], back.params["code"], CLIENT_SECRET]
            log = (server.home / "serve.log").read_text()
    assert 'turnup_sign_ins_total{outcome="signed_in"} 1.0' in metrics
    assert CALLBACK in log
    assert not [secret for secret in secrets if secret in log]
