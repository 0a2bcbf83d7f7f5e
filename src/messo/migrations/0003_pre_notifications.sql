-- Notifications: who was told of which message by which channel, the devices of web push, addresses
-- that are switched off, and letters that are no copies of messages.

CREATE SCHEMA notifications;

CREATE TABLE notifications.channel (
    name text COLLATE "C" PRIMARY KEY,
    wire_name text NOT NULL
);
COMMENT ON TABLE notifications.channel IS 'Ways to tell a citizen. The wire name is what senders see in `notification`.';
INSERT INTO notifications.channel (name, wire_name)
VALUES ('web_push', 'webhook'), ('email', 'email');

CREATE TABLE notifications.delivery (
    bucket smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    occasion text COLLATE "C" NOT NULL,
    channel text COLLATE "C" NOT NULL,
    address text COLLATE "C" NOT NULL,
    wording text NOT NULL CHECK (wording IN ('FULL', 'ANONYMOUS')),
    language text NOT NULL CHECK (language IN ('it', 'en')),
    state text NOT NULL
    CHECK (state IN ('QUEUED', 'SENT', 'THROTTLED', 'EXPIRED', 'FAILED', 'STOPPED')),
    state_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, id),
    UNIQUE (bucket, message_id, occasion, channel, address)
)
WITH (fillfactor = 80);
COMMENT ON TABLE notifications.delivery IS 'One notice of one message to one address. Ids are ULIDs, so their order is their age.';
COMMENT ON COLUMN notifications.delivery.address IS 'Stands for the address and is none: a keyed hash, or a device''s id.';
COMMENT ON COLUMN notifications.delivery.state IS 'STOPPED: the citizen changed their mind before it was sent, or another notice found the device gone.';

CREATE TABLE notifications.suppression (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    channel text COLLATE "C" NOT NULL,
    address text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (bucket, fiscal_code, channel, address)
);
COMMENT ON TABLE notifications.suppression IS 'Addresses that do not exist any more, until their citizen says otherwise.';

CREATE TABLE notifications.web_push_device (
    bucket smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    sealed text NOT NULL,
    origin text NOT NULL,
    label text NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    is_logged_out boolean NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, id)
);
CREATE INDEX web_push_device_of_citizen ON notifications.web_push_device (bucket, fiscal_code);
COMMENT ON COLUMN notifications.web_push_device.origin IS 'The push service of the browser''s maker.';
COMMENT ON COLUMN notifications.web_push_device.session_id IS 'The login it was last seen with. Once that is ended by hand, nothing of a message is shown there.';
COMMENT ON TABLE notifications.web_push_device IS 'Browsers that asked to be told. The id is a digest of the endpoint; endpoint and keys are encrypted.';

CREATE TABLE notifications.web_push_key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    sealed text NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE notifications.web_push_key IS 'The key that identifies this installation to push services (VAPID), encrypted. Another one would void every subscription.';

CREATE TABLE notifications.letter (
    bucket smallint NOT NULL,
    id text COLLATE "C" NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    sealed text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, id)
);
CREATE INDEX letter_of_citizen ON notifications.letter (bucket, fiscal_code);
COMMENT ON TABLE notifications.letter IS 'Mails that are no copies of messages, encrypted, until they are sent. No fiscal code: to an institution.';
