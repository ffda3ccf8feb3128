"""Several recipients per payload, MAC addresses held by live payloads, and the reasons of status changes.

Locks: ACCESS EXCLUSIVE on location, provisioning_payload and receipt until the migration ends, 80 seconds with 100,000
    locations, 40,000 payloads (350 MB) and three partners per account; the write-ahead log grows by 1.1 GB
Data: released payloads get recipients, live ones are marked and claim the addresses of their documents, recorded in the
    audit log as MIGRATE; content digests, approvals and documents stay as they are. Where two locations have one
    address, the older hand-off keeps it, and a line is printed
Deployment: stop the servers of the version before; they would complete a location with the first of several receipts
"""

import sys
from pathlib import Path

from alembic import op
from sqlalchemy import text

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

LEAD = "(select current_setting('turnup.role', true) = 'IMPLEMENTATION_LEAD')"
OWN_USER = "(select nullif(current_setting('turnup.user_id', true), ''))"
OWN_ACCOUNT = "(select nullif(current_setting('turnup.account', true), ''))"
LISTED = "(select nullif(current_setting('turnup.locations', true), ''))"
PARTNER = "(select nullif(current_setting('turnup.accounts', true), '')::jsonb) ? account_id"
CUSTOMER = (
    f"(account_id = {OWN_ACCOUNT} AND ({LISTED} IS NULL OR "
    "(select nullif(current_setting('turnup.locations', true), '')::jsonb) ? location_id))"
)
# Not EXISTS: for that PostgreSQL may read all recipients first, to look each payload up among them.
RECEIVED = (
    "(SELECT r.id FROM turnup.payload_recipient r"
    f" WHERE r.payload_id = provisioning_payload.id AND r.user_id = {OWN_USER}) IS NOT NULL"
)
# A partner writes the status change of its answer, and reads those to which a payload that it received refers.
NOTIFIED = (
    "EXISTS (SELECT FROM turnup.provisioning_payload p"
    " WHERE p.location_id = status_change.location_id AND p.status_change_id = status_change.id)"
)
OWN_RECIPIENT = f"{PARTNER} AND user_id = {OWN_USER}"
OWN_RECEIPT = f"{PARTNER} AND received_by = {OWN_USER}"
# The commands that each table's policies allow, and their conditions.
POLICIES = {
    "status_change": {
        "ALL": f"{LEAD} OR {CUSTOMER}",
        "SELECT": f"{PARTNER} AND {NOTIFIED}",
        "INSERT": f"{PARTNER} AND changed_by = {OWN_USER}",
    },
    "location_partner": {"ALL": LEAD},
    # Only leads choose recipients. A partner that could add its own row could see any payload of the account.
    "payload_recipient": {"ALL": LEAD, "SELECT": OWN_RECIPIENT, "UPDATE": OWN_RECIPIENT},
    "accepted_version": {"ALL": f"{LEAD} OR user_id = {OWN_USER}"},
}
# Partners no longer see the payloads and receipts of other partners, and add receipts without changing them later.
NARROWED = {
    "provisioning_payload": {"ALL": f"{LEAD} OR ({PARTNER} AND released_at IS NOT NULL AND {RECEIVED})"},
    "receipt": {"ALL": LEAD, "SELECT": OWN_RECEIPT, "INSERT": OWN_RECEIPT},
}
# The columns of recipients that the app may change. A partner that could change the payload of its own row could see
# any payload of the account.
CHANGED_LATER = "live, waived_at, waived_by, waived_reason, decommissioned_at, decommissioned_by, decommission_reason"
# The arguments of the audit triggers: the column of the chain, that of the location, and the key.
TRACKED = {
    "status_change": ("account_id", "location_id", "id"),
    "location_partner": ("account_id", "location_id", "id"),
    "payload_recipient": ("account_id", "location_id", "id"),
    "accepted_version": ("", "", "user_id", "version"),
}
WATCHED = "coalesce(current_setting('turnup.unaudited', true), '') <> 'on' OR NOT turnup.audit_is_system()"
SEEN = {
    "INSERT": "NEW TABLE AS came",
    "UPDATE": "OLD TABLE AS went NEW TABLE AS came",
    "DELETE": "OLD TABLE AS went",
}
# The new functions, and whether the app's role may call them.
FUNCTIONS = {
    "shown_holder(text)": False,
    "claimed_elsewhere(text[])": True,
    "live_elsewhere(text[], text[])": True,
    "mac_holders(text[])": True,
    "decision_facts(text[], boolean)": True,
}

# The definer makes them, and drops them at the end. One statement changes one part of the payloads: the trigger of the
# audit log holds the changed rows in memory, with their documents, before and after.
WORKING_TABLES = (
    # The last payload that each partner acknowledged at a location.
    """
    CREATE TABLE turnup.last_acknowledged AS
    SELECT DISTINCT ON (a.location_id, a.received_by) a.location_id, a.received_by AS user_id, a.payload_id
    FROM turnup.receipt a JOIN turnup.provisioning_payload p ON p.id = a.payload_id
    WHERE a.kind = 'ACKNOWLEDGED' ORDER BY a.location_id, a.received_by, p.sequence DESC
    """,
    "CREATE INDEX ON turnup.last_acknowledged (payload_id)",
    # By hand: completed by a lead, without a receipt. When a payload was withdrawn or superseded is not in its row, but
    # the location has not changed since a later moment.
    """
    CREATE TABLE turnup.handed_over AS
    SELECT p.id, p.account_id, p.location_id, p.state, p.released_at,
           coalesce(l.live_payload_id = p.id, false) AND a.received_at IS NULL AS by_hand,
           coalesce(l.live_payload_id = p.id, false)
           OR EXISTS (SELECT FROM turnup.last_acknowledged k WHERE k.payload_id = p.id) AS live,
           coalesce(p.superseded_by, CASE WHEN p.state = 'ACKNOWLEDGED' THEN (
               SELECT q.id FROM turnup.provisioning_payload q
               WHERE q.location_id = p.location_id AND q.sequence > p.sequence AND q.released_at IS NOT NULL
               ORDER BY q.sequence LIMIT 1) END) AS superseded_by,
           CASE WHEN p.state IN ('WITHDRAWN', 'SUPERSEDED') OR l.live_payload_id = p.id THEN l.updated_at
                ELSE coalesce(a.received_at, p.released_at, p.generated_at) END AS updated_at,
           coalesce(a.received_at, p.released_at, p.generated_at) AS since,
           sum(octet_length(p.document) + 2000) OVER (ORDER BY p.account_id, p.location_id, p.sequence)
               / 8000000 AS part
    FROM turnup.provisioning_payload p JOIN turnup.location l ON l.id = p.location_id
    LEFT JOIN turnup.receipt a ON a.payload_id = p.id AND a.kind = 'ACKNOWLEDGED'
    """,
    "CREATE INDEX ON turnup.handed_over (part)",
    "ANALYZE turnup.last_acknowledged, turnup.handed_over",
)
PARTS = "SELECT DISTINCT part FROM turnup.handed_over ORDER BY part"
# The partners of the account, and those that answered. Receipts of payloads that were answered or withdrawn are not
# awaited. A recipient runs with the last payload that it acknowledged, and with one that a lead completed by hand.
RECIPIENTS = """
INSERT INTO turnup.payload_recipient
    (id, account_id, location_id, payload_id, user_id, purpose, required, live, waived_at)
SELECT 'recipient_' || md5(p.id || '/' || w.user_id), p.account_id, p.location_id, p.id, w.user_id, 'OTHER',
       CASE p.state WHEN 'RELEASED' THEN u.status = 'ACTIVE' ELSE a.id IS NOT NULL END,
       p.by_hand OR EXISTS (
           SELECT FROM turnup.last_acknowledged k WHERE k.payload_id = p.id AND k.user_id = w.user_id),
       CASE WHEN p.state = 'ACKNOWLEDGED' AND a.id IS NULL THEN now() END
FROM turnup.handed_over p
CROSS JOIN LATERAL (
    SELECT g.user_id FROM turnup."grant" g JOIN turnup."user" m ON m.id = g.user_id AND m.role = 'PARTNER'
    WHERE g.account_id = p.account_id
    UNION
    SELECT r.received_by FROM turnup.receipt r WHERE r.payload_id = p.id
) w
JOIN turnup."user" u ON u.id = w.user_id
LEFT JOIN turnup.receipt a ON a.payload_id = p.id AND a.received_by = w.user_id
WHERE p.released_at IS NOT NULL AND p.part = :part
"""
PAYLOADS = """
UPDATE turnup.provisioning_payload p
SET live = o.live, superseded_by = o.superseded_by, updated_at = o.updated_at
FROM turnup.handed_over o WHERE o.id = p.id AND o.part = :part
"""
# The addresses of live payloads, with the time since which each location runs with them, and who keeps them.
ADDRESSES = (
    """
    CREATE TABLE turnup.live_mac AS
    SELECT m.mac, o.account_id, o.location_id, min(o.since) AS since
    FROM turnup.handed_over o JOIN turnup.provisioning_payload p ON p.id = o.id
    CROSS JOIN LATERAL unnest(turnup.macs_of(p.document)) AS m (mac)
    WHERE o.live
    GROUP BY m.mac, o.account_id, o.location_id
    """,
    "CREATE INDEX ON turnup.live_mac (mac, location_id)",
    """
    CREATE TABLE turnup.kept_mac AS
    SELECT DISTINCT ON (mac) mac, account_id, location_id FROM turnup.live_mac ORDER BY mac, since, location_id
    """,
    "CREATE UNIQUE INDEX ON turnup.kept_mac (mac)",
    "ANALYZE turnup.live_mac, turnup.kept_mac",
)
PAIRS = """
SELECT k.mac, k.location_id AS kept, o.location_id AS other, bool_or(o.runs) AS runs
FROM turnup.kept_mac k JOIN (
    SELECT mac, location_id, true AS runs FROM turnup.live_mac
    UNION ALL
    SELECT mac, location_id, false FROM turnup.mac_claim
) o ON o.mac = k.mac AND o.location_id <> k.location_id
GROUP BY k.mac, k.location_id, o.location_id
ORDER BY k.mac, o.location_id
"""
CLAIMS = (
    """DELETE FROM turnup.mac_claim c USING turnup.kept_mac k WHERE c.mac = k.mac AND c.location_id <> k.location_id""",
    """INSERT INTO turnup.mac_claim (mac, account_id, location_id)
       SELECT k.mac, k.account_id, k.location_id FROM turnup.kept_mac k
       WHERE NOT EXISTS (SELECT FROM turnup.mac_claim c WHERE c.mac = k.mac) ORDER BY k.mac""",
    # A location that was reopened claims what its live payload names, not what its content names.
    """DELETE FROM turnup.mac_claim c USING turnup.location l
       WHERE l.id = c.location_id AND l.status NOT IN ('PENDING_APPROVAL', 'APPROVED', 'PROVISIONING', 'COMPLETED')
         AND NOT EXISTS (SELECT FROM turnup.live_mac m WHERE m.mac = c.mac AND m.location_id = c.location_id)""",
)
# The stored results of answers. One that a partner was given because of another's receipt is not its own: repeated, the
# call is carried out.
ANSWERS = (
    """DELETE FROM turnup.idempotency_key k
       WHERE k.mutation IN ('acknowledgePayload', 'rejectPayload') AND NOT EXISTS (
           SELECT FROM turnup.receipt r WHERE r.payload_id = k.outcome ->> 'payload' AND r.received_by = k.user_id)""",
    """UPDATE turnup.idempotency_key k SET outcome = k.outcome || jsonb_build_object('receipt', r.id)
       FROM turnup.receipt r
       WHERE k.mutation IN ('acknowledgePayload', 'rejectPayload')
         AND r.payload_id = k.outcome ->> 'payload' AND r.received_by = k.user_id""",
)
SEAL = "SELECT turnup.audit_seal()"
AFTERWARDS = (
    "ALTER TABLE turnup.provisioning_payload ALTER COLUMN updated_at SET DEFAULT now(),"
    " ALTER COLUMN updated_at SET NOT NULL",
    "ALTER TABLE turnup.receipt DROP CONSTRAINT uq_receipt_payload_id,"
    " ADD CONSTRAINT uq_receipt_payload_id_received_by UNIQUE (payload_id, received_by),"
    " ADD CONSTRAINT fk_receipt_payload_recipient_payload_id FOREIGN KEY (payload_id, received_by)"
    " REFERENCES turnup.payload_recipient (payload_id, user_id) DEFERRABLE INITIALLY DEFERRED",
    "CREATE INDEX ix_provisioning_payload_updated_at_id ON turnup.provisioning_payload (updated_at, id)",
    "CREATE INDEX ix_provisioning_payload_account_id_updated_at_id"
    " ON turnup.provisioning_payload (account_id, updated_at, id)",
    "CREATE INDEX ix_provisioning_payload_live_location_id ON turnup.provisioning_payload (location_id) WHERE live",
    "CREATE INDEX ix_provisioning_payload_live_macs"
    " ON turnup.provisioning_payload USING gin (turnup.macs_of(document)) WITH (fastupdate = off)"
    " WHERE live AND NOT test",
)


def upgrade() -> None:
    """Add the tables, columns, policies and functions, then fill them from the payloads and receipts that exist."""
    for statement in _statements("0010_hand_off.sql"):
        op.execute(statement)
    for table, policies in POLICIES.items():
        _protect(table)
        _admit(table, policies)
    op.execute("REVOKE UPDATE ON turnup.payload_recipient FROM turnup_app")
    op.execute(f"GRANT UPDATE ({CHANGED_LATER}) ON turnup.payload_recipient TO turnup_app")
    for table, policies in NARROWED.items():
        op.execute(f"DROP POLICY app_all ON turnup.{table}")
        _admit(table, policies)
    for table, arguments in TRACKED.items():
        _watch(table, arguments)
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    _add_functions()
    _fill()
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")
    for statement in AFTERWARDS:
        op.execute(statement)


def _statements(name: str) -> list[str]:
    script = Path(__file__).with_name(name).read_text()
    return [each for each in script.split(";\n\n") if each.strip()]


def _protect(table: str) -> None:
    op.execute(f"ALTER TABLE turnup.{table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE turnup.{table} FORCE ROW LEVEL SECURITY")
    op.execute(f"GRANT ALL ON turnup.{table} TO turnup_definer")
    op.execute(f"CREATE POLICY definer ON turnup.{table} TO turnup_definer USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON turnup.{table} TO turnup_app")


def _admit(table: str, policies: dict[str, str]) -> None:
    for command, condition in policies.items():
        using = "" if command == "INSERT" else f" USING ({condition})"
        check = "" if command == "SELECT" else f" WITH CHECK ({condition})"
        op.execute(f"CREATE POLICY app_{command.lower()} ON turnup.{table} FOR {command} TO turnup_app{using}{check}")


def _watch(table: str, arguments: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{argument}'" for argument in arguments)
    op.execute("SET LOCAL ROLE turnup_definer")  # the owner may not call the trigger's function
    for event, seen in SEEN.items():
        # The one for INSERT keeps the name by which `audit_baseline` finds what is tracked.
        name = "audit_capture" if event == "INSERT" else f"audit_capture_{event.lower()}"
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON turnup.{table} REFERENCING {seen} "
            f"FOR EACH STATEMENT WHEN ({WATCHED}) EXECUTE FUNCTION turnup.audit_capture_rows({listed})"
        )
    op.execute("RESET ROLE")


def _add_functions() -> None:
    connection = op.get_bind()
    for statement in _statements("0010_hand_off_functions.sql"):
        connection.exec_driver_sql(statement)
    for function, callable_by_app in FUNCTIONS.items():
        op.execute(f"REVOKE ALL ON FUNCTION turnup.{function} FROM PUBLIC")
        if callable_by_app:
            op.execute(f"GRANT EXECUTE ON FUNCTION turnup.{function} TO turnup_app")


def _fill() -> None:
    """Change rows as the definer, with sealed entries in the audit log, one per account and part."""
    connection = op.get_bind()
    connection.execute(text("SELECT set_config('turnup.system_action', 'MIGRATE', true)"))
    for statement in WORKING_TABLES:
        op.execute(statement)
    for part in connection.scalars(text(PARTS)).all():
        for statement in (RECIPIENTS, PAYLOADS, SEAL):
            connection.execute(text(statement), {"part": part} if ":part" in statement else {})
    for statement in ADDRESSES:
        op.execute(statement)
    for mac, kept, other, runs in connection.execute(text(PAIRS)).all():
        shown = ":".join(mac[place : place + 2] for place in range(0, 12, 2)).upper()
        what = "MAC_LIVE_TWICE" if runs else "MAC_IN_USE"
        sys.stdout.write(f"{what} {shown}: location {kept} keeps the address, location {other} has it too\n")
    for statement in (*CLAIMS, *ANSWERS, SEAL):
        op.execute(statement)
    op.execute("SELECT set_config('turnup.system_action', '', true)")
    # Indexes and constraints cannot be added while checks are outstanding.
    op.execute("SET CONSTRAINTS ALL IMMEDIATE")
    op.execute("SET CONSTRAINTS ALL DEFERRED")
    op.execute("DROP TABLE turnup.last_acknowledged, turnup.handed_over, turnup.live_mac, turnup.kept_mac")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
