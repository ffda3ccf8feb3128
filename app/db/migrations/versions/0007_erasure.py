"""Erasure of personal data in documents, reasons, stored results and replays.

The definer's functions are in 0007_erasure.sql.
"""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Payloads that hold somebody who was erased, but were in use then; they are blanked once they are not.
TABLE = (
    """CREATE TABLE turnup.erasure_due (
           location_id TEXT COLLATE "C" NOT NULL,
           payload_id TEXT COLLATE "C" NOT NULL,
           CONSTRAINT pk_erasure_due PRIMARY KEY (location_id, payload_id),
           CONSTRAINT fk_erasure_due_provisioning_payload_location_id FOREIGN KEY(location_id, payload_id)
               REFERENCES turnup.provisioning_payload (location_id, id) DEFERRABLE INITIALLY DEFERRED
       )""",
    "ALTER TABLE turnup.erasure_due ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE turnup.erasure_due FORCE ROW LEVEL SECURITY",
    "GRANT ALL ON turnup.erasure_due TO turnup_definer",
    "CREATE POLICY definer ON turnup.erasure_due TO turnup_definer USING (true) WITH CHECK (true)",
)
# The functions that are new here, and whether the app's role may call them.
FUNCTIONS = {
    "audit_drop_replay()": False,
    "audit_forget_answers(text[])": False,
    "audit_blank_unused(text, text)": False,
    "audit_erase_due(integer)": True,
}


def upgrade() -> None:
    """Add the definer's list of payloads to be blanked; put new functions of erasure in the place of the earlier."""
    for statement in TABLE:
        op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    connection = op.get_bind()
    for statement in (Path(__file__).with_suffix(".sql")).read_text().split(";\n\n"):
        connection.exec_driver_sql(statement)
    for function, callable_by_app in FUNCTIONS.items():
        op.execute(f"REVOKE ALL ON FUNCTION turnup.{function} FROM PUBLIC")
        if callable_by_app:
            op.execute(f"GRANT EXECUTE ON FUNCTION turnup.{function} TO turnup_app")
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
