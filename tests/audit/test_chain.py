"""Entries are numbered without gaps and chained by their hashes; what anyone does to them afterwards is found."""

import itertools
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random, randrange
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from app.audit.encoding import FORMS, FORMS_WITH_CLIENT, GENESIS, ChangeRecord, Entry, encoded
from app.audit.heads import UntrustedHeads, signed_heads, trusted_heads
from app.audit.replay import replay
from app.audit.verify import PAGE, heads, snapshot, verify
from tests.harness import TestDatabase as Databases
from tests.lanes import scaled

from .tampering import (
    SEEN,
    UNSEEN,
    UNTOLD,
    Act,
    make_an_entry,
    move_a_reason_into_its_salt,
    move_a_value_into_its_salt,
    put_an_entry_below_all,
    replace_the_salt_of_a_withheld_value,
    set_the_head_right,
    take_the_checks_away,
)
from .trail import an_id, definer

# One worker runs them all: each would have to make the database anew.
pytestmark = pytest.mark.xdist_group("chain")

ROOT = Path(__file__).parent.parent.parent
TAMPERINGS = 1_000
ACCOUNTS = ("account-a", "account-b", "account-c")


@pytest.fixture(scope="module")
async def trail(empty: Databases) -> Databases:
    """Three accounts with a dozen entries each: edits, removals, reasons, refusals and an erasure."""
    async with definer(empty.owner_url, system="SEED_DEMO") as connection:
        await connection.execute(
            """INSERT INTO turnup."user" (id, subject, name, email, role, all_accounts)
               VALUES ('user-x', 'x', 'Xenia', 'x@x.example', 'IMPLEMENTATION_LEAD', true)"""
        )
        for account in ACCOUNTS:
            await connection.execute("INSERT INTO turnup.account (id, name) VALUES ($1, $1)", account)
            await connection.execute(
                "INSERT INTO turnup.location (id, account_id, name) VALUES ('location-' || $1, $1, $1)", account
            )
            await connection.execute(
                """INSERT INTO turnup.person (id, account_id, location_id, first_name, email, revision)
                   VALUES ('person-' || $1, $1, 'location-' || $1, 'Ada', 'ada@x.example', 123)""",
                account,
            )
    for number, account in itertools.product(range(8), (*ACCOUNTS, "system")):
        async with definer(empty.owner_url) as connection:
            outcome = "REFUSED" if number == 3 else "APPLIED"
            await connection.execute(
                "SELECT turnup.audit_open($1, $2, 'edit', 'location-' || $2, 'r', $3, NULL, $4, NULL)",
                an_id(),
                account,
                f"Reason {number}" if number % 2 else None,
                outcome,
            )
            if outcome == "APPLIED" and account == "system":
                await connection.execute("""UPDATE turnup."user" SET name = name || '!'""")
            elif outcome == "APPLIED":
                await connection.execute(
                    "UPDATE turnup.person SET last_name = $2, revision = revision + 1 WHERE account_id = $1",
                    account,
                    f"Name {number}",
                )
            await connection.execute("SELECT turnup.audit_seal()")
    async with definer(empty.owner_url, system="CLEAN_UP") as connection:
        await connection.execute("DELETE FROM turnup.person WHERE account_id = 'account-a'")
    async with definer(empty.owner_url) as connection:
        await connection.execute("SELECT turnup.audit_erase('person', 'person-account-a', 'Asked for')")
    return empty


@pytest.fixture
async def connection(trail: Databases) -> AsyncIterator[asyncpg.Connection]:
    """The definer role on the trail, whose checks the owner took away; what it does is rolled back."""
    async with definer(trail.owner_url, commit=False) as opened:
        await take_the_checks_away(opened)
        yield opened


async def test_numbers_have_no_gaps_and_the_chain_is_whole(connection: asyncpg.Connection) -> None:
    verdict = await verify(connection)
    assert verdict.broken is None
    assert (verdict.chains, verdict.entries, verdict.erased) == (4, 4 * 9 + 2, 19)


async def test_one_account_can_be_verified_alone(connection: asyncpg.Connection) -> None:
    await connection.execute("DELETE FROM turnup.audit_entry WHERE chain = 'account-a'")
    assert (await verify(connection, chain="account-b")).broken is None
    assert (await verify(connection, chain="account-a")).broken is not None


async def test_the_first_broken_entry_is_named(connection: asyncpg.Connection) -> None:
    ids = [
        await connection.fetchval(
            "UPDATE turnup.audit_entry SET action = 'x' WHERE chain = 'account-b' AND number = $1 RETURNING id", number
        )
        for number in (7, 5)
    ]
    broken = (await verify(connection)).broken
    assert broken is not None
    assert (broken.chain, broken.number, broken.entry_id) == ("account-b", 5, ids[1])
    assert str(broken).startswith(f"chain account-b, entry 5 ({ids[1]}): ")


HERE, THERE = "account-a", "location-account-a"


@pytest.mark.parametrize(
    "put",
    [
        {"chain": HERE, "number": -5, "account": HERE},
        {"chain": HERE, "number": 0, "account": HERE},
        {"chain": HERE, "number": 1, "account": HERE},
        {"chain": "", "number": 0, "account": HERE},
        {"chain": "", "number": 1, "account": HERE},
        {"chain": "account-9", "number": 1, "account": HERE},
        {"chain": "account-9", "number": 1, "account": "account-9", "location": THERE},
        {"chain": "account-9", "number": 1, "account": "account-9", "change": ("account-9", THERE)},
        {"chain": "account-9", "number": 1, "account": "account-9", "change": (HERE, THERE)},
        {"chain": "account-b", "number": 10, "account": "account-b", "location": THERE},
    ],
    ids=str,
)
async def test_an_entry_made_up_where_it_does_not_belong_is_found_by_the_account_that_it_tells_of(
    connection: asyncpg.Connection, put: dict[str, Any]
) -> None:
    await make_an_entry(connection, **put)
    await set_the_head_right(connection, put["chain"])
    assert (await verify(connection)).broken is not None
    assert (await verify(connection, chain=HERE)).broken is not None


async def test_a_second_entry_of_one_number_does_not_hide_between_two_pages(connection: asyncpg.Connection) -> None:
    previous = (await heads(connection))[HERE].hash
    for number in range((await heads(connection))[HERE].number, PAGE):
        previous = (await heads(connection))[HERE].hash
        await make_an_entry(connection, chain=HERE, number=number + 1, account=HERE, previous=previous)
        await set_the_head_right(connection, HERE)
    assert (await verify(connection)).broken is None
    sealed = (await heads(connection))[HERE].hash
    await make_an_entry(connection, chain=HERE, number=PAGE, account=HERE, previous=previous)
    # Whichever of the two is read first.
    assert (await verify(connection)).broken is not None
    await connection.execute("UPDATE turnup.audit_entry SET number = number WHERE hash = $1", sealed)
    assert (await verify(connection)).broken is not None


@pytest.mark.parametrize("chain", ["account-z", "", "account-a "])
async def test_a_chain_without_entries_is_not_called_whole(connection: asyncpg.Connection, chain: str) -> None:
    broken = (await verify(connection, chain=chain)).broken
    assert str(broken) == f"chain {chain}: the chain has no entries to verify"


async def test_a_chain_whose_head_nobody_signed_is_not_called_the_same_as_signed(
    connection: asyncpg.Connection,
) -> None:
    signed = await heads(connection)
    del signed["account-b"]
    assert (await verify(connection, chain="account-a", signed=signed)).broken is None
    broken = (await verify(connection, chain="account-b", signed=signed)).broken
    assert str(broken) == "chain account-b: the signed heads do not include this chain"


async def test_what_an_account_that_is_gone_left_behind_is_whole(trail: Databases) -> None:
    async with definer(trail.owner_url, system="GONE", commit=False) as connection:
        for table in ("location", "account"):
            await connection.execute(f"INSERT INTO turnup.{table} {AN_ACCOUNT[table]}")
        for table in ("location", "account"):
            await connection.execute(f"DELETE FROM turnup.{table} WHERE id LIKE '%-brief'")
        await connection.execute("SELECT turnup.audit_seal()")
        verdict = await verify(connection, chain="account-brief")
        assert (verdict.broken, verdict.entries) == (None, 1)


AN_ACCOUNT = {
    "account": "(id, name) VALUES ('account-brief', 'Brief')",
    "location": "(id, account_id, name) VALUES ('location-brief', 'account-brief', 'Brief')",
}


@pytest.mark.parametrize(
    "act",
    [move_a_reason_into_its_salt, move_a_value_into_its_salt, put_an_entry_below_all],
    ids=lambda act: act.__name__,
)
async def test_checks_keep_such_acts_away_as_long_as_they_are_there(trail: Databases, act: Act) -> None:
    async with definer(trail.owner_url, commit=False) as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await act(connection, Random(1))


async def test_a_replay_tells_that_the_salt_of_a_withheld_value_was_replaced(copy: Databases) -> None:
    async with definer(copy.owner_url) as connection:
        await replace_the_salt_of_a_withheld_value(connection, Random(1))
    [difference] = (await replay(copy.owner_url)).differences
    assert (difference.table, difference.fields) == ("user", ("subject",))


@dataclass
class Found:
    """How often a sort of tampering was tried, and what told of it."""

    tried: int = 0
    by_chain: int = 0
    by_heads: int = 0


async def test_a_thousand_tamperings_are_all_found_as_the_page_says(connection: asyncpg.Connection) -> None:
    tally = await tampered(connection, Random(5), TAMPERINGS)
    rows = [
        f"| {sort} | {each.tried} | {each.by_chain} | {'-' if each.by_chain else each.by_heads} |"
        for sort, each in tally.items()
    ]
    sys.stdout.write("\n" + "\n".join(rows) + "\n")
    said = (ROOT / "docs" / "audit.md").read_text()
    assert [row for row in rows if row not in said] == []


@pytest.mark.slow
async def test_ever_new_tamperings_are_all_found(
    connection: asyncpg.Connection, record_property: Callable[[str, object], None]
) -> None:
    tally = await tampered(connection, Random(randrange(2**32)), scaled(TAMPERINGS))
    tried, by_chain, by_heads = (sum(figures) for figures in zip(*map(astuple, tally.values()), strict=True))
    record_property("tried", f"{tried:,} tamperings, {by_chain:,} found by chains and {by_heads:,} by signed heads")


async def tampered(connection: asyncpg.Connection, random: Random, tamperings: int) -> Mapping[str, Found]:
    """Try each sort in turn, each tampering undone; what nothing finds is what the page says nothing finds."""
    signed = await heads(connection)
    acts = [(sort, act) for sort, acts in (SEEN | UNSEEN | UNTOLD).items() for act in acts]
    tally: defaultdict[str, Found] = defaultdict(Found)
    missed = set()
    for sort, act in itertools.islice(itertools.cycle(acts), tamperings):
        found = tally[sort]
        found.tried += 1
        undone = connection.transaction()
        await undone.start()
        await act(connection, random)
        if (await verify(connection)).broken is not None:
            found.by_chain += 1
        elif (await verify(connection, signed=signed)).broken is not None:
            found.by_heads += 1
        else:
            missed.add(sort)
        await undone.rollback()
    assert missed == set(UNTOLD)
    assert [sort for sort in UNTOLD if tally[sort].by_chain or tally[sort].by_heads] == []
    assert {sort for sort, found in tally.items() if found.by_heads} == set(UNSEEN)
    assert [sort for sort in UNSEEN if tally[sort].by_chain] == []
    return tally


async def test_heads_that_were_signed_are_believed_and_altered_ones_are_not(connection: asyncpg.Connection) -> None:
    key = Ed25519PrivateKey.generate()
    found = await heads(connection)
    text = signed_heads(found, key, at=datetime.now(UTC))
    assert trusted_heads(text, key.public_key()) == found
    altered = json.loads(text)
    altered["heads"][0]["number"] += 1
    for wrong in (json.dumps(altered), "{}", "[]", "heads", text.replace("account-a", "account-z")):
        with pytest.raises(UntrustedHeads):
            trusted_heads(wrong, key.public_key())
    with pytest.raises(UntrustedHeads):
        trusted_heads(text, Ed25519PrivateKey.generate().public_key())


async def test_a_chain_that_went_on_still_fits_an_earlier_head(trail: Databases) -> None:
    async with snapshot(trail.owner_url) as reading:
        signed = await heads(reading)
    async with definer(trail.owner_url, system="MORE", commit=False) as connection:
        await connection.execute("UPDATE turnup.account SET name = name || '!'")
        await connection.execute("SELECT turnup.audit_seal()")
        assert (await verify(connection, signed=signed)).broken is None


# Text that would collide if parts were joined without their lengths.
AWKWARD = ["", "a", "ab", "b", "N", "null", ",", "|", "/", "\n", "\x01", "é", "e\u0301", "名", "🜁", "a\u2028b"]
texts = st.one_of(
    st.sampled_from(AWKWARD), st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
)
maybe = st.none() | texts
hashes = st.none() | st.binary(min_size=32, max_size=32)
moments = st.integers(-(10**15), 10**16).map(lambda n: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=n))
changes = st.builds(ChangeRecord, maybe, maybe, texts, texts, texts, maybe, st.none(), hashes, maybe, st.none(), hashes)
entries = st.builds(
    Entry, texts, texts, st.integers(1, 2**62), maybe, maybe, texts, texts, maybe, maybe, maybe, texts,
    maybe, st.none(), hashes, maybe, st.sampled_from([None, False, True]), maybe, moments,
    st.binary(min_size=32, max_size=32), st.just(b""),
)  # fmt: skip


@given(entries, st.lists(changes, max_size=4))
def test_the_bytes_of_an_entry_read_back_to_what_they_were_made_of(entry: Entry, listed: list[ChangeRecord]) -> None:
    # What can be read back was told apart: two different entries never have the same bytes.
    assert decoded(encoded(entry, listed)) == (hashed_part(entry), [hashed_change(change) for change in listed])


def hashed_part(entry: Entry) -> tuple[Any, ...]:
    return (
        entry.chain, entry.number, entry.previous_hash, entry.id, entry.account_id, entry.location_id, entry.action,
        entry.outcome, entry.code, entry.actor_id, entry.actor_role, entry.request_id, entry.reason_hash,
        entry.override_id, entry.is_override, entry.client_request_id, entry.occurred_at,
    )  # fmt: skip


def hashed_change(change: ChangeRecord) -> tuple[Any, ...]:
    return (*change[:5], change.before_hash, change.after_hash)


def decoded(data: bytes) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
    """Read an entry's bytes, by their lengths alone."""
    forms = {form: (flag, False) for flag, form in FORMS.items()}
    forms |= {form: (flag, True) for flag, form in FORMS_WITH_CLIENT.items()}
    ((position, is_override, has_client),) = [
        (len(form), *found) for form, found in forms.items() if data.startswith(form)
    ]

    def number() -> int:
        nonlocal position
        position += 8
        return int.from_bytes(data[position - 8 : position], "big", signed=True)

    def framed() -> bytes | None:
        nonlocal position
        position += 1
        if data[position - 1] == 0:
            return None
        length = int.from_bytes(data[position : position + 4], "big")
        position += 4 + length
        return data[position - length : position]

    def text() -> str | None:
        found = framed()
        return None if found is None else found.decode()

    client = text() if has_client else None
    head: list[Any] = [text(), number(), framed(), *(text() for _ in range(9)), framed(), text(), is_override, client]
    head.append(datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=number()))
    listed = [(*(text() for _ in range(5)), framed(), framed()) for _ in range(number())]
    assert position == len(data)
    return tuple(head), listed


async def test_postgresql_writes_the_same_bytes(connection: asyncpg.Connection) -> None:
    random = Random(7)

    def some(*, null: bool = True) -> Any:
        return random.choice([*AWKWARD, *([None] if null else [])])

    for number in range(100):
        entry = Entry(
            an_id(), some(null=False), number + 1, some(), some(), some(null=False), "APPLIED", some(), some(), some(),
            some(null=False), None, None, random.choice([None, random.randbytes(32)]), some(),
            random.choice([None, False, True]), some(),
            datetime.now(UTC) + timedelta(microseconds=random.randrange(10**12)), GENESIS, GENESIS,
        )  # fmt: skip
        listed = [
            ChangeRecord(some(), some(), some(null=False), some(null=False), some(null=False),
                   None, None, random.choice([None, random.randbytes(32)]), None, None, random.randbytes(32))
            for _ in range(random.randrange(4))
        ]  # fmt: skip
        for change in listed:
            await connection.execute(
                """INSERT INTO turnup.field_change (entry_id, account_id, location_id, table_name, row_id, field,
                                                    before_hash, after_hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
                entry.id,
                *hashed_change(change),
            )
        names = ", ".join(Entry._fields)
        places = ", ".join(f"${n}" for n in range(1, len(entry) + 1))
        await connection.execute(f"INSERT INTO turnup.audit_entry ({names}) VALUES ({places})", *entry)
        found = await connection.fetchval(
            "SELECT turnup.audit_encoded(e) FROM turnup.audit_entry e WHERE id = $1", entry.id
        )
        assert found == encoded(entry, listed)


VALUES: list[Any] = [
    None, "", "null", 0, "0", -1, 0.5, False, True, "false", [], [[]], {}, [None], [""], ["", ""], ["a", "b"], ["a,b"],
    'a","b', {"": ""}, {"a": None}, {"a": {"b": 1}}, {"a": "b:1"}, {"a": 1, "b": 2}, {"a": 1, "bb": 2},
    "é", "e\u0301", "E\u0301", "\u2028", "\\u0041", "A", "\t", "\\t", "\x7f", "🜁", "\\", '"', "'", 10**30, 1e-7,
]  # fmt: skip


async def test_different_values_have_different_texts_and_the_order_of_keys_is_none(
    connection: asyncpg.Connection,
) -> None:
    texts = [
        await connection.fetchval("SELECT $1::text::jsonb::text", json.dumps(value, ensure_ascii=False))
        for value in VALUES
    ]
    distinct = len({json.dumps(value, sort_keys=True, ensure_ascii=False) for value in VALUES})
    assert len(set(texts)) == distinct
    swapped = await connection.fetchval("""SELECT '{"b": 2, "a": 1}'::jsonb::text""")
    assert swapped == texts[VALUES.index({"a": 1, "b": 2})]


async def test_a_value_cannot_be_guessed_from_its_hash(connection: asyncpg.Connection) -> None:
    same = await connection.fetch(
        """SELECT after_salt, after_hash FROM turnup.field_change WHERE field = 'first_name' AND after = '"Ada"'"""
    )
    assert len(same) == 2
    assert len({row["after_hash"] for row in same}) == len(same)
    for row in same:
        assert len(row["after_salt"]) == 16
        assert row["after_hash"] == sha256(row["after_salt"] + b'"Ada"').digest()
