"""What the client of an identity provider asks for, what it believes, and what it refuses."""

import asyncio
import json
import time
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from app.auth.discovery import Discovery, ProviderUnavailable, issuer_url, read_provider
from app.auth.oidc import LEEWAY_SECONDS, MOST_EXCHANGES, Challenge, Fault, Registration, RelyingParty, ResponseRefused

from .auth_builders import GONE, Clock, Signer, hmac_token
from .small_provider import (
    AUTHORIZE,
    CLIENT_ID,
    CLIENT_SECRET,
    KEYS,
    METADATA,
    SIGN_OUT,
    TOKEN,
    USER_INFO,
    json_answer,
    providing,
)

CALLBACK = "http://127.0.0.1:8000/auth/callback"
SIGNED_OUT = "http://127.0.0.1:8000/auth/signed-out"


@asynccontextmanager
async def relying(provider, secret=CLIENT_SECRET, issuer=None, **changes):
    """A client that is registered at this provider."""
    registration = Registration(
        issuer=issuer or provider.issuer,
        client_id=CLIENT_ID,
        client_secret=secret,
        scopes="openid email",
        redirect_uri=CALLBACK,
        signed_out_uri=SIGNED_OUT,
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        party = RelyingParty(registration, http, **changes)
        try:
            yield party
        finally:
            await party.aclose()


def sent_back(provider, url):
    """The parameters of the response of the authorization endpoint."""
    return {name: values[0] for name, values in parse_qs(urlsplit(provider.authorize(url)).query).items()}


async def signed_in(party, provider, challenge=None, **changes):
    """The identity that a sign-in ends with."""
    challenge = challenge or Challenge.new()
    response = sent_back(provider, await party.authorization_url(challenge))
    await party.check_issuer(response.get("iss"))
    given = {"nonce": challenge.nonce, "code_verifier": challenge.code_verifier, **changes}
    return await party.identity(given.pop("code", response.get("code")), **given)


async def refusal(party, provider, **changes):
    """Why a sign-in is refused."""
    with pytest.raises(ResponseRefused) as refused:
        await signed_in(party, provider, **changes)
    return refused.value.fault


async def test_a_sign_in_asks_for_a_code_with_state_nonce_and_a_challenge():
    async with providing() as provider, relying(provider) as party:
        challenge = Challenge.new()
        url = urlsplit(await party.authorization_url(challenge))
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert f"{url.scheme}://{url.netloc}{url.path}" == provider.issuer + AUTHORIZE
        assert len(asked.pop("code_challenge")) == 43
        assert asked == {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": CALLBACK,
            "scope": "openid email",
            "state": challenge.state,
            "nonce": challenge.nonce,
            "code_challenge_method": "S256",
        }
        assert challenge.code_verifier not in url.query
        assert "prompt=login" in await party.authorization_url(challenge, again=True)


def test_no_two_sign_ins_share_a_secret_and_none_is_printed():
    one, other = Challenge.new(), Challenge.new()
    secrets = {one.state, one.nonce, one.code_verifier, other.state, other.nonce, other.code_verifier}
    assert len(secrets) == 6
    assert all(len(secret) == 43 for secret in secrets)
    assert not any(secret in repr(one) for secret in secrets)


@pytest.mark.parametrize(
    "methods",
    [
        ["client_secret_basic", "client_secret_post"],
        ["client_secret_post"],
        ["private_key_jwt", "client_secret_basic"],
        GONE,
    ],
)
async def test_the_code_is_exchanged_for_who_the_person_is(methods):
    async with providing() as provider, relying(provider) as party:
        provider.metadata["token_endpoint_auth_methods_supported"] = methods
        provider.claims.update(email="olga@example.com", email_verified=True)
        identity = await signed_in(party, provider)
        assert identity.subject == provider.subject
        assert (identity.email, identity.email_verified) == ("olga@example.com", True)
        assert provider.asked == [METADATA, TOKEN, KEYS]


async def test_a_client_without_a_secret_names_itself():
    async with providing() as provider, relying(provider, secret=None) as party:
        provider.answers[TOKEN] = json_answer({"error": "invalid_grant"}, 400)
        assert await refusal(party, provider) is Fault.CODE


async def test_a_provider_that_accepts_no_secret_cannot_be_used(caplog):
    async with providing() as provider, relying(provider) as party:
        provider.metadata["token_endpoint_auth_methods_supported"] = ["private_key_jwt"]
        with pytest.raises(ProviderUnavailable):
            await signed_in(party, provider)
        assert TOKEN not in provider.asked
        assert "accepts no secret" in caplog.text


async def test_discovery_and_keys_are_asked_for_once_by_many_sign_ins():
    async with providing() as provider, relying(provider) as party:
        await asyncio.gather(*(signed_in(party, provider) for _ in range(8)))
        assert (provider.asked.count(METADATA), provider.asked.count(KEYS)) == (1, 1)


@pytest.mark.parametrize("issuer", ["https://evil.example", "", "{issuer}/", "{issuer} ", "HTTP{rest}"])
async def test_a_response_of_another_issuer_is_refused_before_its_code_is_sent_anywhere(issuer):
    async with providing() as provider, relying(provider) as party:
        provider.response["iss"] = issuer.format(issuer=provider.issuer, rest=provider.issuer.removeprefix("http"))
        assert await refusal(party, provider) is Fault.ISSUER
        assert TOKEN not in provider.asked


async def test_a_response_without_an_issuer_is_refused_only_if_the_provider_names_itself():
    async with providing() as provider, relying(provider) as party:
        provider.response["iss"] = GONE
        assert await refusal(party, provider) is Fault.ISSUER
    async with providing() as provider, relying(provider) as party:
        provider.response["iss"] = provider.metadata["authorization_response_iss_parameter_supported"] = GONE
        assert (await signed_in(party, provider)).subject == provider.subject
        provider.response["iss"] = "https://evil.example"
        assert await refusal(party, provider) is Fault.ISSUER


async def test_a_code_counts_once_and_only_with_the_verifier_of_its_challenge():
    async with providing() as provider, relying(provider) as party:
        challenge = Challenge.new()
        code = sent_back(provider, await party.authorization_url(challenge))["code"]
        assert await refusal(party, provider, code="forged") is Fault.CODE
        assert await refusal(party, provider, code_verifier=Challenge.new().code_verifier) is Fault.CODE
        await party.identity(code, nonce=challenge.nonce, code_verifier=challenge.code_verifier)
        with pytest.raises(ResponseRefused) as refused:
            await party.identity(code, nonce=challenge.nonce, code_verifier=challenge.code_verifier)
        assert refused.value.fault is Fault.CODE


async def test_an_id_token_with_the_nonce_of_another_sign_in_is_refused():
    async with providing() as provider, relying(provider) as party:
        assert await refusal(party, provider, nonce=Challenge.new().nonce) is Fault.ID_TOKEN


WRONG_CLAIMS = [
    {"iss": "https://evil.example"},
    {"iss": GONE},
    {"iss": ["{issuer}"]},
    {"aud": "another-client"},
    {"aud": GONE},
    {"aud": []},
    {"aud": [CLIENT_ID, "another-client"]},
    {"aud": [CLIENT_ID, "another-client"], "azp": "another-client"},
    {"azp": "another-client"},
    {"sub": GONE},
    {"sub": 7},
    {"sub": None},
    {"exp": GONE},
    {"exp": "tomorrow"},
    {"exp": True},
    {"exp": float("inf")},
    {"iat": GONE},
    {"iat": [1]},
    {"nbf": 9_999_999_999},
    {"nonce": GONE},
    {"nonce": ""},
    {"nonce": ["nonce"]},
    {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    {"at_hash": {"half": 1}},
    {"at_hash": "ü"},
]


@pytest.mark.parametrize("claims", WRONG_CLAIMS, ids=repr)
async def test_an_id_token_with_a_wrong_claim_is_refused(claims):
    async with providing() as provider, relying(provider) as party:
        provider.claims.update(claims)
        assert await refusal(party, provider) is Fault.ID_TOKEN


@pytest.mark.parametrize("subject", ["", " \n", "a\x00b", "x" * 256, "\u200b"])
async def test_a_subject_that_cannot_be_one_is_refused(subject):
    async with providing() as provider, relying(provider) as party:
        provider.claims["sub"] = subject
        assert await refusal(party, provider) in {Fault.SUBJECT, Fault.ID_TOKEN}


async def test_claims_that_the_standard_allows_are_accepted():
    async with providing() as provider, relying(provider) as party:
        for claims in (
            {"aud": [CLIENT_ID]},
            {"aud": [CLIENT_ID, "another-client"], "azp": CLIENT_ID},
            {"at_hash": GONE},
        ):
            provider.claims = claims
            assert (await signed_in(party, provider)).subject == provider.subject


async def test_clocks_may_differ_by_the_leeway_and_no_more():
    clock = Clock(time.time())
    async with providing() as provider, relying(provider, clock=clock) as party:
        provider.clock = Clock(clock.now)
        for seconds, accepted in (
            (LEEWAY_SECONDS - 2, True),
            (LEEWAY_SECONDS + 2, False),
            (-300 - LEEWAY_SECONDS + 2, True),
            (-300 - LEEWAY_SECONDS - 2, False),
        ):
            provider.clock.now = clock.now + seconds
            if accepted:
                assert (await signed_in(party, provider)).subject == provider.subject
            else:
                assert await refusal(party, provider) is Fault.ID_TOKEN


async def test_a_signature_by_another_key_is_refused():
    async with providing() as provider, relying(provider) as party:
        provider.signer = Signer(kid="provider-1-of-someone-else")
        assert await refusal(party, provider) is Fault.SIGNATURE
        provider.signer.kid = "provider-1"
        assert await refusal(party, provider) is Fault.SIGNATURE


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ({"alg": "none"}, Fault.SIGNATURE),
        ({"alg": "HS256"}, Fault.SIGNATURE),
        ({"alg": "RS256"}, Fault.SIGNATURE),
        ({"alg": GONE}, Fault.SIGNATURE),
        ({"alg": ["ES256"]}, Fault.SIGNATURE),
        ({"kid": ["provider-1"]}, Fault.ID_TOKEN),
        ({"kid": "unknown"}, Fault.SIGNATURE),
        ({"typ": "at+jwt"}, Fault.ID_TOKEN),
        ({"typ": 7}, Fault.ID_TOKEN),
        ({"crit": ["exp"]}, Fault.ID_TOKEN),
    ],
)
async def test_a_header_that_no_id_token_has_is_refused(header, fault):
    async with providing() as provider, relying(provider) as party:
        provider.headers = header
        assert await refusal(party, provider) is fault


@pytest.mark.parametrize(
    "token", [GONE, None, 7, ["token"], "", "a.b.c", "not a token", "[" * 20_000, "ü.ü.ü", "\ud800"], ids=range(10)
)
async def test_a_text_that_is_no_id_token_is_refused(token):
    async with providing() as provider, relying(provider) as party:
        provider.token_answer["id_token"] = token
        assert await refusal(party, provider) in {Fault.NO_ID_TOKEN, Fault.ID_TOKEN}


async def test_the_public_key_is_no_secret_of_a_signature():
    async with providing() as provider, relying(provider) as party:
        secret = json.dumps(provider.signer.jwk).encode()
        provider.token_answer["id_token"] = hmac_token(secret, {"alg": "HS256", "typ": "JWT", "kid": "provider-1"})
        assert await refusal(party, provider) is Fault.SIGNATURE


async def test_a_new_signing_key_is_found():
    async with providing() as provider, relying(provider) as party:
        provider.signer = Signer("RS256", kid="provider-2")
        provider.keys.append(provider.signer.jwk)
        assert (await signed_in(party, provider)).subject == provider.subject


async def test_the_key_set_may_move():
    async with providing() as provider, relying(provider) as party, httpx.AsyncClient(trust_env=False) as http:
        await signed_in(party, provider)
        party._discovery = Discovery(provider.issuer, http)
        provider.metadata["jwks_uri"] = provider.issuer + "/other-keys"
        provider.answers["/other-keys"] = json_answer({"keys": provider.keys})
        assert (await signed_in(party, provider)).subject == provider.subject
        assert provider.asked[-1] == "/other-keys"


async def test_the_address_comes_from_the_user_information_if_the_id_token_has_none():
    async with providing() as provider, relying(provider) as party:
        provider.user_info.update(email="olga@example.com", email_verified=True)
        identity = await signed_in(party, provider, with_email=True)
        assert (identity.email, identity.email_verified) == ("olga@example.com", True)
        assert (await signed_in(party, provider)).email is None
        provider.claims.update(email="olga@example.org", email_verified=False)
        identity = await signed_in(party, provider, with_email=True)
        assert (identity.email, identity.email_verified) == ("olga@example.org", False)
        assert provider.asked.count(USER_INFO) == 1


@pytest.mark.parametrize("verified", ["true", 1, None, GONE, ["true"]])
async def test_only_true_is_a_verified_address(verified):
    async with providing() as provider, relying(provider) as party:
        provider.claims.update(email="olga@example.com", email_verified=verified)
        assert (await signed_in(party, provider)).email_verified is False


async def test_the_user_information_of_somebody_else_is_refused():
    async with providing() as provider, relying(provider) as party:
        provider.user_info.update(sub="oidc|person-2", email="olga@example.com", email_verified=True)
        assert await refusal(party, provider, with_email=True) is Fault.SUBJECT


ODD_ANSWERS = {
    "an error of the server": json_answer({"error": "server_error"}, 500),
    "another client": json_answer({"error": "invalid_client"}, 401),
    "too many requests": (429, {}, b"slow down"),
    "an error that is a list": json_answer({"error": ["invalid_grant"]}, 400),
    "an error that is an object": json_answer({"error": {"invalid_grant": 1}}, 400),
    "a page": (200, {"Content-Type": "text/html"}, b"<html>"),
    "nothing": (200, {}, b""),
    "a list": json_answer([]),
    "no UTF-8": (200, {}, b'{"id_token": "\xff"}'),
    "a deep list": (200, {}, b"[" * 60_000),
    "a huge answer": (200, {}, b'{"a": "' + b"a" * 300_000 + b'"}'),
    "compressed": (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08\x00"),
    "a redirect": (302, {"Location": "http://127.0.0.1:9/"}, b""),
    "a wrong length": (200, {"Content-Length": "1000"}, b"{}"),
}


@pytest.mark.parametrize("path", [METADATA, TOKEN, USER_INFO, KEYS])
@pytest.mark.parametrize("odd", ODD_ANSWERS)
async def test_an_odd_answer_is_an_outage_of_the_provider(path, odd):
    async with providing() as provider, relying(provider) as party:
        provider.answers[path] = ODD_ANSWERS[odd]
        with pytest.raises(ProviderUnavailable):
            await signed_in(party, provider, with_email=True)


@pytest.mark.parametrize("path", [METADATA, TOKEN])
async def test_an_answer_that_takes_too_long_is_an_outage(path):
    async with providing() as provider, relying(provider, timeout_seconds=0.2) as party:
        if path == TOKEN:
            await party.check_issuer(provider.issuer)
        provider.drip = True
        with pytest.raises(ProviderUnavailable):
            await signed_in(party, provider)


async def test_a_provider_that_is_down_is_asked_seldom_and_nobody_is_sent_to_it_but_who_was_there_comes_back():
    clock = Clock()
    async with providing() as provider, httpx.AsyncClient(trust_env=False) as http:
        discovery = Discovery(provider.issuer, http, clock=clock)
        provider.answers[METADATA] = json_answer({}, 503)
        for _ in range(50):
            with pytest.raises(ProviderUnavailable):
                await discovery.answering()
        assert len(provider.asked) == 1
        clock.advance(3)
        del provider.answers[METADATA]
        known = await discovery.answering()
        provider.answers[METADATA] = json_answer({}, 503)
        clock.advance(10)
        with pytest.raises(ProviderUnavailable):
            await discovery.answering()
        assert await discovery.provider() == known
        clock.advance(86_400)
        with pytest.raises(ProviderUnavailable):
            await discovery.provider()
        del provider.answers[METADATA]
        clock.advance(3)
        assert await discovery.answering() == known
        await discovery.aclose()


async def test_exchanges_in_progress_are_bounded():
    async with providing() as provider, relying(provider, wait_seconds=0.2) as party:
        await party.check_issuer(provider.issuer)
        provider.hold.clear()
        waiting = [asyncio.create_task(signed_in(party, provider)) for _ in range(3 * MOST_EXCHANGES)]
        done, pending = await asyncio.wait(waiting, timeout=1.0)
        assert provider.most_in_progress == MOST_EXCHANGES
        assert len(done) == 2 * MOST_EXCHANGES
        assert {type(task.exception()) for task in done} == {ProviderUnavailable}
        provider.hold.set()
        assert {(await task).subject for task in pending} == {provider.subject}


async def test_signing_out_leads_to_the_provider_and_back():
    async with providing() as provider, relying(provider) as party:
        url = urlsplit(await party.sign_out_url())
        assert url.path == SIGN_OUT
        assert parse_qs(url.query) == {"client_id": [CLIENT_ID], "post_logout_redirect_uri": [SIGNED_OUT]}
    async with providing() as provider, relying(provider) as party:
        provider.metadata["end_session_endpoint"] = GONE
        assert await party.sign_out_url() is None
    async with providing() as provider, relying(provider) as party:
        provider.answers[METADATA] = json_answer({}, 503)
        assert await party.sign_out_url() is None


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"issuer": GONE},
        {"issuer": "{issuer}/"},
        {"authorization_endpoint": GONE},
        {"authorization_endpoint": "http://provider.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": "http://provider.example/token"},
        {"token_endpoint": "https://user:password@provider.example/token"},
        {"token_endpoint": "https://provider.example/token#part"},
        {"token_endpoint": 7},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"userinfo_endpoint": "http://provider.example/me"},
        {"end_session_endpoint": ["https://provider.example"]},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
        {"id_token_signing_alg_values_supported": "ES256"},
        {"code_challenge_methods_supported": ["plain"]},
        {"code_challenge_methods_supported": [7]},
        {"token_endpoint_auth_methods_supported": "client_secret_basic"},
    ],
    ids=repr,
)
async def test_a_discovery_document_that_cannot_be_trusted_is_refused(changes):
    async with providing() as provider:
        provider.metadata = changes
        with pytest.raises(ValueError, match=r"discovery document|provider|URL"):
            read_provider(json.dumps(provider.document()).encode(), provider.issuer)


@pytest.mark.parametrize(
    "url",
    [
        *("", "provider.example", "http://provider.example", "https://", "ftp://provider.example"),
        *("https://user@provider.example", "https://provider.example?a=b", "https://provider.example/#a"),
    ],
)
def test_the_url_of_an_issuer_is_encrypted_and_has_no_query(url):
    with pytest.raises(ValueError, match="URL"):
        issuer_url(url)
