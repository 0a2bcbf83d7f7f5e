-- Remote content: where institutions serve it from, what may be fetched, and keys of devices.

ALTER TABLE content.configuration
ADD COLUMN sealed bytea,
ADD COLUMN changed_at timestamptz,
ADD COLUMN idempotency_key text COLLATE "C",
ADD COLUMN idempotency_digest bytea;
COMMENT ON COLUMN content.configuration.sealed IS 'Encrypted JSON: addresses with their keys and certificates, test users, and how devices prove themselves. NULL only in sandboxes of before.';

CREATE UNIQUE INDEX configuration_repeated
ON content.configuration (institution_id, idempotency_key);

-- Unlogged: after a crash people open their message once more, and nothing else is lost.
CREATE UNLOGGED TABLE content.allowed (
    bucket smallint NOT NULL,
    digest bytea NOT NULL,
    sealed bytea,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, digest)
);
CREATE INDEX allowed_by_age ON content.allowed (bucket, expires_at);
COMMENT ON TABLE content.allowed IS 'Attachments that were announced and may be fetched for a while, and codes that open one once: only hashes, and nothing that came from an institution.';
COMMENT ON COLUMN content.allowed.sealed IS 'For a code, whose attachment it opens; encrypted.';

ALTER TABLE login.session
ADD COLUMN assertion_ref text COLLATE "C",
ADD COLUMN public_key text COLLATE "C";
COMMENT ON COLUMN login.session.public_key IS 'The key with which the client application''s device proves itself, a JWK as it was sent; assertion_ref is its thumbprint.';
