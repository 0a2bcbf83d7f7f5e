-- What the consoles draw: figures of what happened to messages, and how the work goes on.

CREATE TABLE events.figure (
    bucket smallint NOT NULL,
    service_id text COLLATE "C" NOT NULL,
    day date NOT NULL,
    kind text COLLATE "C" NOT NULL,
    about text COLLATE "C" NOT NULL DEFAULT '',
    number bigint NOT NULL,
    PRIMARY KEY (bucket, service_id, day, kind, about)
)
-- Today's rows change with every batch that is published: room for that in their own page.
WITH (fillfactor = 70);
CREATE INDEX figure_by_day ON events.figure (bucket, day);
COMMENT ON TABLE events.figure IS 'How much happened to the messages of each service on each day by Rome''s calendar. The bucket is of the service. Counted with the publication of each fact, from this release on. Numbers only: erasing a citizen leaves them.';
COMMENT ON COLUMN events.figure.kind IS 'One of events/kinds.py. Those read are counted only where the citizen let the sender know at that time.';
COMMENT ON COLUMN events.figure.about IS 'Of those rejected the reason, of those notified the channel; else empty.';

CREATE TABLE operations.sample (
    at timestamptz NOT NULL,
    name text COLLATE "C" NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (at, name)
);
COMMENT ON TABLE operations.sample IS 'How the work stood at each minute, for eight days: depth:<step>, age:<step> in seconds, and total:<kind>, what was counted of the day by then.';

-- The console's list of what a service sent, newest first.
-- While this index is built, no message is accepted or decided: two to three seconds for a million
-- messages. Where that is too long, build it by hand before this migration, which then finds it:
--     CREATE INDEX CONCURRENTLY IF NOT EXISTS message_of_service
--     ON messages.message (bucket, service_id, id);
-- If that breaks off, it leaves an index that is not valid, and that would be found too: drop it
-- (DROP INDEX messages.message_of_service) and begin again.
CREATE INDEX IF NOT EXISTS message_of_service ON messages.message (bucket, service_id, id);

-- The console's audit log: newest first by what was done, by whom and to what, and seal by seal.
CREATE INDEX audit_of_action ON operations.audit (bucket, action, id);
CREATE INDEX audit_of_actor ON operations.audit (bucket, actor, id);
CREATE INDEX audit_of_subject ON operations.audit (bucket, subject, id);
CREATE INDEX audit_of_seal ON operations.audit (bucket, seal, id);

-- When a content was last stopped: one that is not sent any more is not held any more.
ALTER TABLE messages.guard_hold ADD COLUMN last_at timestamptz;
COMMENT ON COLUMN messages.guard_hold.last_at IS 'When a message of this content was last refused; of what is older than this column, unknown.';
