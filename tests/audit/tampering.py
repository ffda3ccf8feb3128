"""Manipulations of the audit log by somebody with the owner's rights, each with random targets.

Acts of SEEN break a chain. Those of UNSEEN leave chains whole: only a head that was signed before tells. Those of
UNTOLD are found by neither, as docs/audit.md says. Those of OBJECTS change no row: they replace what keeps the log, so
that later changes leave no trace; the comparison of objects finds them.
"""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any
from uuid import uuid4

from app.audit.encoding import GENESIS

Act = Callable[[Any, Random], Awaitable[None]]

ENTRY_TEXTS = (
    "action",
    "code",
    "actor_id",
    "actor_role",
    "request_id",
    "client_request_id",
    "override_id",
    "location_id",
    "account_id",
)
CHANGE_TEXTS = ("account_id", "location_id", "table_name", "row_id", "field")
CONTENT_COLUMNS = (*CHANGE_TEXTS, "before", "before_salt", "before_hash", "after", "after_salt", "after_hash")
CONTENT = ", ".join(CONTENT_COLUMNS)


# What keeps such acts away as long as nobody takes it away first, as the owner can.
CHECKS = {
    "audit_entry": ("ck_audit_entry_number_positive", "ck_audit_entry_reason_salt_length"),
    "field_change": ("ck_field_change_before_salt_length", "ck_field_change_after_salt_length"),
}


async def take_the_checks_away(connection: Any) -> None:
    """As the owner; the connection stays the definer's."""
    await connection.execute("RESET ROLE")
    for table, checks in CHECKS.items():
        dropped = ", ".join(f"DROP CONSTRAINT {check}" for check in checks)
        await connection.execute(f"ALTER TABLE turnup.{table} {dropped}")
    await connection.execute("ALTER TABLE turnup.audit_entry DROP CONSTRAINT uq_audit_entry_chain_number")
    await connection.execute("SET LOCAL ROLE turnup_definer")


async def an_entry(connection: Any, random: Random, where: str = "true") -> Any:
    """Any sealed entry."""
    entries = await connection.fetch(
        f"SELECT * FROM turnup.audit_entry e WHERE number IS NOT NULL AND {where} ORDER BY chain, number"
    )
    return random.choice(entries)


async def a_change(connection: Any, random: Random, where: str = "true") -> Any:
    """Any change."""
    return random.choice(await connection.fetch(f"SELECT * FROM turnup.field_change WHERE {where} ORDER BY id"))


async def edit_a_word_of_an_entry(connection: Any, random: Random) -> None:
    entry, column = await an_entry(connection, random), random.choice(ENTRY_TEXTS)
    value = (
        random.choice([None, "", f"{entry[column]} ", uuid4().hex]) if column not in {"action", "request_id"} else "x"
    )
    value = "y" if value == entry[column] else value
    await connection.execute(f"UPDATE turnup.audit_entry SET {column} = $2 WHERE id = $1", entry["id"], value)


async def turn_an_outcome(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random)
    await connection.execute(
        """UPDATE turnup.audit_entry SET outcome = CASE outcome WHEN 'APPLIED' THEN 'REFUSED' ELSE 'APPLIED' END
           WHERE id = $1""",
        entry["id"],
    )


async def turn_whether_it_is_an_override(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random)
    value = random.choice([each for each in (None, False, True) if each is not entry["is_override"]])
    await connection.execute("UPDATE turnup.audit_entry SET is_override = $2 WHERE id = $1", entry["id"], value)


async def shift_a_time(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random)
    await connection.execute(
        "UPDATE turnup.audit_entry SET occurred_at = occurred_at + interval '1 microsecond' WHERE id = $1", entry["id"]
    )


async def rename_an_entry(connection: Any, random: Random) -> None:
    entry, name = await an_entry(connection, random), f"entry_{uuid4().hex}"
    await connection.execute("UPDATE turnup.audit_entry SET id = $2 WHERE id = $1", entry["id"], name)
    await connection.execute("UPDATE turnup.field_change SET entry_id = $2 WHERE entry_id = $1", entry["id"], name)


async def rewrite_a_reason(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random, "reason IS NOT NULL")
    await connection.execute("UPDATE turnup.audit_entry SET reason = 'Because' WHERE id = $1", entry["id"])


async def edit_a_value(connection: Any, random: Random) -> None:
    side = random.choice(["before", "after"])
    change = await a_change(connection, random, f"{side} IS NOT NULL")
    await connection.execute(
        f"UPDATE turnup.field_change SET {side} = $2::text::jsonb WHERE id = $1", change["id"], f'"{uuid4().hex}"'
    )


async def edit_a_value_with_its_hash(connection: Any, random: Random) -> None:
    change = await a_change(connection, random, "after IS NOT NULL")
    await connection.execute(
        """UPDATE turnup.field_change SET after = '"forged"', after_hash = turnup.audit_salted(after_salt, '"forged"')
           WHERE id = $1""",
        change["id"],
    )


async def edit_a_salt(connection: Any, random: Random) -> None:
    side = random.choice(["before", "after"])
    change = await a_change(connection, random, f"{side} IS NOT NULL")
    await connection.execute(
        f"UPDATE turnup.field_change SET {side}_salt = uuid_send(gen_random_uuid()) WHERE id = $1", change["id"]
    )


async def move_a_reason_into_its_salt(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random, "length(reason) > 1")
    await connection.execute(
        """UPDATE turnup.audit_entry SET reason_salt = reason_salt || convert_to(left(reason, $2), 'UTF8'),
           reason = substr(reason, $2 + 1) WHERE id = $1""",
        entry["id"],
        random.randrange(1, len(entry["reason"])),
    )


async def move_a_value_into_its_salt(connection: Any, random: Random) -> None:
    side = random.choice(["before", "after"])
    change = await a_change(connection, random, f"{side}::text ~ '^[0-9][1-9]'")
    await connection.execute(
        f"""UPDATE turnup.field_change SET {side}_salt = {side}_salt || convert_to(left({side}::text, 1), 'UTF8'),
            {side} = substr({side}::text, 2)::jsonb WHERE id = $1""",
        change["id"],
    )


async def edit_a_hash(connection: Any, random: Random) -> None:
    entry, column = await an_entry(connection, random), random.choice(["hash", "previous_hash"])
    await connection.execute(
        f"UPDATE turnup.audit_entry SET {column} = sha256($2) WHERE id = $1", entry["id"], random.randbytes(8)
    )


async def edit_a_word_of_a_change(connection: Any, random: Random) -> None:
    change = await a_change(connection, random)
    column = random.choice(CHANGE_TEXTS)
    await connection.execute(
        f"UPDATE turnup.field_change SET {column} = coalesce({column}, '') || 'x' WHERE id = $1", change["id"]
    )


async def blank_a_value_as_if_erased(connection: Any, random: Random) -> None:
    side = random.choice(["before", "after"])
    change = await a_change(connection, random, f"{side} IS NOT NULL")
    await connection.execute(
        f"UPDATE turnup.field_change SET {side} = NULL, {side}_salt = NULL WHERE id = $1", change["id"]
    )


async def blank_a_reason_as_if_erased(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random, "reason IS NOT NULL")
    await connection.execute(
        "UPDATE turnup.audit_entry SET reason = NULL, reason_salt = NULL WHERE id = $1", entry["id"]
    )


async def withhold_a_value(connection: Any, random: Random) -> None:
    change = await a_change(connection, random, "after IS NOT NULL")
    await connection.execute("UPDATE turnup.field_change SET after = NULL WHERE id = $1", change["id"])


async def delete_a_change(connection: Any, random: Random) -> None:
    change = await a_change(connection, random)
    await connection.execute("DELETE FROM turnup.field_change WHERE id = $1", change["id"])


async def delete_an_entry(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random)
    if random.random() < 0.7:
        await connection.execute("DELETE FROM turnup.field_change WHERE entry_id = $1", entry["id"])
    await connection.execute("DELETE FROM turnup.audit_entry WHERE id = $1", entry["id"])


async def delete_an_entry_and_close_the_gap(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random)
    await connection.execute("DELETE FROM turnup.field_change WHERE entry_id = $1", entry["id"])
    await connection.execute("DELETE FROM turnup.audit_entry WHERE id = $1", entry["id"])
    await connection.execute(
        "UPDATE turnup.audit_entry SET number = 1 - number WHERE chain = $1 AND number > $2",
        entry["chain"],
        entry["number"],
    )
    await connection.execute("UPDATE turnup.audit_entry SET number = - number WHERE number < 0")


async def insert_a_change(connection: Any, random: Random) -> None:
    change = await a_change(connection, random)
    await connection.execute(
        f"""INSERT INTO turnup.field_change (entry_id, {CONTENT})
            SELECT entry_id, {CONTENT} FROM turnup.field_change WHERE id = $1""",
        change["id"],
    )


async def insert_an_entry(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random)
    number = random.choice(
        [0, -1, 1 + await connection.fetchval("SELECT number FROM turnup.chain_head WHERE chain = $1", entry["chain"])]
    )
    await connection.execute(
        """INSERT INTO turnup.audit_entry (id, chain, number, account_id, action, outcome, previous_hash, hash)
           SELECT $2, chain, $3, account_id, action, outcome, hash, sha256('forged') FROM turnup.audit_entry
           WHERE id = $1""",
        entry["id"],
        f"entry_{uuid4().hex}",
        number,
    )


async def put_an_entry_below_all(connection: Any, random: Random) -> None:
    if random.random() < 0.5:
        account = (await an_entry(connection, random))["account_id"]
        await make_an_entry(connection, chain="", number=random.choice([0, -5, 1]), account=account)
    else:
        chain = (await an_entry(connection, random))["chain"]
        account = None if chain == "system" else chain
        await make_an_entry(connection, chain=chain, number=random.choice([0, -5]), account=account)


async def give_two_entries_one_number(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random)
    await make_an_entry(
        connection, chain=entry["chain"], number=entry["number"], account=entry["account_id"],
        previous=entry["previous_hash"],
    )  # fmt: skip


async def make_a_chain_of_no_account(connection: Any, random: Random) -> None:
    name = f"account-{uuid4().hex[:8]}"
    account = random.choice([name, None, (await an_entry(connection, random, "account_id IS NOT NULL"))["account_id"]])
    await make_an_entry(connection, chain=name, number=1, account=account)
    await set_the_head_right(connection, name)


async def make_a_chain_that_tells_of_another_account(connection: Any, random: Random) -> None:
    name, other = f"account-{uuid4().hex[:8]}", await an_entry(connection, random, "account_id IS NOT NULL")
    await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
    await connection.execute("INSERT INTO turnup.account (id, name) VALUES ($1, $1)", name)
    await connection.execute("SELECT set_config('turnup.unaudited', '', true)")
    theirs = other["account_id"]
    places: list[dict[str, Any]] = [
        {"account": theirs},
        {"account": name, "location": f"location-{theirs}"},
        {"account": name, "change": (theirs, None)},
        {"account": name, "change": (name, f"location-{theirs}")},
        {"account": name, "location": "location-of-nobody"},
    ]
    await make_an_entry(connection, chain=name, number=1, **random.choice(places))
    await set_the_head_right(connection, name)


async def insert_an_unsealed_entry(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random)
    await connection.execute(
        """INSERT INTO turnup.audit_entry (id, chain, account_id, action, outcome)
           SELECT $2, chain, account_id, action, outcome FROM turnup.audit_entry WHERE id = $1""",
        entry["id"],
        f"entry_{uuid4().hex}",
    )


async def insert_a_change_of_no_entry(connection: Any, random: Random) -> None:
    change = await a_change(connection, random)
    await connection.execute(
        f"""INSERT INTO turnup.field_change (entry_id, {CONTENT})
            SELECT 'entry_nobody', {CONTENT} FROM turnup.field_change WHERE id = $1""",
        change["id"],
    )


async def reorder_two_entries(connection: Any, random: Random) -> None:
    first = await an_entry(connection, random)
    second = await an_entry(connection, random, f"chain = '{first['chain']}' AND id <> '{first['id']}'")
    await _numbers(connection, {first["id"]: -1})
    await _numbers(connection, {second["id"]: first["number"]})
    await _numbers(connection, {first["id"]: second["number"]})


async def reorder_two_changes(connection: Any, random: Random) -> None:
    first = await a_change(
        connection, random, "entry_id IN (SELECT entry_id FROM turnup.field_change GROUP BY 1 HAVING count(*) > 1)"
    )
    second = await a_change(connection, random, f"entry_id = '{first['entry_id']}' AND id <> {first['id']}")
    for change, content in ((first, second), (second, first)):
        values = [content[name] for name in CONTENT_COLUMNS]
        places = ", ".join(f"${n}" for n in range(2, len(values) + 2))
        await connection.execute(
            f"UPDATE turnup.field_change SET ({CONTENT}) = ROW({places}) WHERE id = $1", change["id"], *values
        )


async def move_a_change_to_another_entry(connection: Any, random: Random) -> None:
    change = await a_change(connection, random)
    other = await an_entry(connection, random, f"id <> '{change['entry_id']}'")
    await connection.execute("UPDATE turnup.field_change SET entry_id = $2 WHERE id = $1", change["id"], other["id"])


async def swap_two_entries_between_accounts(connection: Any, random: Random) -> None:
    first = await an_entry(connection, random)
    second = await an_entry(
        connection,
        random,
        f"chain <> '{first['chain']}'",
    )
    await _numbers(connection, {first["id"]: -1})
    for entry, place in ((second, first), (first, second)):
        await connection.execute(
            "UPDATE turnup.audit_entry SET chain = $2, account_id = $3, number = $4 WHERE id = $1",
            entry["id"],
            place["chain"],
            place["account_id"],
            place["number"],
        )


async def move_a_value_between_accounts(connection: Any, random: Random) -> None:
    first = await a_change(connection, random, "after IS NOT NULL AND account_id IS NOT NULL")
    second = await a_change(connection, random, f"after IS NOT NULL AND account_id <> '{first['account_id']}'")
    await connection.execute(
        """UPDATE turnup.field_change SET after = $2, after_salt = $3, after_hash = $4 WHERE id = $1""",
        first["id"],
        second["after"],
        second["after_salt"],
        second["after_hash"],
    )


async def give_a_chain_to_another_account(connection: Any, random: Random) -> None:
    entry, name = await an_entry(connection, random), f"account-{uuid4().hex[:8]}"
    for table in ("audit_entry", "chain_head"):
        await connection.execute(f"UPDATE turnup.{table} SET chain = $2 WHERE chain = $1", entry["chain"], name)


async def open_a_gap(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random)
    await connection.execute(
        "UPDATE turnup.audit_entry SET number = - number - 1 WHERE chain = $1 AND number >= $2",
        entry["chain"],
        entry["number"],
    )
    await connection.execute("UPDATE turnup.audit_entry SET number = - number WHERE number < 0")
    await set_the_head_right(connection, entry["chain"])


async def edit_a_head(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random)
    change = random.choice(["number = number + 1", "number = number - 1", "hash = sha256(hash)"])
    await connection.execute(f"UPDATE turnup.chain_head SET {change} WHERE chain = $1", entry["chain"])


async def delete_a_head(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random)
    await connection.execute("DELETE FROM turnup.chain_head WHERE chain = $1", entry["chain"])


async def cut_a_tail_but_not_the_head(connection: Any, random: Random) -> None:
    await _cut(connection, await an_entry(connection, random))


async def cut_a_tail_and_the_head(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random, "chain <> 'account-a'")
    await _cut(connection, entry)
    await set_the_head_right(connection, entry["chain"])


async def delete_a_whole_chain(connection: Any, random: Random) -> None:
    first = await an_entry(connection, random, "number = 1")
    await _cut(connection, first)
    await set_the_head_right(connection, first["chain"])


async def compute_a_chain_anew(connection: Any, random: Random) -> None:
    change = await a_change(connection, random, "after IS NOT NULL")
    entry = await connection.fetchrow("SELECT * FROM turnup.audit_entry WHERE id = $1", change["entry_id"])
    await connection.execute(
        """UPDATE turnup.field_change SET after = '"forged"', after_hash = turnup.audit_salted(after_salt, '"forged"')
           WHERE id = $1""",
        change["id"],
    )
    following = await connection.fetch(
        "SELECT id FROM turnup.audit_entry WHERE chain = $1 AND number >= $2 ORDER BY number",
        entry["chain"],
        entry["number"],
    )
    for row in following:
        await connection.execute(
            """UPDATE turnup.audit_entry e SET previous_hash = f.hash FROM turnup.audit_entry f
               WHERE e.id = $1 AND f.chain = e.chain AND f.number = e.number - 1""",
            row["id"],
        )
        await connection.execute(
            "UPDATE turnup.audit_entry e SET hash = sha256(turnup.audit_encoded(e)) WHERE e.id = $1", row["id"]
        )
    await set_the_head_right(connection, entry["chain"])


async def replace_the_salt_of_a_withheld_value(connection: Any, random: Random) -> None:
    change = await a_change(connection, random, "after IS NULL AND after_salt IS NOT NULL")
    await connection.execute(
        "UPDATE turnup.field_change SET after_salt = uuid_send(gen_random_uuid()) WHERE id = $1", change["id"]
    )


async def add_an_entry_to_the_end(connection: Any, random: Random) -> None:
    entry = await an_entry(connection, random)
    head = await connection.fetchrow("SELECT * FROM turnup.chain_head WHERE chain = $1", entry["chain"])
    await make_an_entry(
        connection, chain=head["chain"], number=head["number"] + 1, account=entry["account_id"], previous=head["hash"]
    )
    await set_the_head_right(connection, head["chain"])


# The keys are the rows of the table in docs/audit.md.
SEEN: dict[str, tuple[Act, ...]] = {
    "edit an entry: a text column, outcome, override mark, time, id, reason or hash": (
        edit_a_word_of_an_entry,
        turn_an_outcome,
        turn_whether_it_is_an_override,
        shift_a_time,
        rename_an_entry,
        rewrite_a_reason,
        edit_a_hash,
    ),
    "edit a field change: value, value with its hash, salt of a stored value, table, row or field": (
        edit_a_value,
        edit_a_value_with_its_hash,
        edit_a_salt,
        edit_a_word_of_a_change,
    ),
    "move the start of a value or a reason into its salt": (
        move_a_reason_into_its_salt,
        move_a_value_into_its_salt,
    ),
    "remove a value or a reason as if it had been erased or withheld": (
        blank_a_value_as_if_erased,
        blank_a_reason_as_if_erased,
        withhold_a_value,
    ),
    "delete a field change; delete an entry, with or without renumbering the rest": (
        delete_a_change,
        delete_an_entry,
        delete_an_entry_and_close_the_gap,
    ),
    "insert a field change, an entry, an unsealed entry, or a field change of no entry": (
        insert_a_change,
        insert_an_entry,
        insert_an_unsealed_entry,
        insert_a_change_of_no_entry,
    ),
    "insert an entry with valid hashes: before the first entry, with a number in use, or in an unnamed chain": (
        put_an_entry_below_all,
        give_two_entries_one_number,
    ),
    "create a chain with valid hashes and head: of no account, or naming an account or location of another chain": (
        make_a_chain_of_no_account,
        make_a_chain_that_tells_of_another_account,
    ),
    "reorder two entries or two field changes; move a field change to another entry; open a gap": (
        reorder_two_entries,
        reorder_two_changes,
        move_a_change_to_another_entry,
        open_a_gap,
    ),
    "swap entries or values between accounts; assign a chain to another account": (
        swap_two_entries_between_accounts,
        move_a_value_between_accounts,
        give_a_chain_to_another_account,
    ),
    "edit or delete a head; truncate a chain but not its head": (
        edit_a_head,
        delete_a_head,
        cut_a_tail_but_not_the_head,
    ),
}
UNSEEN: dict[str, tuple[Act, ...]] = {
    "truncate a chain and correct its head": (cut_a_tail_and_the_head,),
    "delete a whole chain and its head": (delete_a_whole_chain,),
    "change a value and recompute the chain to its end": (compute_a_chain_anew,),
}

UNTOLD: dict[str, tuple[Act, ...]] = {
    "replace the salt of a withheld value": (replace_the_salt_of_a_withheld_value,),
    "append an entry with valid hashes and head": (add_an_entry_to_the_end,),
}


# Statements of the owner. The keys are the rows of the second table in docs/audit.md.
BLIND = """CREATE OR REPLACE FUNCTION turnup.audit_salted(salt bytea, value text) RETURNS bytea
           LANGUAGE sql STABLE PARALLEL SAFE RETURN '\\x00'::bytea"""
OBJECTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "replace a function, its owner's rights or its search path": tuple(
        ("GRANT CREATE ON SCHEMA turnup TO turnup_definer", "SET LOCAL ROLE turnup_definer", statement, "RESET ROLE")
        for statement in (
            BLIND,
            "ALTER FUNCTION turnup.audit_capture_rows() SECURITY INVOKER",
            "ALTER FUNCTION turnup.audit_seal() SET search_path = turnup, pg_catalog",
        )
    ),
    "disable or drop a trigger": (
        ("ALTER TABLE turnup.device DISABLE TRIGGER USER",),
        ("ALTER TABLE turnup.device ENABLE REPLICA TRIGGER audit_capture_update",),
        ("DROP TRIGGER audit_capture_update ON turnup.device",),
    ),
    "add or replace a policy, or switch row-level security off": (
        ("CREATE POLICY everything ON turnup.audit_entry TO turnup_app USING (true)",),
        ("CREATE POLICY hiding ON turnup.audit_entry AS RESTRICTIVE TO turnup_definer USING (actor_id <> 'user-x')",),
        ("ALTER POLICY app_select ON turnup.audit_entry USING (true)",),
        ("ALTER TABLE turnup.audit_entry NO FORCE ROW LEVEL SECURITY",),
    ),
    "add a grant on a table, a column, a function or the schema": (
        ("GRANT UPDATE ON turnup.audit_entry TO turnup_app",),
        ("GRANT UPDATE (hash) ON turnup.chain_head TO PUBLIC",),
        ("GRANT CREATE ON SCHEMA turnup TO turnup_app",),
        ("SET LOCAL ROLE turnup_definer", "GRANT EXECUTE ON FUNCTION turnup.audit_salted TO turnup_app", "RESET ROLE"),
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA turnup GRANT ALL ON TABLES TO turnup_app",),
    ),
    "put a function in the place of PostgreSQL's own, or number changes backwards": (
        (
            "CREATE SCHEMA turnup_app",
            "CREATE FUNCTION turnup_app.unnest(text[]) RETURNS SETOF text LANGUAGE sql RETURN 'x'::text",
        ),
        ("ALTER SEQUENCE turnup.field_change_id_seq INCREMENT -1 MINVALUE -9 START 1",),
    ),
    "add a rule, or rows of another table": (
        ("CREATE RULE lost AS ON UPDATE TO turnup.device DO INSTEAD NOTHING",),
        ("CREATE TABLE turnup.more_devices () INHERITS (turnup.device)",),
    ),
    "drop a constraint that the log relies on": (
        ("ALTER TABLE turnup.audit_entry DROP CONSTRAINT uq_audit_entry_chain_number",),
        ("ALTER TABLE turnup.field_change DROP CONSTRAINT ck_field_change_after_salt_length",),
        ("DROP TRIGGER audit_sealed ON turnup.audit_entry",),
    ),
}


async def make_an_entry(
    connection: Any, *, chain: str, number: int, account: str | None, location: str | None = None,
    previous: bytes = GENESIS, change: tuple[str, str | None] | None = None,
) -> None:  # fmt: skip
    """A sealed entry whose hash is right, with a change of an account and a location where one is given."""
    entry = f"entry_{uuid4().hex}"
    if change is not None:
        await connection.execute(
            """INSERT INTO turnup.field_change (entry_id, account_id, location_id, table_name, row_id, field, after,
                                                after_salt, after_hash)
               SELECT $1, $2, $3, 'device', 'phone-1', 'label', '"Forged"', s, turnup.audit_salted(s, '"Forged"')
               FROM uuid_send(gen_random_uuid()) AS s""",
            entry,
            *change,
        )
    await connection.execute(
        """INSERT INTO turnup.audit_entry (id, chain, number, account_id, location_id, action, outcome, actor_id,
                                           actor_role, previous_hash, hash)
           VALUES ($1, $2, $3, $4, $5, 'editDevice', 'APPLIED', 'user-x', 'IMPLEMENTATION_LEAD', $6, '')""",
        entry,
        chain,
        number,
        account,
        location,
        previous,
    )
    await connection.execute(
        "UPDATE turnup.audit_entry e SET hash = sha256(turnup.audit_encoded(e)) WHERE e.id = $1", entry
    )


async def _numbers(connection: Any, numbers: dict[str, int]) -> None:
    for entry_id, number in numbers.items():
        await connection.execute("UPDATE turnup.audit_entry SET number = $2 WHERE id = $1", entry_id, number)


async def _cut(connection: Any, entry: Any) -> None:
    await connection.execute(
        """DELETE FROM turnup.field_change WHERE entry_id IN
           (SELECT id FROM turnup.audit_entry WHERE chain = $1 AND number >= $2)""",
        entry["chain"],
        entry["number"],
    )
    await connection.execute(
        "DELETE FROM turnup.audit_entry WHERE chain = $1 AND number >= $2", entry["chain"], entry["number"]
    )


async def set_the_head_right(connection: Any, chain: str) -> None:
    await connection.execute("DELETE FROM turnup.chain_head WHERE chain = $1", chain)
    await connection.execute(
        """INSERT INTO turnup.chain_head (chain, number, hash)
           SELECT chain, number, hash FROM turnup.audit_entry WHERE chain = $1 ORDER BY number DESC LIMIT 1""",
        chain,
    )
