"""Which tokens are believed, which are not and why, and what is remembered."""

import json
import traceback

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.auth.claims import Claims, InvalidToken, TokenFault
from app.auth.keys import StaticKeys, TrustedKey

from .auth_builders import (
    AUDIENCE,
    GONE,
    ISSUER,
    LEEWAY,
    NOW,
    Clock,
    CountingKeys,
    Signer,
    a_verifier,
    b64,
    hmac_token,
    right_claims,
)

SIGNER = Signer()
EDWARDS = Signer("EdDSA", kid="edwards")
HEADER = json.dumps({"typ": "at+jwt", "alg": "ES256", "kid": "key-1"})
PAYLOAD = json.dumps(right_claims())
RIGHT = Claims(subject="user-7", expires_at=NOW + 600)


def signed_raw(header, payload):
    """The Authorization header value with a signature of these parts as they are."""
    signing_input = f"{header}.{payload}"
    signature = b64(jwt.get_algorithm_by_name("ES256").sign(signing_input.encode(), SIGNER.private))
    return f"Bearer {signing_input}.{signature}"


async def the_fault_of(verifier, authorization):
    with pytest.raises(InvalidToken) as refused:
        await verifier.verify(authorization)
    return refused.value.fault


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
async def test_a_right_token_of_each_accepted_algorithm_is_believed(algorithm):
    signer = Signer(algorithm)
    assert await a_verifier(signer).verify(signer.bearer()) == RIGHT


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
async def test_the_scheme_is_read_without_regard_to_case_or_number_of_spaces(scheme):
    assert await a_verifier(SIGNER).verify(scheme + SIGNER.token()) == RIGHT


@pytest.mark.parametrize("blanks", [" ", "\t", " \t  \t"])
async def test_blanks_after_the_token_are_no_part_of_the_header_value(blanks):
    verifier, bearer = a_verifier(SIGNER), SIGNER.bearer()
    assert await verifier.verify(bearer + blanks) == RIGHT
    assert verifier.cached(bearer) == verifier.cached(bearer + blanks) == RIGHT


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_every_spelling_of_the_access_token_type_is_accepted(kind):
    assert await a_verifier(SIGNER).verify(SIGNER.bearer({"typ": kind})) == RIGHT


async def test_a_token_for_several_audiences_is_believed_when_ours_is_among_them():
    assert await a_verifier(SIGNER).verify(SIGNER.bearer(aud=["other", AUDIENCE])) == RIGHT


@pytest.mark.parametrize("authorization", [None, ""])
async def test_no_header_is_a_missing_token(authorization):
    assert await the_fault_of(a_verifier(SIGNER), authorization) is TokenFault.MISSING


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "{token}",
        "Token {token}",
        " Bearer {token}",
        "Bearer\t{token}",
        "Bearer {token}\n",
        "Bearer {token} \n",
        "Bearer {token}\u00a0",
        "Bearer {token} {token}",
        "Bearer {token}, Basic dXNlcjpwYXNz",
        "Basic dXNlcjpwYXNz, Bearer {token}",
        "Bearer {token},Bearer {token}",
        "Bearer Bearer {token}",
        "Bearer {token}.more",
        "Bearer {token}==",
        "Bearer {token}\x00",
        "Bearer \x00{token}",
        "Bearer {token}\udc80",
        "Bearer {token}é",
        "Bearer {token}٣",
        "Bearer ſ{token}",
        "Bearer a.b",
        "Bearer ..",
        "\x00",
        "\udfff",
    ],
)
async def test_a_header_must_be_one_scheme_and_one_token(authorization):
    value = authorization.format(token=SIGNER.token())
    verifier = a_verifier(SIGNER)
    assert verifier.cached(value) is None
    assert await the_fault_of(verifier, value) is TokenFault.HEADER


async def test_a_header_of_eight_kibibytes_is_read_and_one_more_character_is_not():
    verifier, token = a_verifier(SIGNER), SIGNER.token()
    longest = f"{'Bearer'.ljust(8192 - len(token))}{token}"
    assert len(longest) == 8192
    assert await verifier.verify(longest) == RIGHT
    too_long = longest.replace("Bearer", "Bearer ")
    assert await the_fault_of(verifier, too_long) is TokenFault.TOO_LONG
    assert verifier.cached(too_long) is None


async def test_a_megabyte_of_token_is_refused_unread():
    assert await the_fault_of(a_verifier(SIGNER), f"Bearer {'a' * 1_000_000}.b.c") is TokenFault.TOO_LONG


@pytest.mark.parametrize("claim", ["exp", "iat", "iss", "aud", "sub"])
@pytest.mark.parametrize("value", [GONE, None])
async def test_every_required_claim_must_be_there(claim, value):
    assert await the_fault_of(a_verifier(SIGNER), SIGNER.bearer(**{claim: value})) is TokenFault.CLAIM_MISSING


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({"iss": "https://login.example"}, TokenFault.ISSUER),
        ({"iss": [ISSUER]}, TokenFault.ISSUER),
        ({"aud": "other"}, TokenFault.AUDIENCE),
        ({"aud": ["other", "Turnup"]}, TokenFault.AUDIENCE),
        ({"aud": {AUDIENCE: 1}}, TokenFault.AUDIENCE),
        ({"aud": [AUDIENCE, 7]}, TokenFault.AUDIENCE),
        ({"aud": []}, TokenFault.CLAIM_MISSING),
        ({"sub": ""}, TokenFault.SUBJECT),
        ({"sub": 7}, TokenFault.SUBJECT),
        ({"sub": ["user-7"]}, TokenFault.SUBJECT),
        ({"sub": "a" * 256}, TokenFault.SUBJECT),
        ({"sub": "user\x00"}, TokenFault.SUBJECT),
        ({"sub": "user\n7"}, TokenFault.SUBJECT),
        ({"sub": "user\ud800"}, TokenFault.SUBJECT),
        ({"exp": str(NOW + 600)}, TokenFault.MALFORMED),
        ({"exp": True}, TokenFault.MALFORMED),
        ({"exp": [NOW + 600]}, TokenFault.MALFORMED),
        ({"exp": float("inf")}, TokenFault.MALFORMED),
        ({"exp": float("nan")}, TokenFault.MALFORMED),
        ({"exp": 10**400}, TokenFault.MALFORMED),
        ({"exp": -1}, TokenFault.MALFORMED),
        ({"iat": "yesterday"}, TokenFault.MALFORMED),
        ({"iat": float("-inf")}, TokenFault.MALFORMED),
        ({"nbf": None}, TokenFault.MALFORMED),
        ({"nbf": "soon"}, TokenFault.MALFORMED),
        ({"exp": NOW - LEEWAY}, TokenFault.EXPIRED),
        ({"iat": NOW + LEEWAY + 1}, TokenFault.NOT_YET_VALID),
        ({"nbf": NOW + LEEWAY + 1}, TokenFault.NOT_YET_VALID),
        ({"nbf": NOW, "iat": NOW + LEEWAY + 1}, TokenFault.NOT_YET_VALID),
        ({"iat": NOW - 60, "exp": NOW - 60 + 86_401}, TokenFault.LIFETIME),
    ],
)
async def test_a_wrong_claim_is_named(claims, fault):
    assert await the_fault_of(a_verifier(SIGNER), SIGNER.bearer(**claims)) is fault


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - LEEWAY + 1},
        {"iat": NOW + LEEWAY},
        {"nbf": NOW + LEEWAY},
        {"iat": NOW - 60, "exp": NOW - 60 + 86_400},
        {"sub": "a" * 255},
        {"sub": "Zoë 山田"},
        {"exp": NOW + 600.5, "iat": NOW - 0.5},
    ],
)
async def test_a_claim_at_the_edge_of_what_is_right_is_accepted(claims):
    whole = {**right_claims(), **claims}
    assert await a_verifier(SIGNER).verify(SIGNER.bearer(**claims)) == Claims(whole["sub"], int(whole["exp"]))


async def test_a_token_without_a_signature_is_refused():
    token = f"{b64(json.dumps({'typ': 'at+jwt', 'alg': 'none'}))}.{b64(json.dumps(right_claims()))}."
    assert await the_fault_of(a_verifier(SIGNER), f"Bearer {token}") is TokenFault.ALGORITHM


async def test_a_right_header_with_an_empty_signature_is_refused():
    unsigned = SIGNER.bearer().rpartition(".")[0] + "."
    assert await the_fault_of(a_verifier(SIGNER), unsigned) is TokenFault.SIGNATURE


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
async def test_the_public_key_is_no_shared_secret(encoding):
    public = SIGNER.private.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    token = hmac_token(public, {"typ": "at+jwt", "alg": "HS256", "kid": SIGNER.kid})
    assert await the_fault_of(a_verifier(SIGNER), f"Bearer {token}") is TokenFault.ALGORITHM


@pytest.mark.parametrize(
    "algorithm", ["HS256", "ES384", "PS256", "RS512", "NONE", "es256", "", 7, None, ["ES256"], GONE]
)
async def test_only_the_pinned_algorithms_are_accepted(algorithm):
    assert await the_fault_of(a_verifier(SIGNER), SIGNER.bearer({"alg": algorithm})) is TokenFault.ALGORITHM


@pytest.mark.parametrize(("signed_by", "claimed"), [("ES256", "RS256"), ("RS256", "EdDSA"), ("EdDSA", "ES256")])
async def test_an_algorithm_that_does_not_fit_the_key_finds_no_key(signed_by, claimed):
    signer = Signer(signed_by)
    assert await the_fault_of(a_verifier(signer), signer.bearer({"alg": claimed})) is TokenFault.UNKNOWN_KEY


@pytest.mark.parametrize("kind", ["JWT", "jwt", "id+jwt", "logout+jwt", "", 7, None, ["at+jwt"], GONE])
async def test_an_id_token_or_another_kind_of_token_is_no_access_token(kind):
    assert await the_fault_of(a_verifier(SIGNER), SIGNER.bearer({"typ": kind})) is TokenFault.TYPE


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": NOW + 600},
        {"crit": ["b64"], "b64": True},
        {"crit": []},
        {"b64": False},
        {"b64": 0},
        {"b64": "true"},
        {"kid": 7},
        {"kid": None},
        {"kid": ["key-1"]},
        {"more": float("nan")},
        {"more": float("-inf")},
    ],
)
async def test_a_header_that_asks_for_the_unknown_is_malformed(header):
    assert await the_fault_of(a_verifier(SIGNER), SIGNER.bearer(header)) is TokenFault.MALFORMED


@pytest.mark.parametrize(
    "segment",
    [
        "a",
        "aaaaa",
        b64("not json"),
        b64("[]"),
        b64("7"),
        b64("[" * 4000),
        b64(b"\xff\xfe"),
        b64('{"alg":' + "9" * 5000),
        b64("\ufeff" + HEADER),
        b64(HEADER.encode("utf-16")),
        b64(HEADER.encode("utf-16-be")),
        b64(HEADER.encode("utf-16-le")),
        b64(HEADER.encode("utf-32")),
        b64(HEADER.encode("utf-32-be")),
        b64(HEADER.encode("latin-1")[:-1] + b', "more": "\xe9"}'),
        b64(HEADER + HEADER),
        b64(HEADER + "\0"),
        b64(HEADER[:-1] + ', "kid": "key-1"}'),
        b64(HEADER[:-1] + ', "k\\u0069d": "key-1"}'),
        b64(HEADER[:-1] + ', "more": {"a": 1, "a": 1}}'),
        b64(HEADER[:-1] + ', "more": [' + "{}," * 256 + "{}]}"),
        b64(HEADER[:-1] + ",}"),
        b64("{'alg': 'ES256'}"),
    ],
)
async def test_a_token_header_that_cannot_be_read_is_malformed(segment):
    _, payload, signature = SIGNER.token().split(".")
    assert await the_fault_of(a_verifier(SIGNER), f"Bearer {segment}.{payload}.{signature}") is TokenFault.MALFORMED


@pytest.mark.parametrize(
    "payload",
    [
        "[]",
        "7",
        "x",
        "null",
        "[" * 3000,
        '"\\ud800"',
        "\ufeff" + PAYLOAD,
        PAYLOAD.encode("utf-16"),
        PAYLOAD.encode("utf-16-be"),
        PAYLOAD.encode("utf-16-le"),
        PAYLOAD.encode("utf-32"),
        PAYLOAD.encode("utf-32-le"),
        PAYLOAD.replace("user-7", "Zoë").encode("latin-1"),
        PAYLOAD.replace("user-7", "Zoë").encode().replace("ë".encode(), b"\xed\xa0\x80"),
        PAYLOAD + PAYLOAD,
        PAYLOAD[:-1] + ', "sub": "user-8"}',
        PAYLOAD[:-1] + ', "s\\u0075b": "user-8"}',
        PAYLOAD[:-1] + ', "aud": "turnup"}',
        PAYLOAD[:-1] + ', "more": [{"a": 1, "a": 2}]}',
        PAYLOAD[:-1] + ', "more": NaN}',
        PAYLOAD[:-1] + ', "more": Infinity}',
        PAYLOAD[:-1] + ', "more": [' + "{}," * 256 + "{}]}",
        PAYLOAD[:-1] + ', "more": ' + "9" * 5000 + "}",
        PAYLOAD[:-1] + ",}",
        PAYLOAD.replace(str(NOW + 600), "1e999"),
        PAYLOAD.replace(str(NOW + 600), "1e16"),
        PAYLOAD.replace(str(NOW + 600), "0x7fffffff"),
        PAYLOAD.replace(str(NOW + 600), f"0{NOW + 600}"),
        PAYLOAD.replace(str(NOW + 600), f"+{NOW + 600}"),
    ],
)
async def test_a_signed_payload_that_is_no_strict_json_object_is_malformed(payload):
    bearer = signed_raw(b64(HEADER), b64(payload))
    assert await the_fault_of(a_verifier(SIGNER), bearer) is TokenFault.MALFORMED


@pytest.mark.parametrize(
    ("exp", "fault"),
    [
        ("-0", TokenFault.EXPIRED),
        ("-0.0", TokenFault.EXPIRED),
        ("1e-400", TokenFault.EXPIRED),
        ("1e10", TokenFault.LIFETIME),
    ],
)
async def test_an_expiry_in_another_notation_is_still_a_number_of_seconds(exp, fault):
    bearer = signed_raw(b64(HEADER), b64(PAYLOAD.replace(str(NOW + 600), exp)))
    assert await the_fault_of(a_verifier(SIGNER), bearer) is fault


async def test_a_float_of_whole_seconds_is_the_same_expiry():
    bearer = signed_raw(b64(HEADER), b64(PAYLOAD.replace(str(NOW + 600), f"{NOW + 600}.0")))
    assert await a_verifier(SIGNER).verify(bearer) == RIGHT


@pytest.mark.parametrize("kid", ["", "key-1\0", "KEY-1", "key-1 ", "k" * 5000])
async def test_a_key_id_is_compared_exactly(kid):
    assert await the_fault_of(a_verifier(SIGNER), SIGNER.bearer({"kid": kid})) is TokenFault.UNKNOWN_KEY


async def test_a_token_of_which_a_part_is_spelled_in_another_way_is_malformed():
    verifier, token = a_verifier(EDWARDS), EDWARDS.token()
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [f"Bearer {token[:-1]}{last[last.index(token[-1]) + more]}" for more in (1, 2, 15)]
    assert {await the_fault_of(verifier, other) for other in others} == {TokenFault.MALFORMED}
    assert await verifier.verify(f"Bearer {token}") == RIGHT


@pytest.mark.parametrize(
    ("bearer", "asked"),
    [
        (SIGNER.bearer(), ["user-7"]),
        (SIGNER.bearer(exp=NOW - 600), ["user-7"]),
        (SIGNER.bearer(sub=["user-7"]), [["user-7"]]),
        (SIGNER.bearer({"kid": "unknown"}), []),
        (SIGNER.bearer({"alg": "HS256"}), []),
        (f"Bearer {b64(HEADER)}.{b64('x')}.{b64('x' * 64)}", []),
        ("Bearer a.b.c", []),
    ],
    ids=["valid", "expired", "two subjects", "unknown key", "other algorithm", "no claims", "no token"],
)
async def test_a_signature_is_checked_only_after_asking(bearer, asked):
    class TooManyError(Exception):
        pass

    def refuse(subject):
        heard.append(subject)
        raise TooManyError

    heard: list[object] = []
    with pytest.raises(TooManyError if asked else InvalidToken):
        await a_verifier(SIGNER).verify(bearer, refuse)
    assert heard == asked


async def test_a_payload_changed_after_signing_is_refused():
    header, _, signature = SIGNER.token().split(".")
    other = b64(json.dumps({**right_claims(), "sub": "somebody-else"}))
    assert await the_fault_of(a_verifier(SIGNER), f"Bearer {header}.{other}.{signature}") is TokenFault.SIGNATURE


async def test_another_key_under_the_same_id_is_refused():
    stranger = Signer(kid="strange")
    assert await the_fault_of(a_verifier(SIGNER), stranger.bearer({"kid": SIGNER.kid})) is TokenFault.SIGNATURE


async def test_a_key_brought_along_in_the_header_is_ignored():
    stranger = Signer(kid="strange")
    header = {"jwk": stranger.jwk, "jku": "https://strange.example/keys", "x5c": ["AAAA"]}
    assert await the_fault_of(a_verifier(SIGNER), stranger.bearer(header)) is TokenFault.UNKNOWN_KEY
    named = {**header, "kid": SIGNER.kid}
    assert await the_fault_of(a_verifier(SIGNER), stranger.bearer(named)) is TokenFault.SIGNATURE


async def test_of_two_keys_a_token_must_name_its_own():
    first, second = Signer(kid="first"), Signer("EdDSA", kid="second")
    verifier = a_verifier(first, second)
    assert await verifier.verify(first.bearer()) == RIGHT
    assert await verifier.verify(second.bearer()) == RIGHT
    assert await the_fault_of(verifier, first.bearer({"kid": GONE})) is TokenFault.UNKNOWN_KEY
    assert await the_fault_of(verifier, first.bearer({"kid": "third"})) is TokenFault.UNKNOWN_KEY
    assert await the_fault_of(verifier, first.bearer({"kid": "second"})) is TokenFault.UNKNOWN_KEY


async def test_a_token_need_not_name_the_only_key_but_must_fit_it():
    verifier = a_verifier(SIGNER)
    assert await verifier.verify(SIGNER.bearer({"kid": GONE})) == RIGHT
    assert await the_fault_of(verifier, SIGNER.bearer({"kid": GONE, "alg": "RS256"})) is TokenFault.UNKNOWN_KEY


async def test_a_verified_token_is_not_verified_again():
    keys = CountingKeys(StaticKeys([SIGNER.jwk]))
    verifier, bearer = a_verifier(keys=keys), SIGNER.bearer()
    assert verifier.cached(bearer) is None
    for _ in range(3):
        assert await verifier.verify(bearer) == RIGHT
        assert verifier.cached(bearer) == RIGHT
    assert keys.asked == 1


async def test_one_token_written_in_many_ways_pushes_no_other_out():
    verifier, token = a_verifier(SIGNER, cache_size=10), SIGNER.token()
    others = [SIGNER.bearer(sub=f"user-{n}") for n in range(9)]
    for other in others:
        await verifier.verify(other)
    for blanks in range(1, 30):
        assert (await verifier.verify(f"bearer{' ' * blanks}{token}")).subject == "user-7"
    assert all(verifier.cached(other) for other in others)


async def test_a_remembered_token_expires_with_the_leeway_like_any_other():
    clock = Clock()
    verifier, bearer = a_verifier(SIGNER, clock=clock), SIGNER.bearer(exp=NOW + 600)
    await verifier.verify(bearer)
    clock.now = NOW + 600 + LEEWAY - 1
    assert verifier.cached(bearer) == RIGHT
    clock.now = NOW + 600 + LEEWAY
    assert verifier.cached(bearer) is None
    assert await the_fault_of(verifier, bearer) is TokenFault.EXPIRED


async def test_a_remembered_token_is_verified_again_once_its_key_must_be_looked_up_again():
    class KeysForAMinute:
        asked = 0
        known = True

        async def key_for(self, kid, algorithm):
            self.asked += 1
            key = await StaticKeys([SIGNER.jwk]).key_for(kid, algorithm)
            assert key is not None
            return TrustedKey(key.public, 60.0) if self.known else None

    clock, keys = Clock(), KeysForAMinute()
    verifier, bearer = a_verifier(keys=keys, clock=clock), SIGNER.bearer()
    await verifier.verify(bearer)
    clock.advance(59)
    await verifier.verify(bearer)
    assert keys.asked == 1
    clock.advance(1)
    assert verifier.cached(bearer) is None
    await verifier.verify(bearer)
    assert keys.asked == 2
    keys.known = False
    clock.advance(60)
    assert await the_fault_of(verifier, bearer) is TokenFault.UNKNOWN_KEY


async def test_the_oldest_token_is_forgotten_when_too_many_are_remembered():
    verifier = a_verifier(SIGNER, cache_size=3)
    bearers = [SIGNER.bearer(sub=f"user-{number}") for number in range(5)]
    for bearer in bearers:
        await verifier.verify(bearer)
    assert [verifier.cached(bearer) is not None for bearer in bearers] == [False, False, True, True, True]


async def test_a_refused_token_is_not_remembered():
    verifier = a_verifier(SIGNER)
    bearer = SIGNER.bearer(aud="other")
    await the_fault_of(verifier, bearer)
    assert verifier.cached(bearer) is None


STRANGE = Signer(kid="strange").bearer({"kid": SIGNER.kid})


@pytest.mark.parametrize(
    ("bearer", "checks"),
    [
        (STRANGE, 1),
        (SIGNER.bearer(exp=NOW - LEEWAY), 1),
        (SIGNER.bearer(nbf=NOW + LEEWAY + 1), 3),
        (SIGNER.bearer(aud="other"), 3),
    ],
    ids=["signature", "expired", "not yet valid", "audience"],
)
async def test_the_signature_of_a_repeated_token_that_stays_wrong_is_checked_once(bearer, checks):
    asked: list[object] = []
    verifier = a_verifier(SIGNER)
    faults = set()
    for spelling in (bearer, bearer, bearer.replace("Bearer ", "bearer   ")):
        with pytest.raises(InvalidToken) as refused:
            await verifier.verify(spelling, asked.append)
        faults.add(refused.value.fault)
    assert (len(asked), len(faults)) == (checks, 1)


async def test_a_refused_token_is_checked_again_after_ten_seconds():
    clock, keys = Clock(), CountingKeys(StaticKeys([SIGNER.jwk]))
    verifier = a_verifier(keys=keys, clock=clock)
    asked: list[object] = []
    for seconds in (0, 9, 1, 9, 1):
        clock.advance(seconds)
        with pytest.raises(InvalidToken):
            await verifier.verify(STRANGE, asked.append)
    assert len(asked) == 3
    keys.source = StaticKeys([Signer(kid="strange").jwk | {"kid": SIGNER.kid}])
    clock.advance(10)
    assert await verifier.verify(STRANGE) == RIGHT


async def test_refused_tokens_push_out_no_verified_ones_and_their_number_is_bounded():
    verifier, bearer = a_verifier(SIGNER, cache_size=3), SIGNER.bearer()
    await verifier.verify(bearer)
    for number in range(10):
        await the_fault_of(verifier, SIGNER.bearer(exp=NOW - LEEWAY - number))
    assert verifier.cached(bearer) == RIGHT
    assert len(verifier._refused) == 3


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({}, {"aud": "secret"}),
        ({}, {"exp": "secret"}),
        ({"alg": "secret"}, {}),
        ({"typ": "secret"}, {}),
        ({"kid": "secret"}, {}),
        ({"crit": ["secret"]}, {}),
    ],
)
async def test_no_part_of_a_token_reaches_an_error(header, claims):
    bearer = SIGNER.bearer(header, **claims)
    with pytest.raises(InvalidToken) as refused:
        await a_verifier(SIGNER).verify(bearer)
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value)
    assert "secret" not in shown
    assert not any(part in shown for part in bearer.removeprefix("Bearer ").split("."))
    assert str(refused.value) == refused.value.fault.value


async def test_no_part_of_an_unreadable_header_reaches_an_error():
    credentials = b64("user:password")
    with pytest.raises(InvalidToken) as refused:
        await a_verifier(SIGNER).verify(f"Basic {credentials}")
    assert credentials not in "".join(traceback.format_exception(refused.value)) + repr(refused.value)


async def test_nothing_shows_the_tokens_a_verifier_remembers():
    verifier, bearer = a_verifier(SIGNER), SIGNER.bearer()
    await verifier.verify(bearer)
    assert "user-7" not in repr(verifier)
    assert SIGNER.token()[:20] not in repr(vars(verifier))
