"""The oldest revision of the code that may still write.

Locks: none on an existing table
Data: a new table with one row; content digests, approvals and audit entries stay as they are
Deployment: servers of the version before keep serving; their /readyz returns 503, as it does for every newer database
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

older_code_may_write = True

STATEMENTS = (
    """CREATE TABLE turnup.schema_state (
           writes_since TEXT COLLATE "C" NOT NULL,
           closed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
           CONSTRAINT pk_schema_state PRIMARY KEY (writes_since),
           CONSTRAINT ck_schema_state_writes_since_form CHECK (writes_since ~ '^[0-9]{4}$')
       )""",
    "ALTER TABLE turnup.schema_state ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE turnup.schema_state FORCE ROW LEVEL SECURITY",
    "GRANT ALL ON turnup.schema_state TO turnup_definer",
    "CREATE POLICY definer ON turnup.schema_state TO turnup_definer USING (true) WITH CHECK (true)",
    "GRANT SELECT ON turnup.schema_state TO turnup_app",
    "CREATE POLICY app_select ON turnup.schema_state FOR SELECT TO turnup_app USING (true)",
    "SET LOCAL ROLE turnup_definer",
    "INSERT INTO turnup.schema_state (writes_since) VALUES ('0010')",
    "RESET ROLE",
)


def upgrade() -> None:
    """Add the table and its first row. The code of revision 0010 may write: this changes nothing that it writes."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
