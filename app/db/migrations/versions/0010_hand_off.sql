-- Statements end with a semicolon and an empty line, and have no empty line inside.

CREATE TABLE turnup.status_change (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    verb TEXT NOT NULL,
    reason TEXT,
    reason_for_customer TEXT,
    reason_for_partner TEXT,
    changed_by TEXT COLLATE "C" NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_status_change PRIMARY KEY (id),
    CONSTRAINT ck_status_change_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT uq_status_change_location_id_id UNIQUE (location_id, id),
    CONSTRAINT fk_status_change_location_account_id FOREIGN KEY (account_id, location_id)
        REFERENCES turnup.location (account_id, id),
    CONSTRAINT fk_status_change_user_changed_by FOREIGN KEY (changed_by)
        REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_status_change_verb_known CHECK (verb IN (
        'START', 'SUBMIT', 'WITHDRAW', 'REQUEST_CHANGES', 'APPROVE', 'APPROVE_AGAIN', 'GENERATE_PAYLOAD',
        'TRIGGER_PROVISIONING', 'ACKNOWLEDGE', 'COMPLETE', 'WAIVE_RECEIPT', 'REJECT', 'BLOCK', 'UNBLOCK', 'CANCEL',
        'REOPEN'))
);

CREATE TABLE turnup.location_partner (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    purpose TEXT NOT NULL,
    required BOOLEAN NOT NULL,
    CONSTRAINT pk_location_partner PRIMARY KEY (id),
    CONSTRAINT ck_location_partner_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_location_partner_location_account_id FOREIGN KEY (account_id, location_id)
        REFERENCES turnup.location (account_id, id),
    CONSTRAINT uq_location_partner_location_id_user_id UNIQUE (location_id, user_id),
    CONSTRAINT fk_location_partner_user_user_id FOREIGN KEY (user_id)
        REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_location_partner_purpose_known CHECK (
        purpose IN ('CARRIER', 'PBX', 'INSTALLER', 'EMERGENCY_SERVICES', 'OTHER'))
);

CREATE TABLE turnup.payload_recipient (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    payload_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    purpose TEXT NOT NULL,
    required BOOLEAN NOT NULL,
    live BOOLEAN DEFAULT false NOT NULL,
    waived_at TIMESTAMP WITH TIME ZONE,
    waived_by TEXT COLLATE "C",
    waived_reason TEXT,
    decommissioned_at TIMESTAMP WITH TIME ZONE,
    decommissioned_by TEXT COLLATE "C",
    decommission_reason TEXT,
    CONSTRAINT pk_payload_recipient PRIMARY KEY (id),
    CONSTRAINT ck_payload_recipient_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_payload_recipient_location_account_id FOREIGN KEY (account_id, location_id)
        REFERENCES turnup.location (account_id, id),
    CONSTRAINT uq_payload_recipient_payload_id_user_id UNIQUE (payload_id, user_id),
    CONSTRAINT fk_payload_recipient_provisioning_payload_location_id FOREIGN KEY (location_id, payload_id)
        REFERENCES turnup.provisioning_payload (location_id, id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_payload_recipient_user_user_id FOREIGN KEY (user_id)
        REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_payload_recipient_user_waived_by FOREIGN KEY (waived_by)
        REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_payload_recipient_user_decommissioned_by FOREIGN KEY (decommissioned_by)
        REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_payload_recipient_purpose_known CHECK (
        purpose IN ('CARRIER', 'PBX', 'INSTALLER', 'EMERGENCY_SERVICES', 'OTHER')),
    CONSTRAINT ck_payload_recipient_waiver_whole CHECK (
        waived_at IS NOT NULL OR (waived_by IS NULL AND waived_reason IS NULL)),
    CONSTRAINT ck_payload_recipient_decommission_whole CHECK (
        (decommissioned_at IS NULL) = (decommissioned_by IS NULL)
        AND (decommission_reason IS NULL OR decommissioned_at IS NOT NULL)),
    CONSTRAINT ck_payload_recipient_decommissioned_is_not_live CHECK (NOT (live AND decommissioned_at IS NOT NULL))
);

CREATE INDEX ix_payload_recipient_user_id_payload_id ON turnup.payload_recipient (user_id, payload_id);

CREATE INDEX ix_payload_recipient_optional ON turnup.payload_recipient (user_id, payload_id) WHERE NOT required;

CREATE INDEX ix_payload_recipient_location_id ON turnup.payload_recipient (location_id);

CREATE TABLE turnup.accepted_version (
    user_id TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    CONSTRAINT pk_accepted_version PRIMARY KEY (user_id, version),
    CONSTRAINT fk_accepted_version_user_user_id FOREIGN KEY (user_id)
        REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED
);

CREATE INDEX ix_grant_account_id ON turnup."grant" (account_id);

ALTER TABLE turnup.location
    ADD COLUMN status_change_id TEXT COLLATE "C",
    ADD COLUMN test BOOLEAN DEFAULT false NOT NULL,
    ADD CONSTRAINT fk_location_status_change FOREIGN KEY (id, status_change_id)
        REFERENCES turnup.status_change (location_id, id) DEFERRABLE INITIALLY DEFERRED;

-- The MAC addresses of a document, in the form of `mac_claim.mac`.
CREATE FUNCTION turnup.macs_of(document text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT DISTINCT lower(replace(d ->> 'macAddress', ':', '')) AS mac
             FROM jsonb_array_elements(document::jsonb -> 'devices') AS d
             WHERE d ->> 'macAddress' IS NOT NULL ORDER BY mac);

-- `updated_at` is filled in, with an entry in the audit log, before it becomes NOT NULL.
ALTER TABLE turnup.provisioning_payload
    ADD COLUMN live BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN test BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN status_change_id TEXT COLLATE "C",
    ADD COLUMN updated_at TIMESTAMP WITH TIME ZONE,
    ADD CONSTRAINT fk_provisioning_payload_status_change_location_id FOREIGN KEY (location_id, status_change_id)
        REFERENCES turnup.status_change (location_id, id) DEFERRABLE INITIALLY DEFERRED;
