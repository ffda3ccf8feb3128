"""Call-flow targets belong to the location.

Locks: SHARE ROW EXCLUSIVE on call_flow_option for a moment
Data: as it is: a target of another location that was stored before reads as one that does not exist; content digests,
    approvals and audit entries stay as they are. The constraints of 0015 are validated
Deployment: servers of the version before keep serving; one that is asked to store a target of another location answers
    with an internal error
"""

from alembic import op

from app.db import steps

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

older_code_may_write = True

VALIDATED = ("ck_device_model_kind_known", "ck_device_model_source_of_date")
# Not a foreign key: an extension can be removed while the call flow still leads to it, which readiness reports. Ids are
# never used again, so such a target cannot become another location's.
FUNCTION = """
CREATE FUNCTION turnup.call_flow_target_check() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM came c JOIN turnup.extension e ON e.id = c.extension_id
               WHERE (e.account_id, e.location_id) <> (c.account_id, c.location_id)) THEN
        RAISE foreign_key_violation USING
            MESSAGE = 'a call-flow target is an extension of another location',
            SCHEMA = 'turnup', TABLE = 'call_flow_option', CONSTRAINT = 'call_flow_option_target_of_location';
    END IF;
    RETURN NULL;
END
$$
"""
STATEMENTS = (
    "GRANT CREATE ON SCHEMA turnup TO turnup_definer",
    "SET LOCAL ROLE turnup_definer",
    FUNCTION,
    "REVOKE ALL ON FUNCTION turnup.call_flow_target_check() FROM PUBLIC",
    *(
        f"CREATE TRIGGER target_of_location_{event.lower()} AFTER {event} ON turnup.call_flow_option"
        " REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION turnup.call_flow_target_check()"
        for event in ("INSERT", "UPDATE")
    ),
    "RESET ROLE",
    "REVOKE CREATE ON SCHEMA turnup FROM turnup_definer",
)


def upgrade() -> None:
    """Validate what 0015 added, and refuse targets that are extensions of another location."""
    for constraint in VALIDATED:
        steps.validate("device_model", constraint)
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
