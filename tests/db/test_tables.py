"""What must never be false is refused by the database itself: every check, unique index and foreign key, one bad row
each, and the closed sets of the domain."""

import re
from collections.abc import AsyncIterator, Iterable
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import asyncpg
import pytest

from app.db import queries, tables
from app.db.paging import Order
from app.domain.installation import DatabaseKind
from app.domain.status_machine import TABLE
from app.domain.vocabulary import (
    ApprovalStatus,
    AuditOutcome,
    CallFlowKind,
    CallTarget,
    CallTrigger,
    ContactPurpose,
    DeviceBrand,
    DeviceModelKind,
    LocationStatus,
    PartnerPurpose,
    PayloadState,
    ReceiptKind,
    Role,
    Section,
    SessionEnd,
    SystemAction,
    UserStatus,
)
from tests import harness

from .scenario import MOMENT, ONE_ROW, TABLES, change, good_rows, put, put_scenario, unaudited

SALT = bytes(16)
NOT_IDS = {"empty": "", "long": "x" * 65, "space": "a b", "newline": "a\n", "dot": "a.b"}
WITH_ID = sorted(
    set(TABLES) & {table.name for table in tables.metadata.sorted_tables if "id" in table.c} - {"field_change"}
)

# The checks of single tables, each with the change to a good row that it refuses.
BAD_CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("account", "name_given", {"name": ""}),
    ("user", "role_known", {"role": "ADMIN", "account_id": None}),
    ("user", "status_known", {"status": "DELETED"}),
    ("user", "account_of_customers_only", {"account_id": "account-x"}),
    ("user", "account_of_customers_only", {"role": "CUSTOMER"}),
    ("user", "all_accounts_of_leads_only", {"all_accounts": True}),
    ("location", "status_known", {"status": "DONE"}),
    ("location", "digest_version_positive", {"digest_version": 0}),
    ("status_change", "verb_known", {"verb": "DELETE"}),
    ("location_partner", "purpose_known", {"purpose": "SALES"}),
    ("section", "section_known", {"section": "BILLING"}),
    ("onboarding_session", "current_step_known", {"current_step": "BILLING"}),
    ("onboarding_session", "submission_whole", {"submitted_by": None}),
    ("onboarding_session", "submission_whole", {"submitted_at": None}),
    ("contact", "purpose_known", {"purpose": "SALES"}),
    ("phone_system", "extension_length_range", {"extension_length": 1}),
    ("phone_system", "extension_length_range", {"extension_length": 7}),
    ("device", "brand_known", {"brand": "NOKIA"}),
    ("device", "mac_address_form", {"mac_address": "00:04:f2:00:00:01"}),
    ("device", "mac_address_form", {"mac_address": "0004F2000001"}),
    ("device", "mac_address_form", {"mac_address": "0004f2000001\n"}),
    ("working_hours", "weekday_range", {"weekday": 0}),
    ("working_hours", "weekday_range", {"weekday": 8}),
    ("call_flow", "kind_known", {"kind": "QUEUE"}),
    ("call_flow", "timeout_range", {"timeout_seconds": 0}),
    ("call_flow", "timeout_range", {"timeout_seconds": 301}),
    ("call_flow", "retries_range", {"retries": -1}),
    ("call_flow", "retries_range", {"retries": 11}),
    ("call_flow_option", "target_known", {"target": "FAX"}),
    ("call_flow_option", "trigger_known", {"trigger": "NIGHT", "digit": None}),
    ("call_flow_option", "digit_of_digits", {"digit": None}),
    ("call_flow_option", "digit_of_digits", {"trigger": "TIMEOUT"}),
    ("approval", "digest_version_positive", {"digest_version": 0}),
    ("provisioning_payload", "digest_version_positive", {"digest_version": 0}),
    ("approval", "status_known", {"status": "DENIED"}),
    ("approval", "decision_whole", {"decided_by": "user-x"}),
    ("approval", "decision_whole", {"decided_at": MOMENT}),
    ("approval", "decided_by_someone", {"status": "APPROVED"}),
    ("approval", "decided_by_someone", {"status": "CHANGES_REQUESTED"}),
    ("override", "sections_given", {"sections": []}),
    ("override", "sections_known", {"sections": ["DEVICES", "BILLING"]}),
    ("override", "expiry_range", {"expires_at": MOMENT}),
    ("override", "expiry_range", {"expires_at": MOMENT + timedelta(minutes=480, seconds=1)}),
    ("provisioning_payload", "state_known", {"state": "SENT"}),
    ("provisioning_payload", "release_whole", {"released_by": None}),
    ("provisioning_payload", "released_first", {"released_by": None, "released_at": None}),
    ("payload_recipient", "purpose_known", {"purpose": "SALES"}),
    ("payload_recipient", "waiver_whole", {"waived_by": "user-x"}),
    ("payload_recipient", "waiver_whole", {"waived_reason": "The partner has left"}),
    ("payload_recipient", "decommission_whole", {"decommissioned_at": MOMENT}),
    ("payload_recipient", "decommission_whole", {"decommissioned_by": "user-x"}),
    ("payload_recipient", "decommission_whole", {"decommission_reason": "The site is closed"}),
    (
        "payload_recipient",
        "decommissioned_is_not_live",
        {"live": True, "decommissioned_at": MOMENT, "decommissioned_by": "user-x"},
    ),
    ("receipt", "kind_known", {"kind": "READ"}),
    ("mac_claim", "mac_form", {"mac": "00-04-F2-00-00-01"}),
    ("audit_entry", "outcome_known", {"outcome": "MAYBE"}),
    ("audit_entry", "sealed_whole", {"hash": None}),
    ("audit_entry", "reason_whole", {"reason": "Told without a salt", "reason_hash": b"h"}),
    ("audit_entry", "reason_whole", {"reason": "Told without a hash", "reason_salt": SALT}),
    ("audit_entry", "reason_whole", {"reason_salt": SALT}),
    ("audit_entry", "number_positive", {"number": 0}),
    ("audit_entry", "reason_salt_length", {"reason": "Told", "reason_salt": SALT + b"T", "reason_hash": b"h"}),
    ("field_change", "before_salt_length", {"before": "1", "before_salt": SALT + b"1", "before_hash": b"h"}),
    ("field_change", "after_salt_length", {"after_salt": SALT[1:]}),
    ("field_change", "before_whole", {"before": "1", "before_hash": b"h"}),
    ("field_change", "before_whole", {"before": "1", "before_salt": SALT}),
    ("field_change", "after_whole", {"after_salt": None}),
    ("field_change", "after_whole", {"after_hash": None, "before_hash": b"h"}),
    ("field_change", "something_changed", {"after": None, "after_salt": None, "after_hash": None}),
    ("audit_incident", "action_known", {"action": "SOMETHING_ELSE"}),
    ("idempotency_key", "key_length", {"key": ""}),
    ("idempotency_key", "key_length", {"key": "k" * 256}),
    ("user_session", "secret_sha256_length", {"secret_sha256": b"secret"}),
    ("user_session", "end_reason_known", {"ended_at": MOMENT, "end_reason": "TIRED"}),
    ("user_session", "end_whole", {"ended_at": MOMENT}),
    ("user_session", "end_whole", {"end_reason": "REVOKED"}),
    ("service_token", "secret_sha256_length", {"secret_sha256": b"secret"}),
    ("service_token", "name_given", {"name": ""}),
    ("service_token", "account_ids_given", {"account_ids": []}),
    ("service_token", "actions_given", {"actions": []}),
    ("service_token", "expires_later", {"expires_at": MOMENT}),
    ("invitation", "role_known", {"role": "ADMIN"}),
    ("invitation", "account_of_customers_only", {"account_id": "account-x"}),
    ("invitation", "account_of_customers_only", {"role": "CUSTOMER"}),
    ("invitation", "all_accounts_of_leads_only", {"all_accounts": True}),
    ("invitation", "secret_sha256_length", {"secret_sha256": b"secret"}),
    ("invitation", "expiry_range", {"expires_at": MOMENT}),
    ("invitation", "expiry_range", {"expires_at": MOMENT + timedelta(days=30, seconds=1)}),
    ("invitation", "acceptance_whole", {"accepted_at": MOMENT}),
    ("invitation", "acceptance_whole", {"accepted_by": "user-x"}),
    ("invitation", "accepted_or_revoked", {"accepted_at": MOMENT, "accepted_by": "user-x", "revoked_at": MOMENT}),
    ("schema_state", "writes_since_form", {"writes_since": "11"}),
    ("installation", "kind_known", {"kind": "test"}),
    ("installation", "single_only", {"single": False}),
    ("gauge_reading", "single_only", {"single": False}),
    ("audit_verification", "single_only", {"single": False}),
    ("device_model", "brand_known", {"brand": "NOKIA"}),
    ("device_model", "lines_range", {"lines": 0}),
    ("device_model", "lines_range", {"lines": 101}),
    ("device_model", "kind_known", {"kind": "TOASTER"}),
    ("device_model", "source_of_date", {"source": None, "source_date": date(2026, 11, 30)}),
    *((table, "id_form", {"id": bad}) for table in WITH_ID for bad in NOT_IDS.values()),
]

# What makes a second row of a table that no unique index refuses beside the first.
APART: dict[str, dict[str, Any]] = {
    "account": {"id": "account-y"},
    "user": {"id": "user-y", "subject": "subject-y", "email": "y@house.example"},
    "location": {"id": "location-y"},
    "status_change": {"id": "change-y"},
    "location_partner": {"id": "partner-y", "user_id": "user-z"},
    "section": {"section": "PEOPLE"},
    "onboarding_session": {"id": "session-y", "closed_at": MOMENT},
    "contact": {"id": "contact-y", "position": 1},
    "phone_system": {"location_id": "location-z"},
    "device": {"id": "device-y"},
    "person": {"id": "person-y"},
    "extension": {"id": "extension-y", "device_id": None},
    "working_hours": {"id": "hours-y"},
    "call_flow": {"location_id": "location-z"},
    "call_flow_option": {"id": "option-y", "position": 1},
    "approval": {"id": "approval-y", "status": "WITHDRAWN"},
    "override": {"id": "override-y", "ended_at": MOMENT},
    "provisioning_payload": {"id": "payload-y", "sequence": 2},
    "payload_recipient": {"id": "recipient-y", "user_id": "user-z"},
    "receipt": {"id": "receipt-y", "payload_id": "payload-z"},
    "mac_claim": {"mac": "0004f2ffffff"},
    "grant": {"id": "grant-y", "user_id": "user-z"},
    "grant_location": {"location_id": "location-z"},
    "chain_head": {"chain": "chain-y"},
    "audit_entry": {"id": "entry-y", "number": 2},
    "field_change": {},
    "audit_incident": {"actor_id": "user-y"},
    "erasure_due": {"payload_id": "payload-z"},
    "idempotency_key": {"key": "key-2"},
    "accepted_version": {"version": "1.1.0"},
    "invitation": {"id": "invitation-y", "email": "invited-y@house.example", "secret_sha256": bytes(32)},
    "user_session": {"id": "usersession-y", "secret_sha256": bytes(32)},
    "sign_in_attempt": {"state_sha256": bytes(32)},
    "service_token": {"id": "token-y", "secret_sha256": bytes(32)},
    "service_token_use": {"token_id": "token-z"},
    "device_model": {"id": "model-y", "model": "VVX y"},
    "schema_state": {"writes_since": "0009"},
    "installation": {"id": "installation-y"},
    "gauge_reading": {},
    "audit_verification": {},
}

# The unique indexes beside primary keys, each with what makes a row apart collide in that index alone.
COLLISIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "uq_user_subject_issuer": ("user", {"subject": "subject-x", "issuer": None}),
    "uq_invitation_email_open": ("invitation", {"email": "Invited-X@House.Example"}),
    "uq_invitation_secret_sha256": ("invitation", {"secret_sha256": good_rows()["invitation"]["secret_sha256"]}),
    "uq_user_session_secret_sha256": ("user_session", {"secret_sha256": good_rows()["user_session"]["secret_sha256"]}),
    "uq_service_token_secret_sha256": (
        "service_token",
        {"secret_sha256": good_rows()["service_token"]["secret_sha256"]},
    ),
    "uq_user_email": ("user", {"email": "X@House.Example"}),
    "uq_grant_user_id_account_id": ("grant", {"user_id": "user-x"}),
    "uq_location_account_id_site_code_key": ("location", {"site_code_key": "x"}),
    "uq_onboarding_session_open": ("onboarding_session", {"closed_at": None}),
    "uq_contact_location_id_position": ("contact", {"position": 0}),
    "uq_extension_device_id": ("extension", {"device_id": "device-x"}),
    "uq_call_flow_option_location_id_position": ("call_flow_option", {"position": 0}),
    "uq_approval_pending": ("approval", {"status": "PENDING"}),
    "uq_override_open": ("override", {"ended_at": None}),
    "uq_provisioning_payload_location_id_sequence": ("provisioning_payload", {"sequence": 1}),
    "uq_location_partner_location_id_user_id": ("location_partner", {"user_id": "user-x"}),
    "uq_payload_recipient_payload_id_user_id": ("payload_recipient", {"user_id": "user-x"}),
    "uq_receipt_payload_id_received_by": ("receipt", {"payload_id": "payload-x"}),
    "uq_audit_entry_chain_number": ("audit_entry", {"number": 1}),
    "uq_installation_single": ("installation", {"kind": "PRODUCTION"}),
    "uq_device_model_brand_model": ("device_model", {"model": "VVX x"}),
}

FOREIGN_KEYS = [
    (table.name, str(key.name), key.column_keys[-1])
    for table in tables.metadata.sorted_tables
    for key in sorted(table.foreign_key_constraints, key=lambda key: str(key.name))
]
# What refers to nothing where the last column alone would break another rule first.
MISSING: dict[str, dict[str, Any]] = {
    "fk_user_account_account_id": {"role": "CUSTOMER", "account_id": "missing-1"},
    "fk_invitation_account_account_id": {"role": "CUSTOMER", "account_id": "missing-1"},
    "fk_invitation_user_accepted_by": {"accepted_by": "missing-1", "accepted_at": MOMENT},
    "fk_approval_user_decided_by": {"decided_by": "missing-1", "decided_at": MOMENT},
    "fk_payload_recipient_user_waived_by": {"waived_by": "missing-1", "waived_at": MOMENT},
    "fk_payload_recipient_user_decommissioned_by": {"decommissioned_by": "missing-1", "decommissioned_at": MOMENT},
    "fk_receipt_payload_recipient_payload_id": {"received_by": "user-z"},
    "fk_grant_location_grant_grant_id": {"grant_id": "missing-1"},
    "fk_call_flow_option_call_flow_location_id": {"location_id": "location-z"},
    "fk_call_flow_option_location_account_id": {"account_id": "missing-1"},
}

CHILDREN = [
    table.name for table in tables.metadata.sorted_tables if {"account_id", "location_id"} <= set(table.c.keys())
]
BARE_MENTIONS = {"audit_entry", "field_change"}  # the audit log outlives the rows it is about, so it references none

# References from one row of a location to another: they must not cross to another location.
ACROSS_LOCATIONS = [
    ("extension", "person_id", "person-other", "fk_extension_person_location_id"),
    ("extension", "device_id", "device-other", "fk_extension_device_location_id"),
    ("call_flow_option", "extension_id", "extension-other", "call_flow_option_target_of_location"),
    (
        "provisioning_payload",
        "superseded_by",
        "payload-other",
        "fk_provisioning_payload_provisioning_payload_location_id",
    ),
    (
        "provisioning_payload",
        "status_change_id",
        "change-other",
        "fk_provisioning_payload_status_change_location_id",
    ),
    ("payload_recipient", "payload_id", "payload-other", "fk_payload_recipient_provisioning_payload_location_id"),
    ("receipt", "payload_id", "payload-other", "fk_receipt_provisioning_payload_location_id"),
    ("location", "live_payload_id", "payload-other", "fk_location_live_payload"),
    ("location", "status_change_id", "change-other", "fk_location_status_change"),
]

CLOSED_SETS: dict[tuple[str, str], Iterable[StrEnum]] = {
    ("approval", "status"): ApprovalStatus,
    ("audit_entry", "outcome"): AuditOutcome,
    ("audit_incident", "action"): {SystemAction.ROLE_DENIED, SystemAction.SECURITY_EVENT},
    ("call_flow", "kind"): CallFlowKind,
    ("call_flow_option", "target"): CallTarget,
    ("call_flow_option", "trigger"): CallTrigger,
    ("contact", "purpose"): ContactPurpose,
    ("device", "brand"): DeviceBrand,
    ("device_model", "brand"): DeviceBrand,
    ("installation", "kind"): DatabaseKind,
    ("device_model", "kind"): DeviceModelKind,
    ("location", "status"): LocationStatus,
    ("location_partner", "purpose"): PartnerPurpose,
    ("onboarding_session", "current_step"): Section,
    ("override", "sections"): Section,
    ("payload_recipient", "purpose"): PartnerPurpose,
    ("provisioning_payload", "state"): PayloadState,
    ("receipt", "kind"): ReceiptKind,
    ("section", "section"): Section,
    ("status_change", "verb"): TABLE,
    ("user_session", "end_reason"): SessionEnd,
    ("invitation", "role"): Role,
    ("user", "role"): Role,
    ("user", "status"): UserStatus,
}

ORDERS = [value for value in vars(queries).values() if isinstance(value, Order)]


@pytest.fixture(scope="module")
async def module_rows(database: harness.TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A valid row of every table and some more, on a connection that bypasses row-level security."""
    connection = await asyncpg.connect(database.owner_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SET LOCAL ROLE turnup_definer")
    await unaudited(connection)
    await put_scenario(connection)
    await put(connection, "user", {**good_rows()["user"], "id": "user-z", "subject": "z", "email": "z@house.example"})
    await put(connection, "location", {**good_rows()["location"], "id": "location-z"})
    await put(
        connection, "provisioning_payload", {**good_rows()["provisioning_payload"], "id": "payload-z", "sequence": 3}
    )
    await put(
        connection,
        "payload_recipient",
        {**good_rows()["payload_recipient"], "id": "recipient-z", "payload_id": "payload-z"},
    )
    await put(
        connection, "service_token", {**good_rows()["service_token"], "id": "token-z", "secret_sha256": b"z" * 32}
    )
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.fixture
async def scenario(module_rows: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """The unchanged rows. Deferred constraints are checked with each statement."""
    savepoint = module_rows.transaction()
    await savepoint.start()
    await module_rows.execute("SET CONSTRAINTS ALL IMMEDIATE")
    yield module_rows
    await savepoint.rollback()


def test_the_scenario_has_a_row_of_every_table() -> None:
    assert sorted(TABLES) == sorted(table.name for table in tables.metadata.sorted_tables)


@pytest.mark.parametrize(
    ("table", "check", "changes"),
    BAD_CHANGES,
    ids=[f"{table}-{check}-{next(iter(c.values()))!r:.20}" for table, check, c in BAD_CHANGES],
)
async def test_a_check_refuses_the_row_it_is_there_for(
    scenario: asyncpg.Connection, table: str, check: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await change(scenario, table, changes)
    assert refused.value.constraint_name == f"ck_{table}_{check}"


async def test_every_check_has_a_row_that_it_refuses(scenario: asyncpg.Connection) -> None:
    found = await scenario.fetch(
        "SELECT conname FROM pg_constraint WHERE connamespace = 'turnup'::regnamespace AND contype = 'c'"
    )
    assert {each["conname"] for each in found} == {f"ck_{table}_{check}" for table, check, _ in BAD_CHANGES}


@pytest.mark.parametrize("table", [each for each in TABLES if each not in ONE_ROW])
async def test_a_second_row_that_differs_enough_is_welcome(scenario: asyncpg.Connection, table: str) -> None:
    await put(scenario, table, {**good_rows()[table], **APART[table]})


@pytest.mark.parametrize("index", COLLISIONS)
async def test_a_unique_index_refuses_the_second_row_it_is_there_for(scenario: asyncpg.Connection, index: str) -> None:
    table, collision = COLLISIONS[index]
    with pytest.raises(asyncpg.UniqueViolationError) as refused:
        await put(scenario, table, {**good_rows()[table], **APART[table], **collision})
    assert refused.value.constraint_name == index


@pytest.mark.parametrize("table", [each for each in TABLES if each != "field_change"])
async def test_a_primary_key_refuses_a_second_row_of_the_same_key(scenario: asyncpg.Connection, table: str) -> None:
    row = good_rows()[table]
    key = {column.name: row[column.name] for column in tables.metadata.tables[f"turnup.{table}"].primary_key}
    with pytest.raises(asyncpg.UniqueViolationError) as refused:
        await put(scenario, table, {**row, **APART[table], **key})
    assert refused.value.constraint_name == f"pk_{table}"


async def test_every_unique_index_has_a_row_that_it_refuses(scenario: asyncpg.Connection) -> None:
    # A unique index that contains the primary key refuses nothing more: it is there for foreign keys to point at.
    found = await scenario.fetch("""
        SELECT i.indexrelid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.relnamespace = 'turnup'::regnamespace AND i.indisunique AND c.relname <> 'alembic_version'
          AND NOT EXISTS (SELECT FROM pg_index p WHERE p.indrelid = i.indrelid AND p.indisprimary
                                               AND p.indkey::int2[] <@ i.indkey::int2[])""")
    assert {each["name"].removeprefix("turnup.") for each in found} == set(COLLISIONS)


@pytest.mark.parametrize(("table", "key", "column"), FOREIGN_KEYS, ids=[key for _, key, _ in FOREIGN_KEYS])
async def test_a_reference_to_a_missing_row_is_refused(
    scenario: asyncpg.Connection, table: str, key: str, column: str
) -> None:
    row = {**good_rows()[table], **APART[table], **MISSING.get(key, {column: "missing-1"})}
    with pytest.raises(asyncpg.ForeignKeyViolationError) as refused:
        await put(scenario, table, row)
    assert refused.value.constraint_name == key


@pytest.mark.parametrize("table", sorted(set(CHILDREN) - BARE_MENTIONS))
async def test_a_child_cannot_be_put_under_another_accounts_location(scenario: asyncpg.Connection, table: str) -> None:
    await put(scenario, "account", {"id": "account-other", "name": "Other"})
    with pytest.raises(asyncpg.ForeignKeyViolationError) as refused:
        await change(scenario, table, {"account_id": "account-other"})
    assert refused.value.constraint_name in {f"fk_{table}_location_account_id", "fk_grant_location_grant_grant_id"}


async def test_every_row_of_a_location_refers_to_it_by_account_and_id(scenario: asyncpg.Connection) -> None:
    found = await scenario.fetch("""
        SELECT k.conrelid::regclass::text AS name FROM pg_constraint k
        WHERE k.contype = 'f' AND k.confrelid = 'turnup.location'::regclass AND k.convalidated
          AND pg_get_constraintdef(k.oid) LIKE
              'FOREIGN KEY (account_id, location_id) REFERENCES turnup.location(account_id, id)%'""")
    assert {each["name"].removeprefix("turnup.") for each in found} == set(CHILDREN) - BARE_MENTIONS


@pytest.mark.parametrize(("table", "column", "other", "key"), ACROSS_LOCATIONS)
async def test_a_reference_stays_within_its_location(
    scenario: asyncpg.Connection, table: str, column: str, other: str, key: str
) -> None:
    await put_scenario(scenario, "other", "account-x")
    if table != "receipt":  # it refers to the recipient
        await scenario.execute("DELETE FROM turnup.receipt")
    with pytest.raises(asyncpg.ForeignKeyViolationError) as refused:
        await change(scenario, table, {column: other})
    assert refused.value.constraint_name == key


async def test_a_grant_of_one_account_lists_no_location_of_another(scenario: asyncpg.Connection) -> None:
    await put_scenario(scenario, "other", "account-other")
    listed = {"grant_id": "grant-x", "account_id": "account-other", "location_id": "location-other"}
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await put(scenario, "grant_location", listed)


@pytest.mark.parametrize(("table", "column"), CLOSED_SETS, ids=[".".join(each) for each in CLOSED_SETS])
async def test_a_closed_set_holds_what_the_vocabulary_holds(
    scenario: asyncpg.Connection, table: str, column: str
) -> None:
    assert await words_of(scenario, f"ck_{table}_{column}_known") == {each.value for each in CLOSED_SETS[table, column]}


async def test_every_closed_set_is_one_of_the_vocabulary(scenario: asyncpg.Connection) -> None:
    found = await scenario.fetch(
        "SELECT conname FROM pg_constraint WHERE connamespace = 'turnup'::regnamespace AND conname ~ '_known$'"
    )
    named = {f"ck_{table}_{column}_known" for table, column in CLOSED_SETS}
    assert {each["conname"] for each in found} == named


async def test_closed_sets_are_text(scenario: asyncpg.Connection) -> None:
    enums = await scenario.fetchval(
        "SELECT count(*) FROM pg_type WHERE typnamespace = 'turnup'::regnamespace AND typtype = 'e'"
    )
    assert enums == 0


@pytest.mark.parametrize("order", ORDERS, ids=[order.name for order in ORDERS])
async def test_a_list_is_ordered_by_columns_that_are_never_null(scenario: asyncpg.Connection, order: Order) -> None:
    table = order.columns[0].table.name
    found = await scenario.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnotnull", f'turnup."{table}"'
    )
    assert {column.name for column in order.columns} <= {each["attname"] for each in found}
    assert order.columns[-1].name == "id"


async def test_ids_are_told_apart_byte_by_byte(scenario: asyncpg.Connection) -> None:
    loose = await scenario.fetch("""
        SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_collation l ON l.oid = a.attcollation
        WHERE c.relnamespace = 'turnup'::regnamespace AND c.relkind = 'r' AND c.relname <> 'alembic_version'
          AND a.attname ~ '^id$|_id$|_by$' AND l.collname <> 'C'
          AND a.attname NOT IN ('request_id', 'client_request_id')""")
    assert [tuple(each) for each in loose] == []


async def words_of(connection: asyncpg.Connection, check: str) -> set[str]:
    """The words between quotes in a check."""
    definition = await connection.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1", check
    )
    return set(re.findall(r"'([A-Z_]+)'", definition))
