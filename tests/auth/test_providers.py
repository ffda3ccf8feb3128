"""Access tokens of the usual providers are believed when JWT is among the types, and their ID tokens never are."""

import pytest

from app.auth.claims import InvalidToken, TokenFault, TokenType

from .auth_builders import GONE, NOW, Clock, Signer, a_verifier
from .provider_tokens import ACCESS_TOKENS, ID_TOKENS, OURS

SIGNER = Signer("RS256")
BOTH = (TokenType.AT_JWT, TokenType.JWT)


def the_bearer(token):
    kind, claims = token
    return SIGNER.bearer({"typ": kind}, **{**OURS, **claims})


async def the_fault_of(verifier, bearer):
    with pytest.raises(InvalidToken) as refused:
        await verifier.verify(bearer)
    return refused.value.fault


@pytest.mark.parametrize("name", ACCESS_TOKENS)
async def test_the_access_token_of_a_provider_is_believed_when_the_type_is_accepted(name):
    claims = await a_verifier(SIGNER, types=BOTH).verify(the_bearer(ACCESS_TOKENS[name]))
    assert claims.subject == ACCESS_TOKENS[name][1]["sub"]


@pytest.mark.parametrize("name", ACCESS_TOKENS)
async def test_without_that_setting_its_type_is_refused(name):
    assert await the_fault_of(a_verifier(SIGNER), the_bearer(ACCESS_TOKENS[name])) is TokenFault.TYPE


@pytest.mark.parametrize("types", [BOTH, (TokenType.JWT,)])
@pytest.mark.parametrize("name", ID_TOKENS)
async def test_an_id_token_is_no_access_token_whatever_types_are_accepted(name, types):
    assert await the_fault_of(a_verifier(SIGNER, types=types), the_bearer(ID_TOKENS[name])) is TokenFault.NOT_FOR_ACCESS


@pytest.mark.parametrize("kind", ["JWT", "jwt", "application/jwt", "application/JWT", GONE])
async def test_every_spelling_of_the_type_is_accepted_and_none_at_all(kind):
    verifier = a_verifier(SIGNER, types=BOTH)
    assert (await verifier.verify(SIGNER.bearer({"typ": kind}, scope="openid"))).subject == "user-7"


@pytest.mark.parametrize(
    "kind", ["id+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "JWT ", "application/", "", 7, None]
)
async def test_no_other_type_is_accepted_whatever_it_claims(kind):
    assert (
        await the_fault_of(a_verifier(SIGNER, types=BOTH), SIGNER.bearer({"typ": kind}, scope="x")) is TokenFault.TYPE
    )


async def test_a_server_that_accepts_only_untyped_tokens_refuses_the_type_of_access_tokens():
    verifier = a_verifier(SIGNER, types=(TokenType.JWT,))
    assert await the_fault_of(verifier, SIGNER.bearer(scope="openid")) is TokenFault.TYPE


async def test_the_type_of_access_tokens_needs_no_further_evidence():
    assert (await a_verifier(SIGNER, types=BOTH).verify(SIGNER.bearer(nonce="n"))).subject == "user-7"


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({"aud": "another-api"}, TokenFault.AUDIENCE),
        ({"aud": ["account", "another-api"]}, TokenFault.AUDIENCE),
        ({"iss": "https://login.microsoftonline.com/common/v2.0"}, TokenFault.ISSUER),
        ({"exp": NOW - 30}, TokenFault.EXPIRED),
    ],
)
async def test_a_providers_token_for_another_api_or_of_another_tenant_is_refused(claims, fault):
    for kind, usual in ACCESS_TOKENS.values():
        assert await the_fault_of(a_verifier(SIGNER, types=BOTH), the_bearer((kind, {**usual, **claims}))) is fault


@pytest.mark.parametrize(
    ("skew", "fault"),
    [(-31, TokenFault.NOT_YET_VALID), (-30, None), (30, None), (629, None), (630, TokenFault.EXPIRED)],
    ids=["31 s behind", "30 s behind", "30 s ahead", "at the end of the leeway", "after the leeway"],
)
async def test_clocks_may_differ_by_half_a_minute(skew, fault):
    """`skew` is how far the clock of the server is ahead of the issuer's, who has just issued the token."""
    verifier, bearer = a_verifier(SIGNER, clock=Clock(NOW + skew)), SIGNER.bearer(iat=NOW, nbf=NOW, exp=NOW + 600)
    if fault is None:
        assert (await verifier.verify(bearer)).subject == "user-7"
    else:
        assert await the_fault_of(verifier, bearer) is fault
