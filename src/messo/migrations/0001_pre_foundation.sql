-- The foundation: one schema per room.
-- Rows about a citizen begin with `bucket` in every key, so that a cluster can spread them.

CREATE SCHEMA work;
CREATE SCHEMA operations;
CREATE SCHEMA events;
CREATE SCHEMA services;
CREATE SCHEMA recipients;
CREATE SCHEMA content;
CREATE SCHEMA messages;

-- work ---------------------------------------------------------------------------------------

CREATE TABLE work.item (
    bucket smallint NOT NULL,
    step text COLLATE "C" NOT NULL,
    due_at timestamptz NOT NULL,
    reference text COLLATE "C" NOT NULL,
    lane smallint NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    leased_until timestamptz,
    PRIMARY KEY (bucket, step, due_at, reference)
) WITH (
    -- A queue is all churn: clean it by count, not by share, and leave room on its pages.
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000
);
CREATE INDEX item_by_lane ON work.item (bucket, lane, step, due_at);
COMMENT ON TABLE work.item IS 'Work to do: narrow rows, deleted when done.';
COMMENT ON COLUMN work.item.leased_until IS 'For steps that send outward; inside steps hold the row lock instead.';

CREATE TABLE work.period (
    step text COLLATE "C" PRIMARY KEY,
    period bigint NOT NULL
);
COMMENT ON TABLE work.period IS 'The last period in which each periodic step ran.';

-- operations ---------------------------------------------------------------------------------

CREATE TABLE operations.operator (
    login text COLLATE "C" PRIMARY KEY,
    added_at timestamptz NOT NULL
);
COMMENT ON TABLE operations.operator IS 'Who may operate this installation; they log in by OpenID Connect.';

CREATE TABLE operations.audit (
    bucket smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail jsonb NOT NULL,
    seal bigint,
    PRIMARY KEY (bucket, id)
);
CREATE INDEX audit_unsealed ON operations.audit (bucket, id) WHERE seal IS NULL;
COMMENT ON TABLE operations.audit IS 'Who changed what and when. Citizens appear as keyed hashes only.';

CREATE TABLE operations.seal (
    bucket smallint NOT NULL,
    number bigint NOT NULL,
    at timestamptz NOT NULL,
    entries integer NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (bucket, number)
);
COMMENT ON TABLE operations.seal IS 'Each seal hashes the one before and the entries it covers.';

-- events -------------------------------------------------------------------------------------

CREATE TABLE events.log (
    bucket smallint NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    about text COLLATE "C" NOT NULL DEFAULT '',
    service_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (bucket, message_id, kind, about)
);
COMMENT ON TABLE events.log IS 'What happened to messages. The key is the fact itself, so no fact is logged twice.';

-- services -----------------------------------------------------------------------------------

CREATE TABLE services.institution (
    id text COLLATE "C" PRIMARY KEY,
    fiscal_code text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    email text NOT NULL,
    permissions text [] NOT NULL,
    suspended_at timestamptz,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE services.institution IS 'Who sends. Permissions are the groups of the wire contract.';

CREATE TABLE services.service (
    id text COLLATE "C" PRIMARY KEY,
    institution_id text COLLATE "C" NOT NULL REFERENCES services.institution,
    name text NOT NULL,
    department text NOT NULL,
    category text NOT NULL CHECK (category IN ('STANDARD', 'SPECIAL')),
    state text NOT NULL CHECK (state IN ('draft', 'approved', 'published', 'deleted')),
    require_secure_channels boolean NOT NULL,
    authorized_recipients text [] NOT NULL,
    authorized_cidrs text [] NOT NULL,
    max_allowed_payment_amount bigint NOT NULL
    CHECK (max_allowed_payment_amount BETWEEN 0 AND 9999999999),
    suspended_at timestamptz,
    created_at timestamptz NOT NULL
);
CREATE INDEX service_by_institution ON services.service (institution_id);

CREATE TABLE services.key (
    digest bytea PRIMARY KEY,
    institution_id text COLLATE "C" NOT NULL REFERENCES services.institution,
    service_id text COLLATE "C" REFERENCES services.service,
    slot text NOT NULL CHECK (slot IN ('primary', 'secondary')),
    encrypted text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX key_of_service ON services.key (service_id, slot) WHERE service_id IS NOT NULL;
CREATE UNIQUE INDEX manage_key ON services.key (institution_id, slot) WHERE service_id IS NULL;
COMMENT ON TABLE services.key IS 'Looked up by SHA-256; an encrypted copy because the contract gives keys back. No service: a manage key.';

CREATE TABLE services.version (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    number bigint NOT NULL
);
INSERT INTO services.version (number) VALUES (1);
COMMENT ON TABLE services.version IS 'Counts changes; every process polls it and drops its cache.';

-- recipients ---------------------------------------------------------------------------------

CREATE TABLE recipients.profile (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    mode text NOT NULL CHECK (mode IN ('AUTO', 'MANUAL', 'LEGACY')),
    settings_version integer NOT NULL,
    is_inbox_enabled boolean NOT NULL,
    is_webhook_enabled boolean NOT NULL,
    is_email_enabled boolean NOT NULL,
    is_email_validated boolean NOT NULL,
    email text,
    is_test_profile boolean NOT NULL,
    accepted_tos_version numeric,
    blocked jsonb NOT NULL,
    preferred_languages text [],
    last_app_version text,
    push_notifications_content_type text
    CHECK (push_notifications_content_type IN ('FULL', 'ANONYMOUS')),
    reminder_status text CHECK (reminder_status IN ('ENABLED', 'DISABLED')),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, fiscal_code),
    CHECK ((mode = 'LEGACY') = (settings_version = -1))
);
COMMENT ON COLUMN recipients.profile.blocked IS 'LEGACY mode only: service id to a list of INBOX, EMAIL, WEBHOOK.';

CREATE TABLE recipients.preference (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    service_id text COLLATE "C" NOT NULL,
    settings_version integer NOT NULL CHECK (settings_version >= 0),
    is_inbox_enabled boolean NOT NULL,
    is_email_enabled boolean NOT NULL,
    is_webhook_enabled boolean NOT NULL,
    access_read_message_status text NOT NULL
    CHECK (access_read_message_status IN ('UNKNOWN', 'ALLOW', 'DENY')),
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, fiscal_code, service_id, settings_version),
    CHECK (is_inbox_enabled OR access_read_message_status <> 'ALLOW')
);

CREATE TABLE recipients.activation (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    service_id text COLLATE "C" NOT NULL,
    status text NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE', 'PENDING')),
    version integer NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, fiscal_code, service_id)
);
COMMENT ON TABLE recipients.activation IS 'Who has a SPECIAL service switched on.';

CREATE TABLE recipients.census (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    enrolled bigint NOT NULL,
    counted_at timestamptz NOT NULL
);
COMMENT ON TABLE recipients.census IS 'How many citizens have an open inbox, counted every few minutes.';

-- content ------------------------------------------------------------------------------------

CREATE TABLE content.configuration (
    id text COLLATE "C" PRIMARY KEY,
    institution_id text COLLATE "C" NOT NULL REFERENCES services.institution,
    name text NOT NULL,
    description text NOT NULL,
    has_precondition text NOT NULL CHECK (has_precondition IN ('ALWAYS', 'ONCE', 'NEVER')),
    created_at timestamptz NOT NULL
);

-- messages -----------------------------------------------------------------------------------

CREATE TABLE messages.sender (
    id bigint PRIMARY KEY,
    service_name text NOT NULL,
    organization_name text NOT NULL,
    organization_fiscal_code text NOT NULL,
    department_name text NOT NULL,
    require_secure_channels boolean NOT NULL,
    category text NOT NULL,
    user_email text NOT NULL
);
COMMENT ON TABLE messages.sender IS 'Snapshots of senders at the time of acceptance, shared by their messages; the id is a hash of the content.';

CREATE TABLE messages.message (
    bucket smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    service_id text COLLATE "C" NOT NULL,
    sender_id bigint NOT NULL,
    subject text,
    status text NOT NULL
    CHECK (status IN ('ACCEPTED', 'THROTTLED', 'PROCESSED', 'REJECTED', 'FAILED')),
    rejection_reason text CHECK (rejection_reason IN ('USER_NOT_FOUND', 'SERVICE_NOT_ALLOWED')),
    feature_level_type text NOT NULL CHECK (feature_level_type IN ('STANDARD', 'ADVANCED')),
    require_secure_channels boolean NOT NULL,
    time_to_live integer NOT NULL,
    reference text COLLATE "C",
    created_at timestamptz NOT NULL,
    decided_at timestamptz,
    read_at timestamptz,
    PRIMARY KEY (bucket, id)
) WITH (fillfactor = 90);
CREATE INDEX message_of_citizen ON messages.message (bucket, fiscal_code, id);
CREATE INDEX message_by_reference ON messages.message (bucket, service_id, reference)
WHERE reference IS NOT NULL;
CREATE INDEX message_failed ON messages.message (bucket, id) WHERE status = 'FAILED';
COMMENT ON COLUMN messages.message.require_secure_channels IS 'The stricter of the message and its service.';
COMMENT ON COLUMN messages.message.subject IS 'Cleared when the message is rejected.';

CREATE TABLE messages.content (
    bucket smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    markdown text NOT NULL,
    parts jsonb NOT NULL,
    PRIMARY KEY (bucket, id)
);
COMMENT ON TABLE messages.content IS 'Written once, at acceptance; deleted when the message is rejected.';

CREATE TABLE messages.idempotency (
    bucket smallint NOT NULL,
    service_id text COLLATE "C" NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, service_id, fiscal_code, key)
);
CREATE INDEX idempotency_by_age ON messages.idempotency (bucket, created_at);

CREATE TABLE messages.guard_recipient (
    bucket smallint NOT NULL,
    institution_id text COLLATE "C" NOT NULL,
    fingerprint bigint NOT NULL,
    recipient bigint NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, institution_id, fingerprint, recipient)
);
CREATE INDEX guard_recipient_by_age ON messages.guard_recipient (bucket, seen_at);
COMMENT ON TABLE messages.guard_recipient IS 'Who was sent which content within a day, as keyed hashes.';

CREATE TABLE messages.guard_hold (
    bucket smallint NOT NULL,
    institution_id text COLLATE "C" NOT NULL,
    fingerprint bigint NOT NULL,
    service_id text COLLATE "C" NOT NULL,
    recipients bigint NOT NULL,
    held_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, institution_id, fingerprint)
);
COMMENT ON TABLE messages.guard_hold IS 'Contents the mass guard has stopped, for operators.';

CREATE TABLE messages.guard_allowance (
    institution_id text COLLATE "C" PRIMARY KEY REFERENCES services.institution,
    until timestamptz NOT NULL,
    reason text NOT NULL,
    allowed_by text NOT NULL
);
COMMENT ON TABLE messages.guard_allowance IS 'Institutions an operator lets past the mass guard, until when and why.';

-- Accepting, in one round trip: four plain inserts that are one transaction (docs/decisions/0006).

CREATE FUNCTION messages.keep(
    bucket smallint,
    now timestamptz,
    ids text [],
    fiscal_codes text [],
    service_ids text [],
    sender_ids bigint [],
    lanes smallint [],
    subjects text [],
    levels text [],
    secure boolean [],
    ttls integer [],
    refs text [],
    created timestamptz [],
    markdowns text [],
    parts text []
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO messages.message (
        bucket, id, fiscal_code, service_id, sender_id, subject, status, feature_level_type,
        require_secure_channels, time_to_live, reference, created_at
    )
    SELECT
        keep.bucket, u.id, u.fiscal_code, u.service_id, u.sender_id, u.subject, 'ACCEPTED',
        u.level, u.secure, u.ttl, u.reference, u.created_at
    FROM unnest(
        keep.ids, keep.fiscal_codes, keep.service_ids, keep.sender_ids, keep.subjects,
        keep.levels, keep.secure, keep.ttls, keep.refs, keep.created
    ) AS u (
        id, fiscal_code, service_id, sender_id, subject, level, secure, ttl, reference, created_at
    );
    INSERT INTO messages.content (bucket, id, markdown, parts)
    SELECT keep.bucket, u.id, u.markdown, u.parts::jsonb
    FROM unnest(keep.ids, keep.markdowns, keep.parts) AS u (id, markdown, parts);
    INSERT INTO work.item (bucket, step, due_at, reference, lane)
    SELECT keep.bucket, 'messages.process', keep.now, u.id, u.lane
    FROM unnest(keep.ids, keep.lanes) AS u (id, lane);
    INSERT INTO events.log (bucket, message_id, kind, service_id, at)
    SELECT keep.bucket, u.id, 'accepted', u.service_id, keep.now
    FROM unnest(keep.ids, keep.service_ids) AS u (id, service_id)
$$;

-- The decision, as expressions that the planner inlines into set statements.
-- `messo/messages/decide.py` is its twin; a test compares them over the whole table.

CREATE FUNCTION messages.refusal(
    enrolled boolean,
    inbox_open boolean,
    mode text,
    inbox_blocked boolean,
    preference_inbox boolean,
    category text,
    activation text,
    activation_fresh boolean
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN enrolled IS NOT TRUE THEN 'USER_NOT_FOUND'
        WHEN inbox_open IS NOT TRUE THEN 'SERVICE_NOT_ALLOWED'
        WHEN category = 'SPECIAL' THEN CASE
            WHEN activation = 'ACTIVE' THEN NULL
            WHEN activation = 'PENDING' AND activation_fresh THEN NULL
            ELSE 'SERVICE_NOT_ALLOWED' END
        WHEN mode = 'LEGACY' THEN CASE
            WHEN inbox_blocked IS TRUE THEN 'SERVICE_NOT_ALLOWED' END
        WHEN preference_inbox IS TRUE THEN NULL
        WHEN preference_inbox IS NULL AND mode = 'AUTO' THEN NULL
        ELSE 'SERVICE_NOT_ALLOWED' END
$$;

CREATE FUNCTION messages.channel_open(
    mode text, channel_blocked boolean, preference_channel boolean
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN mode = 'LEGACY' THEN channel_blocked IS NOT TRUE
        ELSE COALESCE(preference_channel, true) END
$$;

CREATE FUNCTION messages.by_email(
    email_enabled boolean,
    email_validated boolean,
    address_known boolean,
    open_for_service boolean,
    service_excluded boolean,
    secure boolean,
    sandbox boolean
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT NOT secure AND NOT service_excluded
        AND (sandbox OR (email_enabled AND email_validated AND address_known AND open_for_service))
$$;

CREATE FUNCTION messages.by_push(
    webhook_enabled boolean, open_for_service boolean
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT webhook_enabled AND open_for_service
$$;

CREATE FUNCTION messages.read_shared(
    mode text, preference_access text
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE mode
        WHEN 'AUTO' THEN COALESCE(preference_access <> 'DENY', true)
        WHEN 'MANUAL' THEN COALESCE(preference_access <> 'DENY', false)
        ELSE false END
$$;
