-- Webhooks of institutions and the feed of events: facts get a position, once, and are handed on.

-- Facts wait here only until they are published: a queue is cleaned by count, not by share.
ALTER TABLE events.log SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000
);
COMMENT ON TABLE events.log IS 'Facts about messages that are not published yet, in the bucket of the citizen. The key is the fact itself, so no fact is logged twice.';

CREATE TABLE events.published (
    bucket smallint NOT NULL,
    service_id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    about text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, service_id, position),
    UNIQUE (bucket, service_id, message_id, kind, about)
);
COMMENT ON TABLE events.published IS 'Facts in the order in which readers see them. The bucket is of the service.';
COMMENT ON COLUMN events.published.position IS 'Counts up by one per service; only an erasure leaves gaps.';
COMMENT ON COLUMN events.published.about IS 'The channel of a notice; empty where the kind says it all.';

CREATE TABLE events.counter (
    bucket smallint NOT NULL,
    service_id text COLLATE "C" NOT NULL,
    last bigint NOT NULL,
    PRIMARY KEY (bucket, service_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE events.counter IS 'The last position given to an event of each service.';

CREATE TABLE events.publisher (
    bucket smallint PRIMARY KEY
);
COMMENT ON TABLE events.publisher IS 'Locked by whoever publishes the facts of this bucket: one at a time.';

CREATE TABLE events.webhook (
    id text COLLATE "C" PRIMARY KEY,
    institution_id text COLLATE "C" NOT NULL REFERENCES services.institution,
    service_id text COLLATE "C" NOT NULL REFERENCES services.service,
    url text NOT NULL,
    kinds text [] NOT NULL,
    secrets text NOT NULL,
    state text NOT NULL CHECK (state IN ('on', 'off')),
    created_at timestamptz NOT NULL,
    stopped_at timestamptz,
    stopped_why text CHECK (stopped_why IN ('asked', 'gone', 'failing')),
    idempotency_key text COLLATE "C",
    idempotency_digest bytea,
    CHECK ((state = 'off') = (stopped_at IS NOT NULL)),
    CHECK ((state = 'off') = (stopped_why IS NOT NULL))
);
CREATE INDEX webhook_of_service ON events.webhook (service_id);
CREATE UNIQUE INDEX webhook_repeated ON events.webhook (institution_id, idempotency_key);
COMMENT ON TABLE events.webhook IS 'Where institutions want to be told of events.';
COMMENT ON COLUMN events.webhook.secrets IS 'Encrypted JSON: the signing secrets, newest first, each with the time until which it signs.';

CREATE TABLE events.webhook_cursor (
    bucket smallint NOT NULL,
    webhook_id text COLLATE "C" NOT NULL,
    service_id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    due_at timestamptz NOT NULL,
    failures smallint NOT NULL DEFAULT 0,
    failing_since timestamptz,
    success_at timestamptz,
    failure_at timestamptz,
    last_error text,
    PRIMARY KEY (bucket, webhook_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE events.webhook_cursor IS 'How far each webhook has come. The bucket is of its service.';
COMMENT ON COLUMN events.webhook_cursor.position IS 'The last event that was handed on or stands in webhook_retry.';
COMMENT ON COLUMN events.webhook_cursor.due_at IS 'Looked at from then on: the end of a lease or of a pause; infinity while it is off.';

CREATE TABLE events.webhook_retry (
    bucket smallint NOT NULL,
    webhook_id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    attempts smallint NOT NULL,
    since timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    last_error text,
    dead_at timestamptz,
    replayed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (bucket, webhook_id, position)
);
CREATE INDEX webhook_retry_of_message
ON events.webhook_retry (bucket, webhook_id, message_id, position);
CREATE INDEX webhook_retry_due ON events.webhook_retry (bucket, webhook_id, due_at)
WHERE dead_at IS NULL;
CREATE INDEX webhook_retry_dead ON events.webhook_retry (bucket, webhook_id, position)
WHERE dead_at IS NOT NULL;
CREATE INDEX webhook_retry_age ON events.webhook_retry (bucket, (coalesce(dead_at, since)));
COMMENT ON TABLE events.webhook_retry IS 'Only exceptions: events that a webhook did not take. With dead_at they are not tried any more, until they are replayed.';
COMMENT ON COLUMN events.webhook_retry.since IS 'When it was first put here, or replayed, or when its turn came.';
COMMENT ON COLUMN events.webhook_retry.due_at IS 'Infinity while an earlier event of its message waits.';
COMMENT ON COLUMN events.webhook_retry.replayed IS 'Somebody asked for it, so it is sent even if its kind was taken off.';
