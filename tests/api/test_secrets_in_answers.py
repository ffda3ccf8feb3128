"""The answer to a mutation that returns a secret is stored and compressed by nothing on its way."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.operations import administration
from app.operations.context import MutationOutcome
from tests.harness import Client

CREATE = 'mutation { createAccount(input: {name: "Shown once"}) { replayed problems { code } } }'
SECRET = "shown-once"


@pytest.fixture
def returning(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Makes each administrative mutation return this secret."""
    once = administration._once

    def set_secret(secret: str | None) -> None:
        async def with_secret(*arguments: Any) -> Any:
            return replace(await once(*arguments), secret=secret)

        monkeypatch.setattr(administration, "_once", with_secret)

    return set_secret


@pytest.mark.parametrize(
    ("secret", "cache_control"), [(None, "no-store"), (SECRET, "no-store, no-transform")], ids=["none", "a secret"]
)
async def test_an_answer_with_a_secret_says_that_it_is_not_to_be_transformed(
    own_client: Client, returning: Callable[[str | None], None], secret: str | None, cache_control: str
) -> None:
    returning(secret)
    answer = await own_client.ask(CREATE)
    assert answer.data["createAccount"]["problems"] == []
    assert answer.headers["cache-control"] == cache_control


async def test_a_refused_mutation_and_a_query_beside_one_hold_no_secret(
    own_client: Client, returning: Callable[[str | None], None]
) -> None:
    returning(SECRET)
    refused = await own_client.ask(CREATE.replace("Shown once", ""))
    assert refused.data["createAccount"]["problems"] != []
    for answer in (refused, await own_client.ask("{ viewer { name } }"), await own_client.ask("{")):
        assert answer.headers["cache-control"] == "no-store"


async def test_nothing_prints_a_secret_on_its_way() -> None:
    change = administration.AdministrationChange(secret=SECRET)
    assert SECRET not in repr(change)
    assert SECRET not in repr(MutationOutcome(ids={}, secret=SECRET))


async def test_an_answer_with_a_secret_is_compressed_for_nobody(
    own_client: Client, returning: Callable[[str | None], None]
) -> None:
    many = "mutation { " + " ".join(
        f'a{number}: createAccount(input: {{name: "Shown once {number}"}}) '
        "{ replayed account { id name createdAt } problems { code message } }"
        for number in range(10)
    )
    for secret, coding in ((None, "gzip"), (SECRET, None)):
        returning(secret)
        names = many.replace("Shown once", f"Shown {secret}")
        answer = await own_client.ask(f"{names} }}", headers={"accept-encoding": "gzip, identity;q=0"})
        assert len(answer.raw) > 1_024
        assert answer.headers.get("content-encoding") == coding
