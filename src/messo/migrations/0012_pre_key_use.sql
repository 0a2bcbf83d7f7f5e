-- What the pages for services and keys show: when a key was used last, and who changed a service.

CREATE TABLE services.key_use (
    digest bytea PRIMARY KEY,
    used_at timestamptz NOT NULL
)
-- Rows change once an hour, in place.
WITH (fillfactor = 70);
COMMENT ON TABLE services.key_use IS 'When each key was used last, to the hour; noted by the processes that answer requests, up to half a minute late. By the digest, so that a renewed key begins without.';

ALTER TABLE services.history ADD COLUMN actor text;
COMMENT ON COLUMN services.history.actor IS 'Who did it, as in the audit log; nothing of what is older than this column.';
