"""Audit log: triggers that capture every change, and functions that open and seal entries.

The functions are in 0002_audit.sql. Which tables are tracked, and on whose chain, is the table below.
"""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A tracked table: the column that names its chain ("" for the chain `system`), its location, and its key.
TRACKED = {
    "account": ("id", "", "id"),
    "user": ("", "", "id"),
    "grant": ("", "", "id"),
    "grant_location": ("", "location_id", "grant_id", "location_id"),
    "device_model": ("", "", "id"),
    "location": ("account_id", "id", "id"),
    "section": ("account_id", "location_id", "location_id", "section"),
    "onboarding_session": ("account_id", "location_id", "id"),
    "contact": ("account_id", "location_id", "id"),
    "phone_system": ("account_id", "location_id", "location_id"),
    "device": ("account_id", "location_id", "id"),
    "person": ("account_id", "location_id", "id"),
    "extension": ("account_id", "location_id", "id"),
    "working_hours": ("account_id", "location_id", "id"),
    "call_flow": ("account_id", "location_id", "location_id"),
    "call_flow_option": ("account_id", "location_id", "id"),
    "approval": ("account_id", "location_id", "id"),
    "override": ("account_id", "location_id", "id"),
    "provisioning_payload": ("account_id", "location_id", "id"),
    "receipt": ("account_id", "location_id", "id"),
    "mac_claim": ("account_id", "location_id", "mac"),
}
# Only a session that may become the definer can load rows without a trace (for load tests; it says so in an entry).
WATCHED = "coalesce(current_setting('turnup.unaudited', true), '') <> 'on' OR NOT turnup.audit_is_system()"
FUNCTIONS = {
    "audit_framed(bytea)": False,
    "audit_framed(text)": False,
    "audit_salted(bytea, text)": False,
    "audit_salt(bytea, text)": False,
    "audit_encoded(turnup.audit_entry)": False,
    "audit_remember(text, text, text)": False,
    "audit_open(text, text, text, text, text, text, text, text, text)": True,
    "audit_seal()": True,
    "audit_entry_for(text, text)": False,
    "audit_write(text, text, text, text, text, jsonb, jsonb)": False,
    "audit_capture()": False,
    "audit_check()": False,
    "audit_count(text, text, text, text)": True,
    "audit_settle()": True,
    "audit_baseline()": False,
    "audit_blank(text, text, text, text, text[])": False,
    "audit_erase(text, text, text)": False,
    "audit_erase_reason(text, text)": False,
}


def upgrade() -> None:
    """Widen the audit tables, watch the tracked ones, and hand the functions over to the definer role."""
    connection = op.get_bind()
    for statement in (Path(__file__).with_suffix(".sql")).read_text().split(";\n\n"):
        connection.exec_driver_sql(statement)
    for table, arguments in TRACKED.items():
        listed = ", ".join(f"'{argument}'" for argument in arguments)
        op.execute(
            f'CREATE TRIGGER audit_capture AFTER INSERT OR UPDATE OR DELETE ON turnup."{table}" '
            f"FOR EACH ROW WHEN ({WATCHED}) EXECUTE FUNCTION turnup.audit_capture({listed})"
        )
    for statement in (
        "ALTER TABLE turnup.audit_incident ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE turnup.audit_incident FORCE ROW LEVEL SECURITY",
        "GRANT ALL ON turnup.audit_incident TO turnup_definer",
        "CREATE POLICY definer ON turnup.audit_incident TO turnup_definer USING (true) WITH CHECK (true)",
    ):
        op.execute(statement)
    hand_over()
    op.execute("SET LOCAL ROLE turnup_definer")
    op.execute("SELECT turnup.audit_baseline()")
    op.execute("RESET ROLE")


def hand_over() -> None:
    """Make the definer the functions' owner, and let the app's role call those that it may."""
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    for function in FUNCTIONS:
        op.execute(f"ALTER FUNCTION turnup.{function} OWNER TO turnup_definer")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")
    # The owner gave the functions away; only their new owner may say who calls them.
    op.execute("SET LOCAL ROLE turnup_definer")
    for function, callable_by_app in FUNCTIONS.items():
        op.execute(f"REVOKE ALL ON FUNCTION turnup.{function} FROM PUBLIC")
        if callable_by_app:
            op.execute(f"GRANT EXECUTE ON FUNCTION turnup.{function} TO turnup_app")
    op.execute("RESET ROLE")


def downgrade() -> None:
    """A trail that could be taken away would prove nothing."""
    raise NotImplementedError("the audit trail is not undone; restore a backup instead")
