-- Single sign-on: Messo as an OpenID provider for the institutions' sites.

ALTER TABLE login.session ADD COLUMN authenticated_at timestamptz;
COMMENT ON COLUMN login.session.authenticated_at IS 'When the citizen last proved who they are, where the identity provider said so; else created_at.';

CREATE SCHEMA sso;

CREATE TABLE sso.client (
    id text COLLATE "C" PRIMARY KEY,
    service_id text COLLATE "C" NOT NULL REFERENCES services.service,
    environment text NOT NULL CHECK (environment IN ('live', 'test')),
    redirects jsonb NOT NULL,
    post_logout_redirect_uris text [] NOT NULL,
    auth_method text NOT NULL
    CHECK (auth_method IN ('client_secret_basic', 'client_secret_post', 'private_key_jwt')),
    secret_digest bytea,
    old_secret_digest bytea,
    old_secret_until timestamptz,
    jwks jsonb,
    id_token_alg text NOT NULL CHECK (id_token_alg IN ('RS256', 'ES256')),
    request_protection text NOT NULL
    CHECK (request_protection IN ('pkce_and_nonce', 'pkce_or_nonce', 'none')),
    subject_type text NOT NULL CHECK (subject_type IN ('pairwise', 'fiscal_code')),
    optional_claims text [] NOT NULL,
    level text,
    backchannel_logout_uri text,
    state_missing_at timestamptz,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CHECK ((auth_method = 'private_key_jwt') = (jwks IS NOT NULL)),
    CHECK ((auth_method = 'private_key_jwt') = (secret_digest IS NULL))
);
CREATE INDEX client_of_service ON sso.client (service_id);
COMMENT ON TABLE sso.client IS 'Relying parties: the sites of a service that citizens are signed on to, one live and one for tests.';
COMMENT ON COLUMN sso.client.id IS 'The client_id: the id of the service; with -test at its end for the other.';
COMMENT ON COLUMN sso.client.redirects IS 'A list of {uri, it, en}: where browsers may be sent back to, and how citizens know that place.';
COMMENT ON COLUMN sso.client.old_secret_digest IS 'The secret before the last change, good until old_secret_until.';
COMMENT ON COLUMN sso.client.request_protection IS 'What binds a code to the browser that asked for it. none: as the reference platform has it.';
COMMENT ON COLUMN sso.client.optional_claims IS 'Data that the citizen may refuse and be let in all the same.';
COMMENT ON COLUMN sso.client.state_missing_at IS 'A request came without state; written once a day at most.';

CREATE TABLE sso.signing_key (
    kid text COLLATE "C" PRIMARY KEY,
    alg text NOT NULL CHECK (alg IN ('RS256', 'ES256')),
    encrypted text NOT NULL,
    created_at timestamptz NOT NULL,
    active_at timestamptz NOT NULL,
    retired_at timestamptz
);
COMMENT ON TABLE sso.signing_key IS 'Keys that sign tokens. The one that became active last signs; all that are not retired are published.';

CREATE TABLE sso.access (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    service_id text COLLATE "C" NOT NULL,
    redirect_uri text NOT NULL,
    names jsonb NOT NULL,
    outcome text NOT NULL
    CHECK (outcome IN ('requested', 'granted', 'redeemed', 'refused', 'failed')),
    claims text [] NOT NULL,
    terms text NOT NULL DEFAULT '',
    message_id text COLLATE "C",
    session_id text COLLATE "C" NOT NULL,
    requested_at timestamptz NOT NULL,
    settled_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (bucket, fiscal_code, id)
);
CREATE INDEX access_by_age ON sso.access (bucket, id);
COMMENT ON TABLE sso.access IS 'Every time somebody asked who a citizen is, and what came of it.';
COMMENT ON COLUMN sso.access.names IS '{it, en}: how the citizen knows the place they went to, as it was called then.';
COMMENT ON COLUMN sso.access.claims IS 'What was handed over; before that, what was asked for.';
COMMENT ON COLUMN sso.access.terms IS 'A digest of what the citizen was shown, so that they agree to nothing else.';
COMMENT ON COLUMN sso.access.ended_at IS 'The citizen logged out or took the consent back soon after: code and token are void.';
COMMENT ON COLUMN sso.access.session_id IS 'The session here in which it happened.';

CREATE TABLE sso.consent (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    agreed text [] NOT NULL,
    refused text [] NOT NULL,
    given_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, fiscal_code, client_id)
);
CREATE INDEX consent_by_age ON sso.consent (bucket, expires_at);
COMMENT ON TABLE sso.consent IS 'What citizens want to be remembered for a site, so that a button takes them there without a question.';

CREATE TABLE sso.launch (
    bucket smallint NOT NULL,
    session_digest bytea NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    message_id text COLLATE "C",
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, session_digest, client_id)
);
CREATE INDEX launch_by_age ON sso.launch (bucket, expires_at);
COMMENT ON TABLE sso.launch IS 'Tickets for one login, left by a button that the citizen pressed here. The bucket is of the session''s digest.';

CREATE TABLE sso.code (
    bucket smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    code_digest bytea NOT NULL,
    token_digest bytea,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (bucket, id)
);
CREATE INDEX code_by_age ON sso.code (bucket, created_at);
COMMENT ON TABLE sso.code IS 'A code and the access token it was exchanged for: one row, so that taking one back takes both. The bucket is of its id.';
COMMENT ON COLUMN sso.code.sealed IS 'Encrypted: whose it is, what was agreed to, and what the request must match.';

CREATE TABLE sso.assertion (
    bucket smallint NOT NULL,
    digest bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, digest)
);
CREATE INDEX assertion_by_age ON sso.assertion (bucket, expires_at);
COMMENT ON TABLE sso.assertion IS 'Assertions of clients that were used, so that none is used twice.';

CREATE TABLE sso.logout (
    bucket smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, id)
);
CREATE INDEX logout_by_age ON sso.logout (bucket, created_at);
COMMENT ON TABLE sso.logout IS 'Sites that have to be told that somebody''s login has ended. Sealed: for that site, whose.';
