"""Tables, policies of row-level security, sign-in, and the rights of the application's role.

The tables are in 0001_tables.sql, frozen as they were made. Policies come in four shapes, chosen by who may
see a table's rows; each compares a column of the row with a setting that sign-in made, inside a sub-select so
that PostgreSQL reads the setting once a statement and keeps its indexes.
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A boolean sub-select: the planner takes it for likely, where it takes an equality for rare and gives up the order of
# an index for a scan and a sort.
LEAD = "(select current_setting('turnup.role', true) = 'IMPLEMENTATION_LEAD')"
SIGNED_IN = "(select nullif(current_setting('turnup.user_id', true), '')) IS NOT NULL"
OWN_USER = "(select nullif(current_setting('turnup.user_id', true), ''))"
OWN_ACCOUNT = "(select nullif(current_setting('turnup.account', true), ''))"
LISTED = "(select nullif(current_setting('turnup.locations', true), ''))"
PARTNER_ACCOUNTS = "(select nullif(current_setting('turnup.accounts', true), '')::jsonb)"


def customer(location_column: str) -> str:
    """Rows of the customer's account, and of the listed locations unless the grant is for all."""
    return (
        f"(account_id = {OWN_ACCOUNT} AND ({LISTED} IS NULL OR "
        f"(select nullif(current_setting('turnup.locations', true), '')::jsonb) ? {location_column}))"
    )


PARTNER = f"{PARTNER_ACCOUNTS} ? account_id"

# What the app's role may do with a table's rows: (verbs, condition).
CONTENT = ("ALL", f"{LEAD} OR {customer('location_id')}")
STORY = ("ALL", f"{LEAD} OR {customer('location_id')} OR {PARTNER}")
HANDED_OFF = ("ALL", f"{LEAD} OR {PARTNER}")
POLICIES = {
    "account": [
        ("SELECT", f"{LEAD} OR id = {OWN_ACCOUNT} OR {PARTNER_ACCOUNTS} ? id"),
        ("ALL", LEAD),
    ],
    "user": [
        (
            "SELECT",
            f"{LEAD} OR id = {OWN_USER} OR account_id = {OWN_ACCOUNT} OR role = 'IMPLEMENTATION_LEAD' AND {SIGNED_IN}",
        ),
        ("ALL", LEAD),
    ],
    "grant": [("ALL", LEAD)],
    "grant_location": [("ALL", LEAD)],
    "location": [("ALL", f"{LEAD} OR {customer('id')} OR {PARTNER}")],
    "section": [CONTENT],
    "onboarding_session": [STORY],
    "contact": [CONTENT],
    "phone_system": [CONTENT],
    "device": [CONTENT],
    "person": [CONTENT],
    "extension": [CONTENT],
    "working_hours": [CONTENT],
    "call_flow": [CONTENT],
    "call_flow_option": [CONTENT],
    "approval": [STORY],
    "override": [HANDED_OFF],
    "provisioning_payload": [("ALL", f"{LEAD} OR ({PARTNER} AND released_at IS NOT NULL)")],
    "receipt": [HANDED_OFF],
    "mac_claim": [STORY],
    "audit_entry": [("SELECT", LEAD)],
    "field_change": [("SELECT", LEAD)],
    "chain_head": [],
    "idempotency_key": [("ALL", f"user_id = {OWN_USER}")],
    "device_model": [("SELECT", SIGNED_IN), ("ALL", LEAD)],
}
VERBS = {"ALL": "SELECT, INSERT, UPDATE, DELETE", "SELECT": "SELECT"}


def upgrade() -> None:
    """Make the tables, lock them behind policies, and add the functions of the definer role."""
    for statement in (Path(__file__).with_suffix(".sql")).read_text().split(";\n"):
        if statement.strip():
            op.execute(statement)
    for table, policies in POLICIES.items():
        protect(table, policies)
    op.execute("GRANT USAGE ON SCHEMA turnup TO turnup_app, turnup_definer")
    add_sign_in()


def protect(table: str, policies: list[tuple[str, str]]) -> None:
    """Force row-level security on a table, then let the definer role pass and the app's role by condition."""
    name = f'turnup."{table}"'
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    op.execute(f"GRANT ALL ON {name} TO turnup_definer")
    op.execute(f"CREATE POLICY definer ON {name} TO turnup_definer USING (true) WITH CHECK (true)")
    for verb, condition in policies:
        op.execute(f"GRANT {VERBS[verb]} ON {name} TO turnup_app")
        check = f" WITH CHECK ({condition})" if verb == "ALL" else ""
        op.execute(f"CREATE POLICY app_{verb.lower()} ON {name} FOR {verb} TO turnup_app USING ({condition}){check}")


def add_sign_in() -> None:
    """One function that finds the user behind a token's subject, makes the settings, and returns the viewer."""
    op.execute(SIGN_IN)
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("ALTER FUNCTION turnup.sign_in(text, integer) OWNER TO turnup_definer")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")
    # The owner gave the function away; only its new owner may say who calls it.
    op.execute("SET LOCAL ROLE turnup_definer")
    op.execute("REVOKE ALL ON FUNCTION turnup.sign_in(text, integer) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION turnup.sign_in(text, integer) TO turnup_app")
    op.execute("RESET ROLE")


SIGN_IN = """
CREATE FUNCTION turnup.sign_in(token_subject text, timeout_ms integer)
RETURNS TABLE (id text, name text, email text, role text, status text, accounts text[], locations text[])
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    principal turnup."user"%ROWTYPE;
    granted_all boolean;
BEGIN
    PERFORM set_config('statement_timeout', timeout_ms::text, true),
            set_config('turnup.user_id', '', true), set_config('turnup.role', '', true),
            set_config('turnup.account', '', true), set_config('turnup.accounts', '', true),
            set_config('turnup.locations', '', true);
    SELECT * INTO principal FROM turnup."user" u WHERE u.subject = token_subject;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    accounts := '{}';
    IF principal.status = 'ACTIVE' THEN
        PERFORM set_config('turnup.user_id', principal.id, true), set_config('turnup.role', principal.role, true);
        IF principal.role = 'PARTNER' THEN
            SELECT coalesce(array_agg(g.account_id ORDER BY g.account_id), '{}') INTO accounts
            FROM turnup."grant" g WHERE g.user_id = principal.id;
            PERFORM set_config('turnup.accounts', (
                SELECT coalesce(jsonb_object_agg(a, 1), '{}')::text FROM unnest(accounts) a
            ), true);
        ELSIF principal.role = 'CUSTOMER' THEN
            SELECT g.all_locations INTO granted_all
            FROM turnup."grant" g WHERE g.user_id = principal.id AND g.account_id = principal.account_id;
            IF FOUND THEN
                accounts := ARRAY[principal.account_id];
                PERFORM set_config('turnup.account', principal.account_id, true);
                IF NOT granted_all THEN
                    SELECT coalesce(array_agg(l.location_id), '{}') INTO locations
                    FROM turnup."grant" g JOIN turnup.grant_location l ON l.grant_id = g.id
                    WHERE g.user_id = principal.id AND g.account_id = principal.account_id;
                    PERFORM set_config('turnup.locations', (
                        SELECT coalesce(jsonb_object_agg(l, 1), '{}')::text FROM unnest(locations) l
                    ), true);
                END IF;
            END IF;
        END IF;
    END IF;
    RETURN QUERY SELECT principal.id, principal.name, principal.email, principal.role, principal.status,
                        accounts, locations;
END
$$
"""


def downgrade() -> None:
    """There is no revision before this one."""
    raise NotImplementedError("the first migration cannot be undone; drop the database instead")
