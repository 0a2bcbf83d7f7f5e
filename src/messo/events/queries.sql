-- name: append_events
-- In the transaction of the fact. A replayed message fails twice: the newer time is not needed.
INSERT INTO events.log (bucket, message_id, kind, about, service_id, at)
SELECT :bucket::smallint, u.message_id, u.kind, u.about, u.service_id, :at::timestamptz
FROM unnest(:message_ids::text[], :kinds::text[], :abouts::text[], :service_ids::text[])
    AS u (message_id, kind, about, service_id)
ON CONFLICT DO NOTHING;

-- name: events_of_message
-- One message's whole life. A fact that was logged again after its publication counts once, with
-- the time that readers of the feed have seen. Two buckets: the citizen's and the service's.
SELECT p.kind, p.about, p.at FROM events.published AS p
WHERE p.bucket = :service_bucket AND p.service_id = :service_id AND p.message_id = :message_id
UNION ALL
SELECT e.kind, e.about, e.at FROM events.log AS e
WHERE e.bucket = :citizen_bucket AND e.message_id = :message_id
  AND NOT EXISTS (
    SELECT FROM events.published AS known
    WHERE known.bucket = :service_bucket AND known.service_id = :service_id
      AND known.message_id = :message_id AND known.kind = e.kind AND known.about = e.about
  )
ORDER BY at, kind;

-- name: forget_events
-- Part of erasing a citizen: nothing of these messages is left.
DELETE FROM events.log AS e
WHERE e.bucket = :bucket AND e.message_id = ANY(:message_ids::text[]);

-- name: forget_published
-- As `forget_events`, in the buckets of the services that sent them.
DELETE FROM events.published AS p
USING unnest(:service_buckets::smallint[], :service_ids::text[], :message_ids::text[])
    AS u (bucket, service_id, message_id)
WHERE p.bucket = u.bucket AND p.service_id = u.service_id AND p.message_id = u.message_id;

-- name: forget_retries
-- What webhooks have not taken of these messages.
DELETE FROM events.webhook_retry AS r
USING unnest(:service_buckets::smallint[], :service_ids::text[], :message_ids::text[])
    AS u (bucket, service_id, message_id)
INNER JOIN events.webhook AS w ON w.service_id = u.service_id
WHERE r.bucket = u.bucket AND r.webhook_id = w.id AND r.message_id = u.message_id;

-- name: any_unpublished
-- The look that is taken most often, and mostly in vain.
SELECT EXISTS (SELECT FROM events.log AS e WHERE e.bucket = :bucket);

-- name: lock_publisher
-- One publisher a bucket: two would read past each other and could part the facts of one message.
SELECT true FROM events.publisher AS p WHERE p.bucket = :bucket FOR UPDATE SKIP LOCKED;

-- name: add_publisher
-- Once in the life of a database.
INSERT INTO events.publisher (bucket) VALUES (:bucket::smallint) ON CONFLICT DO NOTHING;

-- name: take_unpublished
-- With all ties, so that no message's facts are parted, which could turn their order around. By
-- ctid: nobody else takes from here, and a look-up by ctid needs no statistics. What an erasure
-- deletes meanwhile is waited for and left out.
WITH oldest AS (
    SELECT e.ctid FROM events.log AS e
    WHERE e.bucket = :bucket
    ORDER BY e.message_id
    FETCH FIRST (:limit::int) ROWS WITH TIES
)
DELETE FROM events.log AS e
WHERE e.bucket = :bucket AND e.ctid = ANY(ARRAY(SELECT oldest.ctid FROM oldest))
RETURNING e.message_id, e.kind, e.about, e.service_id, e.at;

-- name: find_published
-- Which of these facts have a position already, by their place in the arrays.
SELECT u.place
FROM unnest(
    :buckets::smallint[], :service_ids::text[], :message_ids::text[], :kinds::text[],
    :abouts::text[]
) WITH ORDINALITY AS u (bucket, service_id, message_id, kind, about, place)
INNER JOIN events.published AS p
    ON p.bucket = u.bucket AND p.service_id = u.service_id AND p.message_id = u.message_id
    AND p.kind = u.kind AND p.about = u.about;

-- name: count_up
-- The rows stay locked until the events with these numbers are there to be read.
INSERT INTO events.counter (bucket, service_id, last)
SELECT u.bucket, u.service_id, u.amount
FROM unnest(:buckets::smallint[], :service_ids::text[], :amounts::bigint[])
    AS u (bucket, service_id, amount)
ON CONFLICT (bucket, service_id) DO UPDATE SET last = events.counter.last + excluded.last
RETURNING service_id, last;

-- name: put_published
-- All services of a batch at once.
INSERT INTO events.published (
    bucket, service_id, position, id, message_id, kind, about, at, published_at
)
SELECT
    u.bucket, u.service_id, u.position, u.id, u.message_id, u.kind, u.about, u.at, :now::timestamptz
FROM unnest(
    :buckets::smallint[], :service_ids::text[], :positions::bigint[], :ids::text[],
    :message_ids::text[], :kinds::text[], :abouts::text[], :ats::timestamptz[]
) AS u (bucket, service_id, position, id, message_id, kind, about, at);

-- name: last_position
-- What was committed by then; events up to it are all there.
SELECT c.last FROM events.counter AS c
WHERE c.bucket = :bucket AND c.service_id = :service_id;

-- name: read_events
-- A page in the order of positions, from a stretch of bounded length: kinds may be rare.
SELECT p.position, p.id, p.message_id, p.kind, p.about, p.at, p.published_at
FROM events.published AS p
WHERE p.bucket = :bucket AND p.service_id = :service_id
  AND p.position > :after AND p.position <= :until AND p.kind = ANY(:kinds::text[])
ORDER BY p.position
LIMIT :limit;

-- name: first_since
-- The first position published at that moment or later (one past the last, if none was): positions
-- and times of publication grow together, so halving finds it with a few look-ups and no index more.
WITH RECURSIVE halving AS (
    SELECT 0::bigint AS low, c.last + 1 AS high FROM events.counter AS c
    WHERE c.bucket = :bucket AND c.service_id = :service_id
    UNION ALL
    SELECT
        CASE WHEN t.earlier THEN t.middle ELSE t.low END,
        CASE WHEN t.earlier THEN t.high ELSE t.middle END
    FROM (
        SELECT
            h.low, h.high, (h.low + h.high) / 2 AS middle,
            coalesce((
                SELECT p.published_at FROM events.published AS p
                WHERE p.bucket = :bucket AND p.service_id = :service_id
                  AND p.position >= (h.low + h.high) / 2 AND p.position < h.high
                ORDER BY p.position
                LIMIT 1
            ) < :moment, false) AS earlier
        FROM halving AS h WHERE h.high - h.low > 1
    ) AS t
)
SELECT min(h.high) FROM halving AS h;

-- name: reading_shared
-- Of these messages, those whose citizen lets the sender know now that they were read. The citizen's
-- bucket is not known here: all are asked, for the few events of this kind on a page.
-- reads: messages.message, recipients.profile, recipients.preference
SELECT m.id
FROM messages.message AS m
INNER JOIN recipients.profile AS p
    ON p.bucket = m.bucket AND p.fiscal_code = m.fiscal_code
LEFT JOIN recipients.preference AS f
    ON f.bucket = m.bucket AND f.fiscal_code = m.fiscal_code
    AND f.service_id = m.service_id AND f.settings_version = p.settings_version
WHERE m.bucket = ANY(:buckets::smallint[]) AND m.id = ANY(:ids::text[])
  AND m.feature_level_type = 'ADVANCED'
  AND messages.read_shared(p.mode, f.access_read_message_status);

-- name: lease_webhooks
-- Those with something to do, for the time of a lease: a webhook that is up to date costs no write.
-- Of events that are tried again, only the first of each message counts. Those whose last window
-- failed may hang, so there is a bound for them. A sender that is suspended or deleted waits.
-- reads: services.service, services.institution
WITH open AS (
    SELECT
        c.webhook_id, c.failures > 0 AS failing,
        row_number() OVER (PARTITION BY c.failures > 0 ORDER BY c.due_at) AS number
    FROM events.webhook_cursor AS c
    INNER JOIN services.service AS s ON s.id = c.service_id
    INNER JOIN services.institution AS i ON i.id = s.institution_id
    LEFT JOIN events.counter AS n ON n.bucket = :bucket AND n.service_id = c.service_id
    WHERE c.bucket = :bucket AND c.due_at <= :now
      AND s.state <> 'deleted' AND s.suspended_at IS NULL AND i.suspended_at IS NULL
      AND (n.last > c.position OR EXISTS (
        SELECT FROM events.webhook_retry AS r
        WHERE r.bucket = :bucket AND r.webhook_id = c.webhook_id
          AND r.dead_at IS NULL AND r.due_at <= :now
          AND NOT EXISTS (
            SELECT FROM events.webhook_retry AS earlier
            WHERE earlier.bucket = :bucket AND earlier.webhook_id = r.webhook_id
              AND earlier.message_id = r.message_id AND earlier.position < r.position
              AND earlier.dead_at IS NULL
          )
      ))
),
due AS (
    SELECT c.webhook_id FROM events.webhook_cursor AS c
    INNER JOIN open ON open.webhook_id = c.webhook_id
    WHERE c.bucket = :bucket AND c.due_at <= :now
      AND (NOT open.failing OR open.number <= :most_failing)
    ORDER BY c.due_at
    LIMIT :limit
    FOR UPDATE OF c SKIP LOCKED
)
UPDATE events.webhook_cursor AS c SET due_at = :until
FROM due
WHERE c.bucket = :bucket AND c.webhook_id = due.webhook_id
RETURNING
    c.webhook_id, c.service_id, c.position, c.failures, c.failing_since, c.failure_at;

-- name: read_targets
-- Of those that were leased.
-- reads: services.institution
SELECT
    w.id, w.institution_id, w.url, w.secrets, i.email,
    'ApiMessageReadAdvanced' = ANY(i.permissions) AS reading
FROM events.webhook AS w
INNER JOIN services.institution AS i ON i.id = w.institution_id
WHERE w.id = ANY(:ids::text[]) AND w.state = 'on';

-- name: last_positions
-- As `last_position`, for many: events up to there are all committed.
SELECT c.service_id, c.last FROM events.counter AS c
WHERE c.bucket = :bucket AND c.service_id = ANY(:service_ids::text[]);

-- name: read_windows
-- The next events of each webhook, up to its position and its number.
WITH found AS (
    SELECT
        w.id AS webhook_id, p.service_id, p.position, p.id, p.message_id, p.kind, p.about, p.at,
        p.published_at, u.most, row_number() OVER (PARTITION BY w.id ORDER BY p.position) AS number
    FROM unnest(:ids::text[], :afters::bigint[], :untils::bigint[], :mosts::int[])
        AS u (id, after, until, most)
    INNER JOIN events.webhook AS w ON w.id = u.id
    INNER JOIN events.published AS p
        ON p.bucket = :bucket AND p.service_id = w.service_id
        AND p.position > u.after AND p.position <= u.until AND p.kind = ANY(w.kinds)
)
SELECT
    f.webhook_id, f.service_id, f.position, f.id, f.message_id, f.kind, f.about, f.at,
    f.published_at
FROM found AS f WHERE f.number <= f.most
ORDER BY f.webhook_id, f.position;

-- name: read_due
-- What is tried again: of each message only the earliest that waits. No id: its citizen was erased
-- in the very moment in which it failed, and the row is to go too. Not wanted: its kind was taken
-- off the webhook since, and nobody asked for it by a replay.
WITH heads AS (
    SELECT
        r.webhook_id, r.position, r.attempts, r.since, r.replayed, w.service_id, w.kinds,
        row_number() OVER (PARTITION BY r.webhook_id ORDER BY r.due_at, r.position) AS number
    FROM events.webhook_retry AS r
    INNER JOIN events.webhook AS w ON w.id = r.webhook_id
    WHERE r.bucket = :bucket AND r.webhook_id = ANY(:ids::text[])
      AND r.dead_at IS NULL AND r.due_at <= :now
      AND NOT EXISTS (
        SELECT FROM events.webhook_retry AS earlier
        WHERE earlier.bucket = :bucket AND earlier.webhook_id = r.webhook_id
          AND earlier.message_id = r.message_id AND earlier.position < r.position
          AND earlier.dead_at IS NULL
      )
)
SELECT
    h.webhook_id, h.service_id, h.position, h.attempts, h.since, p.id, p.message_id, p.kind,
    p.about, p.at, p.published_at, h.replayed OR p.kind = ANY(h.kinds) AS wanted
FROM heads AS h
LEFT JOIN events.published AS p
    ON p.bucket = :bucket AND p.service_id = h.service_id AND p.position = h.position
WHERE h.number <= :most
ORDER BY h.webhook_id, h.position;

-- name: find_waiting
-- Of which messages something waits to be tried again: later events stay behind it.
SELECT DISTINCT r.webhook_id, r.message_id
FROM unnest(:ids::text[], :message_ids::text[]) AS u (id, message_id)
INNER JOIN events.webhook_retry AS r
    ON r.bucket = :bucket AND r.webhook_id = u.id AND r.message_id = u.message_id
WHERE r.dead_at IS NULL;

-- name: settle_webhooks
-- The end of the lease tells it apart: what another worker has taken since, or what was switched
-- meanwhile, is left alone.
UPDATE events.webhook_cursor AS c SET
    position = u.position,
    due_at = u.due,
    failures = u.failures,
    failing_since = u.failing_since,
    success_at = CASE WHEN u.succeeded THEN :now ELSE c.success_at END,
    failure_at = CASE WHEN u.error IS NULL THEN c.failure_at ELSE :now END,
    last_error = coalesce(u.error, c.last_error)
FROM unnest(
    :ids::text[], :leases::timestamptz[], :positions::bigint[], :dues::timestamptz[],
    :failures::smallint[], :failing_since::timestamptz[], :succeeded::boolean[], :errors::text[]
) AS u (id, lease, position, due, failures, failing_since, succeeded, error)
WHERE c.bucket = :bucket AND c.webhook_id = u.id AND c.due_at = u.lease
RETURNING c.webhook_id;

-- name: put_retries
-- A row is made for an exception, and changed when it fails again. One behind another of its message
-- is never due before its turn, so that looks for what is due do not meet it.
INSERT INTO events.webhook_retry AS r (
    bucket, webhook_id, position, message_id, attempts, since, due_at, last_error, dead_at
)
SELECT
    :bucket::smallint, u.id, u.position, u.message_id, u.attempts, u.since,
    coalesce(u.due, 'infinity'), u.error, u.dead
FROM unnest(
    :ids::text[], :positions::bigint[], :message_ids::text[], :attempts::smallint[],
    :since::timestamptz[], :dues::timestamptz[], :errors::text[], :dead::timestamptz[]
) AS u (id, position, message_id, attempts, since, due, error, dead)
ON CONFLICT (bucket, webhook_id, position) DO UPDATE SET
    attempts = excluded.attempts, due_at = excluded.due_at, last_error = excluded.last_error,
    dead_at = excluded.dead_at;

-- name: drop_retries
-- Taken in the end, or not to be told any more.
DELETE FROM events.webhook_retry AS r
USING unnest(:ids::text[], :positions::bigint[]) AS u (id, position)
WHERE r.bucket = :bucket AND r.webhook_id = u.id AND r.position = u.position
RETURNING r.webhook_id, r.message_id;

-- name: release_behind
-- Of these messages, the event whose turn it is: what was before it was taken or given up.
UPDATE events.webhook_retry AS r SET due_at = :now, since = :now
FROM unnest(:ids::text[], :message_ids::text[]) AS u (id, message_id)
WHERE r.bucket = :bucket AND r.webhook_id = u.id AND r.message_id = u.message_id
  AND r.dead_at IS NULL AND r.due_at = 'infinity'
  AND NOT EXISTS (
    SELECT FROM events.webhook_retry AS earlier
    WHERE earlier.bucket = :bucket AND earlier.webhook_id = r.webhook_id
      AND earlier.message_id = r.message_id AND earlier.position < r.position
      AND earlier.dead_at IS NULL
  );

-- name: stop_webhooks
-- Switched off by what the address answered, or did not for too long.
UPDATE events.webhook AS w SET state = 'off', stopped_at = :now, stopped_why = u.why
FROM unnest(:ids::text[], :whys::text[]) AS u (id, why)
WHERE w.id = u.id AND w.state = 'on';

-- name: park_cursors
-- Nothing is due while a webhook is off.
UPDATE events.webhook_cursor AS c SET due_at = 'infinity'
WHERE c.bucket = :bucket AND c.webhook_id = ANY(:ids::text[]);

-- name: create_webhook
-- Only for a service of the institution, and up to a number of them for each. Two at the very same
-- moment may make one more, which harms nobody.
-- reads: services.service
INSERT INTO events.webhook (
    id, institution_id, service_id, url, kinds, secrets, state, created_at, idempotency_key,
    idempotency_digest
)
SELECT
    :id, s.institution_id, s.id, :url, :kinds, :secrets, 'on', :now, :idempotency_key,
    :idempotency_digest
FROM services.service AS s
WHERE s.id = :service_id AND s.institution_id = :institution_id AND s.state <> 'deleted'
  AND :most > (SELECT count(*) FROM events.webhook AS w WHERE w.service_id = :service_id)
ON CONFLICT (institution_id, idempotency_key) DO NOTHING;

-- name: create_cursor
-- A new webhook is told of what happens from now on.
INSERT INTO events.webhook_cursor (bucket, webhook_id, service_id, position, due_at)
SELECT :bucket::smallint, :id::text, :service_id::text, coalesce(max(c.last), 0), :now::timestamptz
FROM events.counter AS c WHERE c.bucket = :bucket AND c.service_id = :service_id;

-- name: owned_service
-- One of this institution's services that is not deleted, if that is what it is.
-- reads: services.service
SELECT s.id FROM services.service AS s
WHERE s.id = :service_id AND s.institution_id = :institution_id AND s.state <> 'deleted';

-- name: institution_of
-- Whom a service belongs to, for operators, who name the service only.
-- reads: services.service
SELECT s.institution_id FROM services.service AS s WHERE s.id = :service_id;

-- name: find_repeated
-- What was made under this Idempotency-Key.
SELECT w.id, w.idempotency_digest FROM events.webhook AS w
WHERE w.institution_id = :institution_id AND w.idempotency_key = :idempotency_key;

-- name: list_webhooks
-- Of an institution, or of one of its services; at most some twenty for each service.
SELECT
    w.id, w.institution_id, w.service_id, w.url, w.kinds, w.secrets, w.state, w.created_at,
    w.stopped_at, w.stopped_why
FROM events.webhook AS w
WHERE w.institution_id = :institution_id
  AND (:service_id::text IS NULL OR w.service_id = :service_id)
ORDER BY w.id;

-- name: read_webhook
-- One of this institution's; of anybody's where none is named, for operators.
SELECT
    w.id, w.institution_id, w.service_id, w.url, w.kinds, w.secrets, w.state, w.created_at,
    w.stopped_at, w.stopped_why
FROM events.webhook AS w
WHERE w.id = :id AND (:institution_id::text IS NULL OR w.institution_id = :institution_id);

-- name: lock_cursor
-- Before anything of a webhook is changed: whoever records what was sent holds the cursor first, too.
SELECT true FROM events.webhook_cursor AS c
WHERE c.bucket = :bucket AND c.webhook_id = :id FOR UPDATE;

-- name: lock_webhook
-- Before its secrets are replaced: of two who do so at once, each gets one that works.
SELECT w.secrets FROM events.webhook AS w WHERE w.id = :id FOR UPDATE;

-- name: change_webhook
-- A null leaves what is there. Switched off twice, it keeps the first reason.
UPDATE events.webhook AS w SET
    url = coalesce(:url::text, w.url),
    kinds = coalesce(:kinds::text[], w.kinds),
    state = coalesce(:state::text, w.state),
    stopped_at = CASE
        WHEN :state = 'off' THEN coalesce(w.stopped_at, :now::timestamptz)
        WHEN :state = 'on' THEN NULL
        ELSE w.stopped_at END,
    stopped_why = CASE
        WHEN :state = 'off' THEN coalesce(w.stopped_why, 'asked')
        WHEN :state = 'on' THEN NULL
        ELSE w.stopped_why END
WHERE w.id = :id;

-- name: wake_cursor
-- A fresh start: failures are forgotten, and what is older than the feed keeps is passed over.
UPDATE events.webhook_cursor AS c SET
    due_at = :now, failures = 0, failing_since = NULL, position = greatest(c.position, :floor)
WHERE c.bucket = :bucket AND c.webhook_id = :id;

-- name: put_secrets
-- The whole set at once.
UPDATE events.webhook AS w SET secrets = :secrets WHERE w.id = :id;

-- name: read_health
-- How deliveries of these webhooks go, and what they have not taken.
SELECT
    c.webhook_id, c.failing_since, c.success_at, c.failure_at, c.last_error,
    CASE WHEN c.failures > 0 AND c.due_at < 'infinity' THEN c.due_at END AS next_try_at,
    (
        SELECT count(*) FROM events.webhook_retry AS r
        WHERE r.bucket = :bucket AND r.webhook_id = c.webhook_id AND r.dead_at IS NULL
    ) AS waiting,
    (
        SELECT count(*) FROM events.webhook_retry AS d
        WHERE d.bucket = :bucket AND d.webhook_id = c.webhook_id AND d.dead_at IS NOT NULL
    ) AS dead
FROM events.webhook_cursor AS c
WHERE c.bucket = :bucket AND c.webhook_id = ANY(:ids::text[]);

-- name: delete_cursor
-- First: the lock waits for a worker that is just recording what it sent.
DELETE FROM events.webhook_cursor AS c WHERE c.bucket = :bucket AND c.webhook_id = :id;

-- name: delete_retries
-- Nothing of a deleted webhook is tried again.
DELETE FROM events.webhook_retry AS r WHERE r.bucket = :bucket AND r.webhook_id = :id;

-- name: delete_webhook
-- Its Idempotency-Key goes with it.
DELETE FROM events.webhook AS w WHERE w.id = :id;

-- name: list_dead
-- Given up, in the order of positions.
SELECT
    r.position, r.attempts, r.last_error, r.dead_at, p.id, p.message_id, p.kind, p.about, p.at
FROM events.webhook_retry AS r
INNER JOIN events.published AS p
    ON p.bucket = :bucket AND p.service_id = :service_id AND p.position = r.position
WHERE r.bucket = :bucket AND r.webhook_id = :id AND r.dead_at IS NOT NULL AND r.position > :after
ORDER BY r.position
LIMIT :limit;

-- name: find_event
-- By its id, among those published within minutes of the time that stands in the id.
SELECT p.position FROM events.published AS p
WHERE p.bucket = :bucket AND p.service_id = :service_id
  AND p.position >= :first AND p.position < :end AND p.id = :event_id;

-- name: find_replayable
-- Only what the webhook has passed: the rest comes by itself.
SELECT p.position, p.message_id, p.kind, p.published_at
FROM events.webhook_cursor AS c
INNER JOIN events.published AS p
    ON p.bucket = :bucket AND p.service_id = c.service_id
    AND p.position >= :first AND p.position < :end AND p.position <= c.position
    AND p.kind = ANY(:kinds::text[])
WHERE c.bucket = :bucket AND c.webhook_id = :id
ORDER BY p.position
LIMIT :limit;

-- name: replay_events
-- As if they had never been tried; of each message the first at once, the others in their turn.
WITH wanted AS (
    SELECT
        u.position, u.message_id,
        row_number() OVER (PARTITION BY u.message_id ORDER BY u.position) AS number
    FROM unnest(:positions::bigint[], :message_ids::text[]) AS u (position, message_id)
)
INSERT INTO events.webhook_retry AS r (
    bucket, webhook_id, position, message_id, attempts, since, due_at, replayed
)
SELECT
    :bucket::smallint, :id::text, w.position, w.message_id, 0, :now::timestamptz,
    CASE WHEN w.number = 1 AND NOT EXISTS (
        SELECT FROM events.webhook_retry AS earlier
        WHERE earlier.bucket = :bucket AND earlier.webhook_id = :id
          AND earlier.message_id = w.message_id AND earlier.position < w.position
          AND earlier.dead_at IS NULL
    ) THEN :now::timestamptz ELSE 'infinity' END,
    true
FROM wanted AS w
ON CONFLICT (bucket, webhook_id, position) DO UPDATE SET
    attempts = 0, since = excluded.since, due_at = excluded.due_at, dead_at = NULL,
    replayed = true;

-- name: may_learn_reading
-- Whether an institution may be told that messages were read.
-- reads: services.institution
SELECT 'ApiMessageReadAdvanced' = ANY(i.permissions) FROM services.institution AS i
WHERE i.id = :institution_id;

-- name: forget_retries_before
-- Dead letters, and events whose turn never came, since the one before them vanished with an erased
-- citizen. A bounded number; what somebody is just changing is left for the next time.
DELETE FROM events.webhook_retry AS r
WHERE r.bucket = :bucket AND r.ctid = ANY(ARRAY(
    SELECT old.ctid FROM events.webhook_retry AS old
    WHERE old.bucket = :bucket AND coalesce(old.dead_at, old.since) < :before
      AND (old.dead_at IS NOT NULL OR old.due_at = 'infinity')
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
));

-- name: readings_shared_now
-- As `reading_shared`, where the citizens' bucket is known.
-- reads: messages.message, recipients.profile, recipients.preference
SELECT m.id
FROM messages.message AS m
INNER JOIN recipients.profile AS p
    ON p.bucket = :bucket AND p.fiscal_code = m.fiscal_code
LEFT JOIN recipients.preference AS f
    ON f.bucket = :bucket AND f.fiscal_code = m.fiscal_code
    AND f.service_id = m.service_id AND f.settings_version = p.settings_version
WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[])
  AND m.feature_level_type = 'ADVANCED'
  AND messages.read_shared(p.mode, f.access_read_message_status);

-- name: reasons_of_rejection
-- Why these were rejected: the fact itself does not say.
-- reads: messages.message
SELECT m.id, m.rejection_reason FROM messages.message AS m
WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]) AND m.rejection_reason IS NOT NULL;

-- name: count_figures
-- After `count_up`, whose rows let one publisher at a time through for each service.
INSERT INTO events.figure AS f (bucket, service_id, day, kind, about, number)
SELECT u.bucket, u.service_id, u.day, u.kind, u.about, u.number
FROM unnest(
    :buckets::smallint[], :service_ids::text[], :days::date[], :kinds::text[], :abouts::text[],
    :numbers::bigint[]
) AS u (bucket, service_id, day, kind, about, number)
ON CONFLICT (bucket, service_id, day, kind, about)
DO UPDATE SET number = f.number + excluded.number;

-- name: figures_per_day
-- One stretch of the primary key for each service.
SELECT f.day, f.kind, f.about, sum(f.number)::bigint AS number
FROM unnest(:buckets::smallint[], :service_ids::text[]) AS u (bucket, service_id)
INNER JOIN events.figure AS f
    ON f.bucket = u.bucket AND f.service_id = u.service_id
    AND f.day BETWEEN :since AND :until
GROUP BY f.day, f.kind, f.about
ORDER BY f.day, f.kind, f.about;

-- name: figures_of_day
-- All services together.
SELECT f.kind, sum(f.number)::bigint AS number FROM events.figure AS f
WHERE f.bucket = ANY(:buckets::smallint[]) AND f.day = :day
GROUP BY f.kind;

-- name: forget_figures_before
-- A bounded number. No publisher counts for a day so long ago.
DELETE FROM events.figure AS f
WHERE f.bucket = :bucket AND f.ctid = ANY(ARRAY(
    SELECT old.ctid FROM events.figure AS old
    WHERE old.bucket = :bucket AND old.day < :before
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
));

-- name: ill_webhooks
-- How many of an institution's webhooks do not deliver although nobody switched them off.
SELECT
    count(*) FILTER (WHERE w.state = 'off' AND w.stopped_why <> 'asked') AS stopped,
    count(*) FILTER (WHERE w.state = 'on' AND c.failing_since IS NOT NULL) AS failing
FROM events.webhook AS w
LEFT JOIN events.webhook_cursor AS c
    ON c.webhook_id = w.id AND c.bucket = ANY(:buckets::smallint[])
WHERE w.institution_id = :institution_id;

-- name: dead_totals
-- For operators: webhooks with dead letters, page by page. Each has its own in one place of an index;
-- the one that stands first there is the oldest, or next to it.
-- reads: services.service, services.institution
WITH page AS (
    SELECT c.bucket, c.webhook_id FROM events.webhook_cursor AS c
    WHERE c.bucket = ANY(:buckets::smallint[]) AND c.webhook_id > :after AND EXISTS (
        SELECT FROM events.webhook_retry AS d
        WHERE d.bucket = c.bucket AND d.webhook_id = c.webhook_id AND d.dead_at IS NOT NULL
    )
    ORDER BY c.webhook_id
    LIMIT :limit
)
SELECT
    w.id AS webhook_id, w.url, w.state, w.stopped_why, w.service_id,
    coalesce(s.name, '') AS service_name, coalesce(i.id, '') AS institution_id,
    coalesce(i.name, '') AS institution_name,
    (
        SELECT count(*) FROM (
            SELECT FROM events.webhook_retry AS d
            WHERE d.bucket = page.bucket AND d.webhook_id = page.webhook_id
              AND d.dead_at IS NOT NULL
            LIMIT :most
        ) AS few
    ) AS letters,
    oldest.dead_at AS oldest_at, coalesce(newest.last_error, '') AS last_error
FROM page
INNER JOIN events.webhook AS w ON w.id = page.webhook_id
INNER JOIN events.webhook_retry AS oldest
    ON oldest.bucket = page.bucket AND oldest.webhook_id = page.webhook_id
    AND oldest.position = (
        SELECT d.position FROM events.webhook_retry AS d
        WHERE d.bucket = page.bucket AND d.webhook_id = page.webhook_id AND d.dead_at IS NOT NULL
        ORDER BY d.position
        LIMIT 1
    )
INNER JOIN events.webhook_retry AS newest
    ON newest.bucket = page.bucket AND newest.webhook_id = page.webhook_id
    AND newest.position = (
        SELECT d.position FROM events.webhook_retry AS d
        WHERE d.bucket = page.bucket AND d.webhook_id = page.webhook_id AND d.dead_at IS NOT NULL
        ORDER BY d.position DESC
        LIMIT 1
    )
LEFT JOIN services.service AS s ON s.id = w.service_id
LEFT JOIN services.institution AS i ON i.id = s.institution_id
ORDER BY w.id;

-- name: count_dead
-- No further than somebody wants to know.
SELECT count(*) FROM (
    SELECT FROM events.webhook_retry AS d
    WHERE d.bucket = ANY(:buckets::smallint[]) AND d.dead_at IS NOT NULL
    LIMIT :most
) AS few;

-- name: page_of_webhooks
-- For people: in the order in which they were made, with what their services are called.
-- reads: services.service
SELECT
    w.id, w.service_id, s.name AS service_name, w.url, w.kinds, w.state, w.created_at, w.stopped_why
FROM events.webhook AS w
INNER JOIN services.service AS s ON s.id = w.service_id
WHERE w.institution_id = :institution_id AND w.id > :after
ORDER BY w.id
LIMIT :limit;

-- name: read_healths
-- As `read_health`, of webhooks of several services, and counted no further than somebody wants to
-- know; with how many events each has not come to.
SELECT
    c.webhook_id, c.failing_since, c.success_at, c.failure_at, c.last_error,
    CASE WHEN c.failures > 0 AND c.due_at < 'infinity' THEN c.due_at END AS next_try_at,
    greatest(coalesce(n.last, 0) - c.position, 0) AS behind,
    (
        SELECT count(*) FROM (
            SELECT FROM events.webhook_retry AS r
            WHERE r.bucket = c.bucket AND r.webhook_id = c.webhook_id AND r.dead_at IS NULL
            LIMIT :most
        ) AS counted
    ) AS waiting,
    (
        SELECT count(*) FROM (
            SELECT FROM events.webhook_retry AS d
            WHERE d.bucket = c.bucket AND d.webhook_id = c.webhook_id AND d.dead_at IS NOT NULL
            LIMIT :most
        ) AS counted
    ) AS dead
FROM unnest(:buckets::smallint[], :ids::text[]) AS u (bucket, id)
INNER JOIN events.webhook_cursor AS c ON c.bucket = u.bucket AND c.webhook_id = u.id
LEFT JOIN events.counter AS n ON n.bucket = c.bucket AND n.service_id = c.service_id;

-- name: list_waiting
-- To be tried again, in the order of positions. Without a time: behind another of its message.
SELECT
    r.position, r.attempts, r.since, r.last_error, p.id, p.message_id, p.kind, p.about, p.at,
    CASE WHEN r.due_at < 'infinity' THEN r.due_at END AS due_at
FROM events.webhook_retry AS r
INNER JOIN events.published AS p
    ON p.bucket = :bucket AND p.service_id = :service_id AND p.position = r.position
WHERE r.bucket = :bucket AND r.webhook_id = :id AND r.dead_at IS NULL AND r.position > :after
ORDER BY r.position
LIMIT :limit;

-- name: find_dead
-- Dead letters to be sent again: those that were ticked, or all.
SELECT r.position, r.message_id, p.kind
FROM events.webhook_retry AS r
INNER JOIN events.published AS p
    ON p.bucket = :bucket AND p.service_id = :service_id AND p.position = r.position
WHERE r.bucket = :bucket AND r.webhook_id = :id AND r.dead_at IS NOT NULL
  AND (:positions::bigint[] IS NULL OR r.position = ANY(:positions::bigint[]))
ORDER BY r.position
LIMIT :limit;
