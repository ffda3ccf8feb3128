"""Several recipients per payload, MAC addresses held by live payloads, and the reasons of status changes.

Locks: ACCESS EXCLUSIVE on location, provisioning_payload and receipt until the migration ends
Data: released payloads get the account's partners as recipients, live payloads are marked and claim the addresses of
    their documents, all recorded in the audit log as MIGRATE; content digests, approvals and documents stay as they
    are. Where two locations claim one address, the older hand-off keeps it, and a line is printed
Deployment: stop the servers of the version before; they would complete a location with the first of several receipts
"""

import sys
from pathlib import Path

from alembic import op

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
RECEIVED = (
    "EXISTS (SELECT FROM turnup.payload_recipient r"
    f" WHERE r.payload_id = provisioning_payload.id AND r.user_id = {OWN_USER})"
)
OWN_RECIPIENT = f"{PARTNER} AND user_id = {OWN_USER}"
OWN_RECEIPT = f"{PARTNER} AND received_by = {OWN_USER}"
# The commands that each table's policies allow, and their conditions.
POLICIES = {
    "status_change": {"ALL": f"{LEAD} OR {CUSTOMER} OR {PARTNER}"},
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
    "claimed_elsewhere(text)": True,
    "live_twice(text)": True,
    "live_elsewhere(text[], text[])": True,
    "mac_holders(text[])": True,
    "handed_off(text)": True,
    "partners_of(text)": True,
}

RECIPIENTS = """
INSERT INTO turnup.payload_recipient
    (id, account_id, location_id, payload_id, user_id, purpose, required, waived_at)
SELECT 'recipient_' || md5(p.id || '/' || w.user_id), p.account_id, p.location_id, p.id, w.user_id, 'OTHER',
       CASE p.state WHEN 'RELEASED' THEN u.status = 'ACTIVE' ELSE a.id IS NOT NULL END,
       CASE WHEN p.state = 'ACKNOWLEDGED' AND a.id IS NULL THEN now() END
FROM turnup.provisioning_payload p
CROSS JOIN LATERAL (
    SELECT g.user_id FROM turnup."grant" g WHERE g.account_id = p.account_id
    UNION
    SELECT r.received_by FROM turnup.receipt r WHERE r.payload_id = p.id
) w
JOIN turnup."user" u ON u.id = w.user_id AND u.role = 'PARTNER'
LEFT JOIN turnup.receipt a ON a.payload_id = p.id AND a.received_by = w.user_id
WHERE p.released_at IS NOT NULL
"""
# A recipient runs with the last payload that it acknowledged, and with one that a lead completed by hand.
LIVE_RECIPIENTS = """
UPDATE turnup.payload_recipient r SET live = true
FROM turnup.provisioning_payload p JOIN turnup.location l ON l.id = p.location_id
WHERE p.id = r.payload_id AND (
    (l.live_payload_id = p.id AND NOT EXISTS (
        SELECT FROM turnup.receipt a WHERE a.payload_id = p.id AND a.kind = 'ACKNOWLEDGED'))
    OR p.sequence = (SELECT max(q.sequence) FROM turnup.receipt a
                     JOIN turnup.provisioning_payload q ON q.id = a.payload_id
                     WHERE a.location_id = r.location_id AND a.received_by = r.user_id AND a.kind = 'ACKNOWLEDGED'))
"""
PAYLOADS = """
UPDATE turnup.provisioning_payload p
SET live = coalesce(l.live_payload_id = p.id, false)
           OR EXISTS (SELECT FROM turnup.payload_recipient r WHERE r.payload_id = p.id AND r.live),
    updated_at = coalesce((SELECT max(a.received_at) FROM turnup.receipt a WHERE a.payload_id = p.id),
                          p.released_at, p.generated_at)
FROM turnup.location l WHERE l.id = p.location_id
"""
# The addresses of live payloads, with the location that handed each off first. Tables of this migration alone.
WORKING_TABLES = (
    """CREATE TABLE turnup.live_mac (mac text, account_id text COLLATE "C", location_id text COLLATE "C",
                                   since timestamptz)""",
    """CREATE TABLE turnup.kept_mac (mac text, account_id text COLLATE "C", location_id text COLLATE "C")""",
    "GRANT ALL ON turnup.live_mac, turnup.kept_mac TO turnup_definer",
)
LIVE_MACS = """
INSERT INTO turnup.live_mac
SELECT m.mac, p.account_id, p.location_id, min(coalesce(a.received_at, p.released_at, p.generated_at))
FROM turnup.provisioning_payload p
CROSS JOIN LATERAL unnest(turnup.macs_of(p.document)) AS m (mac)
LEFT JOIN turnup.receipt a ON a.payload_id = p.id AND a.kind = 'ACKNOWLEDGED'
WHERE p.live
GROUP BY m.mac, p.account_id, p.location_id
"""
KEPT = """
INSERT INTO turnup.kept_mac
SELECT DISTINCT ON (mac) mac, account_id, location_id FROM turnup.live_mac ORDER BY mac, since, location_id
"""
PAIRS = """
SELECT k.mac, k.location_id AS kept, o.location_id AS other
FROM turnup.kept_mac k JOIN (
    SELECT mac, location_id FROM turnup.live_mac UNION SELECT mac, location_id FROM turnup.mac_claim
) o ON o.mac = k.mac AND o.location_id <> k.location_id
ORDER BY k.mac, o.location_id
"""
CLAIMS = (
    """DELETE FROM turnup.mac_claim c USING turnup.kept_mac k WHERE c.mac = k.mac AND c.location_id <> k.location_id""",
    """INSERT INTO turnup.mac_claim (mac, account_id, location_id)
       SELECT mac, account_id, location_id FROM turnup.kept_mac ORDER BY mac ON CONFLICT DO NOTHING""",
    # A location that is reopened claims what its live payload names, not what is in its content.
    """DELETE FROM turnup.mac_claim c USING turnup.location l
       WHERE l.id = c.location_id AND l.status NOT IN ('PENDING_APPROVAL', 'APPROVED', 'PROVISIONING', 'COMPLETED')
         AND NOT EXISTS (SELECT FROM turnup.live_mac m WHERE m.mac = c.mac AND m.location_id = c.location_id)""",
)
CONSTRAINTS = (
    "ALTER TABLE turnup.provisioning_payload ALTER COLUMN updated_at SET DEFAULT now(),"
    " ALTER COLUMN updated_at SET NOT NULL",
    "ALTER TABLE turnup.receipt DROP CONSTRAINT uq_receipt_payload_id,"
    " ADD CONSTRAINT uq_receipt_payload_id_received_by UNIQUE (payload_id, received_by),"
    " ADD CONSTRAINT fk_receipt_payload_recipient_payload_id FOREIGN KEY (payload_id, received_by)"
    " REFERENCES turnup.payload_recipient (payload_id, user_id) DEFERRABLE INITIALLY DEFERRED",
)


def upgrade() -> None:
    """Add the tables, columns, policies and functions, then fill them from the payloads and receipts that exist."""
    for statement in _statements("0010_hand_off.sql"):
        op.execute(statement)
    for table, policies in POLICIES.items():
        _protect(table)
        _admit(table, policies)
    for table, policies in NARROWED.items():
        op.execute(f"DROP POLICY app_all ON turnup.{table}")
        _admit(table, policies)
    for table, arguments in TRACKED.items():
        _watch(table, arguments)
    _add_functions()
    _fill()
    for statement in CONSTRAINTS:
        op.execute(statement)


def _statements(name: str) -> list[str]:
    text = Path(__file__).with_name(name).read_text()
    return [each for each in text.split(";\n\n") if each.strip()]


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
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    for statement in _statements("0010_hand_off_functions.sql"):
        connection.exec_driver_sql(statement)
    for function, callable_by_app in FUNCTIONS.items():
        op.execute(f"REVOKE ALL ON FUNCTION turnup.{function} FROM PUBLIC")
        if callable_by_app:
            op.execute(f"GRANT EXECUTE ON FUNCTION turnup.{function} TO turnup_app")
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def _fill() -> None:
    """Change rows as the definer, with entries in the audit log, and seal these."""
    connection = op.get_bind()
    for statement in WORKING_TABLES:
        op.execute(statement)
    op.execute("SET LOCAL ROLE turnup_definer")
    op.execute("SELECT set_config('turnup.system_action', 'MIGRATE', true)")
    for statement in (RECIPIENTS, LIVE_RECIPIENTS, PAYLOADS, LIVE_MACS, KEPT):
        op.execute(statement)
    for mac, kept, other in connection.exec_driver_sql(PAIRS).fetchall():
        shown = ":".join(mac[place : place + 2] for place in range(0, 12, 2)).upper()
        sys.stdout.write(f"{shown} is claimed by location {kept}; location {other} names it too\n")
    for statement in CLAIMS:
        op.execute(statement)
    op.execute("SELECT turnup.audit_seal()")
    op.execute("SELECT set_config('turnup.system_action', '', true)")
    op.execute("SET CONSTRAINTS ALL IMMEDIATE")
    op.execute("SET CONSTRAINTS ALL DEFERRED")
    op.execute("RESET ROLE")
    op.execute("DROP TABLE turnup.live_mac, turnup.kept_mac")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
