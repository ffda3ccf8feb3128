CREATE TABLE turnup.account (
    id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    revision INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_account PRIMARY KEY (id),
    CONSTRAINT ck_account_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT ck_account_name_given CHECK (name <> '')
);

CREATE INDEX ix_account_name_id ON turnup.account (name, id);

CREATE TABLE turnup.chain_head (
    chain TEXT COLLATE "C" NOT NULL,
    number BIGINT DEFAULT '0' NOT NULL,
    hash BYTEA NOT NULL,
    CONSTRAINT pk_chain_head PRIMARY KEY (chain)
);

CREATE TABLE turnup.audit_entry (
    id TEXT COLLATE "C" NOT NULL,
    chain TEXT COLLATE "C" NOT NULL,
    number BIGINT,
    account_id TEXT COLLATE "C",
    location_id TEXT COLLATE "C",
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    code TEXT,
    actor_id TEXT COLLATE "C",
    actor_role TEXT,
    request_id TEXT DEFAULT '' NOT NULL,
    reason TEXT,
    override_id TEXT COLLATE "C",
    occurred_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    previous_hash BYTEA,
    hash BYTEA,
    CONSTRAINT pk_audit_entry PRIMARY KEY (id),
    CONSTRAINT ck_audit_entry_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT uq_audit_entry_chain_number UNIQUE (chain, number),
    CONSTRAINT ck_audit_entry_outcome_known CHECK (outcome IN ('APPLIED', 'REFUSED')),
    CONSTRAINT ck_audit_entry_sealed_whole CHECK ((number IS NULL) = (hash IS NULL))
);

CREATE INDEX ix_audit_entry_location_id_occurred_at_id ON turnup.audit_entry (location_id, occurred_at, id);

CREATE INDEX ix_audit_entry_occurred_at_id ON turnup.audit_entry (occurred_at, id);

CREATE INDEX ix_audit_entry_account_id_occurred_at_id ON turnup.audit_entry (account_id, occurred_at, id);

CREATE TABLE turnup.device_model (
    id TEXT COLLATE "C" NOT NULL,
    brand TEXT NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    lines SMALLINT NOT NULL,
    revision INTEGER DEFAULT '1' NOT NULL,
    CONSTRAINT pk_device_model PRIMARY KEY (id),
    CONSTRAINT ck_device_model_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT uq_device_model_brand_model UNIQUE (brand, model),
    CONSTRAINT ck_device_model_brand_known CHECK (brand IN ('YEALINK', 'POLY', 'CISCO', 'GRANDSTREAM', 'SNOM', 'FANVIL', 'OTHER')),
    CONSTRAINT ck_device_model_lines_range CHECK (lines BETWEEN 1 AND 100)
);

CREATE TABLE turnup."user" (
    id TEXT COLLATE "C" NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    status TEXT DEFAULT 'ACTIVE' NOT NULL,
    account_id TEXT COLLATE "C",
    revision INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_user PRIMARY KEY (id),
    CONSTRAINT ck_user_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT uq_user_subject UNIQUE (subject),
    CONSTRAINT fk_user_account_account_id FOREIGN KEY(account_id) REFERENCES turnup.account (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_user_role_known CHECK (role IN ('CUSTOMER', 'IMPLEMENTATION_LEAD', 'PARTNER')),
    CONSTRAINT ck_user_status_known CHECK (status IN ('ACTIVE', 'SUSPENDED')),
    CONSTRAINT ck_user_account_of_customers_only CHECK ((role = 'CUSTOMER') = (account_id IS NOT NULL))
);

CREATE INDEX ix_user_account_id ON turnup."user" (account_id);

CREATE UNIQUE INDEX uq_user_email ON turnup."user" (lower(email));

CREATE TABLE turnup.location (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    line1 TEXT,
    line2 TEXT,
    city TEXT,
    state TEXT,
    zipcode TEXT,
    country TEXT,
    timezone TEXT,
    status TEXT DEFAULT 'NOT_STARTED' NOT NULL,
    content_digest TEXT DEFAULT '' NOT NULL,
    live_payload_id TEXT COLLATE "C",
    revision INTEGER DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_location PRIMARY KEY (id),
    CONSTRAINT ck_location_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT uq_location_account_id_id UNIQUE (account_id, id),
    CONSTRAINT fk_location_account_account_id FOREIGN KEY(account_id) REFERENCES turnup.account (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_location_status_known CHECK (status IN ('NOT_STARTED', 'IN_PROGRESS', 'PENDING_APPROVAL', 'APPROVED', 'PROVISIONING', 'COMPLETED', 'BLOCKED', 'CANCELLED'))
);

CREATE INDEX ix_location_account_id_name_id ON turnup.location (account_id, name, id);

CREATE INDEX ix_location_name_id ON turnup.location (name, id);

CREATE INDEX ix_location_status_name_id ON turnup.location (status, name, id);

CREATE INDEX ix_location_updated_at_id ON turnup.location (updated_at, id);

CREATE TABLE turnup.field_change (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    entry_id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C",
    table_name TEXT NOT NULL,
    row_id TEXT COLLATE "C" NOT NULL,
    field TEXT NOT NULL,
    before JSONB,
    after JSONB,
    CONSTRAINT pk_field_change PRIMARY KEY (id),
    CONSTRAINT fk_field_change_audit_entry_entry_id FOREIGN KEY(entry_id) REFERENCES turnup.audit_entry (id) DEFERRABLE INITIALLY DEFERRED
);

CREATE INDEX ix_field_change_entry_id_id ON turnup.field_change (entry_id, id);

CREATE TABLE turnup."grant" (
    id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    all_locations BOOLEAN NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_grant PRIMARY KEY (id),
    CONSTRAINT ck_grant_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT uq_grant_user_id_account_id UNIQUE (user_id, account_id),
    CONSTRAINT uq_grant_id_account_id UNIQUE (id, account_id),
    CONSTRAINT fk_grant_user_user_id FOREIGN KEY(user_id) REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_grant_account_account_id FOREIGN KEY(account_id) REFERENCES turnup.account (id) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE turnup.section (
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    section TEXT NOT NULL,
    revision INTEGER DEFAULT '1' NOT NULL,
    complete BOOLEAN DEFAULT false NOT NULL,
    CONSTRAINT pk_section PRIMARY KEY (location_id, section),
    CONSTRAINT fk_section_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT ck_section_section_known CHECK (section IN ('LOCATION', 'CONTACTS', 'PHONE_SYSTEM', 'DEVICES', 'PEOPLE', 'EXTENSIONS', 'WORKING_HOURS', 'CALL_FLOW'))
);

CREATE TABLE turnup.onboarding_session (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    current_step TEXT DEFAULT 'LOCATION' NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_saved_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    submitted_at TIMESTAMP WITH TIME ZONE,
    submitted_by TEXT COLLATE "C",
    closed_at TIMESTAMP WITH TIME ZONE,
    revision INTEGER DEFAULT '1' NOT NULL,
    CONSTRAINT pk_onboarding_session PRIMARY KEY (id),
    CONSTRAINT ck_onboarding_session_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_onboarding_session_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT fk_onboarding_session_user_submitted_by FOREIGN KEY(submitted_by) REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_onboarding_session_current_step_known CHECK (current_step IN ('LOCATION', 'CONTACTS', 'PHONE_SYSTEM', 'DEVICES', 'PEOPLE', 'EXTENSIONS', 'WORKING_HOURS', 'CALL_FLOW')),
    CONSTRAINT ck_onboarding_session_submission_whole CHECK ((submitted_at IS NULL) = (submitted_by IS NULL))
);

CREATE INDEX ix_onboarding_session_location_id_started_at_id ON turnup.onboarding_session (location_id, started_at, id);

CREATE UNIQUE INDEX uq_onboarding_session_open ON turnup.onboarding_session (location_id) WHERE closed_at IS NULL;

CREATE TABLE turnup.contact (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    position SMALLINT NOT NULL,
    purpose TEXT NOT NULL,
    name TEXT,
    email TEXT,
    phone TEXT,
    e164 TEXT,
    revision INTEGER DEFAULT '1' NOT NULL,
    CONSTRAINT pk_contact PRIMARY KEY (id),
    CONSTRAINT ck_contact_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_contact_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT uq_contact_location_id_position UNIQUE (location_id, position) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_contact_purpose_known CHECK (purpose IN ('PRIMARY', 'TECHNICAL', 'EMERGENCY'))
);

CREATE TABLE turnup.phone_system (
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    main_number TEXT,
    main_number_e164 TEXT,
    caller_id_name TEXT,
    provider TEXT,
    outbound_prefix TEXT,
    voicemail BOOLEAN DEFAULT false NOT NULL,
    extension_length SMALLINT,
    revision INTEGER DEFAULT '1' NOT NULL,
    CONSTRAINT pk_phone_system PRIMARY KEY (location_id),
    CONSTRAINT fk_phone_system_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT ck_phone_system_extension_length_range CHECK (extension_length BETWEEN 2 AND 6)
);

CREATE TABLE turnup.device (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    brand TEXT NOT NULL,
    model TEXT,
    mac_address TEXT,
    serial_number TEXT,
    label TEXT,
    revision INTEGER DEFAULT '1' NOT NULL,
    CONSTRAINT pk_device PRIMARY KEY (id),
    CONSTRAINT ck_device_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_device_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT uq_device_location_id_id UNIQUE (location_id, id),
    CONSTRAINT ck_device_brand_known CHECK (brand IN ('YEALINK', 'POLY', 'CISCO', 'GRANDSTREAM', 'SNOM', 'FANVIL', 'OTHER')),
    CONSTRAINT ck_device_mac_address_form CHECK (mac_address ~ '^[0-9a-f]{12}$')
);

CREATE INDEX ix_device_mac_address ON turnup.device (mac_address);

CREATE TABLE turnup.person (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    first_name TEXT,
    last_name TEXT,
    email TEXT,
    mobile TEXT,
    mobile_e164 TEXT,
    voicemail BOOLEAN DEFAULT false NOT NULL,
    revision INTEGER DEFAULT '1' NOT NULL,
    CONSTRAINT pk_person PRIMARY KEY (id),
    CONSTRAINT ck_person_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_person_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT uq_person_location_id_id UNIQUE (location_id, id)
);

CREATE TABLE turnup.working_hours (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    weekday SMALLINT NOT NULL,
    opens TIME WITHOUT TIME ZONE NOT NULL,
    closes TIME WITHOUT TIME ZONE NOT NULL,
    passes_midnight BOOLEAN DEFAULT false NOT NULL,
    CONSTRAINT pk_working_hours PRIMARY KEY (id),
    CONSTRAINT ck_working_hours_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_working_hours_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT ck_working_hours_weekday_range CHECK (weekday BETWEEN 1 AND 7)
);

CREATE INDEX ix_working_hours_location_id_weekday_opens_id ON turnup.working_hours (location_id, weekday, opens, id);

CREATE TABLE turnup.call_flow (
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL,
    greeting TEXT,
    timeout_seconds SMALLINT,
    retries SMALLINT,
    revision INTEGER DEFAULT '1' NOT NULL,
    CONSTRAINT pk_call_flow PRIMARY KEY (location_id),
    CONSTRAINT fk_call_flow_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT ck_call_flow_kind_known CHECK (kind IN ('DIRECT', 'IVR')),
    CONSTRAINT ck_call_flow_timeout_range CHECK (timeout_seconds BETWEEN 1 AND 300),
    CONSTRAINT ck_call_flow_retries_range CHECK (retries BETWEEN 0 AND 10)
);

CREATE TABLE turnup.approval (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    location_revision INTEGER NOT NULL,
    digest TEXT NOT NULL,
    content JSONB NOT NULL,
    requested_by TEXT COLLATE "C" NOT NULL,
    requested_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    status TEXT DEFAULT 'PENDING' NOT NULL,
    decided_by TEXT COLLATE "C",
    decided_at TIMESTAMP WITH TIME ZONE,
    comment TEXT,
    self_approved BOOLEAN DEFAULT false NOT NULL,
    CONSTRAINT pk_approval PRIMARY KEY (id),
    CONSTRAINT ck_approval_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_approval_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT fk_approval_user_requested_by FOREIGN KEY(requested_by) REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_approval_user_decided_by FOREIGN KEY(decided_by) REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_approval_status_known CHECK (status IN ('PENDING', 'APPROVED', 'CHANGES_REQUESTED', 'WITHDRAWN', 'VOIDED')),
    CONSTRAINT ck_approval_decision_whole CHECK ((decided_at IS NULL) = (decided_by IS NULL)),
    CONSTRAINT ck_approval_decided_by_someone CHECK (status NOT IN ('APPROVED', 'CHANGES_REQUESTED') OR decided_by IS NOT NULL)
);

CREATE UNIQUE INDEX uq_approval_pending ON turnup.approval (location_id) WHERE status = 'PENDING';

CREATE INDEX ix_approval_location_id_requested_at_id ON turnup.approval (location_id, requested_at, id);

CREATE TABLE turnup.override (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    opened_by TEXT COLLATE "C" NOT NULL,
    sections TEXT[] NOT NULL,
    reason TEXT NOT NULL,
    ticket TEXT,
    opened_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_override PRIMARY KEY (id),
    CONSTRAINT ck_override_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_override_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT fk_override_user_opened_by FOREIGN KEY(opened_by) REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_override_sections_given CHECK (cardinality(sections) > 0),
    CONSTRAINT ck_override_sections_known CHECK (sections <@ ARRAY['LOCATION', 'CONTACTS', 'PHONE_SYSTEM', 'DEVICES', 'PEOPLE', 'EXTENSIONS', 'WORKING_HOURS', 'CALL_FLOW']),
    CONSTRAINT ck_override_expiry_range CHECK (expires_at > opened_at AND expires_at <= opened_at + interval '480 minutes')
);

CREATE UNIQUE INDEX uq_override_open ON turnup.override (location_id) WHERE ended_at IS NULL;

CREATE INDEX ix_override_location_id_opened_at_id ON turnup.override (location_id, opened_at, id);

CREATE TABLE turnup.provisioning_payload (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    sequence INTEGER NOT NULL,
    version TEXT NOT NULL,
    state TEXT DEFAULT 'GENERATED' NOT NULL,
    document TEXT NOT NULL,
    document_digest TEXT NOT NULL,
    content_digest TEXT NOT NULL,
    location_revision INTEGER NOT NULL,
    generated_by TEXT COLLATE "C" NOT NULL,
    generated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    released_by TEXT COLLATE "C",
    released_at TIMESTAMP WITH TIME ZONE,
    superseded_by TEXT COLLATE "C",
    withdrawn_reason TEXT,
    CONSTRAINT pk_provisioning_payload PRIMARY KEY (id),
    CONSTRAINT ck_provisioning_payload_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_provisioning_payload_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT uq_provisioning_payload_location_id_id UNIQUE (location_id, id),
    CONSTRAINT uq_provisioning_payload_location_id_sequence UNIQUE (location_id, sequence),
    CONSTRAINT fk_provisioning_payload_user_generated_by FOREIGN KEY(generated_by) REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_provisioning_payload_user_released_by FOREIGN KEY(released_by) REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_provisioning_payload_provisioning_payload_location_id FOREIGN KEY(location_id, superseded_by) REFERENCES turnup.provisioning_payload (location_id, id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_provisioning_payload_state_known CHECK (state IN ('GENERATED', 'RELEASED', 'ACKNOWLEDGED', 'REJECTED', 'SUPERSEDED', 'WITHDRAWN')),
    CONSTRAINT ck_provisioning_payload_release_whole CHECK ((released_at IS NULL) = (released_by IS NULL)),
    CONSTRAINT ck_provisioning_payload_released_first CHECK (state NOT IN ('RELEASED', 'ACKNOWLEDGED', 'REJECTED') OR released_at IS NOT NULL)
);

CREATE INDEX ix_provisioning_payload_state_generated_at_id ON turnup.provisioning_payload (state, generated_at, id);

CREATE INDEX ix_provisioning_payload_account_id_generated_at_id ON turnup.provisioning_payload (account_id, generated_at, id);

CREATE INDEX ix_provisioning_payload_generated_at_id ON turnup.provisioning_payload (generated_at, id);

CREATE TABLE turnup.mac_claim (
    mac TEXT NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    CONSTRAINT pk_mac_claim PRIMARY KEY (mac),
    CONSTRAINT fk_mac_claim_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT ck_mac_claim_mac_form CHECK (mac ~ '^[0-9a-f]{12}$')
);

CREATE INDEX ix_mac_claim_location_id ON turnup.mac_claim (location_id);

CREATE TABLE turnup.idempotency_key (
    user_id TEXT COLLATE "C" NOT NULL,
    key TEXT NOT NULL,
    mutation TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    outcome JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_idempotency_key PRIMARY KEY (user_id, key),
    CONSTRAINT fk_idempotency_key_user_user_id FOREIGN KEY(user_id) REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_idempotency_key_key_length CHECK (char_length(key) BETWEEN 1 AND 255)
);

CREATE INDEX ix_idempotency_key_created_at ON turnup.idempotency_key (created_at);

CREATE TABLE turnup.grant_location (
    grant_id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    CONSTRAINT pk_grant_location PRIMARY KEY (grant_id, location_id),
    CONSTRAINT fk_grant_location_grant_grant_id FOREIGN KEY(grant_id, account_id) REFERENCES turnup."grant" (id, account_id) ON DELETE CASCADE,
    CONSTRAINT fk_grant_location_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id)
);

CREATE INDEX ix_grant_location_location_id ON turnup.grant_location (location_id);

CREATE TABLE turnup.extension (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    number TEXT COLLATE "C" NOT NULL,
    label TEXT,
    person_id TEXT COLLATE "C",
    device_id TEXT COLLATE "C",
    revision INTEGER DEFAULT '1' NOT NULL,
    CONSTRAINT pk_extension PRIMARY KEY (id),
    CONSTRAINT ck_extension_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_extension_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT uq_extension_location_id_id UNIQUE (location_id, id),
    CONSTRAINT uq_extension_device_id UNIQUE (device_id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_extension_person_location_id FOREIGN KEY(location_id, person_id) REFERENCES turnup.person (location_id, id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_extension_device_location_id FOREIGN KEY(location_id, device_id) REFERENCES turnup.device (location_id, id) DEFERRABLE INITIALLY DEFERRED
);

CREATE INDEX ix_extension_person_id ON turnup.extension (person_id);

CREATE INDEX ix_extension_location_id_number_id ON turnup.extension (location_id, number, id);

CREATE TABLE turnup.call_flow_option (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    position SMALLINT NOT NULL,
    trigger TEXT NOT NULL,
    digit TEXT,
    target TEXT NOT NULL,
    extension_id TEXT COLLATE "C",
    external_number TEXT,
    external_number_e164 TEXT,
    CONSTRAINT pk_call_flow_option PRIMARY KEY (id),
    CONSTRAINT ck_call_flow_option_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_call_flow_option_call_flow_location_id FOREIGN KEY(location_id) REFERENCES turnup.call_flow (location_id) ON DELETE CASCADE,
    CONSTRAINT fk_call_flow_option_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT uq_call_flow_option_location_id_position UNIQUE (location_id, position) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_call_flow_option_target_known CHECK (target IN ('EXTENSION', 'VOICEMAIL', 'EXTERNAL_NUMBER', 'HANG_UP')),
    CONSTRAINT ck_call_flow_option_trigger_known CHECK (trigger IN ('DIRECT', 'DIGIT', 'TIMEOUT', 'INVALID')),
    CONSTRAINT ck_call_flow_option_digit_of_digits CHECK ((trigger = 'DIGIT') = (digit IS NOT NULL))
);

CREATE TABLE turnup.receipt (
    id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    payload_id TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL,
    document_digest TEXT NOT NULL,
    received_by TEXT COLLATE "C" NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    reasons JSONB DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT pk_receipt PRIMARY KEY (id),
    CONSTRAINT ck_receipt_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT fk_receipt_location_account_id FOREIGN KEY(account_id, location_id) REFERENCES turnup.location (account_id, id),
    CONSTRAINT uq_receipt_payload_id UNIQUE (payload_id),
    CONSTRAINT fk_receipt_provisioning_payload_location_id FOREIGN KEY(location_id, payload_id) REFERENCES turnup.provisioning_payload (location_id, id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_receipt_user_received_by FOREIGN KEY(received_by) REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT ck_receipt_kind_known CHECK (kind IN ('ACKNOWLEDGED', 'REJECTED'))
);

ALTER TABLE turnup.location ADD CONSTRAINT fk_location_live_payload FOREIGN KEY(id, live_payload_id) REFERENCES turnup.provisioning_payload (location_id, id) DEFERRABLE INITIALLY DEFERRED;
