"""turnup audit verify | heads | replay | erase, as an operator runs them."""

import json
from pathlib import Path

import pytest

from tests.audit.trail import definer
from tests.harness import TestDatabase as Databases
from tests.harness import Turnup


async def test_an_operator_proves_the_trail_and_finds_what_was_done_to_it(
    copy: Databases, tmp_path: Path, turnup: Turnup
) -> None:
    whole = await turnup(copy, "audit", "verify")
    assert (whole.status, whole.error) == (0, "")
    assert whole.out.startswith("4 chains, ")

    file = tmp_path / "heads.json"
    assert (await turnup(copy, "audit", "heads", "--out", str(file))).status == 0
    printed = json.loads((await turnup(copy, "audit", "heads")).out)
    assert [head["chain"] for head in printed["heads"]] == ["account-1", "account-2", "account-3", "system"]
    assert printed["heads"] == json.loads(file.read_text())["heads"]
    assert (tmp_path / "audit-heads.pem").stat().st_mode & 0o777 == 0o600
    assert (await turnup(copy, "audit", "verify", "--heads", str(file))).status == 0

    await delete_the_chain_of(copy, "account-2")
    for heads in ((), ("--heads", str(file))):
        cut = await turnup(copy, "audit", "verify", *heads)
        assert cut.status == 1
        assert cut.error.startswith("turnup: chain account-2, entry ")
        assert cut.error.endswith(": the chain has a signed head but no entries")

    async with definer(copy.owner_url) as connection:
        entry = await connection.fetchval(
            "UPDATE turnup.audit_entry SET action = 'x' WHERE chain = 'system' RETURNING id"
        )
    broken = await turnup(copy, "audit", "verify")
    assert broken.status == 1
    assert broken.error.startswith(f"turnup: chain system, entry 1 ({entry}): ")
    assert (await turnup(copy, "audit", "verify", "--account", "account-1")).status == 0


async def test_an_account_without_entries_ends_the_command_with_status_1(
    copy: Databases, tmp_path: Path, turnup: Turnup
) -> None:
    file = tmp_path / "heads.json"
    assert (await turnup(copy, "audit", "heads", "--out", str(file))).status == 0
    for more in ((), ("--heads", str(file))):
        mistyped = await turnup(copy, "audit", "verify", "--account", "acount-1", *more)
        assert (mistyped.status, mistyped.out) == (1, "")
        assert mistyped.error == "turnup: chain acount-1: the chain has no entries to verify"
    whole = await turnup(copy, "audit", "verify", "--account", "account-1", "--heads", str(file))
    assert (whole.status, whole.error) == (0, "")


async def test_an_operator_replays_the_trail(copy: Databases, turnup: Turnup) -> None:
    same = await turnup(copy, "audit", "replay")
    assert (same.status, same.error) == (0, "")
    assert "rows rebuilt, equal to the tables" in same.out
    async with definer(copy.owner_url) as connection:
        await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await connection.execute("UPDATE turnup.device SET label = 'x' WHERE id = 'phone-1'")
    other = await turnup(copy, "audit", "replay")
    assert (other.status, other.out) == (1, "device phone-1: the audit log has other values of label\n")


async def test_an_operator_erases_who_was_removed(copy: Databases, turnup: Turnup) -> None:
    refused = await turnup(copy, "audit", "erase", "contact-1", "--reason", "Request 1")
    assert refused.status == 1
    assert refused.error == "turnup: contact-1 is still there: remove it from its location first"
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await connection.execute("DELETE FROM turnup.contact WHERE id = 'contact-1'")
    done = await turnup(copy, "audit", "erase", "contact-1", "--reason", "Request 1")
    assert (done.status, done.error) == (0, "")
    assert done.out == "6 values and 0 payload documents were erased.\n"


@pytest.mark.parametrize("text", ["{}", "not json"])
async def test_heads_that_nobody_signed_are_refused(
    database: Databases, tmp_path: Path, turnup: Turnup, text: str
) -> None:
    file = tmp_path / "heads.json"
    assert (await turnup(database, "audit", "heads", "--out", str(file))).status == 0
    file.write_text(text)
    refused = await turnup(database, "audit", "verify", "--heads", str(file))
    assert refused.status == 1
    assert "does not contain signed heads" in refused.error


async def delete_the_chain_of(place: Databases, chain: str) -> None:
    """What a chain alone cannot tell."""
    async with definer(place.owner_url) as connection:
        await connection.execute(
            """DELETE FROM turnup.field_change
               WHERE entry_id IN (SELECT id FROM turnup.audit_entry WHERE chain = $1)""",
            chain,
        )
        for table in ("audit_entry", "chain_head"):
            await connection.execute(f"DELETE FROM turnup.{table} WHERE chain = $1", chain)
