"""turnup audit verify | heads | replay | erase, as an operator runs them."""

import json
from pathlib import Path
from typing import Any

import asyncpg
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


async def test_a_verification_of_all_chains_records_its_result_and_one_of_an_account_only_what_it_finds(
    copy: Databases, turnup: Turnup
) -> None:
    async def recorded() -> tuple[bool, bool] | None:
        """Whether the last verification found nothing, and whether it was just now."""
        async with definer(copy.owner_url) as connection:
            row = await connection.fetchrow(
                "SELECT ok, verified_at BETWEEN now() - interval '1 minute' AND now() FROM turnup.audit_verification"
            )
        return None if row is None else (row[0], row[1])

    assert (await turnup(copy, "audit", "verify", "--account", "account-1")).status == 0
    assert await recorded() is None
    assert (await turnup(copy, "audit", "verify")).status == 0
    assert await recorded() == (True, True)
    async with definer(copy.owner_url) as connection:
        await connection.execute("UPDATE turnup.audit_verification SET verified_at = now() - interval '2 days'")
        await connection.execute("UPDATE turnup.audit_entry SET action = 'x' WHERE chain = 'system'")
    assert (await turnup(copy, "audit", "verify", "--account", "account-1")).status == 0
    assert await recorded() == (True, False)
    assert (await turnup(copy, "audit", "verify", "--account", "acount-1")).status == 1
    assert await recorded() == (True, False)
    assert (await turnup(copy, "audit", "verify", "--account", "system")).status == 1
    assert await recorded() == (False, True)
    assert (await turnup(copy, "audit", "verify", "--account", "account-1")).status == 0
    assert await recorded() == (False, True)
    assert (await turnup(copy, "audit", "verify")).status == 1
    assert await recorded() == (False, True)


async def test_changed_objects_are_a_failed_verification(copy: Databases, turnup: Turnup) -> None:
    owner = await asyncpg.connect(copy.owner_url)
    await owner.execute("ALTER TABLE turnup.device DISABLE TRIGGER audit_capture")
    await owner.close()
    assert (await turnup(copy, "audit", "verify")).status == 1
    async with definer(copy.owner_url) as connection:
        assert await connection.fetchval("SELECT ok FROM turnup.audit_verification") is False


async def test_a_verification_says_when_its_result_cannot_be_recorded(copy: Databases, turnup: Turnup) -> None:
    owner = await asyncpg.connect(copy.owner_url)
    await owner.execute("DROP TABLE turnup.audit_verification")
    await owner.close()
    verified = await turnup(copy, "audit", "verify")
    assert "The result is not recorded: the database has no table for it yet" in verified.out


@pytest.mark.parametrize(
    ("failure", "named"),
    [
        (ConnectionResetError("gone"), "ConnectionResetError"),
        (TimeoutError(), "TimeoutError"),
        (asyncpg.InsufficientPrivilegeError("permission denied to set role"), "InsufficientPrivilegeError"),
        (asyncpg.InterfaceError("connection is closed"), "InterfaceError"),
    ],
    ids=["reset", "timeout", "privilege", "closed"],
)
async def test_a_broken_chain_is_named_and_logged_when_its_result_cannot_be_recorded(
    copy: Databases,
    turnup: Turnup,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    named: str,
) -> None:
    async def lost(_url: str) -> Any:
        raise failure

    async with definer(copy.owner_url) as connection:
        await connection.execute("UPDATE turnup.audit_entry SET action = 'x' WHERE chain = 'system'")
    monkeypatch.setattr("app.audit.result.connect_as_owner", lost)
    broken = await turnup(copy, "audit", "verify")
    assert broken.status == 1
    assert broken.out == f"The result is not recorded: the database failed ({named})\n"
    assert broken.error.startswith("turnup: chain system, entry 1 ")
    assert "audit.broken" in caplog.text


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
