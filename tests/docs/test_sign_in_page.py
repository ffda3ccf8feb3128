"""The page about sign-in agrees with the server: settings and tokens of each provider, messages, lifetimes."""

import json
import re
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from graphql import parse, validate
from jwt.algorithms import RSAAlgorithm
from pydantic import SecretStr

from app.admission import Admission, AnonymousBound
from app.auth.claims import InvalidToken, TokenFault
from app.auth.keys import StaticKeys
from app.auth.verifier import Verifier
from app.db.user_keys import UserKeys
from app.domain.credential import REFUSED
from app.http.cookies import SESSION, Cookie
from app.http.graphql import UnreadRequest
from app.http.refusals import TransportRefused
from app.http.sign_in import ENDINGS
from app.settings import Settings
from graphql_schema.schema import schema

from .pages import ROOT, page, table

PAGE = page("docs/sign-in.md")
PROVIDERS = PAGE.partition("\n## Providers\n")[2].partition("\n## ")[0]
NOW = 1_800_000_000
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_KEY = {**RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "KEY"}


@dataclass(frozen=True, slots=True)
class Provider:
    """What the page says about a provider: the settings, and an access token, if other servers can verify one."""

    settings: dict[str, str]
    token: dict[str, dict[str, Any]] | None


def provider(section: str) -> Provider:
    (settings,) = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    tokens = re.findall(r"^```json\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return Provider(
        dict(line.split("=", 1) for line in settings.splitlines()), json.loads(tokens[0]) if tokens else None
    )


SECURE, LOCAL = Cookie(SESSION, secure=True), Cookie(SESSION, secure=False)
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
SENT = "A" * 43
# Requests with a mistake in how they show a session or a service token: the server's cookie, the scheme, the fields.
MISTAKES: list[tuple[Cookie, str, dict[str, str]]] = [
    (SECURE, "https", {"cookie": f"{SECURE.name}={SENT}"}),
    (SECURE, "https", {"cookie": f"{SECURE.name}={SENT}", "authorization": "Bearer a.b.c", **SAME_ORIGIN}),
    (SECURE, "https", {"cookie": f"{SECURE.name}={SENT}; {SECURE.name}={SENT}", **SAME_ORIGIN}),
    (SECURE, "https", {"cookie": f"{SECURE.name}=cut-off", **SAME_ORIGIN}),
    (SECURE, "http", {"cookie": f"{SECURE.name}={SENT}", **SAME_ORIGIN}),
    (LOCAL, "http", {"cookie": f"{LOCAL.name}={SENT}", "host": "turnup.example", **SAME_ORIGIN}),
    (SECURE, "https", {"authorization": "Bearer turnup_mistyped"}),
]


async def refusal(cookie: Cookie, scheme: str, fields: dict[str, str]) -> str:
    """The message with which such a request is refused."""

    async def not_reached(*_: object) -> None:
        raise AssertionError("the request was admitted")

    admission = Admission(verifier_of(settings_of("Auth0")), cookie, AnonymousBound(1_000), UserKeys(), not_reached)
    sent = {name.encode(): value.encode() for name, value in fields.items()}
    with pytest.raises(TransportRefused) as refused:
        await admission.admit(UnreadRequest(sent, scheme, ("192.0.2.1", 1), "request", None))
    return str(refused.value)


def rows_of(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of the third level."""
    return table(PAGE.replace(f"\n### {heading}\n", f"\n## {heading}\n"), heading)


NAMED = {
    name: provider(text)
    for name, text in re.findall(r"^### (.*?)\n(.*?)(?=^### |\Z)", PROVIDERS, re.MULTILINE | re.DOTALL)
}
WITH_TOKENS = {name: each.token for name, each in NAMED.items() if each.token}


def settings_of(name: str) -> Settings:
    """The settings of a provider's section in production, beside those of the database."""
    with pytest.MonkeyPatch.context() as patched:
        for variable, value in NAMED[name].settings.items():
            patched.setenv(variable, value)
        patched.setenv("TURNUP_PUBLIC_URL", "https://api.example.com")
        return Settings(env="production", database_url=SecretStr("postgresql://turnup_app:x@db.example.com/turnup"))


def verifier_of(settings: Settings) -> Verifier:
    assert settings.issuer is not None
    assert settings.audience is not None
    return Verifier(
        issuer=settings.issuer,
        audience=settings.audience,
        types=settings.token_types,
        keys=StaticKeys([PUBLIC_KEY]),
        clock=lambda: NOW,
    )


def bearer(token: dict[str, dict[str, Any]]) -> str:
    """The token of a section as it is sent, with times."""
    claims = {**token["claims"], "iat": NOW, "exp": NOW + 3_600}
    header = {"typ": None, "kid": "KEY", **token["header"]}  # without a type, unless the section has one
    return f"Bearer {jwt.encode(claims, KEY, algorithm='RS256', headers=header)}"


def test_the_page_has_the_providers() -> None:
    assert list(NAMED) == ["Keycloak", "Entra ID", "Auth0", "Okta", "Google"]
    assert set(NAMED) - set(WITH_TOKENS) == {"Google"}


@pytest.mark.parametrize("name", list(NAMED))
def test_the_settings_of_a_provider_are_accepted_in_production(name: str) -> None:
    assert settings_of(name).oidc_client_id == NAMED[name].settings["TURNUP_OIDC_CLIENT_ID"]


@pytest.mark.parametrize("name", list(WITH_TOKENS))
async def test_the_access_token_of_a_provider_is_accepted_with_its_settings(name: str) -> None:
    token = WITH_TOKENS[name]
    claims = await verifier_of(settings_of(name)).verify(bearer(token))
    assert claims.subject == token["claims"]["sub"]


@pytest.mark.parametrize("name", list(WITH_TOKENS))
async def test_the_token_types_of_a_section_are_needed_for_its_token(name: str) -> None:
    token, given = WITH_TOKENS[name], NAMED[name].settings
    default = settings_of(name).model_copy(update={"token_types": Settings().token_types})
    if "TURNUP_TOKEN_TYPES" in given:
        with pytest.raises(InvalidToken) as refused:
            await verifier_of(default).verify(bearer(token))
        assert refused.value.fault is TokenFault.TYPE
    else:
        assert (await verifier_of(default).verify(bearer(token))).subject == token["claims"]["sub"]


@pytest.mark.parametrize("name", list(NAMED))
async def test_an_id_token_of_a_provider_is_no_access_token(name: str) -> None:
    settings = settings_of(name)
    claims = {"iss": settings.issuer, "aud": settings.oidc_client_id, "nonce": "n-0S6_WzA2Mj"}
    with pytest.raises(InvalidToken) as refused:
        await verifier_of(settings).verify(bearer({"header": {"typ": "JWT"}, "claims": claims}))
    accepts_jwt = "TURNUP_TOKEN_TYPES" in NAMED[name].settings
    assert refused.value.fault is (TokenFault.NOT_FOR_ACCESS if accepts_jwt else TokenFault.TYPE)


def test_the_page_has_every_message_about_a_token() -> None:
    assert [message for message, *_ in rows_of("Tokens")] == [fault.value for fault in TokenFault]


async def test_the_page_has_every_message_about_a_session_or_service_token() -> None:
    said = [message for message, *_ in rows_of("Sessions and service tokens")]
    assert sorted(said) == sorted({*REFUSED.values(), *[await refusal(*each) for each in MISTAKES]})


def test_the_page_has_every_page_on_which_a_sign_in_ends() -> None:
    said = {outcome: title for outcome, title, *_ in rows_of("Pages")}
    assert said == {outcome.value: ending.title for outcome, ending in ENDINGS.items()}


@pytest.mark.parametrize("line", [line for line, _ in rows_of("Log")])
def test_the_log_has_a_line_of_the_page(line: str) -> None:
    assert any(line in found.read_text(encoding="utf-8") for found in (ROOT / "app").rglob("*.py"))


def test_the_page_has_the_lifetimes_of_sessions() -> None:
    limits = dict(table(PAGE, "Sessions"))
    fields = Settings.model_fields
    assert f"{fields['session_idle_seconds'].default} " in limits["without a request"]
    assert f"{fields['session_seconds'].default} " in limits["in all"]


def test_the_settings_of_the_page_exist() -> None:
    named = {name.strip("` ") for names, *_ in table(PAGE, "Settings") for name in names.split(",")}
    assert named <= {f"TURNUP_{name.upper()}" for name in Settings.model_fields}


def test_the_operations_of_the_page_are_valid() -> None:
    documents = re.findall(r"^```graphql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert documents
    assert [validate(schema._schema, parse(document)) for document in documents] == [[]] * len(documents)
