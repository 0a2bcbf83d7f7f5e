-- name: add_carriers
-- Which messages carry which notice. Twice is once.
INSERT INTO payments.carrier (bucket, payee, number, recipient, message_id, message_bucket, lane)
SELECT u.bucket, u.payee, u.number, u.recipient, u.message_id, :message_bucket::smallint, u.lane
FROM unnest(
    :buckets::smallint[], :payees::text[], :numbers::text[], :recipients::smallint[],
    :message_ids::text[], :lanes::smallint[]
) AS u (bucket, payee, number, recipient, message_id, lane)
ORDER BY u.bucket, u.payee, u.number, u.recipient, u.message_id
ON CONFLICT DO NOTHING;

-- name: add_notices
-- What a message says stands until the node says otherwise; of two messages the later counts. One
-- that was paid before its message came is known as such, and is kept from now on. Sorted: two
-- transactions never wait in a circle.
INSERT INTO payments.notice AS old (
    bucket, payee, number, state, amount, due_date, source, code, observed_at, sweep_at, created_at
)
SELECT
    u.bucket, u.payee, u.number, 'unknown', u.amount, u.due_date, 'message', '',
    :now::timestamptz, :now::timestamptz, :now::timestamptz
FROM unnest(
    :buckets::smallint[], :payees::text[], :numbers::text[], :amounts::bigint[], :due_dates::date[]
) AS u (bucket, payee, number, amount, due_date)
ORDER BY u.bucket, u.payee, u.number
ON CONFLICT (bucket, payee, number) DO UPDATE SET
    amount = CASE
        WHEN old.source = 'message' THEN excluded.amount
        ELSE coalesce(old.amount, excluded.amount) END,
    due_date = CASE
        WHEN old.source = 'message' THEN coalesce(excluded.due_date, old.due_date)
        ELSE coalesce(old.due_date, excluded.due_date) END,
    sweep_at = CASE WHEN old.state <> 'paid' THEN coalesce(old.sweep_at, excluded.sweep_at) END
RETURNING old.payee, old.number, old.state, old.due_date;

-- name: lock_notices
-- Before deciding, of one bucket. Sorted, which an update of several rows would not keep to: two
-- transactions never wait in a circle.
SELECT
    n.payee, n.number, n.state, n.amount, n.due_date, n.payee_name, n.reason, n.source, n.code,
    n.observed_at, n.paid_at, n.receipt, n.asked_at, n.asked_code, n.created_at
FROM payments.notice AS n
INNER JOIN unnest(:payees::text[], :numbers::text[]) AS u (payee, number)
    ON n.payee = u.payee AND n.number = u.number
WHERE n.bucket = :bucket
ORDER BY n.payee, n.number
FOR UPDATE OF n;

-- name: lock_or_add_notices
-- The same for payments that we are told of: one may come before the message with its notice.
-- Until a message comes for it, nobody asks.
INSERT INTO payments.notice AS old (
    bucket, payee, number, state, source, code, observed_at, created_at
)
SELECT
    u.bucket, u.payee, u.number, 'unknown', 'event', '', :now::timestamptz, :now::timestamptz
FROM unnest(:buckets::smallint[], :payees::text[], :numbers::text[]) AS u (bucket, payee, number)
ORDER BY u.bucket, u.payee, u.number
ON CONFLICT (bucket, payee, number) DO UPDATE SET created_at = old.created_at
RETURNING
    old.payee, old.number, old.state, old.amount, old.due_date, old.payee_name, old.reason,
    old.source, old.code, old.observed_at, old.paid_at, old.receipt, old.asked_at, old.asked_code,
    old.created_at;

-- name: write_notices
-- Every column at once, under the lock: what is stored is what was decided. When a payment that no
-- message carries is forgotten stays as it was.
UPDATE payments.notice AS n SET
    state = u.state, amount = u.amount, due_date = u.due_date, payee_name = u.payee_name,
    reason = u.reason, source = u.source, code = u.code, observed_at = u.observed_at,
    paid_at = u.paid_at, receipt = u.receipt, asked_at = u.asked_at, asked_code = u.asked_code,
    sweep_at = CASE WHEN n.state = 'paid' THEN n.sweep_at ELSE u.sweep_at END
FROM unnest(
    :buckets::smallint[], :payees::text[], :numbers::text[], :states::text[], :amounts::bigint[],
    :due_dates::date[], :payee_names::text[], :reasons::text[], :sources::text[], :codes::text[],
    :observed::timestamptz[], :paid::timestamptz[], :receipts::text[], :asked::timestamptz[],
    :asked_codes::text[], :sweeps::timestamptz[]
) AS u (
    bucket, payee, number, state, amount, due_date, payee_name, reason, source, code, observed_at,
    paid_at, receipt, asked_at, asked_code, sweep_at
)
WHERE n.bucket = u.bucket AND n.payee = u.payee AND n.number = u.number;

-- name: set_sweeps
-- Of paid notices that no message carries: when they are forgotten.
UPDATE payments.notice AS n SET sweep_at = u.sweep_at
FROM unnest(
    :buckets::smallint[], :payees::text[], :numbers::text[], :sweeps::timestamptz[]
) AS u (bucket, payee, number, sweep_at)
WHERE n.bucket = u.bucket AND n.payee = u.payee AND n.number = u.number;

-- name: read_notices
-- Of any bucket, by primary key.
SELECT
    n.payee, n.number, n.state, n.amount, n.due_date, n.payee_name, n.reason, n.source, n.code,
    n.observed_at, n.paid_at, n.receipt, n.asked_at, n.asked_code, n.created_at
FROM unnest(:buckets::smallint[], :payees::text[], :numbers::text[]) AS u (bucket, payee, number)
INNER JOIN payments.notice AS n
    ON n.bucket = u.bucket AND n.payee = u.payee AND n.number = u.number;

-- name: carriers_of
-- Whose senders are told, and whose reminders are planned anew.
SELECT c.payee, c.number, c.message_id, c.message_bucket, c.lane
FROM unnest(:buckets::smallint[], :payees::text[], :numbers::text[]) AS u (bucket, payee, number)
INNER JOIN payments.carrier AS c
    ON c.bucket = u.bucket AND c.payee = u.payee AND c.number = u.number;

-- name: notices_of_messages
-- What messages in the inbox say of their notices. Locked, so that an erasure under way is waited
-- for.
-- reads: messages.message, messages.content, messages.sender
SELECT
    m.id, m.fiscal_code, m.service_id,
    coalesce(c.parts #>> '{payment_data,payee,fiscal_code}', s.organization_fiscal_code) AS payee,
    c.parts #>> '{payment_data,notice_number}' AS number,
    (c.parts #>> '{payment_data,amount}')::bigint AS amount,
    (c.parts ->> 'due_date')::timestamptz AS due_at
FROM messages.message AS m
INNER JOIN messages.content AS c ON c.bucket = :bucket AND c.id = m.id
INNER JOIN messages.sender AS s ON s.id = m.sender_id
WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]) AND m.status = 'PROCESSED'
  AND c.parts ? 'payment_data'
ORDER BY m.id
FOR KEY SHARE OF m;

-- name: services_of_messages
-- Whom to tell that a notice was paid. Locked, so that an erasure under way is waited for.
-- reads: messages.message
SELECT m.id, m.service_id FROM messages.message AS m
WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]) AND m.status = 'PROCESSED'
ORDER BY m.id
FOR KEY SHARE OF m;

-- name: take_to_sweep
-- Whose turn it is to be asked again, those that wait longest first. Put off at once, so that an
-- answer that is lost is no reason to ask again and again.
WITH due AS MATERIALIZED (
    SELECT n.payee, n.number FROM payments.notice AS n
    WHERE n.bucket = :bucket AND n.sweep_at <= :now AND n.state <> 'paid'
    ORDER BY n.sweep_at
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
)
UPDATE payments.notice AS n SET sweep_at = :later
FROM due
WHERE n.bucket = :bucket AND n.payee = due.payee AND n.number = due.number
RETURNING n.payee, n.number;

-- name: forget_unclaimed
-- Payments for which no message came. Bounded, as every delete that keeps house.
DELETE FROM payments.notice AS n
USING (
    SELECT o.payee, o.number FROM payments.notice AS o
    WHERE o.bucket = :bucket AND o.sweep_at <= :now AND o.state = 'paid'
    ORDER BY o.payee, o.number
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
) AS old
WHERE n.bucket = :bucket AND n.payee = old.payee AND n.number = old.number;

-- name: notices_of_citizen
-- Before erasing: which notices the citizen's messages carry. An erasure locks the messages first.
-- reads: messages.message, messages.content, messages.sender
SELECT
    m.id,
    coalesce(c.parts #>> '{payment_data,payee,fiscal_code}', s.organization_fiscal_code) AS payee,
    c.parts #>> '{payment_data,notice_number}' AS number
FROM messages.message AS m
INNER JOIN messages.content AS c ON c.bucket = :bucket AND c.id = m.id
INNER JOIN messages.sender AS s ON s.id = m.sender_id
WHERE m.bucket = :bucket AND m.fiscal_code = :fiscal_code AND m.created_at < :before
  AND c.parts ? 'payment_data'
ORDER BY m.id
FOR UPDATE OF m;

-- name: drop_carriers
-- Part of erasing a citizen.
DELETE FROM payments.carrier AS c
USING unnest(:buckets::smallint[], :payees::text[], :numbers::text[], :message_ids::text[])
    AS u (bucket, payee, number, message_id)
WHERE c.bucket = u.bucket AND c.payee = u.payee AND c.number = u.number
  AND c.recipient = :recipient AND c.message_id = u.message_id;

-- name: drop_uncarried
-- Part of erasing a citizen: what the creditor wrote about a notice that nobody else has.
DELETE FROM payments.notice AS n
USING unnest(:buckets::smallint[], :payees::text[], :numbers::text[]) AS u (bucket, payee, number)
WHERE n.bucket = u.bucket AND n.payee = u.payee AND n.number = u.number AND n.state <> 'paid'
  AND NOT EXISTS (
      SELECT FROM payments.carrier AS c
      WHERE c.bucket = n.bucket AND c.payee = n.payee AND c.number = n.number
  );

-- name: blank_uncarried
-- That it was paid stays for a while: another citizen's message may be about to bring the notice.
UPDATE payments.notice AS n SET payee_name = NULL, reason = NULL, sweep_at = :sweep_at
FROM unnest(:buckets::smallint[], :payees::text[], :numbers::text[]) AS u (bucket, payee, number)
WHERE n.bucket = u.bucket AND n.payee = u.payee AND n.number = u.number AND n.state = 'paid'
  AND NOT EXISTS (
      SELECT FROM payments.carrier AS c
      WHERE c.bucket = n.bucket AND c.payee = n.payee AND c.number = n.number
  );

-- name: carried_of
-- Which of these some message carries.
SELECT u.payee, u.number
FROM unnest(:buckets::smallint[], :payees::text[], :numbers::text[]) AS u (bucket, payee, number)
WHERE EXISTS (
    SELECT FROM payments.carrier AS c
    WHERE c.bucket = u.bucket AND c.payee = u.payee AND c.number = u.number
);

-- name: add_dead_letters
-- The same event sent again is here once.
INSERT INTO payments.dead_letter (id, at, reason, sealed)
SELECT u.id, :now::timestamptz, u.reason, u.sealed
FROM unnest(:ids::text[], :reasons::text[], :sealed::bytea[]) AS u (id, reason, sealed)
ORDER BY u.id
ON CONFLICT DO NOTHING;

-- name: list_dead_letters
-- For operators, the newest first, below a place in this order. No place: from the newest.
SELECT d.id, d.at, d.reason FROM payments.dead_letter AS d
WHERE (d.at, d.id) < (coalesce(:before_at::timestamptz, 'infinity'), :before_id::text)
ORDER BY d.at DESC, d.id DESC
LIMIT :limit;

-- name: read_dead_letter
-- For an operator who looks at one.
SELECT d.sealed FROM payments.dead_letter AS d WHERE d.id = :id;

-- name: forget_dead_letters
-- Bounded, as every delete that keeps house.
DELETE FROM payments.dead_letter AS d
USING (SELECT o.id FROM payments.dead_letter AS o WHERE o.at < :before LIMIT :limit) AS old
WHERE d.id = old.id;

-- name: postal_account
-- Of the service that wrote, if it has registered one, and of whose institution.
-- reads: services.service, services.institution
SELECT s.postal_account, i.fiscal_code AS payee
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE s.id = :id AND s.postal_account IS NOT NULL;

-- name: count_dead_letters
-- No further than somebody wants to know.
SELECT count(*) FROM (SELECT FROM payments.dead_letter AS d LIMIT :most) AS few;

-- name: hold_dead_letters
-- To be tried again. What another is trying is left to them.
SELECT d.id, d.sealed FROM payments.dead_letter AS d
WHERE d.id = ANY(:ids::text[])
ORDER BY d.id
FOR UPDATE SKIP LOCKED;

-- name: drop_dead_letters
-- Those that could be used in the end.
DELETE FROM payments.dead_letter AS d WHERE d.id = ANY(:ids::text[]);
