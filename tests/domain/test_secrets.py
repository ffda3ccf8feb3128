"""Which texts are secrets, and that no two spellings of one are."""

import base64
import hashlib
import random
import string

import pytest

from app.domain.secrets import (
    SECRET_BYTES,
    SERVICE_TOKEN_BYTES,
    new_secret,
    new_service_token,
    secret_sha256,
    service_token_sha256,
)

RANDOMNESS = random.Random("secrets")
SECRET = new_secret(RANDOMNESS.randbytes(SECRET_BYTES))
TOKEN = new_service_token(RANDOMNESS.randbytes(SERVICE_TOKEN_BYTES))


def sha256(text):
    return hashlib.sha256(text.encode()).digest()


def test_a_secret_is_its_random_bytes_and_is_known_by_the_digest_of_its_text():
    randomness = bytes(range(SECRET_BYTES))
    secret = new_secret(randomness)
    assert len(secret) == 43
    assert base64.urlsafe_b64decode(secret + "=") == randomness
    assert secret_sha256(secret) == sha256(secret)


def test_a_service_token_can_be_recognised_and_shows_its_prefix():
    assert len(TOKEN.text) == 65
    assert TOKEN.text.startswith(f"turnup_{TOKEN.prefix}_")
    assert len(TOKEN.prefix) == 8
    assert set(TOKEN.prefix) <= set(string.digits + string.ascii_lowercase)
    assert service_token_sha256(TOKEN.text) == TOKEN.sha256 == sha256(TOKEN.text)


def test_secrets_of_all_random_bytes_are_well_formed_and_differ():
    edges = [bytes(SERVICE_TOKEN_BYTES), b"\xff" * SERVICE_TOKEN_BYTES]
    given = edges + [RANDOMNESS.randbytes(SERVICE_TOKEN_BYTES) for _ in range(500)]
    tokens = [new_service_token(each) for each in given]
    assert [service_token_sha256(token.text) for token in tokens] == [token.sha256 for token in tokens]
    assert len({token.sha256 for token in tokens}) == len({token.prefix for token in tokens}) == len(given)


@pytest.mark.parametrize("size", [0, 1, SECRET_BYTES - 1, SECRET_BYTES + 1])
def test_a_secret_is_never_made_of_fewer_random_bytes(size):
    with pytest.raises(ValueError, match="random bytes"):
        new_secret(bytes(size))
    with pytest.raises(ValueError, match="random bytes"):
        new_service_token(bytes(size))


def test_a_service_token_does_not_show_itself():
    assert TOKEN.text not in repr(TOKEN)
    assert TOKEN.prefix in repr(TOKEN)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda text: text[:-1],
        lambda text: text[1:],
        lambda text: text + "A",
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text + "\0",
        lambda text: text[:20] + "\0" + text[21:],
        lambda text: text[:20] + "é" + text[21:],
        lambda text: text[:20] + "\udc80" + text[21:],
        lambda text: text[:20] + "٣" + text[21:],
        lambda text: text[:20] + "+" + text[21:],
        lambda text: text * 2,
        lambda text: text * 10_000,
    ],
)
def test_a_text_of_another_form_is_no_secret(change):
    assert secret_sha256(change(SECRET)) is None
    assert service_token_sha256(change(TOKEN.text)) is None


def test_the_last_character_of_a_secret_has_one_spelling():
    alphabet = string.ascii_letters + string.digits + "-_"
    accepted = [each for each in alphabet if secret_sha256(SECRET[:-1] + each)]
    assert len(accepted) == 16
    assert all(new_secret(base64.urlsafe_b64decode(SECRET[:-1] + each + "="))[-1] == each for each in accepted)


def test_every_other_character_in_any_place_of_a_service_token_is_found_by_its_checksum():
    for place, right in enumerate(TOKEN.text):
        for other in "aB3_-":
            if other != right:
                assert service_token_sha256(TOKEN.text[:place] + other + TOKEN.text[place + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    [
        TOKEN.text.upper(),
        TOKEN.text.replace("turnup_", "Turnup_"),
        TOKEN.text.replace("turnup_", "ghp_"),
        TOKEN.text.removeprefix("turnup_"),
        TOKEN.text.replace(TOKEN.prefix, "abcdefgh"),
        TOKEN.text.replace(TOKEN.prefix, TOKEN.prefix[:7]),
        TOKEN.text[:-6],
        TOKEN.text[:-6] + "000000",
        SECRET,
    ],
)
def test_a_service_token_with_another_prefix_or_checksum_is_none(text):
    assert service_token_sha256(text) is None


def test_a_service_token_is_no_plain_secret_nor_the_other_way_round():
    assert secret_sha256(TOKEN.text) is None
    assert secret_sha256(TOKEN.text[-49:-6]) is not None
    assert service_token_sha256(f"turnup_{TOKEN.prefix}_{SECRET}") is None
