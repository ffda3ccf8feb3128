"""All tables with their columns, keys and checks. Invariants of the data are constraints.

Closed sets are text with a CHECK: the equality operator of enum types is not leakproof, so queries with row-level
security could not use the index. All rows that belong to a location have `account_id` and `location_id` with a
composite foreign key, so that policies and statements compare a column of the row itself. Columns that lists are
ordered by are NOT NULL, so that keyset pagination needs no special case.
"""

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import (
    ARRAY,
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Time,
    UniqueConstraint,
    event,
    false,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.domain.installation import DatabaseKind
from app.domain.status_machine import TABLE as VERBS
from app.domain.vocabulary import (
    ApprovalStatus,
    AuditOutcome,
    CallFlowKind,
    CallTarget,
    CallTrigger,
    ContactPurpose,
    DeviceBrand,
    DeviceModelKind,
    LocationAction,
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

SCHEMA = "turnup"

CLOSED_SET = "closed_set"
"""Key in a column's `info`: the enum of its values. A CHECK enforces it, unless the column is a copy of another."""
HOLDS_IDS_OF = "holds_ids_of"
"""Key in a column's `info`: the table whose ids it holds, where no foreign key says so."""

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    },
)


def _id() -> Column[str]:
    return Column("id", Text(collation="C"), nullable=False)


def _ref(name: str, *, nullable: bool = False, of: str | None = None) -> Column[str]:
    """A column that holds another row's id. Ids are compared byte by byte, regardless of the database's locale.

    `of` names the other row's table where no foreign key does, because the row may be gone.
    """
    return Column(name, Text(collation="C"), nullable=nullable, info={} if of is None else {HOLDS_IDS_OF: of})


def _text(name: str, *, nullable: bool = False, default: str | None = "") -> Column[str]:
    return Column(name, Text, nullable=nullable, server_default=None if nullable else default)


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _digest_version() -> Column[int]:
    """The version of the content digest of the same row. Rows that are older than the column have version 1."""
    return Column("digest_version", SmallInteger, nullable=False, server_default="1", info={"of_older_rows": 1})


def _digest_version_positive() -> CheckConstraint:
    return CheckConstraint("digest_version >= 1", name="digest_version_positive")


def _flag(name: str) -> Column[bool]:
    """A flag that is not set in rows that are older than the column."""
    return Column(name, Boolean, nullable=False, server_default=false(), info={"of_older_rows": False})


def _revision() -> Column[int]:
    return Column("revision", Integer, nullable=False, server_default="1")


def _one_of(column: str, members: type[StrEnum], allowed: Iterable[StrEnum] | None = None) -> CheckConstraint:
    """The column holds members of the enum: any, or one of the `allowed` ones."""
    return _closed(column, members, "{column} IN ({listed})", members if allowed is None else allowed)


def _all_of(column: str, members: type[StrEnum]) -> CheckConstraint:
    return _closed(column, members, "{column} <@ ARRAY[{listed}]", members)


def _closed(column: str, members: type[StrEnum], condition: str, allowed: Iterable[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{member.value}'" for member in allowed)
    check = CheckConstraint(condition.format(column=column, listed=listed), name=f"{column}_known")
    event.listen(check, "after_parent_attach", lambda _, table: table.c[column].info.update({CLOSED_SET: members}))
    return check


def _id_form() -> CheckConstraint:
    return CheckConstraint("id ~ '^[A-Za-z0-9_-]{1,64}$'", name="id_form")


def _secret_hash() -> Column[bytes]:
    """The SHA-256 of a secret. The app's role cannot read it."""
    return Column("secret_sha256", LargeBinary, nullable=False)


def _secret_hash_length() -> CheckConstraint:
    return CheckConstraint("octet_length(secret_sha256) = 32", name="secret_sha256_length")


def _of_location() -> tuple[Column[str], Column[str]]:
    return _ref("account_id"), _ref("location_id")


def _location_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["account_id", "location_id"], [f"{SCHEMA}.location.account_id", f"{SCHEMA}.location.id"]
    )


def _key(*columns: str, to: str) -> ForeignKeyConstraint:
    """A foreign key to another row's `id`, checked at the commit: rows of a replaced list can reference each other."""
    return ForeignKeyConstraint(
        list(columns),
        [f"{SCHEMA}.{to}.location_id", f"{SCHEMA}.{to}.id"] if len(columns) == 2 else [f"{SCHEMA}.{to}.id"],
        deferrable=True,
        initially="DEFERRED",
    )


# The invitations that were neither accepted nor revoked: those that are open or have expired.
UNANSWERED = "accepted_at IS NULL AND revoked_at IS NULL"

account = Table(
    "account",
    metadata,
    _id(),
    Column("name", Text(collation="C"), nullable=False),
    _revision(),
    _now("created_at"),
    _now("updated_at"),
    PrimaryKeyConstraint("id"),
    _id_form(),
    CheckConstraint("name <> ''", name="name_given"),
    Index("ix_account_name_id", "name", "id"),
)

user = Table(
    "user",
    metadata,
    _id(),
    _text("subject", default=None),
    _text("name", default=None),
    _text("email", default=None),
    _text("role", default=None),
    _text("status", default=UserStatus.ACTIVE.value),
    _ref("account_id", nullable=True),
    _flag("all_accounts"),
    # The leads who made this user since the last confirmation: created or invited the user, gave the user another role,
    # subject or issuer, or created a service token for the user.
    Column(
        "made_by",
        ARRAY(Text(collation="C")),
        nullable=False,
        server_default="{}",
        info={"of_older_rows": [], HOLDS_IDS_OF: "user"},
    ),
    _revision(),
    _now("created_at"),
    _now("updated_at"),
    # Of the user's access tokens. Null: the configured one.
    _text("issuer", nullable=True),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _key("account_id", to="account"),
    _one_of("role", Role),
    _one_of("status", UserStatus),
    CheckConstraint("(role = 'CUSTOMER') = (account_id IS NOT NULL)", name="account_of_customers_only"),
    CheckConstraint("role = 'IMPLEMENTATION_LEAD' OR NOT all_accounts", name="all_accounts_of_leads_only"),
    Index("uq_user_subject_issuer", "subject", "issuer", unique=True, postgresql_nulls_not_distinct=True),
    Index("uq_user_email", text("lower(email)"), unique=True),
    Index("ix_user_account_id", "account_id"),
)

grant = Table(
    "grant",
    metadata,
    _id(),
    _ref("user_id"),
    _ref("account_id"),
    Column("all_locations", Boolean, nullable=False),
    _now("created_at"),
    PrimaryKeyConstraint("id"),
    _id_form(),
    UniqueConstraint("user_id", "account_id"),
    UniqueConstraint("id", "account_id"),
    _key("user_id", to="user"),
    _key("account_id", to="account"),
    Index("ix_grant_account_id", "account_id"),
)

grant_location = Table(
    "grant_location",
    metadata,
    _ref("grant_id"),
    *_of_location(),
    PrimaryKeyConstraint("grant_id", "location_id"),
    ForeignKeyConstraint(
        ["grant_id", "account_id"], [f"{SCHEMA}.grant.id", f"{SCHEMA}.grant.account_id"], ondelete="CASCADE"
    ),
    _location_key(),
    Index("ix_grant_location_location_id", "location_id"),
)

# A person who is to become a user, with what the user will have. It is open until it is accepted, revoked or expired.
invitation = Table(
    "invitation",
    metadata,
    _id(),
    _text("email", default=None),
    _text("name", default=None),
    _text("role", default=None),
    _ref("account_id", nullable=True),
    Column("all_accounts", Boolean, nullable=False),
    # The accounts to all of whose locations the user gets access.
    Column("granted_account_ids", ARRAY(Text(collation="C")), nullable=False, info={HOLDS_IDS_OF: "account"}),
    # The locations that a customer gets access to, if not to all of the account.
    Column("granted_location_ids", ARRAY(Text(collation="C")), nullable=False, info={HOLDS_IDS_OF: "location"}),
    _secret_hash(),
    # The lead who invited. Null for the command line.
    _ref("invited_by", nullable=True),
    _now("created_at"),
    _moment("expires_at"),
    _moment("accepted_at", nullable=True),
    # The user whom the acceptance created.
    _ref("accepted_by", nullable=True),
    _moment("revoked_at", nullable=True),
    PrimaryKeyConstraint("id"),
    _id_form(),
    UniqueConstraint("secret_sha256"),
    _key("account_id", to="account"),
    _key("invited_by", to="user"),
    _key("accepted_by", to="user"),
    _one_of("role", Role),
    CheckConstraint("(role = 'CUSTOMER') = (account_id IS NOT NULL)", name="account_of_customers_only"),
    CheckConstraint("role = 'IMPLEMENTATION_LEAD' OR NOT all_accounts", name="all_accounts_of_leads_only"),
    _secret_hash_length(),
    CheckConstraint("expires_at > created_at AND expires_at <= created_at + interval '30 days'", name="expiry_range"),
    CheckConstraint("(accepted_at IS NULL) = (accepted_by IS NULL)", name="acceptance_whole"),
    CheckConstraint("accepted_at IS NULL OR revoked_at IS NULL", name="accepted_or_revoked"),
    Index("uq_invitation_email_open", text("lower(email)"), unique=True, postgresql_where=text(UNANSWERED)),
    Index("ix_invitation_open", "id", postgresql_where=text(UNANSWERED)),
    Index("ix_invitation_accepted_by", "accepted_by", postgresql_where=text("accepted_by IS NOT NULL")),
)

location = Table(
    "location",
    metadata,
    _id(),
    _ref("account_id"),
    Column("name", Text(collation="C"), nullable=False),
    _text("line1", nullable=True),
    _text("line2", nullable=True),
    _text("city", nullable=True),
    _text("state", nullable=True),
    _text("zipcode", nullable=True),
    _text("country", nullable=True),
    _text("timezone", nullable=True),
    _text("site_code", nullable=True),
    # The comparison key of site codes, computed by app.db.content_rows.
    Column("site_code_key", Text(collation="C"), nullable=True),
    _text("status", default=LocationStatus.NOT_STARTED.value),
    _text("content_digest"),
    _digest_version(),
    _ref("live_payload_id", nullable=True),
    # The last change of the status. Null if the status has not changed since the column exists.
    _ref("status_change_id", nullable=True),
    # A location for a partner's tests: it claims no MAC addresses, and its payloads are marked.
    _flag("test"),
    _revision(),
    _now("created_at"),
    _now("updated_at"),
    PrimaryKeyConstraint("id"),
    _id_form(),
    UniqueConstraint("account_id", "id"),
    _key("account_id", to="account"),
    ForeignKeyConstraint(
        ["id", "live_payload_id"],
        [f"{SCHEMA}.provisioning_payload.location_id", f"{SCHEMA}.provisioning_payload.id"],
        name="fk_location_live_payload",
        deferrable=True,
        initially="DEFERRED",
        use_alter=True,
    ),
    ForeignKeyConstraint(
        ["id", "status_change_id"],
        [f"{SCHEMA}.status_change.location_id", f"{SCHEMA}.status_change.id"],
        name="fk_location_status_change",
        deferrable=True,
        initially="DEFERRED",
        use_alter=True,
    ),
    _one_of("status", LocationStatus),
    _digest_version_positive(),
    Index("ix_location_name_id", "name", "id"),
    Index("ix_location_updated_at_id", "updated_at", "id"),
    Index("ix_location_account_id_name_id", "account_id", "name", "id"),
    Index("ix_location_status_name_id", "status", "name", "id"),
    Index("ix_location_status_updated_at_id", "status", "updated_at", "id"),
    Index("ix_location_account_id_updated_at_id", "account_id", "updated_at", "id"),
    Index("ix_location_account_id_status_name_id", "account_id", "status", "name", "id"),
    Index("ix_location_account_id_status_updated_at_id", "account_id", "status", "updated_at", "id"),
    Index("ix_location_test", "account_id", "id", postgresql_where=text("test")),
    Index("uq_location_account_id_site_code_key", "account_id", "site_code_key", unique=True),
)

# One row per change of a location's status. Rows are only added.
status_change = Table(
    "status_change",
    metadata,
    _id(),
    *_of_location(),
    _text("verb", default=None),
    # For leads, for customers, and for partners.
    _text("reason", nullable=True),
    _text("reason_for_customer", nullable=True),
    _text("reason_for_partner", nullable=True),
    _ref("changed_by"),
    _now("changed_at"),
    PrimaryKeyConstraint("id"),
    _id_form(),
    UniqueConstraint("location_id", "id"),
    _location_key(),
    _key("changed_by", to="user"),
    _one_of("verb", LocationAction, VERBS),
)

# The partners of a location, chosen by a lead. A location without any has all partners with access to its account.
location_partner = Table(
    "location_partner",
    metadata,
    _id(),
    *_of_location(),
    _ref("user_id"),
    _text("purpose", default=None),
    Column("required", Boolean, nullable=False),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _location_key(),
    UniqueConstraint("location_id", "user_id"),
    _key("user_id", to="user"),
    _one_of("purpose", PartnerPurpose),
)

section = Table(
    "section",
    metadata,
    *_of_location(),
    _text("section", default=None),
    _revision(),
    Column("complete", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("location_id", "section"),
    _location_key(),
    _one_of("section", Section),
)

onboarding_session = Table(
    "onboarding_session",
    metadata,
    _id(),
    *_of_location(),
    _text("current_step", default=Section.LOCATION.value),
    _now("started_at"),
    _now("last_saved_at"),
    _moment("submitted_at", nullable=True),
    _ref("submitted_by", nullable=True),
    _moment("closed_at", nullable=True),
    _revision(),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _location_key(),
    _key("submitted_by", to="user"),
    _one_of("current_step", Section),
    CheckConstraint("(submitted_at IS NULL) = (submitted_by IS NULL)", name="submission_whole"),
    Index("uq_onboarding_session_open", "location_id", unique=True, postgresql_where=text("closed_at IS NULL")),
    Index("ix_onboarding_session_location_id_started_at_id", "location_id", "started_at", "id"),
)

contact = Table(
    "contact",
    metadata,
    _id(),
    *_of_location(),
    Column("position", SmallInteger, nullable=False),
    _text("purpose", default=None),
    _text("name", nullable=True),
    _text("email", nullable=True),
    _text("phone", nullable=True),
    _text("e164", nullable=True),
    _revision(),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _location_key(),
    UniqueConstraint("location_id", "position", deferrable=True, initially="DEFERRED"),
    _one_of("purpose", ContactPurpose),
)

phone_system = Table(
    "phone_system",
    metadata,
    *_of_location(),
    _text("main_number", nullable=True),
    _text("main_number_e164", nullable=True),
    _text("caller_id_name", nullable=True),
    _text("provider", nullable=True),
    _text("outbound_prefix", nullable=True),
    Column("voicemail", Boolean, nullable=False, server_default=false()),
    Column("extension_length", SmallInteger, nullable=True),
    _revision(),
    PrimaryKeyConstraint("location_id"),
    _location_key(),
    CheckConstraint("extension_length BETWEEN 2 AND 6", name="extension_length_range"),
)

device = Table(
    "device",
    metadata,
    _id(),
    *_of_location(),
    _text("brand", default=None),
    _text("model", nullable=True),
    _text("mac_address", nullable=True),
    _text("serial_number", nullable=True),
    _text("label", nullable=True),
    _revision(),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _location_key(),
    UniqueConstraint("location_id", "id"),
    _one_of("brand", DeviceBrand),
    CheckConstraint("mac_address ~ '^[0-9a-f]{12}$'", name="mac_address_form"),
    Index("ix_device_mac_address", "mac_address"),
)

person = Table(
    "person",
    metadata,
    _id(),
    *_of_location(),
    _text("first_name", nullable=True),
    _text("last_name", nullable=True),
    _text("email", nullable=True),
    _text("mobile", nullable=True),
    _text("mobile_e164", nullable=True),
    Column("voicemail", Boolean, nullable=False, server_default=false()),
    _revision(),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _location_key(),
    UniqueConstraint("location_id", "id"),
)

extension = Table(
    "extension",
    metadata,
    _id(),
    *_of_location(),
    Column("number", Text(collation="C"), nullable=False),
    _text("label", nullable=True),
    _ref("person_id", nullable=True),
    _ref("device_id", nullable=True),
    _revision(),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _location_key(),
    UniqueConstraint("location_id", "id"),
    UniqueConstraint("device_id", deferrable=True, initially="DEFERRED"),
    _key("location_id", "person_id", to="person"),
    _key("location_id", "device_id", to="device"),
    Index("ix_extension_location_id_number_id", "location_id", "number", "id"),
    Index("ix_extension_person_id", "person_id"),
)

working_hours = Table(
    "working_hours",
    metadata,
    _id(),
    *_of_location(),
    Column("weekday", SmallInteger, nullable=False),
    Column("opens", Time, nullable=False),
    Column("closes", Time, nullable=False),
    Column("passes_midnight", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _location_key(),
    CheckConstraint("weekday BETWEEN 1 AND 7", name="weekday_range"),
    Index("ix_working_hours_location_id_weekday_opens_id", "location_id", "weekday", "opens", "id"),
)

call_flow = Table(
    "call_flow",
    metadata,
    *_of_location(),
    _text("kind", default=None),
    _text("greeting", nullable=True),
    Column("timeout_seconds", SmallInteger, nullable=True),
    Column("retries", SmallInteger, nullable=True),
    _revision(),
    PrimaryKeyConstraint("location_id"),
    _location_key(),
    _one_of("kind", CallFlowKind),
    CheckConstraint("timeout_seconds BETWEEN 1 AND 300", name="timeout_range"),
    CheckConstraint("retries BETWEEN 0 AND 10", name="retries_range"),
)

call_flow_option = Table(
    "call_flow_option",
    metadata,
    _id(),
    *_of_location(),
    Column("position", SmallInteger, nullable=False),
    _text("trigger", default=None),
    _text("digit", nullable=True),
    _text("target", default=None),
    _ref("extension_id", nullable=True, of="extension"),
    _text("external_number", nullable=True),
    _text("external_number_e164", nullable=True),
    PrimaryKeyConstraint("id"),
    _id_form(),
    ForeignKeyConstraint(["location_id"], [f"{SCHEMA}.call_flow.location_id"], ondelete="CASCADE"),
    _location_key(),
    UniqueConstraint("location_id", "position", deferrable=True, initially="DEFERRED"),
    _one_of("target", CallTarget),
    _one_of("trigger", CallTrigger),
    CheckConstraint("(trigger = 'DIGIT') = (digit IS NOT NULL)", name="digit_of_digits"),
)

approval = Table(
    "approval",
    metadata,
    _id(),
    *_of_location(),
    Column("location_revision", Integer, nullable=False),
    _text("digest", default=None),
    _digest_version(),
    Column("content", JSONB, nullable=False),
    _ref("requested_by"),
    _now("requested_at"),
    _text("status", default=ApprovalStatus.PENDING.value),
    _ref("decided_by", nullable=True),
    _moment("decided_at", nullable=True),
    _text("comment", nullable=True),
    Column("self_approved", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _location_key(),
    _key("requested_by", to="user"),
    _key("decided_by", to="user"),
    _one_of("status", ApprovalStatus),
    _digest_version_positive(),
    CheckConstraint("(decided_at IS NULL) = (decided_by IS NULL)", name="decision_whole"),
    CheckConstraint(
        "status NOT IN ('APPROVED', 'CHANGES_REQUESTED') OR decided_by IS NOT NULL", name="decided_by_someone"
    ),
    Index("uq_approval_pending", "location_id", unique=True, postgresql_where=text("status = 'PENDING'")),
    Index("ix_approval_location_id_requested_at_id", "location_id", "requested_at", "id"),
    Index("ix_approval_requested_at_id", "requested_at", "id"),
    Index("ix_approval_account_id_requested_at_id", "account_id", "requested_at", "id"),
    Index("ix_approval_status_requested_at_id", "status", "requested_at", "id"),
    Index("ix_approval_account_id_status_requested_at_id", "account_id", "status", "requested_at", "id"),
    Index("ix_approval_decided_at", "decided_at", postgresql_where=text("decided_at IS NOT NULL")),
)

override = Table(
    "override",
    metadata,
    _id(),
    *_of_location(),
    _ref("opened_by"),
    Column("sections", ARRAY(Text), nullable=False),
    _text("reason", default=None),
    _text("ticket", nullable=True),
    _now("opened_at"),
    _moment("expires_at"),
    _moment("ended_at", nullable=True),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _location_key(),
    _key("opened_by", to="user"),
    CheckConstraint("cardinality(sections) > 0", name="sections_given"),
    _all_of("sections", Section),
    CheckConstraint("expires_at > opened_at AND expires_at <= opened_at + interval '480 minutes'", name="expiry_range"),
    Index("uq_override_open", "location_id", unique=True, postgresql_where=text("ended_at IS NULL")),
    Index("ix_override_location_id_opened_at_id", "location_id", "opened_at", "id"),
)

provisioning_payload = Table(
    "provisioning_payload",
    metadata,
    _id(),
    *_of_location(),
    Column("sequence", Integer, nullable=False),
    _text("version", default=None),
    _text("state", default=PayloadState.GENERATED.value),
    _text("document", default=None),
    _text("document_digest", default=None),
    _text("content_digest", default=None),
    _digest_version(),
    Column("location_revision", Integer, nullable=False),
    _ref("generated_by"),
    _now("generated_at"),
    _ref("released_by", nullable=True),
    _moment("released_at", nullable=True),
    _ref("superseded_by", nullable=True),
    _text("withdrawn_reason", nullable=True),
    # Whether the phones of a recipient, or of a lead who completed the location by hand, run with the document.
    _flag("live"),
    _flag("test"),
    # The status change that withdrew the payload, or that reopened or cancelled the location while it was live.
    _ref("status_change_id", nullable=True),
    _now("updated_at"),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _location_key(),
    UniqueConstraint("location_id", "id"),
    UniqueConstraint("location_id", "sequence"),
    _key("generated_by", to="user"),
    _key("released_by", to="user"),
    _key("location_id", "superseded_by", to="provisioning_payload"),
    _key("location_id", "status_change_id", to="status_change"),
    _one_of("state", PayloadState),
    _digest_version_positive(),
    CheckConstraint("(released_at IS NULL) = (released_by IS NULL)", name="release_whole"),
    CheckConstraint(
        "state NOT IN ('RELEASED', 'ACKNOWLEDGED', 'REJECTED') OR released_at IS NOT NULL", name="released_first"
    ),
    Index("ix_provisioning_payload_generated_at_id", "generated_at", "id"),
    Index("ix_provisioning_payload_account_id_generated_at_id", "account_id", "generated_at", "id"),
    Index("ix_provisioning_payload_state_generated_at_id", "state", "generated_at", "id"),
    Index("ix_provisioning_payload_updated_at_id", "updated_at", "id"),
    Index("ix_provisioning_payload_account_id_updated_at_id", "account_id", "updated_at", "id"),
    Index("ix_provisioning_payload_live_location_id", "location_id", postgresql_where=text("live")),
    Index(
        "ix_provisioning_payload_live_macs",
        text("turnup.macs_of(document)"),
        postgresql_using="gin",
        # Look-ups are frequent and changes are not: without this they would read a list of unsorted changes as well.
        postgresql_with={"fastupdate": "off"},
        postgresql_where=text("live AND NOT test"),
    ),
)

# The MAC addresses of a document, in the form of `mac_claim.mac`.
MACS_OF = """
CREATE FUNCTION turnup.macs_of(document text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT DISTINCT lower(replace(d ->> 'macAddress', ':', '')) AS mac
             FROM jsonb_array_elements(document::jsonb -> 'devices') AS d
             WHERE d ->> 'macAddress' IS NOT NULL ORDER BY mac)
"""
event.listen(provisioning_payload, "before_create", DDL(MACS_OF))  # type: ignore[no-untyped-call] # - its constructor has no annotations

# The partners to whom a payload was released, with their state. Frozen when provisioning is triggered.
payload_recipient = Table(
    "payload_recipient",
    metadata,
    _id(),
    *_of_location(),
    _ref("payload_id"),
    _ref("user_id"),
    _text("purpose", default=None),
    Column("required", Boolean, nullable=False),
    # Whether the phones of the recipient run with the document.
    Column("live", Boolean, nullable=False, server_default=false()),
    # A lead, or the migration that added recipients (`waived_by` is null), no longer waits for the receipt.
    _moment("waived_at", nullable=True),
    _ref("waived_by", nullable=True),
    _text("waived_reason", nullable=True),
    _moment("decommissioned_at", nullable=True),
    _ref("decommissioned_by", nullable=True),
    _text("decommission_reason", nullable=True),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _location_key(),
    UniqueConstraint("payload_id", "user_id"),
    _key("location_id", "payload_id", to="provisioning_payload"),
    _key("user_id", to="user"),
    _key("waived_by", to="user"),
    _key("decommissioned_by", to="user"),
    _one_of("purpose", PartnerPurpose),
    CheckConstraint("waived_at IS NOT NULL OR (waived_by IS NULL AND waived_reason IS NULL)", name="waiver_whole"),
    CheckConstraint(
        "(decommissioned_at IS NULL) = (decommissioned_by IS NULL)"
        " AND (decommission_reason IS NULL OR decommissioned_at IS NOT NULL)",
        name="decommission_whole",
    ),
    CheckConstraint("NOT (live AND decommissioned_at IS NOT NULL)", name="decommissioned_is_not_live"),
    Index("ix_payload_recipient_user_id_payload_id", "user_id", "payload_id"),
    Index("ix_payload_recipient_optional", "user_id", "payload_id", postgresql_where=text("NOT required")),
    Index("ix_payload_recipient_location_id", "location_id"),
)

receipt = Table(
    "receipt",
    metadata,
    _id(),
    *_of_location(),
    _ref("payload_id"),
    _text("kind", default=None),
    _text("document_digest", default=None),
    _ref("received_by"),
    _now("received_at"),
    Column("reasons", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    PrimaryKeyConstraint("id"),
    _id_form(),
    _location_key(),
    UniqueConstraint("payload_id", "received_by"),
    _key("location_id", "payload_id", to="provisioning_payload"),
    _key("received_by", to="user"),
    ForeignKeyConstraint(
        ["payload_id", "received_by"],
        [f"{SCHEMA}.payload_recipient.payload_id", f"{SCHEMA}.payload_recipient.user_id"],
        deferrable=True,
        initially="DEFERRED",
    ),
    _one_of("kind", ReceiptKind),
)

mac_claim = Table(
    "mac_claim",
    metadata,
    _text("mac", default=None),
    *_of_location(),
    PrimaryKeyConstraint("mac"),
    _location_key(),
    CheckConstraint("mac ~ '^[0-9a-f]{12}$'", name="mac_form"),
    Index("ix_mac_claim_location_id", "location_id"),
)

chain_head = Table(
    "chain_head",
    metadata,
    _ref("chain"),
    Column("number", BigInteger, nullable=False, server_default="0"),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("chain"),
)

ERASED_DOCUMENT = '{"erased": true}'
"""What remains of the document of a payload when it is erased."""

# The entries that count as an override. Older entries count if they have an override id.
OVERRIDES = "coalesce(is_override, override_id IS NOT NULL)"

audit_entry = Table(
    "audit_entry",
    metadata,
    _id(),
    _ref("chain"),
    Column("number", BigInteger, nullable=True),
    _ref("account_id", nullable=True),
    _ref("location_id", nullable=True, of="location"),
    _text("action", default=None),
    _text("outcome", default=None),
    _text("code", nullable=True),
    _ref("actor_id", nullable=True, of="user"),
    Column("actor_role", Text, nullable=True, info={CLOSED_SET: Role}),
    _text("request_id"),
    _text("reason", nullable=True),
    _ref("override_id", nullable=True, of="override"),
    _now("occurred_at"),
    Column("previous_hash", LargeBinary, nullable=True),
    Column("hash", LargeBinary, nullable=True),
    Column("ordinal", BigInteger, Identity(always=True), nullable=False),
    Column("reason_salt", LargeBinary, nullable=True),
    Column("reason_hash", LargeBinary, nullable=True),
    # Null in entries that are older than the column. Their hashes do not include it.
    Column("is_override", Boolean, nullable=True, server_default=text("false")),
    # The id that the client gave to its request. Null if it gave none, and in entries that are older than the column.
    Column("client_request_id", Text, nullable=True),
    PrimaryKeyConstraint("id"),
    _id_form(),
    UniqueConstraint("chain", "number"),
    _one_of("outcome", AuditOutcome),
    CheckConstraint("(number IS NULL) = (hash IS NULL)", name="sealed_whole"),
    CheckConstraint("number >= 1", name="number_positive"),
    CheckConstraint("octet_length(reason_salt) = 16", name="reason_salt_length"),
    CheckConstraint(
        "(reason IS NULL) = (reason_salt IS NULL) AND (reason IS NULL OR reason_hash IS NOT NULL)", name="reason_whole"
    ),
    Index("ix_audit_entry_location_id_occurred_at_id", "location_id", "occurred_at", "id"),
    Index("ix_audit_entry_account_id_occurred_at_id", "account_id", "occurred_at", "id"),
    Index("ix_audit_entry_occurred_at_id", "occurred_at", "id"),
    Index("ix_audit_entry_actor_id_occurred_at_id", "actor_id", "occurred_at", "id"),
    Index("ix_audit_entry_action_occurred_at_id", "action", "occurred_at", "id"),
    Index("ix_audit_entry_request_id_occurred_at_id", "request_id", "occurred_at", "id"),
    Index(
        "ix_audit_entry_client_request_id_occurred_at_id",
        "client_request_id",
        "occurred_at",
        "id",
        postgresql_where=text("client_request_id IS NOT NULL"),
    ),
    Index(
        "ix_audit_entry_override_id_occurred_at_id",
        "override_id",
        "occurred_at",
        "id",
        postgresql_where=text("override_id IS NOT NULL"),
    ),
    Index("ix_audit_entry_overrides", "occurred_at", "id", postgresql_where=text(OVERRIDES)),
)

_ERASED = "(before_hash IS NOT NULL AND before_salt IS NULL) OR (after_hash IS NOT NULL AND after_salt IS NULL)"


def _side_whole(side: str) -> CheckConstraint:
    return CheckConstraint(
        f"({side} IS NULL OR {side}_salt IS NOT NULL) AND ({side}_salt IS NULL OR {side}_hash IS NOT NULL)",
        name=f"{side}_whole",
    )


field_change = Table(
    "field_change",
    metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    _ref("entry_id", of="audit_entry"),
    _ref("account_id", nullable=True),
    _text("table_name", default=None),
    _ref("row_id"),
    _text("field", default=None),
    Column("before", JSONB, nullable=True),
    Column("after", JSONB, nullable=True),
    _ref("location_id", nullable=True),
    Column("before_salt", LargeBinary, nullable=True),
    Column("before_hash", LargeBinary, nullable=True),
    Column("after_salt", LargeBinary, nullable=True),
    Column("after_hash", LargeBinary, nullable=True),
    # A side without a hash means that the row did not exist. A hash without a salt means that the value was erased.
    Column("erased", Boolean, Computed(_ERASED, persisted=True), nullable=False),
    PrimaryKeyConstraint("id"),
    _side_whole("before"),
    _side_whole("after"),
    CheckConstraint("octet_length(before_salt) = 16", name="before_salt_length"),
    CheckConstraint("octet_length(after_salt) = 16", name="after_salt_length"),
    CheckConstraint("before_hash IS NOT NULL OR after_hash IS NOT NULL", name="something_changed"),
    Index("ix_field_change_entry_id_id", "entry_id", "id"),
    Index("ix_field_change_location_id_id", "location_id", "id"),
)

audit_incident = Table(
    "audit_incident",
    metadata,
    _moment("minute"),
    _text("action", default=None),
    _text("code", default=None),
    _ref("actor_id"),
    _text("request_id", default=None),
    _moment("first_at"),
    Column("count", Integer, nullable=False, server_default="1"),
    Column("client_request_id", Text, nullable=True),
    PrimaryKeyConstraint("minute", "action", "code", "actor_id"),
    _one_of("action", SystemAction, (SystemAction.ROLE_DENIED, SystemAction.SECURITY_EVENT)),
)

erasure_due = Table(
    "erasure_due",
    metadata,
    _ref("location_id"),
    _ref("payload_id"),
    PrimaryKeyConstraint("location_id", "payload_id"),
    _key("location_id", "payload_id", to="provisioning_payload"),
)

idempotency_key = Table(
    "idempotency_key",
    metadata,
    _ref("user_id"),
    _text("key", default=None),
    _text("mutation", default=None),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("outcome", JSONB, nullable=False),
    _now("created_at"),
    PrimaryKeyConstraint("user_id", "key"),
    _key("user_id", to="user"),
    CheckConstraint("char_length(key) BETWEEN 1 AND 255", name="key_length"),
    Index("ix_idempotency_key_created_at", "created_at"),
)

# One row per migration that closed the database to writes of older code. The greatest revision counts: see
# app.db.writers.
schema_state = Table(
    "schema_state",
    metadata,
    Column("writes_since", Text(collation="C"), nullable=False),
    _now("closed_at"),
    PrimaryKeyConstraint("writes_since"),
    CheckConstraint("writes_since ~ '^[0-9]{4}$'", name="writes_since_form"),
)

# At most one row: what the database is for, and an id of its content. See app.db.kind.
installation = Table(
    "installation",
    metadata,
    _id(),
    _text("kind", default=None),
    Column("single", Boolean, nullable=False, server_default=true()),
    _now("marked_at"),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("single"),
    CheckConstraint("single", name="single_only"),
    _id_form(),
    _one_of("kind", DatabaseKind),
)

# At most one row: the gauges of the business as they were measured last. See app.db.gauges.
gauge_reading = Table(
    "gauge_reading",
    metadata,
    Column("single", Boolean, nullable=False, server_default=true()),
    Column("readings", JSONB, nullable=False),
    _moment("measured_at"),
    PrimaryKeyConstraint("single"),
    CheckConstraint("single", name="single_only"),
)

# At most one row: the moment that the last verification of all chains was about, and whether all was as it should be.
audit_verification = Table(
    "audit_verification",
    metadata,
    Column("single", Boolean, nullable=False, server_default=true()),
    _moment("verified_at"),
    Column("ok", Boolean, nullable=False),
    PrimaryKeyConstraint("single"),
    CheckConstraint("single", name="single_only"),
)

# A browser in which a user signed in. It is open until it is ended, or one of the two times is reached.
user_session = Table(
    "user_session",
    metadata,
    _id(),
    _ref("user_id"),
    _secret_hash(),
    _text("user_agent"),
    _now("created_at"),
    _now("last_used_at"),
    # Its distance from the last use stays the same.
    _moment("idle_until"),
    _moment("expires_at"),
    _moment("ended_at", nullable=True),
    _text("end_reason", nullable=True),
    PrimaryKeyConstraint("id"),
    _id_form(),
    UniqueConstraint("secret_sha256"),
    _key("user_id", to="user"),
    _secret_hash_length(),
    _one_of("end_reason", SessionEnd),
    CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end_whole"),
    Index("ix_user_session_user_id_created_at_id", "user_id", "created_at", "id"),
    Index("ix_user_session_expires_at", "expires_at"),
)

# A browser that went to the provider and has not come back.
sign_in_attempt = Table(
    "sign_in_attempt",
    metadata,
    Column("state_sha256", LargeBinary, nullable=False),
    Column("browser_sha256", LargeBinary, nullable=False),
    _text("nonce", default=None),
    _text("code_verifier", default=None),
    _text("next", default=None),
    Column("invitation_sha256", LargeBinary, nullable=True),
    _now("created_at"),
    PrimaryKeyConstraint("state_sha256"),
    Index("ix_sign_in_attempt_created_at", "created_at", "state_sha256"),
)

# A machine's way to sign in as a user. It can have less than the user has, and never more.
service_token = Table(
    "service_token",
    metadata,
    _id(),
    _ref("user_id"),
    _text("name", default=None),
    # The beginning of the secret, by which people find the token.
    Column("prefix", Text(collation="C"), nullable=False),
    _secret_hash(),
    # Null: all accounts of the user. Of an auditor, it must be null.
    Column("account_ids", ARRAY(Text(collation="C")), nullable=True, info={HOLDS_IDS_OF: "account"}),
    # Null: all actions of the user's role that a service token may have.
    Column("actions", ARRAY(Text), nullable=True),
    _ref("created_by"),
    _now("created_at"),
    _moment("expires_at"),
    _moment("revoked_at", nullable=True),
    PrimaryKeyConstraint("id"),
    _id_form(),
    UniqueConstraint("secret_sha256"),
    _key("user_id", to="user"),
    _key("created_by", to="user"),
    _secret_hash_length(),
    CheckConstraint("name <> ''", name="name_given"),
    CheckConstraint("cardinality(account_ids) > 0", name="account_ids_given"),
    CheckConstraint("cardinality(actions) > 0", name="actions_given"),
    CheckConstraint("expires_at > created_at", name="expires_later"),
    Index("ix_service_token_user_id_created_at_id", "user_id", "created_at", "id"),
    Index("ix_service_token_created_at_id", "created_at", "id"),
    Index("ix_service_token_created_by", "created_by"),
    Index("ix_service_token_prefix", "prefix"),
    Index("ix_service_token_end", text("LEAST(revoked_at, expires_at)")),
)

# When a service token was last used. In a table of its own, because a use changes nothing that the audit log is about.
service_token_use = Table(
    "service_token_use",
    metadata,
    _ref("token_id"),
    _moment("last_used_at"),
    PrimaryKeyConstraint("token_id"),
    ForeignKeyConstraint(["token_id"], [f"{SCHEMA}.service_token.id"], ondelete="CASCADE"),
)

# The versions of the payload document that a partner accepts. A partner without any accepts all.
accepted_version = Table(
    "accepted_version",
    metadata,
    _ref("user_id"),
    Column("version", Text(collation="C"), nullable=False),
    PrimaryKeyConstraint("user_id", "version"),
    _key("user_id", to="user"),
)

device_model = Table(
    "device_model",
    metadata,
    _id(),
    _text("brand", default=None),
    Column("model", Text(collation="C"), nullable=False),
    Column("lines", SmallInteger, nullable=False),
    _text("kind", nullable=True),
    # The maker's name, which `brand` has for the makers that it lists only.
    _text("maker", nullable=True),
    # Where these values come from, and the day when they were read there.
    _text("source", nullable=True),
    Column("source_date", Date, nullable=True),
    _revision(),
    PrimaryKeyConstraint("id"),
    _id_form(),
    UniqueConstraint("brand", "model"),
    _one_of("brand", DeviceBrand),
    CheckConstraint("lines BETWEEN 1 AND 100", name="lines_range"),
    _one_of("kind", DeviceModelKind),
    CheckConstraint("source IS NOT NULL OR source_date IS NULL", name="source_of_date"),
)
