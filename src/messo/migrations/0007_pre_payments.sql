-- Payments: what is known of each notice, and which messages carry it. Reminders of them, and of
-- messages that nobody has opened.

CREATE SCHEMA payments;

CREATE TABLE payments.notice (
    bucket smallint NOT NULL,
    payee text COLLATE "C" NOT NULL,
    number text COLLATE "C" NOT NULL,
    state text NOT NULL
    CHECK (state IN ('unpaid', 'in_progress', 'paid', 'expired', 'cancelled', 'unknown')),
    amount bigint,
    due_date date,
    payee_name text,
    reason text,
    source text NOT NULL,
    code text NOT NULL,
    observed_at timestamptz NOT NULL,
    paid_at timestamptz,
    receipt text,
    asked_at timestamptz,
    asked_code text,
    sweep_at timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, payee, number)
)
WITH (fillfactor = 80);
CREATE INDEX notice_to_sweep ON payments.notice (bucket, sweep_at) WHERE sweep_at IS NOT NULL;
COMMENT ON TABLE payments.notice IS 'The ledger: one row for each notice. The bucket is of payee and number; nothing names a citizen.';
COMMENT ON COLUMN payments.notice.amount IS 'Euro cents, as last seen.';
COMMENT ON COLUMN payments.notice.source IS 'Who said so: the message, the payment node, or an event pushed to us. With code and observed_at the evidence for the state.';
COMMENT ON COLUMN payments.notice.asked_at IS 'When the node was last asked, whatever came of it; asked_code is what did.';
COMMENT ON COLUMN payments.notice.sweep_at IS 'When the slow sweep asks again; NULL once nothing can change any more. Of a paid notice that no message carries: when it is forgotten.';

CREATE TABLE payments.carrier (
    bucket smallint NOT NULL,
    payee text COLLATE "C" NOT NULL,
    number text COLLATE "C" NOT NULL,
    recipient smallint NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    message_bucket smallint NOT NULL,
    lane smallint NOT NULL,
    PRIMARY KEY (bucket, payee, number, recipient, message_id)
);
COMMENT ON TABLE payments.carrier IS 'Messages that carry a notice, in the notice''s bucket.';

COMMENT ON COLUMN payments.carrier.recipient IS '15 bits of a hash: of a notice that went to very many people, each one''s messages are found by it.';

CREATE TABLE payments.dead_letter (
    id text COLLATE "C" PRIMARY KEY,
    at timestamptz NOT NULL,
    reason text NOT NULL,
    sealed bytea NOT NULL
);
CREATE INDEX dead_letter_by_age ON payments.dead_letter (at);
COMMENT ON TABLE payments.dead_letter IS 'Payment events that could not be used, encrypted, for operators. The id is a digest, so that the same event is here once.';

CREATE SCHEMA reminders;

CREATE TABLE reminders.schedule (
    kind text COLLATE "C" PRIMARY KEY,
    days smallint [] NOT NULL
);
COMMENT ON TABLE reminders.schedule IS 'On which days: before the due date for "due", after processing for "undated" and "unread".';
INSERT INTO reminders.schedule (kind, days)
VALUES ('due', '{13,10,7,4}'), ('undated', '{3,6,9,12}'), ('unread', '{3,6,9}');

CREATE TABLE reminders.reminder (
    bucket smallint NOT NULL,
    fiscal_code text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    day date NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('due', 'last', 'undated', 'unread')),
    state text NOT NULL CHECK (state IN ('planned', 'handed', 'dropped')),
    due_at timestamptz NOT NULL,
    reason text,
    message_id text COLLATE "C",
    PRIMARY KEY (bucket, fiscal_code, subject, day, kind)
)
WITH (fillfactor = 80);
CREATE INDEX reminder_due ON reminders.reminder (bucket, due_at) WHERE state = 'planned';
CREATE INDEX reminder_by_day ON reminders.reminder (bucket, day);
COMMENT ON TABLE reminders.reminder IS 'One reminder of one citizen about one notice or one unread message, planned or past.';
COMMENT ON COLUMN reminders.reminder.subject IS 'Payee and notice number, or a message''s id.';
COMMENT ON COLUMN reminders.reminder.due_at IS 'When a worker looks at it; its day is Rome''s.';
COMMENT ON COLUMN reminders.reminder.message_id IS 'Of which message it told, once it was handed over.';

ALTER TABLE recipients.profile
ADD COLUMN quiet_from smallint,
ADD COLUMN quiet_until smallint;
COMMENT ON COLUMN recipients.profile.quiet_from IS 'No reminders from this minute of Rome''s day until that of quiet_until, which may be of the next day.';

ALTER TABLE services.service
ADD COLUMN postal_account text COLLATE "C";
COMMENT ON COLUMN services.service.postal_account IS 'The postal account that notices of its institution can be paid to, for postal slips.';
