-- name: queue_items
-- In the caller's transaction, so that a fact and its follow-up work exist together or not at all.
-- The same item at the same moment is the same work.
INSERT INTO work.item (bucket, step, due_at, reference, lane)
SELECT :bucket::smallint, :step::text, :due::timestamptz, u.reference, u.lane
FROM unnest(:references::text[], :lanes::smallint[]) AS u (reference, lane)
ON CONFLICT DO NOTHING;

-- name: queue_across
-- The same for items of several buckets: what follows from a fact that belongs to nobody's bucket alone.
INSERT INTO work.item (bucket, step, due_at, reference, lane)
SELECT u.bucket, :step::text, :due::timestamptz, u.reference, u.lane
FROM unnest(:buckets::smallint[], :references::text[], :lanes::smallint[])
    AS u (bucket, reference, lane)
ON CONFLICT DO NOTHING;

-- name: claim_items
-- Most in order of age, a share from one lane whose turn it is: a sender with a few messages does not
-- wait behind another's million. Claiming deletes; a rollback brings the items back. The rows are
-- locked, so their ctid holds, and a look-up by ctid needs no statistics: a join would, and costs
-- seconds on a queue that has just filled.
WITH oldest AS (
    SELECT i.ctid FROM work.item AS i
    WHERE i.bucket = :bucket AND i.step = :step AND i.due_at <= :now
    ORDER BY i.due_at, i.reference
    LIMIT :limit::int - :share::int
    FOR UPDATE SKIP LOCKED
), turn AS (
    SELECT i.ctid FROM work.item AS i
    WHERE i.bucket = :bucket AND i.step = :step AND i.lane = :lane AND i.due_at <= :now
    ORDER BY i.due_at
    LIMIT :share::int
    FOR UPDATE SKIP LOCKED
)
DELETE FROM work.item AS i
WHERE i.bucket = :bucket AND i.ctid = ANY(
    ARRAY(SELECT oldest.ctid FROM oldest UNION SELECT turn.ctid FROM turn)
)
RETURNING i.reference;

-- name: lease_items
-- As `claim_items`, for what is sent outside: the item stays, and is due again when the lease ends.
-- Leased items move to the back of the queue, so that nobody reads over them. The same wish queued
-- twice is one.
WITH oldest AS (
    SELECT i.ctid FROM work.item AS i
    WHERE i.bucket = :bucket AND i.step = :step AND i.due_at <= :now
    ORDER BY i.due_at, i.reference
    LIMIT :limit::int - :share::int
    FOR UPDATE SKIP LOCKED
), turn AS (
    SELECT i.ctid FROM work.item AS i
    WHERE i.bucket = :bucket AND i.step = :step AND i.lane = :lane AND i.due_at <= :now
    ORDER BY i.due_at
    LIMIT :share::int
    FOR UPDATE SKIP LOCKED
), chosen AS MATERIALIZED (
    SELECT
        i.ctid AS place,
        row_number() OVER (PARTITION BY i.reference ORDER BY i.due_at DESC) AS n
    FROM work.item AS i
    WHERE i.bucket = :bucket AND i.ctid = ANY(
        ARRAY(SELECT oldest.ctid FROM oldest UNION SELECT turn.ctid FROM turn)
    )
), doubled AS (
    DELETE FROM work.item AS d
    WHERE d.bucket = :bucket
      AND d.ctid = ANY(ARRAY(SELECT chosen.place FROM chosen WHERE chosen.n > 1))
)
UPDATE work.item AS i SET due_at = :until
WHERE i.bucket = :bucket
  AND i.ctid = ANY(ARRAY(SELECT chosen.place FROM chosen WHERE chosen.n = 1))
RETURNING i.reference, i.attempts;

-- name: drop_leased
-- Done with. The time the lease ends is part of the key: another worker's lease is not touched.
DELETE FROM work.item AS i
USING unnest(:references::text[], :leases::timestamptz[]) AS u (reference, lease)
WHERE i.bucket = :bucket AND i.step = :step AND i.due_at = u.lease AND i.reference = u.reference;

-- name: postpone_leased
-- To be tried again.
UPDATE work.item AS i SET due_at = u.due, attempts = u.attempts
FROM unnest(
    :references::text[], :leases::timestamptz[], :dues::timestamptz[], :attempts::smallint[]
) AS u (reference, lease, due, attempts)
WHERE i.bucket = :bucket AND i.step = :step AND i.due_at = u.lease AND i.reference = u.reference;

-- name: claim_these
-- After a failed batch, its halves: the same items again, minus those another worker has taken.
WITH claimed AS (
    SELECT i.ctid FROM work.item AS i
    WHERE i.bucket = :bucket AND i.step = :step AND i.reference = ANY(:references::text[])
    FOR UPDATE SKIP LOCKED
)
DELETE FROM work.item AS i
WHERE i.bucket = :bucket AND i.ctid = ANY(ARRAY(SELECT claimed.ctid FROM claimed))
RETURNING i.reference;

-- name: lock_item
-- One item that failed alone, held while its step is told.
SELECT i.attempts, i.due_at FROM work.item AS i
WHERE i.bucket = :bucket AND i.step = :step AND i.reference = :reference
ORDER BY i.due_at
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- name: drop_doubles
-- The same wish queued again: it fails as that one did, and two could not be put off to one moment.
DELETE FROM work.item AS i
WHERE i.bucket = :bucket AND i.step = :step AND i.reference = :reference AND i.due_at <> :kept;

-- name: postpone_item
-- Later, and each time later still.
UPDATE work.item AS i SET attempts = :attempts, due_at = :due
WHERE i.bucket = :bucket AND i.step = :step AND i.reference = :reference;

-- name: drop_item
-- Given up: the step has recorded the failure where operators see it.
DELETE FROM work.item AS i
WHERE i.bucket = :bucket AND i.step = :step AND i.reference = :reference;

-- name: take_period
-- The unique key lets one worker through in each period; there is no leader to elect.
INSERT INTO work.period (step, period) VALUES (:step, :period)
ON CONFLICT (step) DO UPDATE SET period = excluded.period
WHERE work.period.period < excluded.period;

-- name: queue_state
-- For operators: how much waits in each step, and since when the oldest.
SELECT i.step, count(*) AS depth, min(i.due_at) AS oldest FROM work.item AS i GROUP BY i.step;

-- name: read_database
-- How this database was created.
SELECT d.buckets FROM base.database AS d;
