"""`turnup user`: an operator makes the first lead, finds the way back without one, and is told what is wrong."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.auth.development import ISSUER
from app.postgres import embedded
from tests import harness
from tests.audit.trail import definer
from tests.builders_db import a_session, committed
from tests.harness import CUSTOMER, LEAD, LEAD_2, PARTNER, Ended, TestDatabase, Turnup, served
from tests.oracle import database_is_consistent

from .turnup import environment, free_port, run

ADD = ("user", "add", "--role", "lead", "--all-accounts", "--email", "ops@example.com", "--subject", "idp|ops")
VIEWER = "{ viewer { email role } }"
ACCOUNTS = "{ accounts(first: 9) { nodes { id } } }"
CREATE_USER = "mutation ($input: CreateUserInput!) { createUser(input: $input) { problems { code } } }"


@pytest.fixture
async def fresh() -> AsyncIterator[TestDatabase]:
    """A migrated database without rows, as in production after the first migration."""
    async with harness.own_database(harness.EMPTY_TEMPLATE) as made:
        yield made
        await database_is_consistent(made)


@pytest.fixture
async def demo() -> AsyncIterator[TestDatabase]:
    """A database with the demo data."""
    async with harness.own_database() as made:
        yield made
        await database_is_consistent(made)


async def rows(place: TestDatabase, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query, as the definer reads them."""
    async with definer(place.owner_url) as connection:
        return [tuple(row) for row in await connection.fetch(query)]


def refused(ended: Ended, option: str) -> None:
    """The command ends with one plain line that names the option."""
    assert (ended.status, ended.out) == (1, "")
    assert ended.error.startswith(f"turnup: {option}: "), ended.error
    assert "\n" not in ended.error


async def test_the_first_lead_of_a_new_database_signs_in(fresh: TestDatabase, turnup: Turnup, home: Path) -> None:
    added = await turnup(fresh, *ADD, "--name", "Olga Peters")
    assert (added.status, added.error) == (0, "")
    async with served(fresh, home) as client:
        viewer = await client.ask("{ viewer { user { id } name email role } }", "idp|ops")
    assert viewer.data["viewer"] == {
        "user": {"id": added.out.split()[-1]},
        "name": "Olga Peters",
        "email": "ops@example.com",
        "role": "IMPLEMENTATION_LEAD",
    }


async def test_what_the_command_line_changes_is_recorded_as_the_systems(fresh: TestDatabase, turnup: Turnup) -> None:
    await turnup(fresh, *ADD)
    await turnup(fresh, "user", "add", "--role", "lead", "--all-accounts", "--email", "second@example.com")
    await turnup(fresh, "user", "suspend", "ops@example.com")
    await turnup(fresh, "user", "reinstate", "ops@example.com")
    recorded = await rows(
        fresh, "SELECT chain, action, actor_id, actor_role, outcome FROM turnup.audit_entry ORDER BY number"
    )
    actions = ["MARK_DATABASE", "USER_ADDED", "USER_ADDED", "USER_SUSPENDED", "USER_REINSTATED"]
    assert recorded == [("system", action, None, None, "APPLIED") for action in actions]
    subjects = await rows(
        fresh, "SELECT before, after FROM turnup.field_change WHERE table_name = 'user' AND field = 'subject'"
    )
    assert subjects == [(None, None)] * 2


@pytest.mark.parametrize("role", ["lead", "LEAD", "IMPLEMENTATION_LEAD", "implementation-lead"])
async def test_a_role_has_a_short_name_and_its_own(fresh: TestDatabase, turnup: Turnup, role: str) -> None:
    add = ("user", "add", "--all-accounts", "--email", "ops@example.com")
    assert (await turnup(fresh, *add, "--role", role)).status == 0
    assert await rows(fresh, 'SELECT role, subject, name FROM turnup."user"') == [
        ("IMPLEMENTATION_LEAD", "ops@example.com", "ops@example.com")
    ]


async def test_a_customer_and_a_partner_get_the_whole_accounts_that_are_named(
    demo: TestDatabase, turnup: Turnup, home: Path
) -> None:
    add = ("user", "add", "--email")
    await turnup(demo, *add, "new@acme.example", "--role", "customer", "--account", "account-1")
    await turnup(
        demo, *add, "new@carrier.example", "--role", "partner", "--account", "account-1", "--account", "account-2"
    )
    async with served(demo, home) as client:
        seen = {
            who: (await client.ask(ACCOUNTS, who)).data["accounts"]["nodes"]
            for who in ("new@acme.example", CUSTOMER, "new@carrier.example", PARTNER)
        }
        locations = "{ locations(first: 50) { nodes { id } } }"
        of_new = await client.ask(locations, "new@acme.example")
        of_known = await client.ask(locations, CUSTOMER)
    assert seen["new@acme.example"] == seen[CUSTOMER] == [{"id": "account-1"}]
    assert {each["id"] for each in seen["new@carrier.example"]} == {"account-1", "account-2"}
    assert of_new.data == of_known.data


async def test_a_lead_has_access_to_all_accounts_or_to_those_that_are_named(
    demo: TestDatabase, turnup: Turnup, home: Path
) -> None:
    await turnup(demo, *ADD)
    await turnup(demo, "user", "add", "--role", "lead", "--email", "some@example.com", "--account", "account-2")
    async with served(demo, home) as client:
        everything = (await client.ask(ACCOUNTS, LEAD)).data
        assert (await client.ask(ACCOUNTS, "idp|ops")).data == everything
        assert (await client.ask(ACCOUNTS, "some@example.com")).data == {"accounts": {"nodes": [{"id": "account-2"}]}}
    listed = [re.split(r" {2,}", each) for each in (await turnup(demo, "user", "list")).out.splitlines()]
    assert {each[5]: each[4] for each in listed if each[5].endswith("@example.com")} == {
        "ops@example.com": "all",
        "some@example.com": "account-2",
    }


async def test_a_lead_of_some_accounts_is_no_replacement_for_the_last_one(demo: TestDatabase, turnup: Turnup) -> None:
    await turnup(demo, "user", "add", "--role", "lead", "--email", "some@example.com", "--account", "account-2")
    assert (await turnup(demo, "user", "suspend", LEAD)).out == "suspended\n"
    refused(await turnup(demo, "user", "suspend", LEAD_2), "USER")
    assert (await turnup(demo, "user", "suspend", "some@example.com")).out == "suspended\n"


async def test_an_auditor_reads_the_audit_log(fresh: TestDatabase, turnup: Turnup, home: Path) -> None:
    await turnup(fresh, "user", "add", "--role", "auditor", "--email", "audit@example.com")
    async with served(fresh, home) as client:
        entries = await client.ask("{ auditLog(first: 5) { nodes { action } } }", "audit@example.com")
    read = {each["action"] for each in entries.data["auditLog"]["nodes"]}
    assert read == {"USER_ADDED", "MARK_DATABASE"}


WRONG_ADDITIONS = {
    "an unknown role": ("--role", ("--role", "boss", "--email", "a@example.com")),
    "no address": ("--email", ("--role", "lead", "--all-accounts", "--email", "nobody")),
    "an empty address": ("--email", ("--role", "lead", "--all-accounts", "--email", "")),
    "an address in use": ("--email", ("--role", "lead", "--all-accounts", "--email", LEAD.upper(), "--subject", "s")),
    "a subject in use": (
        "--subject",
        ("--role", "lead", "--all-accounts", "--email", "a@example.com", "--subject", LEAD),
    ),
    "the subject of an address in use": (
        "--subject",
        ("--role", "lead", "--all-accounts", "--email", "a@example.com", "--subject", LEAD_2),
    ),
    "an empty subject": (
        "--subject",
        ("--role", "lead", "--all-accounts", "--email", "a@example.com", "--subject", ""),
    ),
    "a blank subject": (
        "--subject",
        ("--role", "lead", "--all-accounts", "--email", "a@example.com", "--subject", " "),
    ),
    "a subject that is too long": (
        "--subject",
        ("--role", "lead", "--all-accounts", "--email", "a@example.com", "--subject", "s" * 256),
    ),
    "an empty issuer": (
        "--issuer",
        ("--role", "lead", "--all-accounts", "--email", "a@example.com", "--issuer", ""),
    ),
    "an issuer with a space": (
        "--issuer",
        ("--role", "lead", "--all-accounts", "--email", "a@example.com", "--issuer", "https://idp example"),
    ),
    "a subject in use at the configured issuer": (
        "--subject",
        ("--role", "auditor", "--email", "a@example.com", "--subject", LEAD, "--issuer", ISSUER),
    ),
    "an empty name": ("--name", ("--role", "lead", "--all-accounts", "--email", "a@example.com", "--name", "")),
    "a name of two lines": (
        "--name",
        ("--role", "lead", "--all-accounts", "--email", "a@example.com", "--name", "a\nb"),
    ),
    "a name that is not UTF-8": (
        "--name",
        ("--role", "lead", "--all-accounts", "--email", "a@example.com", "--name", "\udcff"),
    ),
    "an unknown account": (
        "--account",
        ("--role", "customer", "--email", "a@example.com", "--account", "account-99"),
    ),
    "a known and an unknown account": (
        "--account",
        ("--role", "partner", "--email", "a@example.com", "--account", "account-1", "account-99"),
    ),
    "no id of an account": (
        "--account",
        ("--role", "partner", "--email", "a@example.com", "--account", "Acme Medical"),
    ),
    "an empty account": ("--account", ("--role", "partner", "--email", "a@example.com", "--account", "")),
    "a customer without account": ("--account", ("--role", "customer", "--email", "a@example.com")),
    "a customer of two accounts": (
        "--account",
        ("--role", "customer", "--email", "a@example.com", "--account", "account-1", "account-2"),
    ),
    "an account twice": (
        "--account",
        ("--role", "partner", "--email", "a@example.com", "--account", "account-1", "account-1"),
    ),
    "an auditor of an account": (
        "--account",
        ("--role", "auditor", "--email", "a@example.com", "--account", "account-1"),
    ),
    "a lead whose access is not stated": ("--all-accounts", ("--role", "lead", "--email", "a@example.com")),
    "a partner of all accounts": (
        "--all-accounts",
        ("--role", "partner", "--email", "a@example.com", "--all-accounts"),
    ),
}


async def test_a_wrong_addition_is_refused_in_one_line_and_adds_nothing(demo: TestDatabase, turnup: Turnup) -> None:
    counts = 'SELECT (SELECT count(*) FROM turnup."user"), (SELECT count(*) FROM turnup.audit_entry)'
    before = await rows(demo, counts)
    for option, arguments in WRONG_ADDITIONS.values():
        refused(await turnup(demo, "user", "add", *arguments), option)
    assert await rows(demo, counts) == before


async def test_the_account_that_does_not_exist_is_named(demo: TestDatabase, turnup: Turnup) -> None:
    add = ("user", "add", "--role", "partner", "--email", "a@example.com")
    ended = await turnup(demo, *add, "--account", "account-1", "account-99")
    assert ended.error == "turnup: --account: no account has the id account-99"


@pytest.mark.parametrize("missing", ["--role", "--email"])
async def test_a_required_option_that_is_missing_is_named(
    fresh: TestDatabase, turnup: Turnup, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    given = {"--role": "lead", "--email": "a@example.com"}
    left = [word for option in given if option != missing for word in (option, given[option])]
    ended = await turnup(fresh, "user", "add", *left)
    assert ended.status == 1
    assert missing in ended.error


async def test_a_suspension_ends_the_sessions_of_the_user_and_a_reinstatement_opens_none(
    demo: TestDatabase, turnup: Turnup
) -> None:
    async with committed(demo) as connection:
        session, other = await a_session(connection, "user-acme"), await a_session(connection, "user-birch")
    await turnup(demo, "user", "suspend", CUSTOMER)
    await turnup(demo, "user", "reinstate", CUSTOMER)
    assert await rows(demo, "SELECT id, end_reason FROM turnup.user_session ORDER BY user_id") == [
        (session, "SUSPENDED"),
        (other, None),
    ]


async def test_a_user_has_the_issuer_that_is_named_and_by_default_the_configured_one(
    fresh: TestDatabase, turnup: Turnup
) -> None:
    add = ("user", "add", "--role", "auditor", "--subject", "s1", "--email")
    assert (await turnup(fresh, *add, "a@example.com", "--issuer", "https://other.example")).status == 0
    assert (await turnup(fresh, *add, "b@example.com", "--issuer", ISSUER)).status == 0
    refused(await turnup(fresh, *add, "c@example.com"), "--subject")
    assert await rows(fresh, 'SELECT email, subject, issuer FROM turnup."user" ORDER BY email') == [
        ("a@example.com", "s1", "https://other.example"),
        ("b@example.com", "s1", None),
    ]


async def test_the_last_active_lead_is_not_suspended(demo: TestDatabase, turnup: Turnup) -> None:
    assert (await turnup(demo, "user", "suspend", LEAD)).out == "suspended\n"
    for named in (LEAD_2, LEAD_2.upper(), "user-lead-2"):
        refused(await turnup(demo, "user", "suspend", named), "USER")
    await turnup(demo, *ADD)
    assert (await turnup(demo, "user", "suspend", LEAD_2)).out == "suspended\n"
    refused(await turnup(demo, "user", "suspend", "ops@example.com"), "USER")
    assert (await turnup(demo, "user", "suspend", PARTNER)).out == "suspended\n"


async def test_of_two_leads_suspended_at_the_same_time_one_remains(demo: TestDatabase, turnup: Turnup) -> None:
    ended = await asyncio.gather(*(_process(demo, "user", "suspend", each) for each in (LEAD, LEAD_2)))
    assert sorted(status for status, _ in ended) == [0, 1]
    active = "SELECT count(*) FROM turnup.\"user\" WHERE all_accounts AND status = 'ACTIVE'"
    assert await rows(demo, active) == [(1,)]


async def test_there_is_a_way_back_when_the_last_lead_is_lost(demo: TestDatabase, turnup: Turnup, home: Path) -> None:
    async with definer(demo.owner_url, system="ARRANGE") as connection:
        await connection.execute("UPDATE turnup.\"user\" SET status = 'SUSPENDED' WHERE role = 'IMPLEMENTATION_LEAD'")
    async with served(demo, home) as client:
        assert (await client.ask(VIEWER)).codes == ["UNAUTHENTICATED"]
        assert (await turnup(demo, *ADD)).status == 0
        assert (await client.ask(VIEWER, "idp|ops")).data["viewer"]["role"] == "IMPLEMENTATION_LEAD"
        assert (await turnup(demo, "user", "reinstate", LEAD)).out == "reinstated\n"
        async with asyncio.timeout(30):  # a server remembers for two seconds that a user is suspended
            while (await client.ask(VIEWER)).codes:  # noqa: ASYNC110 - it is the server that forgets
                await asyncio.sleep(0.05)


async def test_a_lead_whom_a_lead_made_approves_after_the_operators_confirmation(
    demo: TestDatabase, turnup: Turnup, home: Path
) -> None:
    async with served(demo, home) as client:
        for who, role, maker in (("second", "IMPLEMENTATION_LEAD", LEAD), ("third", "PARTNER", LEAD_2)):
            made = {"name": who, "email": f"{who}@example.com", "role": role, "allAccounts": role != "PARTNER"}
            assert (await client.ask(CREATE_USER, maker, input=made)).data["createUser"]["problems"] == []
        assert await _confirmed(turnup, demo, "second@example.com") == "no: made by user-lead"
        assert await _confirmed(turnup, demo, "third@example.com") == "no: made by user-lead-2"
        made = {"name": "fourth", "email": "fourth@example.com", "role": "PARTNER"}
        refusal = await client.ask(CREATE_USER, "second@example.com", input=made)
        assert [each["code"] for each in refusal.data["createUser"]["problems"]] == ["USER_UNCONFIRMED"]
        assert (await turnup(demo, "user", "confirm", "second@example.com")).out == "confirmed\n"
        assert (await client.ask(CREATE_USER, "second@example.com", input=made)).data["createUser"]["problems"] == []
    assert await _confirmed(turnup, demo, "second@example.com") == "yes"
    again = await turnup(demo, "user", "confirm", "second@example.com")
    assert again.out == "confirmed before; nothing changed\n"
    recorded = "SELECT count(*) FROM turnup.audit_entry WHERE action = 'USER_CONFIRMED' AND actor_id IS NULL"
    assert await rows(demo, recorded) == [(1,)]


async def test_an_unconfirmed_lead_is_no_replacement_for_the_last_one(
    demo: TestDatabase, turnup: Turnup, home: Path
) -> None:
    made = {"name": "Second", "email": "second@example.com", "role": "IMPLEMENTATION_LEAD", "allAccounts": True}
    async with served(demo, home) as client:
        assert (await client.ask(CREATE_USER, LEAD_2, input=made)).data["createUser"]["problems"] == []
    await turnup(demo, "user", "suspend", LEAD_2)
    refused(await turnup(demo, "user", "suspend", LEAD), "USER")
    await turnup(demo, "user", "confirm", "second@example.com")
    assert (await turnup(demo, "user", "suspend", LEAD)).out == "suspended\n"


async def test_users_of_the_command_line_are_confirmed(fresh: TestDatabase, turnup: Turnup) -> None:
    await turnup(fresh, *ADD)
    assert await _confirmed(turnup, fresh, "ops@example.com") == "yes"


async def test_a_database_with_a_first_lead_is_no_demo(fresh: TestDatabase, turnup: Turnup) -> None:
    await turnup(fresh, *ADD)
    for command in (("seed",), ("seed", "--reset")):
        ended = await turnup(fresh, *command)
        assert (ended.status, "production database" in ended.error) == (1, True)
    assert await rows(fresh, 'SELECT email FROM turnup."user"') == [("ops@example.com",)]


async def test_what_changes_nothing_says_so_and_is_not_recorded(demo: TestDatabase, turnup: Turnup) -> None:
    await turnup(demo, "user", "suspend", CUSTOMER)
    before = await rows(demo, "SELECT count(*) FROM turnup.audit_entry")
    assert (await turnup(demo, "user", "suspend", CUSTOMER)).out == "suspended before; nothing changed\n"
    assert (await turnup(demo, "user", "reinstate", LEAD)).out == "active before; nothing changed\n"
    assert await rows(demo, "SELECT count(*) FROM turnup.audit_entry") == before


@pytest.mark.parametrize(
    "named", ["user-99", "nobody@example.com", "", "not an id", "\udcff", "a@\udcff.example", "x" * 99]
)
@pytest.mark.parametrize("verb", ["suspend", "reinstate", "confirm"])
async def test_an_unknown_user_is_refused(database: TestDatabase, turnup: Turnup, verb: str, named: str) -> None:
    refused(await turnup(database, "user", verb, named), "USER")


async def test_users_are_listed_in_pages(demo: TestDatabase, turnup: Turnup) -> None:
    whole = await turnup(demo, "user", "list")
    heading, *lines = whole.out.splitlines()
    assert heading.split() == ["ID", "ROLE", "STATUS", "CONFIRMED", "ACCOUNTS", "EMAIL"]
    assert [line.split() for line in lines if line.endswith((f" {CUSTOMER}", f" {LEAD}"))] == [
        ["user-acme", "CUSTOMER", "ACTIVE", "yes", "account-1", CUSTOMER],
        ["user-lead", "IMPLEMENTATION_LEAD", "ACTIVE", "yes", "all", LEAD],
    ]
    paged: list[str] = []
    after: tuple[str, ...] = ()
    while True:
        page = await turnup(demo, "user", "list", "--limit", "3", *after)
        paged += page.out.splitlines()[1:]
        if not page.error:
            break
        after = tuple(page.error.split()[-2:])
        assert after[0] == "--after"
    assert [line.split() for line in paged] == [line.split() for line in lines]


@pytest.mark.parametrize(
    ("option", "value"), [("--limit", "0"), ("--limit", "1001"), ("--after", "no id"), ("--after", "\udcff")]
)
async def test_a_page_that_makes_no_sense_is_refused(
    database: TestDatabase, turnup: Turnup, option: str, value: str
) -> None:
    refused(await turnup(database, "user", "list", option, value), option)


async def test_an_unmigrated_database_is_said_to_be_one(turnup: Turnup) -> None:
    async with harness.own_database("template1") as bare:
        for command in (ADD, ("user", "list"), ("user", "suspend", LEAD), ("user", "confirm", LEAD)):
            ended = await turnup(bare, *command)
            assert ended.status == 1
            assert ended.error.startswith("turnup: the database is at revision none")
            assert ended.error.endswith("run turnup migrate first")


async def test_a_token_for_a_stranger_is_printed_with_a_warning(demo: TestDatabase, turnup: Turnup) -> None:
    known, stranger = await turnup(demo, "token", LEAD), await turnup(demo, "token", "stranger@example.com")
    assert (known.status, known.error) == (0, "")
    assert (stranger.status, stranger.out.count("."), stranger.out.count("\n")) == (0, 2, 1)
    assert stranger.error.startswith("turnup: no user has the subject stranger@example.com")
    assert stranger.error.count("\n") == 1
    await turnup(demo, "user", "suspend", LEAD)
    suspended = await turnup(demo, "token", LEAD)
    assert (suspended.status, suspended.out.count(".")) == (0, 2)
    assert "is suspended" in suspended.error


async def test_a_token_is_printed_whatever_the_database_does(turnup: Turnup, tmp_path: Path) -> None:
    async with harness.own_database("template1") as bare:
        gone = TestDatabase(f"postgresql://turnup_app:s3cret@127.0.0.1:{free_port()}/turnup", bare.owner_url)
        for place in (bare, gone):
            ended = await turnup(place, "token", LEAD)
            assert (ended.status, ended.out.count(".")) == (0, 2)
            assert ended.error.startswith(f"turnup: whether a user has the subject {LEAD} is unknown")
            assert "s3cret" not in ended.error


def test_before_the_first_start_only_demo_users_are_known(tmp_path: Path) -> None:
    home = tmp_path / "home"
    known, stranger = (run("token", who, TURNUP_HOME=str(home)) for who in (LEAD, "stranger@example.com"))
    assert (known.returncode, known.stdout.count("."), known.stderr) == (0, 2, "")
    assert (stranger.returncode, stranger.stdout.count(".")) == (0, 2)
    assert "no user has the subject stranger@example.com" in stranger.stderr
    assert not embedded.exists(home)


async def _confirmed(turnup: Turnup, place: TestDatabase, email: str) -> str:
    """What the list says about the confirmation of a user."""
    (line,) = [each for each in (await turnup(place, "user", "list")).out.splitlines() if each.endswith(f" {email}")]
    return re.split(r" {2,}", line)[3]


async def _process(place: TestDatabase, *arguments: str) -> tuple[int, str]:
    """Run a command in its own process; returns its exit status and what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        *arguments,
        env=environment(DATABASE_URL=place.app_url, TURNUP_OWNER_DATABASE_URL=place.owner_url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()
