-- Services as institutions manage them: drafts, reviews, releases, groups, logos; and their people.

ALTER TABLE services.institution ADD COLUMN authorized_cidrs text [] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN services.institution.authorized_cidrs IS 'Where its master manage keys are taken from; an empty list: from anywhere.';

CREATE TABLE services.service_group (
    id text COLLATE "C" PRIMARY KEY,
    institution_id text COLLATE "C" NOT NULL REFERENCES services.institution,
    name text NOT NULL,
    authorized_cidrs text [] NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX group_by_name ON services.service_group (institution_id, lower(name));
COMMENT ON TABLE services.service_group IS 'Services of one institution that a manage key of their own is good for, with its own list of addresses.';

-- Small tables, and a column that is empty: nothing is scanned for long.
ALTER TABLE services.service
ADD COLUMN topic_id smallint,
ADD COLUMN suitable_for_minors boolean,
-- squawk-ignore adding-foreign-key-constraint
ADD COLUMN group_id text COLLATE "C" REFERENCES services.service_group,
ADD COLUMN group_position integer,
ADD COLUMN updated_at timestamptz;
UPDATE services.service AS s SET updated_at = s.created_at WHERE s.updated_at IS NULL;
COMMENT ON TABLE services.service IS 'Services as messages and citizens see them: the live version. Its state is the publication: approved is approved and not listed.';
COMMENT ON COLUMN services.service.topic_id IS 'One of services/topics.py.';

-- A service's name is compared within its institution, and listed by it.
CREATE INDEX service_by_name ON services.service (institution_id, lower(name), id);
-- The same of what citizens may see, with all that a list of it shows.
CREATE INDEX service_published ON services.service (institution_id, lower(name), id)
INCLUDE (name, version) WHERE state = 'published' AND suspended_at IS NULL;
CREATE INDEX service_of_group ON services.service (group_id, group_position)
WHERE group_id IS NOT NULL;
COMMENT ON COLUMN services.service.group_position IS 'From 0, without gaps in each group, so that any page of it costs the same.';

CREATE TABLE services.lifecycle (
    service_id text COLLATE "C" PRIMARY KEY REFERENCES services.service,
    institution_id text COLLATE "C" NOT NULL REFERENCES services.institution,
    position integer NOT NULL,
    status text NOT NULL
    CHECK (status IN ('draft', 'submitted', 'approved', 'rejected', 'deleted')),
    reason text,
    auto_publish boolean NOT NULL,
    waits boolean NOT NULL,
    data jsonb NOT NULL,
    version integer NOT NULL,
    updated_at timestamptz NOT NULL,
    idempotency_key text,
    idempotency_digest bytea
);
CREATE UNIQUE INDEX lifecycle_by_position ON services.lifecycle (institution_id, position);
CREATE UNIQUE INDEX lifecycle_once
ON services.lifecycle (institution_id, idempotency_key);
CREATE INDEX lifecycle_to_review ON services.lifecycle (updated_at, service_id)
WHERE status = 'submitted';
COMMENT ON TABLE services.lifecycle IS 'The version of each service that its institution works at. Services are never removed, so that positions within an institution have no gaps.';
COMMENT ON COLUMN services.lifecycle.data IS 'All that the institution says of the service, as services/payload.py has it.';
COMMENT ON COLUMN services.lifecycle.waits IS 'Approved, and not yet in the place of the version that is published.';
COMMENT ON COLUMN services.lifecycle.version IS 'Grows with each change: the ETag, and what a reviewer decided on.';

CREATE TABLE services.history (
    service_id text COLLATE "C" NOT NULL REFERENCES services.service,
    number integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('lifecycle', 'publication')),
    value text NOT NULL,
    reason text,
    data jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (service_id, number)
);
COMMENT ON TABLE services.history IS 'What became of each service, in order.';

-- What is there now: the draft of a draft is what it is, and so is that of all else.
INSERT INTO services.lifecycle (
    service_id, institution_id, position, status, reason, auto_publish, waits, data, version,
    updated_at
)
SELECT
    s.id, s.institution_id,
    (row_number() OVER (PARTITION BY s.institution_id ORDER BY s.id))::integer - 1,
    CASE s.state WHEN 'draft' THEN 'draft' WHEN 'deleted' THEN 'deleted' ELSE 'approved' END,
    NULL, false, false,
    jsonb_build_object(
        'name', s.name, 'description', s.description, 'department', s.department,
        'require_secure_channel', s.require_secure_channels,
        'authorized_recipients', to_jsonb(s.authorized_recipients),
        'authorized_cidrs', to_jsonb(s.authorized_cidrs),
        'max_allowed_payment_amount', s.max_allowed_payment_amount,
        'metadata', s.metadata
    ),
    1, s.created_at
FROM services.service AS s;

INSERT INTO services.history (service_id, number, kind, value, reason, data, at)
SELECT l.service_id, 1, 'lifecycle', l.status, NULL, l.data, l.updated_at
FROM services.lifecycle AS l;

INSERT INTO services.history (service_id, number, kind, value, reason, data, at)
SELECT
    l.service_id, 2, 'publication',
    CASE s.state WHEN 'published' THEN 'published' ELSE 'unpublished' END,
    NULL, l.data, l.updated_at
FROM services.lifecycle AS l
INNER JOIN services.service AS s ON s.id = l.service_id
WHERE s.state IN ('approved', 'published');

-- squawk-ignore adding-foreign-key-constraint
ALTER TABLE services.key ADD COLUMN group_id text COLLATE "C" REFERENCES services.service_group;
CREATE UNIQUE INDEX key_of_group ON services.key (group_id, slot) WHERE group_id IS NOT NULL;
CREATE UNIQUE INDEX master_key ON services.key (institution_id, slot)
WHERE service_id IS NULL AND group_id IS NULL;
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX services.manage_key;
COMMENT ON TABLE services.key IS 'Looked up by SHA-256; an encrypted copy because the contract gives keys back. No service: a manage key, of a group or of all.';

CREATE TABLE services.logo (
    owner_id text COLLATE "C" PRIMARY KEY,
    png bytea NOT NULL,
    digest bytea NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE services.logo IS 'Logos of services and institutions, by the id of either; drawn anew from what was sent.';

-- people -------------------------------------------------------------------------------------

CREATE SCHEMA people;

CREATE TABLE people.member (
    id text COLLATE "C" PRIMARY KEY,
    institution_id text COLLATE "C" NOT NULL REFERENCES services.institution,
    login text NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'editor', 'sender', 'reader')),
    added_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX member_by_login ON people.member (login, institution_id);
CREATE INDEX member_of_institution ON people.member (institution_id, id);
COMMENT ON TABLE people.member IS 'Who may do what for which institution. The login is what the identity provider calls them.';

CREATE TABLE people.invitation (
    id text COLLATE "C" PRIMARY KEY,
    institution_id text COLLATE "C" NOT NULL REFERENCES services.institution,
    email text NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'editor', 'sender', 'reader')),
    token_digest bytea NOT NULL UNIQUE,
    invited_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX invitation_by_email ON people.invitation (institution_id, lower(email));
COMMENT ON TABLE people.invitation IS 'Open invitations; the token is in the mail and nowhere else. One that is accepted is gone; one that is withdrawn counts for an hour.';

CREATE TABLE people.session (
    digest bytea PRIMARY KEY,
    login text NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX session_of_login ON people.session (login);
CREATE INDEX session_by_expiry ON people.session (expires_at);
COMMENT ON TABLE people.session IS 'Who of the institutions and of the operators is logged in; the token is in their browser and nowhere else.';
