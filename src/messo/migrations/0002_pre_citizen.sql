-- The citizen: login and sessions, reading and archiving, search, preferences with their history,
-- the subscriptions feed, and what a citizen may ask to be done with their data.

CREATE SCHEMA login;

-- login --------------------------------------------------------------------------------------

CREATE TABLE login.session (
    bucket smallint NOT NULL,
    digest bytea NOT NULL,
    id text COLLATE "C" NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    name text NOT NULL,
    family_name text NOT NULL,
    date_of_birth date,
    email text,
    level text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('web', 'client')),
    client text NOT NULL,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, digest)
);
CREATE INDEX session_of_citizen ON login.session (bucket, fiscal_code);
CREATE INDEX session_by_age ON login.session (bucket, expires_at);
CREATE INDEX session_by_use ON login.session (bucket, seen_at);
COMMENT ON TABLE login.session IS 'Who is logged in, looked up by the SHA-256 of the token; the bucket is of that digest.';
COMMENT ON COLUMN login.session.client IS 'What a citizen recognises it by: browser and system, or the client application''s host.';

CREATE TABLE login.code (
    bucket smallint NOT NULL,
    digest bytea NOT NULL,
    identity text NOT NULL,
    redirect_uri text NOT NULL,
    challenge text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, digest)
);
CREATE INDEX code_by_age ON login.code (bucket, expires_at);
COMMENT ON TABLE login.code IS 'What a client application exchanges for a bearer token, once and within a minute. The identity is encrypted.';

-- services -----------------------------------------------------------------------------------

ALTER TABLE services.service
ADD COLUMN description text NOT NULL DEFAULT '',
ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}',
ADD COLUMN version integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN services.service.metadata IS 'Contacts and addresses under the names of the wire contract; only those that are known.';

-- recipients ---------------------------------------------------------------------------------

CREATE TABLE recipients.change (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    kind text COLLATE "C" NOT NULL,
    service_id text COLLATE "C" NOT NULL DEFAULT '',
    detail jsonb NOT NULL,
    PRIMARY KEY (bucket, fiscal_code, id)
);
COMMENT ON TABLE recipients.change IS 'What each citizen changed in their profile and preferences, for their own eyes.';

CREATE TABLE recipients.subscription_change (
    bucket smallint NOT NULL,
    day date NOT NULL,
    service_id text COLLATE "C" NOT NULL,
    citizen bytea NOT NULL,
    subscribed boolean NOT NULL,
    PRIMARY KEY (bucket, day, service_id, citizen)
);
COMMENT ON TABLE recipients.subscription_change IS 'The subscriptions feed: net changes of each UTC day. No service: the whole profile.';
COMMENT ON COLUMN recipients.subscription_change.citizen IS 'SHA-256 of the fiscal code, as the wire contract publishes it; outlives the citizen''s erasure.';

CREATE TABLE recipients.email_owner (
    bucket smallint NOT NULL,
    email text COLLATE "C" NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    PRIMARY KEY (bucket, email)
);
COMMENT ON TABLE recipients.email_owner IS 'Validated addresses in lower case, each of one citizen; the bucket is of the address.';

CREATE TABLE recipients.email_validation (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    email text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, fiscal_code)
);
COMMENT ON TABLE recipients.email_validation IS 'The one live validation of a citizen''s address; the token is kept as its SHA-256.';

CREATE TABLE recipients.installation (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    platform text NOT NULL CHECK (platform IN ('apns', 'gcm', 'fcmv1')),
    push_channel text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, fiscal_code, id)
);
COMMENT ON TABLE recipients.installation IS 'Devices that client applications registered for push.';

CREATE TABLE recipients.data_request (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    choice text NOT NULL CHECK (choice IN ('DOWNLOAD', 'DELETE')),
    status text NOT NULL CHECK (status IN ('PENDING', 'WIP', 'CLOSED', 'FAILED', 'ABORTED')),
    version integer NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    erased_at timestamptz,
    PRIMARY KEY (bucket, fiscal_code, choice)
);
CREATE INDEX data_request_due ON recipients.data_request (bucket, due_at)
WHERE status IN ('PENDING', 'WIP');
COMMENT ON TABLE recipients.data_request IS 'A citizen''s wish to have their data, or to be erased; carried out once due.';
COMMENT ON COLUMN recipients.data_request.erased_at IS 'Erased then; what came in from before is swept once due, and then this row goes too.';

CREATE TABLE recipients.archive_part (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    bytes bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, fiscal_code, number)
);
ALTER TABLE recipients.archive_part ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE INDEX archive_by_age ON recipients.archive_part (bucket, expires_at);
COMMENT ON TABLE recipients.archive_part IS 'The archive of a citizen''s data in pieces, encrypted, until it expires.';

-- messages -----------------------------------------------------------------------------------

ALTER TABLE messages.message ADD COLUMN is_archived boolean NOT NULL DEFAULT false;

CREATE TABLE messages.words (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (bucket, fiscal_code, id)
);
COMMENT ON TABLE messages.words IS 'Sender, subject and body in Italian and English stems, for a citizen''s search of their own messages.';

CREATE TABLE messages.report (
    bucket smallint NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    service_id text COLLATE "C" NOT NULL,
    reported_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, message_id)
);
CREATE INDEX report_of_service ON messages.report (bucket, service_id, reported_at);
COMMENT ON TABLE messages.report IS 'Messages that their recipient says were not meant for them.';
