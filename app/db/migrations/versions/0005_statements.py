"""Audit log: triggers are called once per statement, not once per row.

What is captured, and what is refused, stays as it was. The functions are in 0005_statements.sql.
"""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# What a transition table is there for, by event.
SEEN = {
    "INSERT": "NEW TABLE AS came",
    "UPDATE": "OLD TABLE AS went NEW TABLE AS came",
    "DELETE": "OLD TABLE AS went",
}
FUNCTIONS = ("audit_write_many(text, text, text, text[], jsonb[], jsonb[])", "audit_capture_rows()")
WATCHED = "coalesce(current_setting('turnup.unaudited', true), '') <> 'on' OR NOT turnup.audit_is_system()"
# A tracked table, and the arguments that its trigger has had.
TRACKED = """
SELECT c.relname, string_to_array(encode(t.tgargs, 'escape'), '\\000')
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgname = 'audit_capture' AND n.nspname = 'turnup' ORDER BY c.relname
"""


def upgrade() -> None:
    """Put three triggers a tracked table, one an event, in the place of the one that fired for each row."""
    connection = op.get_bind()
    for statement in (Path(__file__).with_suffix(".sql")).read_text().split(";\n\n"):
        connection.exec_driver_sql(statement)
    for table, arguments in connection.exec_driver_sql(TRACKED).fetchall():
        listed = ", ".join(f"'{argument}'" for argument in arguments[:-1])
        op.execute(f'DROP TRIGGER audit_capture ON turnup."{table}"')
        for event, seen in SEEN.items():
            op.execute(
                f'CREATE TRIGGER {_name(event)} AFTER {event} ON turnup."{table}" REFERENCING {seen} '
                f"FOR EACH STATEMENT WHEN ({WATCHED}) EXECUTE FUNCTION turnup.audit_capture_rows({listed})"
            )
    op.execute("DROP FUNCTION turnup.audit_capture()")
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    for function in FUNCTIONS:
        op.execute(f"ALTER FUNCTION turnup.{function} OWNER TO turnup_definer")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")
    # The owner gave the functions away; only their new owner may say who calls them: nobody but triggers.
    op.execute("SET LOCAL ROLE turnup_definer")
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION turnup.{function} FROM PUBLIC")
    op.execute("RESET ROLE")


def _name(event: str) -> str:
    """The one for INSERT keeps the name by which `audit_baseline` finds what is tracked."""
    return "audit_capture" if event == "INSERT" else f"audit_capture_{event.lower()}"


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
