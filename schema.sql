-- The migrated database, by `messo migrate --dump schema.sql`. Read this to know the data.

CREATE SCHEMA base;

CREATE SCHEMA content;

CREATE SCHEMA events;

CREATE SCHEMA login;

CREATE SCHEMA messages;

CREATE SCHEMA notifications;

CREATE SCHEMA operations;

CREATE SCHEMA payments;

CREATE SCHEMA people;

CREATE SCHEMA recipients;

CREATE SCHEMA reminders;

CREATE SCHEMA services;

CREATE SCHEMA sso;

CREATE SCHEMA work;

CREATE FUNCTION messages.by_email(email_enabled boolean, email_validated boolean, address_known boolean, open_for_service boolean, service_excluded boolean, secure boolean, sandbox boolean) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT NOT secure AND NOT service_excluded
        AND (sandbox OR (email_enabled AND email_validated AND address_known AND open_for_service))
$$;

CREATE FUNCTION messages.by_push(webhook_enabled boolean, open_for_service boolean) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT webhook_enabled AND open_for_service
$$;

CREATE FUNCTION messages.channel_open(mode text, channel_blocked boolean, preference_channel boolean) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN mode = 'LEGACY' THEN channel_blocked IS NOT TRUE
        ELSE COALESCE(preference_channel, true) END
$$;

CREATE FUNCTION messages.keep(bucket smallint, now timestamp with time zone, ids text[], fiscal_codes text[], service_ids text[], sender_ids bigint[], lanes smallint[], subjects text[], levels text[], secure boolean[], ttls integer[], refs text[], created timestamp with time zone[], markdowns text[], parts text[]) RETURNS void
    LANGUAGE sql
    AS $$
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

CREATE FUNCTION messages.read_shared(mode text, preference_access text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE mode
        WHEN 'AUTO' THEN COALESCE(preference_access <> 'DENY', true)
        WHEN 'MANUAL' THEN COALESCE(preference_access <> 'DENY', false)
        ELSE false END
$$;

CREATE FUNCTION messages.refusal(enrolled boolean, inbox_open boolean, mode text, inbox_blocked boolean, preference_inbox boolean, category text, activation text, activation_fresh boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
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

CREATE TABLE base.database (
    one boolean DEFAULT true NOT NULL,
    buckets integer NOT NULL,
    sandbox boolean DEFAULT false NOT NULL,
    CONSTRAINT database_buckets_check CHECK (((buckets >= 1) AND (buckets <= 1024))),
    CONSTRAINT database_one_check CHECK (one)
);

CREATE TABLE base.migration (
    name text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE UNLOGGED TABLE content.allowed (
    bucket smallint NOT NULL,
    digest bytea NOT NULL,
    sealed bytea,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE content.allowed IS 'Attachments that were announced and may be fetched for a while, and codes that open one once: only hashes, and nothing that came from an institution.';

COMMENT ON COLUMN content.allowed.sealed IS 'For a code, whose attachment it opens; encrypted.';

CREATE TABLE content.configuration (
    id text NOT NULL COLLATE pg_catalog."C",
    institution_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    description text NOT NULL,
    has_precondition text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    sealed bytea,
    changed_at timestamp with time zone,
    idempotency_key text COLLATE pg_catalog."C",
    idempotency_digest bytea,
    CONSTRAINT configuration_has_precondition_check CHECK ((has_precondition = ANY (ARRAY['ALWAYS'::text, 'ONCE'::text, 'NEVER'::text])))
);

COMMENT ON COLUMN content.configuration.sealed IS 'Encrypted JSON: addresses with their keys and certificates, test users, and how devices prove themselves. NULL only in sandboxes of before.';

CREATE TABLE events.counter (
    bucket smallint NOT NULL,
    service_id text NOT NULL COLLATE pg_catalog."C",
    last bigint NOT NULL
)
WITH (fillfactor='50');

COMMENT ON TABLE events.counter IS 'The last position given to an event of each service.';

CREATE TABLE events.figure (
    bucket smallint NOT NULL,
    service_id text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    about text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE events.figure IS 'How much happened to the messages of each service on each day by Rome''s calendar. The bucket is of the service. Counted with the publication of each fact, from this release on. Numbers only: erasing a citizen leaves them.';

COMMENT ON COLUMN events.figure.kind IS 'One of events/kinds.py. Those read are counted only where the citizen let the sender know at that time.';

COMMENT ON COLUMN events.figure.about IS 'Of those rejected the reason, of those notified the channel; else empty.';

CREATE TABLE events.log (
    bucket smallint NOT NULL,
    message_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    about text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    service_id text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='10000');

COMMENT ON TABLE events.log IS 'Facts about messages that are not published yet, in the bucket of the citizen. The key is the fact itself, so no fact is logged twice.';

CREATE TABLE events.published (
    bucket smallint NOT NULL,
    service_id text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    message_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    about text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    published_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE events.published IS 'Facts in the order in which readers see them. The bucket is of the service.';

COMMENT ON COLUMN events.published."position" IS 'Counts up by one per service; only an erasure leaves gaps.';

COMMENT ON COLUMN events.published.about IS 'The channel of a notice; empty where the kind says it all.';

CREATE TABLE events.publisher (
    bucket smallint NOT NULL
);

COMMENT ON TABLE events.publisher IS 'Locked by whoever publishes the facts of this bucket: one at a time.';

CREATE TABLE events.webhook (
    id text NOT NULL COLLATE pg_catalog."C",
    institution_id text NOT NULL COLLATE pg_catalog."C",
    service_id text NOT NULL COLLATE pg_catalog."C",
    url text NOT NULL,
    kinds text[] NOT NULL,
    secrets text NOT NULL,
    state text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    stopped_at timestamp with time zone,
    stopped_why text,
    idempotency_key text COLLATE pg_catalog."C",
    idempotency_digest bytea,
    CONSTRAINT webhook_check CHECK (((state = 'off'::text) = (stopped_at IS NOT NULL))),
    CONSTRAINT webhook_check1 CHECK (((state = 'off'::text) = (stopped_why IS NOT NULL))),
    CONSTRAINT webhook_state_check CHECK ((state = ANY (ARRAY['on'::text, 'off'::text]))),
    CONSTRAINT webhook_stopped_why_check CHECK ((stopped_why = ANY (ARRAY['asked'::text, 'gone'::text, 'failing'::text])))
);

COMMENT ON TABLE events.webhook IS 'Where institutions want to be told of events.';

COMMENT ON COLUMN events.webhook.secrets IS 'Encrypted JSON: the signing secrets, newest first, each with the time until which it signs.';

CREATE TABLE events.webhook_cursor (
    bucket smallint NOT NULL,
    webhook_id text NOT NULL COLLATE pg_catalog."C",
    service_id text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    failures smallint DEFAULT 0 NOT NULL,
    failing_since timestamp with time zone,
    success_at timestamp with time zone,
    failure_at timestamp with time zone,
    last_error text
)
WITH (fillfactor='50');

COMMENT ON TABLE events.webhook_cursor IS 'How far each webhook has come. The bucket is of its service.';

COMMENT ON COLUMN events.webhook_cursor."position" IS 'The last event that was handed on or stands in webhook_retry.';

COMMENT ON COLUMN events.webhook_cursor.due_at IS 'Looked at from then on: the end of a lease or of a pause; infinity while it is off.';

CREATE TABLE events.webhook_retry (
    bucket smallint NOT NULL,
    webhook_id text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    message_id text NOT NULL COLLATE pg_catalog."C",
    attempts smallint NOT NULL,
    since timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    last_error text,
    dead_at timestamp with time zone,
    replayed boolean DEFAULT false NOT NULL
);

COMMENT ON TABLE events.webhook_retry IS 'Only exceptions: events that a webhook did not take. With dead_at they are not tried any more, until they are replayed.';

COMMENT ON COLUMN events.webhook_retry.since IS 'When it was first put here, or replayed, or when its turn came.';

COMMENT ON COLUMN events.webhook_retry.due_at IS 'Infinity while an earlier event of its message waits.';

COMMENT ON COLUMN events.webhook_retry.replayed IS 'Somebody asked for it, so it is sent even if its kind was taken off.';

CREATE TABLE login.code (
    bucket smallint NOT NULL,
    digest bytea NOT NULL,
    identity text NOT NULL,
    redirect_uri text NOT NULL,
    challenge text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE login.code IS 'What a client application exchanges for a bearer token, once and within a minute. The identity is encrypted.';

CREATE TABLE login.session (
    bucket smallint NOT NULL,
    digest bytea NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    family_name text NOT NULL,
    date_of_birth date,
    email text,
    level text NOT NULL,
    kind text NOT NULL,
    client text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    assertion_ref text COLLATE pg_catalog."C",
    public_key text COLLATE pg_catalog."C",
    authenticated_at timestamp with time zone,
    CONSTRAINT session_kind_check CHECK ((kind = ANY (ARRAY['web'::text, 'client'::text])))
);

COMMENT ON TABLE login.session IS 'Who is logged in, looked up by the SHA-256 of the token; the bucket is of that digest.';

COMMENT ON COLUMN login.session.client IS 'What a citizen recognises it by: browser and system, or the client application''s host.';

COMMENT ON COLUMN login.session.public_key IS 'The key with which the client application''s device proves itself, a JWK as it was sent; assertion_ref is its thumbprint.';

COMMENT ON COLUMN login.session.authenticated_at IS 'When the citizen last proved who they are, where the identity provider said so; else created_at.';

CREATE TABLE messages.content (
    bucket smallint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    markdown text NOT NULL,
    parts jsonb NOT NULL
);

COMMENT ON TABLE messages.content IS 'Written once, at acceptance; deleted when the message is rejected.';

CREATE TABLE messages.guard_allowance (
    institution_id text NOT NULL COLLATE pg_catalog."C",
    until timestamp with time zone NOT NULL,
    reason text NOT NULL,
    allowed_by text NOT NULL
);

COMMENT ON TABLE messages.guard_allowance IS 'Institutions an operator lets past the mass guard, until when and why.';

CREATE TABLE messages.guard_hold (
    bucket smallint NOT NULL,
    institution_id text NOT NULL COLLATE pg_catalog."C",
    fingerprint bigint NOT NULL,
    service_id text NOT NULL COLLATE pg_catalog."C",
    recipients bigint NOT NULL,
    held_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone
);

COMMENT ON TABLE messages.guard_hold IS 'Contents the mass guard has stopped, for operators.';

COMMENT ON COLUMN messages.guard_hold.last_at IS 'When a message of this content was last refused; of what is older than this column, unknown.';

CREATE TABLE messages.guard_recipient (
    bucket smallint NOT NULL,
    institution_id text NOT NULL COLLATE pg_catalog."C",
    fingerprint bigint NOT NULL,
    recipient bigint NOT NULL,
    seen_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE messages.guard_recipient IS 'Who was sent which content within a day, as keyed hashes.';

CREATE TABLE messages.idempotency (
    bucket smallint NOT NULL,
    service_id text NOT NULL COLLATE pg_catalog."C",
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    digest bytea NOT NULL,
    message_id text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE messages.message (
    bucket smallint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    service_id text NOT NULL COLLATE pg_catalog."C",
    sender_id bigint NOT NULL,
    subject text,
    status text NOT NULL,
    rejection_reason text,
    feature_level_type text NOT NULL,
    require_secure_channels boolean NOT NULL,
    time_to_live integer NOT NULL,
    reference text COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone,
    read_at timestamp with time zone,
    is_archived boolean DEFAULT false NOT NULL,
    CONSTRAINT message_feature_level_type_check CHECK ((feature_level_type = ANY (ARRAY['STANDARD'::text, 'ADVANCED'::text]))),
    CONSTRAINT message_rejection_reason_check CHECK ((rejection_reason = ANY (ARRAY['USER_NOT_FOUND'::text, 'SERVICE_NOT_ALLOWED'::text]))),
    CONSTRAINT message_status_check CHECK ((status = ANY (ARRAY['ACCEPTED'::text, 'THROTTLED'::text, 'PROCESSED'::text, 'REJECTED'::text, 'FAILED'::text])))
)
WITH (fillfactor='90');

COMMENT ON COLUMN messages.message.subject IS 'Cleared when the message is rejected.';

COMMENT ON COLUMN messages.message.require_secure_channels IS 'The stricter of the message and its service.';

CREATE TABLE messages.report (
    bucket smallint NOT NULL,
    message_id text NOT NULL COLLATE pg_catalog."C",
    service_id text NOT NULL COLLATE pg_catalog."C",
    reported_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE messages.report IS 'Messages that their recipient says were not meant for them.';

CREATE TABLE messages.sender (
    id bigint NOT NULL,
    service_name text NOT NULL,
    organization_name text NOT NULL,
    organization_fiscal_code text NOT NULL,
    department_name text NOT NULL,
    require_secure_channels boolean NOT NULL,
    category text NOT NULL,
    user_email text NOT NULL
);

COMMENT ON TABLE messages.sender IS 'Snapshots of senders at the time of acceptance, shared by their messages; the id is a hash of the content.';

CREATE TABLE messages.words (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    words tsvector NOT NULL
);

COMMENT ON TABLE messages.words IS 'Sender, subject and body in Italian and English stems, for a citizen''s search of their own messages.';

CREATE TABLE notifications.channel (
    name text NOT NULL COLLATE pg_catalog."C",
    wire_name text NOT NULL
);

COMMENT ON TABLE notifications.channel IS 'Ways to tell a citizen. The wire name is what senders see in `notification`.';

CREATE TABLE notifications.delivery (
    bucket smallint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    message_id text NOT NULL COLLATE pg_catalog."C",
    occasion text NOT NULL COLLATE pg_catalog."C",
    channel text NOT NULL COLLATE pg_catalog."C",
    address text NOT NULL COLLATE pg_catalog."C",
    wording text NOT NULL,
    language text NOT NULL,
    state text NOT NULL,
    state_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT delivery_language_check CHECK ((language = ANY (ARRAY['it'::text, 'en'::text]))),
    CONSTRAINT delivery_state_check CHECK ((state = ANY (ARRAY['QUEUED'::text, 'SENT'::text, 'THROTTLED'::text, 'EXPIRED'::text, 'FAILED'::text, 'STOPPED'::text]))),
    CONSTRAINT delivery_wording_check CHECK ((wording = ANY (ARRAY['FULL'::text, 'ANONYMOUS'::text])))
)
WITH (fillfactor='80');

COMMENT ON TABLE notifications.delivery IS 'One notice of one message to one address. Ids are ULIDs, so their order is their age.';

COMMENT ON COLUMN notifications.delivery.address IS 'Stands for the address and is none: a keyed hash, or a device''s id.';

COMMENT ON COLUMN notifications.delivery.state IS 'STOPPED: the citizen changed their mind before it was sent, or another notice found the device gone.';

CREATE TABLE notifications.letter (
    bucket smallint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL,
    sealed text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE notifications.letter IS 'Mails that are no copies of messages, encrypted, until they are sent. No fiscal code: to an institution.';

CREATE TABLE notifications.suppression (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    channel text NOT NULL COLLATE pg_catalog."C",
    address text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL,
    at timestamp with time zone NOT NULL
);

COMMENT ON TABLE notifications.suppression IS 'Addresses that do not exist any more, until their citizen says otherwise.';

CREATE TABLE notifications.web_push_device (
    bucket smallint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    sealed text NOT NULL,
    origin text NOT NULL,
    label text NOT NULL,
    session_id text NOT NULL COLLATE pg_catalog."C",
    is_logged_out boolean NOT NULL,
    created_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE notifications.web_push_device IS 'Browsers that asked to be told. The id is a digest of the endpoint; endpoint and keys are encrypted.';

COMMENT ON COLUMN notifications.web_push_device.origin IS 'The push service of the browser''s maker.';

COMMENT ON COLUMN notifications.web_push_device.session_id IS 'The login it was last seen with. Once that is ended by hand, nothing of a message is shown there.';

CREATE TABLE notifications.web_push_key (
    one boolean DEFAULT true NOT NULL,
    sealed text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT web_push_key_one_check CHECK (one)
);

COMMENT ON TABLE notifications.web_push_key IS 'The key that identifies this installation to push services (VAPID), encrypted. Another one would void every subscription.';

CREATE TABLE operations.audit (
    bucket smallint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail jsonb NOT NULL,
    seal bigint
);

COMMENT ON TABLE operations.audit IS 'Who changed what and when. Citizens appear as keyed hashes only.';

CREATE TABLE operations.operator (
    login text NOT NULL COLLATE pg_catalog."C",
    added_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE operations.operator IS 'Who may operate this installation; they log in by OpenID Connect.';

CREATE TABLE operations.sample (
    at timestamp with time zone NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    value double precision NOT NULL
);

COMMENT ON TABLE operations.sample IS 'How the work stood at each minute, for eight days: depth:<step>, age:<step> in seconds, and total:<kind>, what was counted of the day by then.';

CREATE TABLE operations.seal (
    bucket smallint NOT NULL,
    number bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    entries integer NOT NULL,
    digest bytea NOT NULL
);

COMMENT ON TABLE operations.seal IS 'Each seal hashes the one before and the entries it covers.';

CREATE TABLE payments.carrier (
    bucket smallint NOT NULL,
    payee text NOT NULL COLLATE pg_catalog."C",
    number text NOT NULL COLLATE pg_catalog."C",
    recipient smallint NOT NULL,
    message_id text NOT NULL COLLATE pg_catalog."C",
    message_bucket smallint NOT NULL,
    lane smallint NOT NULL
);

COMMENT ON TABLE payments.carrier IS 'Messages that carry a notice, in the notice''s bucket.';

COMMENT ON COLUMN payments.carrier.recipient IS '15 bits of a hash: of a notice that went to very many people, each one''s messages are found by it.';

CREATE TABLE payments.dead_letter (
    id text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    reason text NOT NULL,
    sealed bytea NOT NULL
);

COMMENT ON TABLE payments.dead_letter IS 'Payment events that could not be used, encrypted, for operators. The id is a digest, so that the same event is here once.';

CREATE TABLE payments.notice (
    bucket smallint NOT NULL,
    payee text NOT NULL COLLATE pg_catalog."C",
    number text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL,
    amount bigint,
    due_date date,
    payee_name text,
    reason text,
    source text NOT NULL,
    code text NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    paid_at timestamp with time zone,
    receipt text,
    asked_at timestamp with time zone,
    asked_code text,
    sweep_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT notice_state_check CHECK ((state = ANY (ARRAY['unpaid'::text, 'in_progress'::text, 'paid'::text, 'expired'::text, 'cancelled'::text, 'unknown'::text])))
)
WITH (fillfactor='80');

COMMENT ON TABLE payments.notice IS 'The ledger: one row for each notice. The bucket is of payee and number; nothing names a citizen.';

COMMENT ON COLUMN payments.notice.amount IS 'Euro cents, as last seen.';

COMMENT ON COLUMN payments.notice.source IS 'Who said so: the message, the payment node, or an event pushed to us. With code and observed_at the evidence for the state.';

COMMENT ON COLUMN payments.notice.asked_at IS 'When the node was last asked, whatever came of it; asked_code is what did.';

COMMENT ON COLUMN payments.notice.sweep_at IS 'When the slow sweep asks again; NULL once nothing can change any more. Of a paid notice that no message carries: when it is forgotten.';

CREATE TABLE people.invitation (
    id text NOT NULL COLLATE pg_catalog."C",
    institution_id text NOT NULL COLLATE pg_catalog."C",
    email text NOT NULL,
    role text NOT NULL,
    token_digest bytea NOT NULL,
    invited_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT invitation_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'editor'::text, 'sender'::text, 'reader'::text])))
);

COMMENT ON TABLE people.invitation IS 'Open invitations; the token is in the mail and nowhere else. One that is accepted is gone; one that is withdrawn counts for an hour.';

CREATE TABLE people.member (
    id text NOT NULL COLLATE pg_catalog."C",
    institution_id text NOT NULL COLLATE pg_catalog."C",
    login text NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    role text NOT NULL,
    added_at timestamp with time zone NOT NULL,
    CONSTRAINT member_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'editor'::text, 'sender'::text, 'reader'::text])))
);

COMMENT ON TABLE people.member IS 'Who may do what for which institution. The login is what the identity provider calls them.';

CREATE TABLE people.session (
    digest bytea NOT NULL,
    login text NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE people.session IS 'Who of the institutions and of the operators is logged in; the token is in their browser and nowhere else.';

CREATE TABLE recipients.activation (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    service_id text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL,
    version integer NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT activation_status_check CHECK ((status = ANY (ARRAY['ACTIVE'::text, 'INACTIVE'::text, 'PENDING'::text])))
);

COMMENT ON TABLE recipients.activation IS 'Who has a SPECIAL service switched on.';

CREATE TABLE recipients.archive_part (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    number integer NOT NULL,
    bytes bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
ALTER TABLE ONLY recipients.archive_part ALTER COLUMN bytes SET STORAGE EXTERNAL;

COMMENT ON TABLE recipients.archive_part IS 'The archive of a citizen''s data in pieces, encrypted, until it expires.';

CREATE TABLE recipients.census (
    one boolean DEFAULT true NOT NULL,
    enrolled bigint NOT NULL,
    counted_at timestamp with time zone NOT NULL,
    CONSTRAINT census_one_check CHECK (one)
);

COMMENT ON TABLE recipients.census IS 'How many citizens have an open inbox, counted every few minutes.';

CREATE TABLE recipients.change (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    service_id text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    detail jsonb NOT NULL
);

COMMENT ON TABLE recipients.change IS 'What each citizen changed in their profile and preferences, for their own eyes.';

CREATE TABLE recipients.data_request (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    choice text NOT NULL,
    status text NOT NULL,
    version integer NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    due_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    erased_at timestamp with time zone,
    CONSTRAINT data_request_choice_check CHECK ((choice = ANY (ARRAY['DOWNLOAD'::text, 'DELETE'::text]))),
    CONSTRAINT data_request_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'WIP'::text, 'CLOSED'::text, 'FAILED'::text, 'ABORTED'::text])))
);

COMMENT ON TABLE recipients.data_request IS 'A citizen''s wish to have their data, or to be erased; carried out once due.';

COMMENT ON COLUMN recipients.data_request.erased_at IS 'Erased then; what came in from before is swept once due, and then this row goes too.';

CREATE TABLE recipients.email_owner (
    bucket smallint NOT NULL,
    email text NOT NULL COLLATE pg_catalog."C",
    fiscal_code text NOT NULL COLLATE pg_catalog."C"
);

COMMENT ON TABLE recipients.email_owner IS 'Validated addresses in lower case, each of one citizen; the bucket is of the address.';

CREATE TABLE recipients.email_validation (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    digest bytea NOT NULL,
    email text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE recipients.email_validation IS 'The one live validation of a citizen''s address; the token is kept as its SHA-256.';

CREATE TABLE recipients.installation (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    platform text NOT NULL,
    push_channel text NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT installation_platform_check CHECK ((platform = ANY (ARRAY['apns'::text, 'gcm'::text, 'fcmv1'::text])))
);

COMMENT ON TABLE recipients.installation IS 'Devices that client applications registered for push.';

CREATE TABLE recipients.preference (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    service_id text NOT NULL COLLATE pg_catalog."C",
    settings_version integer NOT NULL,
    is_inbox_enabled boolean NOT NULL,
    is_email_enabled boolean NOT NULL,
    is_webhook_enabled boolean NOT NULL,
    access_read_message_status text NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT preference_access_read_message_status_check CHECK ((access_read_message_status = ANY (ARRAY['UNKNOWN'::text, 'ALLOW'::text, 'DENY'::text]))),
    CONSTRAINT preference_check CHECK ((is_inbox_enabled OR (access_read_message_status <> 'ALLOW'::text))),
    CONSTRAINT preference_settings_version_check CHECK ((settings_version >= 0))
);

CREATE TABLE recipients.profile (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    mode text NOT NULL,
    settings_version integer NOT NULL,
    is_inbox_enabled boolean NOT NULL,
    is_webhook_enabled boolean NOT NULL,
    is_email_enabled boolean NOT NULL,
    is_email_validated boolean NOT NULL,
    email text,
    is_test_profile boolean NOT NULL,
    accepted_tos_version numeric,
    blocked jsonb NOT NULL,
    preferred_languages text[],
    last_app_version text,
    push_notifications_content_type text,
    reminder_status text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    quiet_from smallint,
    quiet_until smallint,
    CONSTRAINT profile_check CHECK (((mode = 'LEGACY'::text) = (settings_version = '-1'::integer))),
    CONSTRAINT profile_mode_check CHECK ((mode = ANY (ARRAY['AUTO'::text, 'MANUAL'::text, 'LEGACY'::text]))),
    CONSTRAINT profile_push_notifications_content_type_check CHECK ((push_notifications_content_type = ANY (ARRAY['FULL'::text, 'ANONYMOUS'::text]))),
    CONSTRAINT profile_reminder_status_check CHECK ((reminder_status = ANY (ARRAY['ENABLED'::text, 'DISABLED'::text])))
);

COMMENT ON COLUMN recipients.profile.blocked IS 'LEGACY mode only: service id to a list of INBOX, EMAIL, WEBHOOK.';

COMMENT ON COLUMN recipients.profile.quiet_from IS 'No reminders from this minute of Rome''s day until that of quiet_until, which may be of the next day.';

CREATE TABLE recipients.subscription_change (
    bucket smallint NOT NULL,
    day date NOT NULL,
    service_id text NOT NULL COLLATE pg_catalog."C",
    citizen bytea NOT NULL,
    subscribed boolean NOT NULL
);

COMMENT ON TABLE recipients.subscription_change IS 'The subscriptions feed: net changes of each UTC day. No service: the whole profile.';

COMMENT ON COLUMN recipients.subscription_change.citizen IS 'SHA-256 of the fiscal code, as the wire contract publishes it; outlives the citizen''s erasure.';

CREATE TABLE reminders.reminder (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    reason text,
    message_id text COLLATE pg_catalog."C",
    CONSTRAINT reminder_kind_check CHECK ((kind = ANY (ARRAY['due'::text, 'last'::text, 'undated'::text, 'unread'::text]))),
    CONSTRAINT reminder_state_check CHECK ((state = ANY (ARRAY['planned'::text, 'handed'::text, 'dropped'::text])))
)
WITH (fillfactor='80');

COMMENT ON TABLE reminders.reminder IS 'One reminder of one citizen about one notice or one unread message, planned or past.';

COMMENT ON COLUMN reminders.reminder.subject IS 'Payee and notice number, or a message''s id.';

COMMENT ON COLUMN reminders.reminder.due_at IS 'When a worker looks at it; its day is Rome''s.';

COMMENT ON COLUMN reminders.reminder.message_id IS 'Of which message it told, once it was handed over.';

CREATE TABLE reminders.schedule (
    kind text NOT NULL COLLATE pg_catalog."C",
    days smallint[] NOT NULL
);

COMMENT ON TABLE reminders.schedule IS 'On which days: before the due date for "due", after processing for "undated" and "unread".';

CREATE TABLE services.history (
    service_id text NOT NULL COLLATE pg_catalog."C",
    number integer NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    reason text,
    data jsonb NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text,
    CONSTRAINT history_kind_check CHECK ((kind = ANY (ARRAY['lifecycle'::text, 'publication'::text])))
);

COMMENT ON TABLE services.history IS 'What became of each service, in order.';

COMMENT ON COLUMN services.history.actor IS 'Who did it, as in the audit log; nothing of what is older than this column.';

CREATE TABLE services.institution (
    id text NOT NULL COLLATE pg_catalog."C",
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    email text NOT NULL,
    permissions text[] NOT NULL,
    suspended_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    authorized_cidrs text[] DEFAULT '{}'::text[] NOT NULL
);

COMMENT ON TABLE services.institution IS 'Who sends. Permissions are the groups of the wire contract.';

COMMENT ON COLUMN services.institution.authorized_cidrs IS 'Where its master manage keys are taken from; an empty list: from anywhere.';

CREATE TABLE services.key (
    digest bytea NOT NULL,
    institution_id text NOT NULL COLLATE pg_catalog."C",
    service_id text COLLATE pg_catalog."C",
    slot text NOT NULL,
    encrypted text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    group_id text COLLATE pg_catalog."C",
    CONSTRAINT key_slot_check CHECK ((slot = ANY (ARRAY['primary'::text, 'secondary'::text])))
);

COMMENT ON TABLE services.key IS 'Looked up by SHA-256; an encrypted copy because the contract gives keys back. No service: a manage key, of a group or of all.';

CREATE TABLE services.key_use (
    digest bytea NOT NULL,
    used_at timestamp with time zone NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE services.key_use IS 'When each key was used last, to the hour; noted by the processes that answer requests, up to half a minute late. By the digest, so that a renewed key begins without.';

CREATE TABLE services.lifecycle (
    service_id text NOT NULL COLLATE pg_catalog."C",
    institution_id text NOT NULL COLLATE pg_catalog."C",
    "position" integer NOT NULL,
    status text NOT NULL,
    reason text,
    auto_publish boolean NOT NULL,
    waits boolean NOT NULL,
    data jsonb NOT NULL,
    version integer NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    idempotency_key text,
    idempotency_digest bytea,
    CONSTRAINT lifecycle_status_check CHECK ((status = ANY (ARRAY['draft'::text, 'submitted'::text, 'approved'::text, 'rejected'::text, 'deleted'::text])))
);

COMMENT ON TABLE services.lifecycle IS 'The version of each service that its institution works at. Services are never removed, so that positions within an institution have no gaps.';

COMMENT ON COLUMN services.lifecycle.waits IS 'Approved, and not yet in the place of the version that is published.';

COMMENT ON COLUMN services.lifecycle.data IS 'All that the institution says of the service, as services/payload.py has it.';

COMMENT ON COLUMN services.lifecycle.version IS 'Grows with each change: the ETag, and what a reviewer decided on.';

CREATE TABLE services.logo (
    owner_id text NOT NULL COLLATE pg_catalog."C",
    png bytea NOT NULL,
    digest bytea NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE services.logo IS 'Logos of services and institutions, by the id of either; drawn anew from what was sent.';

CREATE TABLE services.service (
    id text NOT NULL COLLATE pg_catalog."C",
    institution_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    department text NOT NULL,
    category text NOT NULL,
    state text NOT NULL,
    require_secure_channels boolean NOT NULL,
    authorized_recipients text[] NOT NULL,
    authorized_cidrs text[] NOT NULL,
    max_allowed_payment_amount bigint NOT NULL,
    suspended_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    version integer DEFAULT 0 NOT NULL,
    postal_account text COLLATE pg_catalog."C",
    topic_id smallint,
    suitable_for_minors boolean,
    group_id text COLLATE pg_catalog."C",
    group_position integer,
    updated_at timestamp with time zone,
    CONSTRAINT service_category_check CHECK ((category = ANY (ARRAY['STANDARD'::text, 'SPECIAL'::text]))),
    CONSTRAINT service_max_allowed_payment_amount_check CHECK (((max_allowed_payment_amount >= 0) AND (max_allowed_payment_amount <= '9999999999'::bigint))),
    CONSTRAINT service_state_check CHECK ((state = ANY (ARRAY['draft'::text, 'approved'::text, 'published'::text, 'deleted'::text])))
);

COMMENT ON TABLE services.service IS 'Services as messages and citizens see them: the live version. Its state is the publication: approved is approved and not listed.';

COMMENT ON COLUMN services.service.metadata IS 'Contacts and addresses under the names of the wire contract; only those that are known.';

COMMENT ON COLUMN services.service.postal_account IS 'The postal account that notices of its institution can be paid to, for postal slips.';

COMMENT ON COLUMN services.service.topic_id IS 'One of services/topics.py.';

COMMENT ON COLUMN services.service.group_position IS 'From 0, without gaps in each group, so that any page of it costs the same.';

CREATE TABLE services.service_group (
    id text NOT NULL COLLATE pg_catalog."C",
    institution_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    authorized_cidrs text[] NOT NULL,
    created_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE services.service_group IS 'Services of one institution that a manage key of their own is good for, with its own list of addresses.';

CREATE TABLE services.version (
    one boolean DEFAULT true NOT NULL,
    number bigint NOT NULL,
    CONSTRAINT version_one_check CHECK (one)
);

COMMENT ON TABLE services.version IS 'Counts changes; every process polls it and drops its cache.';

CREATE TABLE sso.access (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL COLLATE pg_catalog."C",
    service_id text NOT NULL COLLATE pg_catalog."C",
    redirect_uri text NOT NULL,
    names jsonb NOT NULL,
    outcome text NOT NULL,
    claims text[] NOT NULL,
    terms text DEFAULT ''::text NOT NULL,
    message_id text COLLATE pg_catalog."C",
    session_id text NOT NULL COLLATE pg_catalog."C",
    requested_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT access_outcome_check CHECK ((outcome = ANY (ARRAY['requested'::text, 'granted'::text, 'redeemed'::text, 'refused'::text, 'failed'::text])))
);

COMMENT ON TABLE sso.access IS 'Every time somebody asked who a citizen is, and what came of it.';

COMMENT ON COLUMN sso.access.names IS '{it, en}: how the citizen knows the place they went to, as it was called then.';

COMMENT ON COLUMN sso.access.claims IS 'What was handed over; before that, what was asked for.';

COMMENT ON COLUMN sso.access.terms IS 'A digest of what the citizen was shown, so that they agree to nothing else.';

COMMENT ON COLUMN sso.access.session_id IS 'The session here in which it happened.';

COMMENT ON COLUMN sso.access.ended_at IS 'The citizen logged out or took the consent back soon after: code and token are void.';

CREATE TABLE sso.assertion (
    bucket smallint NOT NULL,
    digest bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE sso.assertion IS 'Assertions of clients that were used, so that none is used twice.';

CREATE TABLE sso.client (
    id text NOT NULL COLLATE pg_catalog."C",
    service_id text NOT NULL COLLATE pg_catalog."C",
    environment text NOT NULL,
    redirects jsonb NOT NULL,
    post_logout_redirect_uris text[] NOT NULL,
    auth_method text NOT NULL,
    secret_digest bytea,
    old_secret_digest bytea,
    old_secret_until timestamp with time zone,
    jwks jsonb,
    id_token_alg text NOT NULL,
    request_protection text NOT NULL,
    subject_type text NOT NULL,
    optional_claims text[] NOT NULL,
    level text,
    backchannel_logout_uri text,
    state_missing_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT client_auth_method_check CHECK ((auth_method = ANY (ARRAY['client_secret_basic'::text, 'client_secret_post'::text, 'private_key_jwt'::text]))),
    CONSTRAINT client_check CHECK (((auth_method = 'private_key_jwt'::text) = (jwks IS NOT NULL))),
    CONSTRAINT client_check1 CHECK (((auth_method = 'private_key_jwt'::text) = (secret_digest IS NULL))),
    CONSTRAINT client_environment_check CHECK ((environment = ANY (ARRAY['live'::text, 'test'::text]))),
    CONSTRAINT client_id_token_alg_check CHECK ((id_token_alg = ANY (ARRAY['RS256'::text, 'ES256'::text]))),
    CONSTRAINT client_request_protection_check CHECK ((request_protection = ANY (ARRAY['pkce_and_nonce'::text, 'pkce_or_nonce'::text, 'none'::text]))),
    CONSTRAINT client_subject_type_check CHECK ((subject_type = ANY (ARRAY['pairwise'::text, 'fiscal_code'::text])))
);

COMMENT ON TABLE sso.client IS 'Relying parties: the sites of a service that citizens are signed on to, one live and one for tests.';

COMMENT ON COLUMN sso.client.id IS 'The client_id: the id of the service; with -test at its end for the other.';

COMMENT ON COLUMN sso.client.redirects IS 'A list of {uri, it, en}: where browsers may be sent back to, and how citizens know that place.';

COMMENT ON COLUMN sso.client.old_secret_digest IS 'The secret before the last change, good until old_secret_until.';

COMMENT ON COLUMN sso.client.request_protection IS 'What binds a code to the browser that asked for it. none: as the reference platform has it.';

COMMENT ON COLUMN sso.client.optional_claims IS 'Data that the citizen may refuse and be let in all the same.';

COMMENT ON COLUMN sso.client.state_missing_at IS 'A request came without state; written once a day at most.';

CREATE TABLE sso.code (
    bucket smallint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL COLLATE pg_catalog."C",
    code_digest bytea NOT NULL,
    token_digest bytea,
    sealed bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);

COMMENT ON TABLE sso.code IS 'A code and the access token it was exchanged for: one row, so that taking one back takes both. The bucket is of its id.';

COMMENT ON COLUMN sso.code.sealed IS 'Encrypted: whose it is, what was agreed to, and what the request must match.';

CREATE TABLE sso.consent (
    bucket smallint NOT NULL,
    fiscal_code text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL COLLATE pg_catalog."C",
    agreed text[] NOT NULL,
    refused text[] NOT NULL,
    given_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE sso.consent IS 'What citizens want to be remembered for a site, so that a button takes them there without a question.';

CREATE TABLE sso.launch (
    bucket smallint NOT NULL,
    session_digest bytea NOT NULL,
    client_id text NOT NULL COLLATE pg_catalog."C",
    message_id text COLLATE pg_catalog."C",
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE sso.launch IS 'Tickets for one login, left by a button that the citizen pressed here. The bucket is of the session''s digest.';

CREATE TABLE sso.logout (
    bucket smallint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL COLLATE pg_catalog."C",
    sealed bytea NOT NULL,
    created_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE sso.logout IS 'Sites that have to be told that somebody''s login has ended. Sealed: for that site, whose.';

CREATE TABLE sso.signing_key (
    kid text NOT NULL COLLATE pg_catalog."C",
    alg text NOT NULL,
    encrypted text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    active_at timestamp with time zone NOT NULL,
    retired_at timestamp with time zone,
    CONSTRAINT signing_key_alg_check CHECK ((alg = ANY (ARRAY['RS256'::text, 'ES256'::text])))
);

COMMENT ON TABLE sso.signing_key IS 'Keys that sign tokens. The one that became active last signs; all that are not retired are published.';

CREATE TABLE work.item (
    bucket smallint NOT NULL,
    step text NOT NULL COLLATE pg_catalog."C",
    due_at timestamp with time zone NOT NULL,
    reference text NOT NULL COLLATE pg_catalog."C",
    lane smallint NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='10000');

COMMENT ON TABLE work.item IS 'Work to do: narrow rows, deleted when done.';

CREATE TABLE work.period (
    step text NOT NULL COLLATE pg_catalog."C",
    period bigint NOT NULL
);

COMMENT ON TABLE work.period IS 'The last period in which each periodic step ran.';

ALTER TABLE ONLY base.database
    ADD CONSTRAINT database_pkey PRIMARY KEY (one);

ALTER TABLE ONLY base.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (name);

ALTER TABLE ONLY content.allowed
    ADD CONSTRAINT allowed_pkey PRIMARY KEY (bucket, digest);

ALTER TABLE ONLY content.configuration
    ADD CONSTRAINT configuration_pkey PRIMARY KEY (id);

ALTER TABLE ONLY events.counter
    ADD CONSTRAINT counter_pkey PRIMARY KEY (bucket, service_id);

ALTER TABLE ONLY events.figure
    ADD CONSTRAINT figure_pkey PRIMARY KEY (bucket, service_id, day, kind, about);

ALTER TABLE ONLY events.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (bucket, message_id, kind, about);

ALTER TABLE ONLY events.published
    ADD CONSTRAINT published_bucket_service_id_message_id_kind_about_key UNIQUE (bucket, service_id, message_id, kind, about);

ALTER TABLE ONLY events.published
    ADD CONSTRAINT published_pkey PRIMARY KEY (bucket, service_id, "position");

ALTER TABLE ONLY events.publisher
    ADD CONSTRAINT publisher_pkey PRIMARY KEY (bucket);

ALTER TABLE ONLY events.webhook_cursor
    ADD CONSTRAINT webhook_cursor_pkey PRIMARY KEY (bucket, webhook_id);

ALTER TABLE ONLY events.webhook
    ADD CONSTRAINT webhook_pkey PRIMARY KEY (id);

ALTER TABLE ONLY events.webhook_retry
    ADD CONSTRAINT webhook_retry_pkey PRIMARY KEY (bucket, webhook_id, "position");

ALTER TABLE ONLY login.code
    ADD CONSTRAINT code_pkey PRIMARY KEY (bucket, digest);

ALTER TABLE ONLY login.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (bucket, digest);

ALTER TABLE ONLY messages.content
    ADD CONSTRAINT content_pkey PRIMARY KEY (bucket, id);

ALTER TABLE ONLY messages.guard_allowance
    ADD CONSTRAINT guard_allowance_pkey PRIMARY KEY (institution_id);

ALTER TABLE ONLY messages.guard_hold
    ADD CONSTRAINT guard_hold_pkey PRIMARY KEY (bucket, institution_id, fingerprint);

ALTER TABLE ONLY messages.guard_recipient
    ADD CONSTRAINT guard_recipient_pkey PRIMARY KEY (bucket, institution_id, fingerprint, recipient);

ALTER TABLE ONLY messages.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (bucket, service_id, fiscal_code, key);

ALTER TABLE ONLY messages.message
    ADD CONSTRAINT message_pkey PRIMARY KEY (bucket, id);

ALTER TABLE ONLY messages.report
    ADD CONSTRAINT report_pkey PRIMARY KEY (bucket, message_id);

ALTER TABLE ONLY messages.sender
    ADD CONSTRAINT sender_pkey PRIMARY KEY (id);

ALTER TABLE ONLY messages.words
    ADD CONSTRAINT words_pkey PRIMARY KEY (bucket, fiscal_code, id);

ALTER TABLE ONLY notifications.channel
    ADD CONSTRAINT channel_pkey PRIMARY KEY (name);

ALTER TABLE ONLY notifications.delivery
    ADD CONSTRAINT delivery_bucket_message_id_occasion_channel_address_key UNIQUE (bucket, message_id, occasion, channel, address);

ALTER TABLE ONLY notifications.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (bucket, id);

ALTER TABLE ONLY notifications.letter
    ADD CONSTRAINT letter_pkey PRIMARY KEY (bucket, id);

ALTER TABLE ONLY notifications.suppression
    ADD CONSTRAINT suppression_pkey PRIMARY KEY (bucket, fiscal_code, channel, address);

ALTER TABLE ONLY notifications.web_push_device
    ADD CONSTRAINT web_push_device_pkey PRIMARY KEY (bucket, id);

ALTER TABLE ONLY notifications.web_push_key
    ADD CONSTRAINT web_push_key_pkey PRIMARY KEY (one);

ALTER TABLE ONLY operations.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (bucket, id);

ALTER TABLE ONLY operations.operator
    ADD CONSTRAINT operator_pkey PRIMARY KEY (login);

ALTER TABLE ONLY operations.sample
    ADD CONSTRAINT sample_pkey PRIMARY KEY (at, name);

ALTER TABLE ONLY operations.seal
    ADD CONSTRAINT seal_pkey PRIMARY KEY (bucket, number);

ALTER TABLE ONLY payments.carrier
    ADD CONSTRAINT carrier_pkey PRIMARY KEY (bucket, payee, number, recipient, message_id);

ALTER TABLE ONLY payments.dead_letter
    ADD CONSTRAINT dead_letter_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.notice
    ADD CONSTRAINT notice_pkey PRIMARY KEY (bucket, payee, number);

ALTER TABLE ONLY people.invitation
    ADD CONSTRAINT invitation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY people.invitation
    ADD CONSTRAINT invitation_token_digest_key UNIQUE (token_digest);

ALTER TABLE ONLY people.member
    ADD CONSTRAINT member_pkey PRIMARY KEY (id);

ALTER TABLE ONLY people.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY recipients.activation
    ADD CONSTRAINT activation_pkey PRIMARY KEY (bucket, fiscal_code, service_id);

ALTER TABLE ONLY recipients.archive_part
    ADD CONSTRAINT archive_part_pkey PRIMARY KEY (bucket, fiscal_code, number);

ALTER TABLE ONLY recipients.census
    ADD CONSTRAINT census_pkey PRIMARY KEY (one);

ALTER TABLE ONLY recipients.change
    ADD CONSTRAINT change_pkey PRIMARY KEY (bucket, fiscal_code, id);

ALTER TABLE ONLY recipients.data_request
    ADD CONSTRAINT data_request_pkey PRIMARY KEY (bucket, fiscal_code, choice);

ALTER TABLE ONLY recipients.email_owner
    ADD CONSTRAINT email_owner_pkey PRIMARY KEY (bucket, email);

ALTER TABLE ONLY recipients.email_validation
    ADD CONSTRAINT email_validation_pkey PRIMARY KEY (bucket, fiscal_code);

ALTER TABLE ONLY recipients.installation
    ADD CONSTRAINT installation_pkey PRIMARY KEY (bucket, fiscal_code, id);

ALTER TABLE ONLY recipients.preference
    ADD CONSTRAINT preference_pkey PRIMARY KEY (bucket, fiscal_code, service_id, settings_version);

ALTER TABLE ONLY recipients.profile
    ADD CONSTRAINT profile_pkey PRIMARY KEY (bucket, fiscal_code);

ALTER TABLE ONLY recipients.subscription_change
    ADD CONSTRAINT subscription_change_pkey PRIMARY KEY (bucket, day, service_id, citizen);

ALTER TABLE ONLY reminders.reminder
    ADD CONSTRAINT reminder_pkey PRIMARY KEY (bucket, fiscal_code, subject, day, kind);

ALTER TABLE ONLY reminders.schedule
    ADD CONSTRAINT schedule_pkey PRIMARY KEY (kind);

ALTER TABLE ONLY services.history
    ADD CONSTRAINT history_pkey PRIMARY KEY (service_id, number);

ALTER TABLE ONLY services.institution
    ADD CONSTRAINT institution_fiscal_code_key UNIQUE (fiscal_code);

ALTER TABLE ONLY services.institution
    ADD CONSTRAINT institution_pkey PRIMARY KEY (id);

ALTER TABLE ONLY services.key
    ADD CONSTRAINT key_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY services.key_use
    ADD CONSTRAINT key_use_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY services.lifecycle
    ADD CONSTRAINT lifecycle_pkey PRIMARY KEY (service_id);

ALTER TABLE ONLY services.logo
    ADD CONSTRAINT logo_pkey PRIMARY KEY (owner_id);

ALTER TABLE ONLY services.service_group
    ADD CONSTRAINT service_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY services.service
    ADD CONSTRAINT service_pkey PRIMARY KEY (id);

ALTER TABLE ONLY services.version
    ADD CONSTRAINT version_pkey PRIMARY KEY (one);

ALTER TABLE ONLY sso.access
    ADD CONSTRAINT access_pkey PRIMARY KEY (bucket, fiscal_code, id);

ALTER TABLE ONLY sso.assertion
    ADD CONSTRAINT assertion_pkey PRIMARY KEY (bucket, digest);

ALTER TABLE ONLY sso.client
    ADD CONSTRAINT client_pkey PRIMARY KEY (id);

ALTER TABLE ONLY sso.code
    ADD CONSTRAINT code_pkey PRIMARY KEY (bucket, id);

ALTER TABLE ONLY sso.consent
    ADD CONSTRAINT consent_pkey PRIMARY KEY (bucket, fiscal_code, client_id);

ALTER TABLE ONLY sso.launch
    ADD CONSTRAINT launch_pkey PRIMARY KEY (bucket, session_digest, client_id);

ALTER TABLE ONLY sso.logout
    ADD CONSTRAINT logout_pkey PRIMARY KEY (bucket, id);

ALTER TABLE ONLY sso.signing_key
    ADD CONSTRAINT signing_key_pkey PRIMARY KEY (kid);

ALTER TABLE ONLY work.item
    ADD CONSTRAINT item_pkey PRIMARY KEY (bucket, step, due_at, reference);

ALTER TABLE ONLY work.period
    ADD CONSTRAINT period_pkey PRIMARY KEY (step);

CREATE INDEX allowed_by_age ON content.allowed USING btree (bucket, expires_at);

CREATE UNIQUE INDEX configuration_repeated ON content.configuration USING btree (institution_id, idempotency_key);

CREATE INDEX figure_by_day ON events.figure USING btree (bucket, day);

CREATE INDEX webhook_of_service ON events.webhook USING btree (service_id);

CREATE UNIQUE INDEX webhook_repeated ON events.webhook USING btree (institution_id, idempotency_key);

CREATE INDEX webhook_retry_age ON events.webhook_retry USING btree (bucket, COALESCE(dead_at, since));

CREATE INDEX webhook_retry_dead ON events.webhook_retry USING btree (bucket, webhook_id, "position") WHERE (dead_at IS NOT NULL);

CREATE INDEX webhook_retry_due ON events.webhook_retry USING btree (bucket, webhook_id, due_at) WHERE (dead_at IS NULL);

CREATE INDEX webhook_retry_of_message ON events.webhook_retry USING btree (bucket, webhook_id, message_id, "position");

CREATE INDEX code_by_age ON login.code USING btree (bucket, expires_at);

CREATE INDEX session_by_age ON login.session USING btree (bucket, expires_at);

CREATE INDEX session_by_use ON login.session USING btree (bucket, seen_at);

CREATE INDEX session_of_citizen ON login.session USING btree (bucket, fiscal_code);

CREATE INDEX guard_recipient_by_age ON messages.guard_recipient USING btree (bucket, seen_at);

CREATE INDEX idempotency_by_age ON messages.idempotency USING btree (bucket, created_at);

CREATE INDEX message_by_reference ON messages.message USING btree (bucket, service_id, reference) WHERE (reference IS NOT NULL);

CREATE INDEX message_failed ON messages.message USING btree (bucket, id) WHERE (status = 'FAILED'::text);

CREATE INDEX message_of_citizen ON messages.message USING btree (bucket, fiscal_code, id);

CREATE INDEX message_of_service ON messages.message USING btree (bucket, service_id, id);

CREATE INDEX report_of_service ON messages.report USING btree (bucket, service_id, reported_at);

CREATE INDEX letter_of_citizen ON notifications.letter USING btree (bucket, fiscal_code);

CREATE INDEX web_push_device_of_citizen ON notifications.web_push_device USING btree (bucket, fiscal_code);

CREATE INDEX audit_of_action ON operations.audit USING btree (bucket, action, id);

CREATE INDEX audit_of_actor ON operations.audit USING btree (bucket, actor, id);

CREATE INDEX audit_of_seal ON operations.audit USING btree (bucket, seal, id);

CREATE INDEX audit_of_subject ON operations.audit USING btree (bucket, subject, id);

CREATE INDEX audit_unsealed ON operations.audit USING btree (bucket, id) WHERE (seal IS NULL);

CREATE INDEX dead_letter_by_age ON payments.dead_letter USING btree (at);

CREATE INDEX notice_to_sweep ON payments.notice USING btree (bucket, sweep_at) WHERE (sweep_at IS NOT NULL);

CREATE UNIQUE INDEX invitation_by_email ON people.invitation USING btree (institution_id, lower(email));

CREATE UNIQUE INDEX member_by_login ON people.member USING btree (login, institution_id);

CREATE INDEX member_of_institution ON people.member USING btree (institution_id, id);

CREATE INDEX session_by_expiry ON people.session USING btree (expires_at);

CREATE INDEX session_of_login ON people.session USING btree (login);

CREATE INDEX archive_by_age ON recipients.archive_part USING btree (bucket, expires_at);

CREATE INDEX data_request_due ON recipients.data_request USING btree (bucket, due_at) WHERE (status = ANY (ARRAY['PENDING'::text, 'WIP'::text]));

CREATE INDEX reminder_by_day ON reminders.reminder USING btree (bucket, day);

CREATE INDEX reminder_due ON reminders.reminder USING btree (bucket, due_at) WHERE (state = 'planned'::text);

CREATE UNIQUE INDEX group_by_name ON services.service_group USING btree (institution_id, lower(name));

CREATE UNIQUE INDEX key_of_group ON services.key USING btree (group_id, slot) WHERE (group_id IS NOT NULL);

CREATE UNIQUE INDEX key_of_service ON services.key USING btree (service_id, slot) WHERE (service_id IS NOT NULL);

CREATE UNIQUE INDEX lifecycle_by_position ON services.lifecycle USING btree (institution_id, "position");

CREATE UNIQUE INDEX lifecycle_once ON services.lifecycle USING btree (institution_id, idempotency_key);

CREATE INDEX lifecycle_to_review ON services.lifecycle USING btree (updated_at, service_id) WHERE (status = 'submitted'::text);

CREATE UNIQUE INDEX master_key ON services.key USING btree (institution_id, slot) WHERE ((service_id IS NULL) AND (group_id IS NULL));

CREATE INDEX service_by_institution ON services.service USING btree (institution_id);

CREATE INDEX service_by_name ON services.service USING btree (institution_id, lower(name), id);

CREATE INDEX service_of_group ON services.service USING btree (group_id, group_position) WHERE (group_id IS NOT NULL);

CREATE INDEX service_published ON services.service USING btree (institution_id, lower(name), id) INCLUDE (name, version) WHERE ((state = 'published'::text) AND (suspended_at IS NULL));

CREATE INDEX access_by_age ON sso.access USING btree (bucket, id);

CREATE INDEX assertion_by_age ON sso.assertion USING btree (bucket, expires_at);

CREATE INDEX client_of_service ON sso.client USING btree (service_id);

CREATE INDEX code_by_age ON sso.code USING btree (bucket, created_at);

CREATE INDEX consent_by_age ON sso.consent USING btree (bucket, expires_at);

CREATE INDEX launch_by_age ON sso.launch USING btree (bucket, expires_at);

CREATE INDEX logout_by_age ON sso.logout USING btree (bucket, created_at);

CREATE INDEX item_by_lane ON work.item USING btree (bucket, lane, step, due_at);

ALTER TABLE ONLY content.configuration
    ADD CONSTRAINT configuration_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES services.institution(id);

ALTER TABLE ONLY events.webhook
    ADD CONSTRAINT webhook_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES services.institution(id);

ALTER TABLE ONLY events.webhook
    ADD CONSTRAINT webhook_service_id_fkey FOREIGN KEY (service_id) REFERENCES services.service(id);

ALTER TABLE ONLY messages.guard_allowance
    ADD CONSTRAINT guard_allowance_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES services.institution(id);

ALTER TABLE ONLY people.invitation
    ADD CONSTRAINT invitation_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES services.institution(id);

ALTER TABLE ONLY people.member
    ADD CONSTRAINT member_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES services.institution(id);

ALTER TABLE ONLY services.history
    ADD CONSTRAINT history_service_id_fkey FOREIGN KEY (service_id) REFERENCES services.service(id);

ALTER TABLE ONLY services.key
    ADD CONSTRAINT key_group_id_fkey FOREIGN KEY (group_id) REFERENCES services.service_group(id);

ALTER TABLE ONLY services.key
    ADD CONSTRAINT key_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES services.institution(id);

ALTER TABLE ONLY services.key
    ADD CONSTRAINT key_service_id_fkey FOREIGN KEY (service_id) REFERENCES services.service(id);

ALTER TABLE ONLY services.lifecycle
    ADD CONSTRAINT lifecycle_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES services.institution(id);

ALTER TABLE ONLY services.lifecycle
    ADD CONSTRAINT lifecycle_service_id_fkey FOREIGN KEY (service_id) REFERENCES services.service(id);

ALTER TABLE ONLY services.service
    ADD CONSTRAINT service_group_id_fkey FOREIGN KEY (group_id) REFERENCES services.service_group(id);

ALTER TABLE ONLY services.service_group
    ADD CONSTRAINT service_group_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES services.institution(id);

ALTER TABLE ONLY services.service
    ADD CONSTRAINT service_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES services.institution(id);

ALTER TABLE ONLY sso.client
    ADD CONSTRAINT client_service_id_fkey FOREIGN KEY (service_id) REFERENCES services.service(id);
