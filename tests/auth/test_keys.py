"""Which keys of a key set may verify, and how the issuer's key set is fetched, renewed and done without."""

import asyncio
import gzip
import json
import time
from contextlib import asynccontextmanager

import httpx
import pytest
from jwt.algorithms import ECAlgorithm

from app.auth.claims import InvalidToken, KeysUnavailable
from app.auth.jwks import MAX_KEYS, read_key_set
from app.auth.keys import MAX_KEY_SET_BYTES, KeySetState, RemoteKeySet, StaticKeys

from .auth_builders import Clock, Signer, a_verifier, serving

SIGNER = Signer()
RSA = Signer("RS256", kid="rsa")
EDWARDS = Signer("EdDSA", kid="edwards")


@asynccontextmanager
async def asking(server, clock=None, **changes):
    """A remote key set at this server, on a clock that stands still."""
    async with httpx.AsyncClient(trust_env=False) as client:
        keys = RemoteKeySet(server.url, client, clock=clock or Clock(), **changes)
        try:
            yield keys
        finally:
            await keys.aclose()


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is awaited happens in a server that knows no events
            await asyncio.sleep(0.01)


def a_key_set(*jwks):
    return json.dumps({"keys": list(jwks)}).encode()


def test_a_key_set_gives_its_keys_by_id_and_algorithm():
    assert set(read_key_set(a_key_set(SIGNER.jwk, RSA.jwk, EDWARDS.jwk))) == {
        ("key-1", "ES256"),
        ("rsa", "RS256"),
        ("edwards", "EdDSA"),
    }


def test_a_key_without_an_algorithm_has_the_one_of_its_kind():
    jwk = {name: value for name, value in SIGNER.jwk.items() if name not in {"alg", "use", "kid"}}
    assert set(read_key_set(a_key_set(jwk))) == {(None, "ES256")}


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "a"},
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "a", "alg": "ES256"},
        {**SIGNER.jwk, "use": "enc"},
        {**SIGNER.jwk, "key_ops": ["encrypt"]},
        {**SIGNER.jwk, "key_ops": "verify"},
        {**SIGNER.jwk, "alg": "HS256"},
        {**SIGNER.jwk, "alg": "RS256"},
        {**SIGNER.jwk, "alg": "none"},
        {**SIGNER.jwk, "crv": "P-384"},
        {**SIGNER.jwk, "crv": ["P-256"]},
        {**SIGNER.jwk, "kty": ["EC"]},
        {**SIGNER.jwk, "kid": 7},
        {**SIGNER.jwk, "x": 7},
        {**SIGNER.jwk, "x": ""},
        {**SIGNER.jwk, "x": "!!!"},
        {**SIGNER.jwk, "x": SIGNER.jwk["y"]},
        {**SIGNER.jwk, **ECAlgorithm.to_jwk(SIGNER.private, as_dict=True)},
        {**RSA.jwk, "alg": "RS512"},
        {**RSA.jwk, "n": "AQAB"},
        {**RSA.jwk, "n": None},
        {**RSA.jwk, "e": ""},
        {**EDWARDS.jwk, "crv": "X25519"},
        {**EDWARDS.jwk, "x": "AAAA"},
        {"kty": "EC"},
        {},
        [],
        "key",
        None,
        7,
    ],
)
def test_a_key_that_may_not_verify_is_left_out(jwk):
    assert set(read_key_set(a_key_set(jwk, EDWARDS.jwk))) == {("edwards", "EdDSA")}


def test_an_rsa_key_that_is_too_short_is_left_out():
    assert read_key_set(a_key_set(Signer("RS256", kid="short", bits=1024).jwk)) == {}


def test_the_first_key_under_an_id_counts():
    other = Signer(kid="other")
    keys = read_key_set(a_key_set(SIGNER.jwk, {**other.jwk, "kid": SIGNER.kid}))
    assert keys["key-1", "ES256"].key == SIGNER.private.public_key()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"<html>",
        b"null",
        b"[]",
        b'"keys"',
        b"{}",
        b'{"keys": {}}',
        b'{"keys": null}',
        b"[" * 100_000,
        b'{"keys": [' + b"9" * 10_000 + b"]}",
        a_key_set(*[{}] * (MAX_KEYS + 1)),
    ],
    ids=range(12),
)
def test_what_is_no_key_set_is_refused(body):
    with pytest.raises(ValueError):  # noqa: PT011 - the sentences are for the log and differ
        read_key_set(body)


def test_fixed_keys_must_hold_one_that_can_verify():
    with pytest.raises(ValueError, match="none of the keys"):
        StaticKeys([{"kty": "oct", "k": "AAAA"}])


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example/keys",
        "http://127.0.0.1.login.example/keys",
        "http://localhost.login.example/keys",
        "http://10.0.0.1/keys",
        "http://0.0.0.0/keys",
        "https:///keys",
        "https://user:secret@login.example/keys",
        "file:///etc/passwd",
        "ftp://localhost/keys",
        "//localhost/keys",
        "keys",
        "",
        "https://login.example:port/keys",
        "https://login.example/\x00",
    ],
)
async def test_keys_are_not_fetched_in_the_clear_or_with_credentials(url):
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(ValueError, match="must use https") as refused:
            RemoteKeySet(url, client)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example/keys",
        "http://127.0.0.1:8080/keys",
        "http://127.9.9.9/keys",
        "http://[::1]:8080/keys",
        "http://localhost/keys",
    ],
)
async def test_keys_are_fetched_over_tls_or_on_this_machine(url):
    async with httpx.AsyncClient(trust_env=False) as client:
        RemoteKeySet(url, client)


async def test_a_token_is_verified_with_the_key_its_issuer_publishes():
    async with serving(SIGNER.jwk, RSA.jwk) as server, asking(server) as keys:
        verifier = a_verifier(keys=keys)
        assert (await verifier.verify(SIGNER.bearer())).subject == "user-7"
        assert (await verifier.verify(RSA.bearer())).subject == "user-7"
        assert server.requests == 1


async def test_fifty_verifications_at_once_fetch_the_keys_once():
    async with serving(SIGNER.jwk) as server, asking(server) as keys:
        server.delay = 0.1
        verifier = a_verifier(keys=keys)
        claims = await asyncio.gather(*[verifier.verify(SIGNER.bearer(sub=f"user-{n}")) for n in range(50)])
        assert [claim.subject for claim in claims] == [f"user-{n}" for n in range(50)]
        assert server.requests == 1


async def test_a_caller_that_gives_up_does_not_end_the_fetch_of_the_others():
    async with serving(SIGNER.jwk) as server, asking(server) as keys:
        server.delay = 0.2
        first = asyncio.create_task(keys.key_for("key-1", "ES256"))
        second = asyncio.create_task(keys.key_for("key-1", "ES256"))
        await until(lambda: server.requests == 1)
        first.cancel()
        assert await second is not None
        assert first.cancelled()
        assert server.requests == 1


async def test_a_flood_of_unknown_key_ids_fetches_once_in_the_retry_time():
    clock = Clock()
    async with serving(SIGNER.jwk) as server, asking(server, clock, retry_seconds=10) as keys:
        verifier = a_verifier(keys=keys)
        await verifier.verify(SIGNER.bearer())
        clock.advance(10)
        for _ in range(3):
            floods = [verifier.verify(SIGNER.bearer({"kid": f"unknown-{n}"})) for n in range(100)]
            outcomes = await asyncio.gather(*floods, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {InvalidToken}
            clock.advance(3)
        assert server.requests == 2
        clock.advance(1)
        with pytest.raises(InvalidToken):
            await verifier.verify(SIGNER.bearer({"kid": "unknown"}))
        assert server.requests == 3


async def test_a_token_that_names_no_key_never_asks_for_keys_again():
    clock = Clock()
    async with serving(SIGNER.jwk, RSA.jwk) as server, asking(server, clock) as keys:
        assert await keys.key_for("key-1", "ES256") is not None
        clock.advance(40)
        assert await keys.key_for(None, "ES256") is None
        assert server.requests == 1


async def test_a_new_key_is_found_without_waiting_for_the_next_refresh():
    clock, fresh = Clock(), Signer(kid="fresh")
    async with serving(SIGNER.jwk) as server, asking(server, clock, retry_seconds=10) as keys:
        verifier = a_verifier(keys=keys)
        await verifier.verify(SIGNER.bearer())
        server.publish(SIGNER.jwk, fresh.jwk)
        clock.advance(11)
        assert (await verifier.verify(fresh.bearer())).subject == "user-7"


async def test_a_removed_key_is_believed_no_longer_than_the_refresh_time_even_for_remembered_tokens():
    clock, fresh = Clock(), Signer(kid="fresh")
    async with serving(SIGNER.jwk) as server, asking(server, clock, refresh_seconds=300) as keys:
        verifier, bearer = a_verifier(keys=keys, clock=clock), SIGNER.bearer()
        await verifier.verify(bearer)
        server.publish(fresh.jwk)
        clock.advance(239)
        assert verifier.cached(bearer) is not None
        clock.advance(61)
        assert verifier.cached(bearer) is None
        with pytest.raises(InvalidToken):
            await verifier.verify(bearer)
        assert (await verifier.verify(fresh.bearer())).subject == "user-7"


async def test_a_removed_key_is_not_believed_after_a_quiet_time_that_began_with_a_failure():
    clock, fresh = Clock(), Signer(kid="fresh")
    async with serving(SIGNER.jwk) as server, asking(server, clock, refresh_seconds=300) as keys:
        await keys.key_for("key-1", "ES256")
        server.status = 500
        clock.advance(301)
        await keys.key_for("key-1", "ES256")
        server.status = 200
        server.publish(fresh.jwk)
        clock.advance(301)
        assert await keys.key_for("key-1", "ES256") is None


async def test_a_retired_key_counts_for_sixty_seconds_at_most_whether_tokens_are_new_or_remembered():
    clock, fresh = Clock(), Signer(kid="fresh")
    async with serving(SIGNER.jwk) as server, asking(server, clock) as keys:
        verifier, remembered = a_verifier(keys=keys, clock=clock), SIGNER.bearer()
        await verifier.verify(remembered)
        server.publish(fresh.jwk)
        believed = []
        for second in range(1, 121):
            clock.advance(1)
            for number, bearer in enumerate((remembered, SIGNER.bearer())):
                try:
                    await verifier.verify(bearer)
                except InvalidToken:
                    continue
                believed.append((second, number))
            await until(lambda: not keys._fetching())
        assert max(second for second, _ in believed) < 60
        assert {number for _, number in believed} == {0, 1}


async def test_while_an_answer_that_is_due_is_awaited_no_token_is_remembered():
    clock, fresh = Clock(), Signer(kid="fresh")
    async with serving(SIGNER.jwk) as server, asking(server, clock, wait_seconds=0.1, timeout_seconds=60) as keys:
        verifier, bearer = a_verifier(keys=keys, clock=clock), SIGNER.bearer()
        await verifier.verify(bearer)
        server.publish(fresh.jwk)
        server.open.clear()
        clock.advance(60)
        await verifier.verify(bearer)
        assert verifier.cached(bearer) is None
        server.open.set()
        await until(lambda: not keys._fetching())
        with pytest.raises(InvalidToken):
            await verifier.verify(bearer)


async def test_an_empty_key_set_is_believed():
    clock = Clock()
    async with serving(SIGNER.jwk) as server, asking(server, clock) as keys:
        assert await keys.key_for("key-1", "ES256") is not None
        server.publish()
        clock.advance(301)
        assert await keys.key_for("key-1", "ES256") is None


async def test_keys_are_renewed_ahead_of_time_while_the_old_ones_serve():
    clock = Clock()
    async with serving(SIGNER.jwk) as server, asking(server, clock, refresh_seconds=300) as keys:
        await keys.key_for("key-1", "ES256")
        server.open.clear()
        clock.advance(240)
        key = await keys.key_for("key-1", "ES256")
        assert key.for_seconds == 60
        await until(lambda: server.requests == 2)
        server.open.set()
        clock.advance(60)
        assert (await keys.key_for("key-1", "ES256")).for_seconds == 180


async def test_a_slow_key_server_does_not_hold_the_loop():
    ticks = 0

    async def ticking():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async with serving(SIGNER.jwk) as server, asking(server) as keys:
        server.open.clear()
        verifying = asyncio.create_task(a_verifier(keys=keys).verify(SIGNER.bearer()))
        await until(lambda: server.requests == 1)
        ticker = asyncio.create_task(ticking())
        await until(lambda: ticks >= 15)
        assert not verifying.done()
        server.open.set()
        await verifying
        ticker.cancel()


async def test_a_server_that_drips_is_given_up_in_time():
    async with serving(SIGNER.jwk) as server, asking(server, timeout_seconds=0.3) as keys:
        server.drip = True
        began = time.perf_counter()
        with pytest.raises(KeysUnavailable):
            await keys.key_for("key-1", "ES256")
        assert time.perf_counter() - began < 2


@pytest.mark.parametrize("size", [MAX_KEY_SET_BYTES, MAX_KEY_SET_BYTES + 1])
async def test_a_key_set_may_have_256_kibibytes_and_no_more(size):
    async with serving(SIGNER.jwk) as server, asking(server) as keys:
        server.body = server.body.ljust(size)
        if size <= MAX_KEY_SET_BYTES:
            assert await keys.key_for("key-1", "ES256") is not None
        else:
            with pytest.raises(KeysUnavailable):
                await keys.key_for("key-1", "ES256")


@pytest.mark.parametrize("status", [204, 301, 302, 307, 404, 500, 503])
async def test_only_a_plain_answer_counts(status):
    async with serving(SIGNER.jwk) as other, serving(SIGNER.jwk) as server, asking(server) as keys:
        server.status = status
        server.headers = {"Location": other.url}
        server.body = b"" if status == 204 else server.body
        with pytest.raises(KeysUnavailable):
            await keys.key_for("key-1", "ES256")
        assert other.requests == 0


async def test_a_compressed_answer_is_not_unfolded():
    async with serving(SIGNER.jwk) as server, asking(server) as keys:
        server.headers = {"Content-Encoding": "gzip"}
        server.body = gzip.compress(server.body)
        with pytest.raises(KeysUnavailable):
            await keys.key_for("key-1", "ES256")


async def test_a_bad_answer_does_not_displace_the_keys_at_hand(caplog):
    clock = Clock()
    async with serving(SIGNER.jwk) as server, asking(server, clock) as keys:
        await keys.key_for("key-1", "ES256")
        server.body = b"<html>We are down for maintenance</html>"
        clock.advance(301)
        assert await keys.key_for("key-1", "ES256") is not None
        assert server.requests == 2
    assert "the key set could not be renewed" in caplog.text
    assert "maintenance" not in caplog.text


async def test_while_the_issuer_is_down_old_keys_serve_for_a_time_and_then_no_longer():
    clock = Clock()
    async with serving(SIGNER.jwk) as server, asking(server, clock, refresh_seconds=300, stale_seconds=3600) as keys:
        verifier = a_verifier(keys=keys)
        await verifier.verify(SIGNER.bearer())
        await server.stop()
        clock.advance(3599)
        assert (await verifier.verify(SIGNER.bearer(sub="user-8"))).subject == "user-8"
        assert (await keys.key_for("key-1", "ES256")).for_seconds == 1
        clock.advance(1)
        with pytest.raises(KeysUnavailable):
            await verifier.verify(SIGNER.bearer(sub="user-9"))
        await server.start()
        clock.advance(10)
        assert (await verifier.verify(SIGNER.bearer(sub="user-9"))).subject == "user-9"


async def test_once_the_issuer_is_known_to_be_down_nobody_waits_for_it():
    clock = Clock()
    async with serving(SIGNER.jwk) as server, asking(server, clock) as keys:
        await keys.key_for("key-1", "ES256")
        keys._timeout_seconds = 1
        server.open.clear()
        clock.advance(301)
        assert await keys.key_for("key-1", "ES256") is not None
        for _ in range(3):
            clock.advance(10)
            began = time.perf_counter()
            assert await keys.key_for("key-1", "ES256") is not None
            assert time.perf_counter() - began < 0.8
            await asyncio.sleep(1.1)


async def test_an_issuer_that_is_down_is_asked_once_in_the_retry_time():
    clock = Clock()
    async with serving() as server, asking(server, clock, retry_seconds=10) as keys:
        server.status = 503
        for _ in range(2):
            for _ in range(20):
                with pytest.raises(KeysUnavailable):
                    await keys.key_for("key-1", "ES256")
            clock.advance(10)
        assert server.requests == 2


async def test_an_issuer_that_is_back_is_asked_again_three_seconds_after_the_failure():
    clock = Clock()
    async with serving(SIGNER.jwk) as server, asking(server, clock, retry_seconds=10) as keys:
        server.status = 503
        with pytest.raises(KeysUnavailable):
            await keys.key_for("key-1", "ES256")
        server.status = 200
        clock.advance(2)
        with pytest.raises(KeysUnavailable):
            await keys.key_for("key-1", "ES256")
        clock.advance(1)
        assert await keys.key_for("key-1", "ES256") is not None


async def test_keys_that_could_not_be_fetched_are_fetched_again_without_a_token():
    clock = Clock()
    async with serving(SIGNER.jwk) as server, asking(server, clock) as keys:
        await keys.look_again()  # nothing failed
        assert server.requests == 0
        server.status = 503
        with pytest.raises(KeysUnavailable):
            await keys.key_for("key-1", "ES256")
        clock.advance(15)
        await keys.look_again()
        assert not keys.state().up
        server.status = 200
        clock.advance(15)
        await keys.look_again()
        assert keys.state() == KeySetState(up=True, age_seconds=0)
    await StaticKeys([SIGNER.jwk]).look_again()


async def test_operators_are_told_whether_the_last_fetch_succeeded_and_how_old_the_keys_are():
    clock = Clock()
    async with serving(SIGNER.jwk) as server, asking(server, clock, refresh_seconds=60) as keys:
        assert keys.state() == KeySetState(up=True, age_seconds=0)  # nobody has asked yet
        assert await keys.key_for("key-1", "ES256") is not None
        clock.advance(70)
        server.status = 503
        assert await keys.key_for("key-1", "ES256") is not None  # of the old set
        assert keys.state() == KeySetState(up=False, age_seconds=70)
        clock.advance(600)
        assert keys.state() == KeySetState(up=False, age_seconds=670)  # a time without requests is no recovery
        server.status = 200
        assert await keys.key_for("key-1", "ES256") is not None
        assert keys.state() == KeySetState(up=True, age_seconds=0)
    assert StaticKeys([SIGNER.jwk]).state() == KeySetState(up=True, age_seconds=0)


@pytest.mark.parametrize("kid", ["key-1", "perhaps-new"])
async def test_a_request_waits_a_part_of_the_time_that_a_fetch_may_take(kid):
    clock = Clock()
    async with serving(SIGNER.jwk) as server, asking(server, clock, wait_seconds=0.1, timeout_seconds=60) as keys:
        if kid == "perhaps-new":
            await keys.key_for("key-1", "ES256")
            clock.advance(11)
        server.open.clear()
        with pytest.raises(KeysUnavailable):
            await keys.key_for(kid, "ES256")
        server.open.set()
        await until(lambda: not keys._fetching())
        assert await keys.key_for("key-1", "ES256") is not None


async def test_an_unknown_key_is_no_verdict_while_the_issuer_is_down():
    clock = Clock()
    async with serving(SIGNER.jwk) as server, asking(server, clock) as keys:
        await keys.key_for("key-1", "ES256")
        server.status = 503
        clock.advance(11)
        with pytest.raises(KeysUnavailable):
            await keys.key_for("perhaps-new", "ES256")
        assert await keys.key_for("key-1", "ES256") is not None
        server.status = 200
        clock.advance(10)
        assert await keys.key_for("perhaps-new", "ES256") is None


async def test_nothing_of_the_issuer_is_told_when_its_keys_cannot_be_had():
    async with serving() as server, asking(server) as keys:
        server.status = 500
        with pytest.raises(KeysUnavailable) as refused:
            await keys.key_for("key-1", "ES256")
        assert str(refused.value) == "The issuer's signing keys are unavailable. Retry shortly."


async def test_closing_ends_a_fetch_under_way():
    async with serving(SIGNER.jwk) as server, asking(server) as keys:
        server.delay = 5
        waiting = asyncio.create_task(keys.key_for("key-1", "ES256"))
        await until(lambda: server.requests == 1)
        await keys.aclose()
        with pytest.raises(KeysUnavailable):
            await waiting
