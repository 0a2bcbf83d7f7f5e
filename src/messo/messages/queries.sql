-- name: store_senders
-- Once per change of a service, never per message. Sorted: see Accept._write.
INSERT INTO messages.sender (
    id, service_name, organization_name, organization_fiscal_code, department_name,
    require_secure_channels, category, user_email
)
SELECT
    s.id, s.service_name, s.organization_name, s.organization_fiscal_code, s.department_name,
    s.require_secure_channels, s.category, s.user_email
FROM jsonb_to_recordset(:senders::jsonb) AS s (
    id bigint, service_name text, organization_name text, organization_fiscal_code text,
    department_name text, require_secure_channels boolean, category text, user_email text
)
ON CONFLICT DO NOTHING;

-- name: keep_messages
-- Message, content, work item and event: four set inserts in one call, so that accepting is one
-- round trip and, by itself, one transaction.
SELECT messages.keep(
    :bucket, :now, :ids, :fiscal_codes, :service_ids, :sender_ids, :lanes, :subjects, :levels,
    :secure, :ttls, :references, :created, :markdowns, :parts
);

-- name: which_are_kept
-- After a connection was lost while committing: the database knows whether it committed.
SELECT m.id FROM messages.message AS m WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]);

-- name: delete_contents
-- Of rejected messages, in the deciding transaction: the person may not even be enrolled.
DELETE FROM messages.content AS c WHERE c.bucket = :bucket AND c.id = ANY(:ids::text[]);

-- name: claim_idempotency_keys
-- Waits for a concurrent transaction with the same key; whoever loses gets no row back.
INSERT INTO messages.idempotency (
    bucket, service_id, fiscal_code, key, digest, message_id, created_at
)
SELECT
    :bucket::smallint, u.service_id, u.fiscal_code, u.key, u.digest, u.id, :now::timestamptz
FROM unnest(
    :service_ids::text[], :fiscal_codes::text[], :keys::text[], :digests::bytea[], :ids::text[]
) AS u (service_id, fiscal_code, key, digest, id)
ON CONFLICT DO NOTHING
RETURNING message_id;

-- name: find_idempotency_keys
-- What was answered first under these keys.
SELECT i.service_id, i.fiscal_code, i.key, i.digest, i.message_id
FROM messages.idempotency AS i
INNER JOIN unnest(:service_ids::text[], :fiscal_codes::text[], :keys::text[])
    AS u (service_id, fiscal_code, key)
    ON u.service_id = i.service_id AND u.fiscal_code = i.fiscal_code AND u.key = i.key
WHERE i.bucket = :bucket;

-- name: forget_idempotency_keys
-- Bounded, so that no delete holds locks for long.
DELETE FROM messages.idempotency AS i
USING (
    SELECT o.service_id, o.fiscal_code, o.key FROM messages.idempotency AS o
    WHERE o.bucket = :bucket AND o.created_at < :before
    ORDER BY o.created_at
    LIMIT :limit
) AS old
WHERE i.bucket = :bucket AND i.service_id = old.service_id
  AND i.fiscal_code = old.fiscal_code AND i.key = old.key;

-- name: decide_messages
-- The decision, for a whole batch. Only undecided messages: a second run changes nothing.
-- Materialized, so that a planner without statistics (a fresh database) does not turn it around.
-- reads: recipients.profile, recipients.preference, recipients.activation
WITH decided AS MATERIALIZED (
    SELECT
        m.id,
        messages.refusal(
            p.fiscal_code IS NOT NULL,
            p.is_inbox_enabled,
            p.mode,
            p.blocked -> m.service_id ? 'INBOX',
            f.is_inbox_enabled,
            s.category,
            a.status,
            a.updated_at > :fresh_after
        ) AS refusal,
        coalesce(c.parts ? 'payment_data', false) AS has_notice,
        p.reminder_status IS NOT DISTINCT FROM 'ENABLED' AS wants_reminders
    FROM messages.message AS m
    INNER JOIN messages.sender AS s ON s.id = m.sender_id
    LEFT JOIN messages.content AS c ON c.bucket = :bucket AND c.id = m.id
    LEFT JOIN recipients.profile AS p
        ON p.bucket = :bucket AND p.fiscal_code = m.fiscal_code
    LEFT JOIN recipients.preference AS f
        ON f.bucket = :bucket AND f.fiscal_code = m.fiscal_code
        AND f.service_id = m.service_id AND f.settings_version = p.settings_version
    LEFT JOIN recipients.activation AS a
        ON a.bucket = :bucket AND a.fiscal_code = m.fiscal_code AND a.service_id = m.service_id
        AND s.category = 'SPECIAL'
    WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[])
      AND m.status IN ('ACCEPTED', 'THROTTLED')
)
UPDATE messages.message AS m SET
    status = CASE WHEN decided.refusal IS NULL THEN 'PROCESSED' ELSE 'REJECTED' END,
    rejection_reason = decided.refusal,
    subject = CASE WHEN decided.refusal IS NULL THEN m.subject END,
    decided_at = :now
FROM decided
WHERE m.bucket = :bucket AND m.id = decided.id AND m.status IN ('ACCEPTED', 'THROTTLED')
RETURNING
    m.id, m.service_id, m.status, m.created_at, decided.has_notice, decided.wants_reminders;

-- name: any_undecided
-- Only asked when the decision left some out: decided before, or not decidable?
SELECT EXISTS (
    SELECT FROM messages.message AS m
    WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]) AND m.id <> ALL(:decided::text[])
      AND m.status IN ('ACCEPTED', 'THROTTLED')
);

-- name: postpone_message
-- The sender sees THROTTLED while we try; too old, and it is FAILED until an operator replays it.
UPDATE messages.message AS m SET
    status = CASE WHEN m.created_at < :given_up_before THEN 'FAILED' ELSE 'THROTTLED' END
WHERE m.bucket = :bucket AND m.id = :id AND m.status IN ('ACCEPTED', 'THROTTLED')
RETURNING m.status, m.service_id;

-- name: count_failed
-- The partial index holds only such messages.
SELECT count(*) FROM messages.message AS m
WHERE m.bucket = ANY(:buckets::smallint[]) AND m.status = 'FAILED';

-- name: take_failed
-- Back to work; the partial index holds only such messages.
WITH failed AS (
    SELECT m.id FROM messages.message AS m
    WHERE m.bucket = :bucket AND m.status = 'FAILED'
    ORDER BY m.id
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
)
UPDATE messages.message AS m SET status = 'THROTTLED'
FROM failed
WHERE m.bucket = :bucket AND m.id = failed.id
RETURNING m.bucket, m.id, m.service_id;

-- name: page_of_failed
-- For operators, newest first, and nothing of the citizen. Bucket by bucket, so that the index gives
-- each one's newest, however many there are.
-- reads: services.service, services.institution
WITH newest AS (
    SELECT n.bucket, unnest(n.ids) AS id
    FROM (
        SELECT
            b.bucket,
            ARRAY(
                SELECT m.id FROM messages.message AS m
                WHERE m.bucket = b.bucket AND m.status = 'FAILED' AND m.id < :before::text
                ORDER BY m.id DESC
                LIMIT :limit
            ) AS ids
        FROM unnest(:buckets::smallint[]) AS b (bucket)
    ) AS n
    ORDER BY id DESC
    LIMIT :limit
)
SELECT
    newest.id, f.service_id, f.created_at, coalesce(v.name, '') AS service_name,
    coalesce(i.name, '') AS institution_name
FROM newest
INNER JOIN messages.message AS f ON f.bucket = newest.bucket AND f.id = newest.id
LEFT JOIN services.service AS v ON v.id = f.service_id
LEFT JOIN services.institution AS i ON i.id = v.institution_id
ORDER BY newest.id DESC;

-- name: take_these_failed
-- As `take_failed`, of what an operator has chosen. Locked in one order; what is not FAILED any more,
-- or is being replayed by another, is left.
WITH failed AS (
    SELECT m.bucket, m.id FROM messages.message AS m
    WHERE m.bucket = ANY(:buckets::smallint[]) AND m.id = ANY(:ids::text[]) AND m.status = 'FAILED'
    ORDER BY m.bucket, m.id
    FOR UPDATE SKIP LOCKED
)
UPDATE messages.message AS m SET status = 'THROTTLED'
FROM failed
WHERE m.bucket = failed.bucket AND m.id = failed.id
RETURNING m.bucket, m.id, m.service_id;

-- name: read_messages
-- For senders: everything the answer needs, in one go. Content only of what is in the inbox. Of each
-- way to tell the citizen, the best that came of it; one that is still under way, or that they
-- closed, is left out.
-- reads: recipients.profile, recipients.preference, notifications.delivery, notifications.channel
SELECT
    m.id, m.fiscal_code, m.service_id, m.status, m.subject, m.feature_level_type, m.time_to_live,
    m.created_at, m.read_at, c.markdown, c.parts, s.organization_fiscal_code,
    messages.read_shared(p.mode, f.access_read_message_status) AS read_shared,
    (
        SELECT jsonb_object_agg(n.wire_name, n.state) FROM (
            SELECT
                h.wire_name,
                (array_agg(d.state ORDER BY array_position(
                    ARRAY['SENT', 'THROTTLED', 'QUEUED', 'EXPIRED', 'FAILED'], d.state
                )))[1] AS state
            FROM notifications.delivery AS d
            INNER JOIN notifications.channel AS h ON h.name = d.channel
            WHERE d.bucket = :bucket AND d.message_id = m.id AND d.occasion = 'new'
              AND d.state <> 'STOPPED'
            GROUP BY h.wire_name
        ) AS n
        WHERE n.state <> 'QUEUED'
    ) AS notification
FROM messages.message AS m
INNER JOIN messages.sender AS s ON s.id = m.sender_id
LEFT JOIN messages.content AS c
    ON c.bucket = :bucket AND c.id = m.id AND m.status = 'PROCESSED'
LEFT JOIN recipients.profile AS p
    ON p.bucket = :bucket AND p.fiscal_code = m.fiscal_code
    AND m.feature_level_type = 'ADVANCED'
LEFT JOIN recipients.preference AS f
    ON f.bucket = :bucket AND f.fiscal_code = m.fiscal_code
    AND f.service_id = m.service_id AND f.settings_version = p.settings_version
WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]);

-- name: find_message
-- By id alone, over all buckets: for people and scripts, not for the hot path.
SELECT
    m.bucket, m.id, m.status, m.rejection_reason, m.created_at, m.decided_at, m.reference
FROM messages.message AS m
WHERE m.bucket = ANY(:buckets::smallint[]) AND m.id = :id AND m.service_id = :service_id;

-- name: find_by_reference
-- By the sender's own reference; a partial index holds only messages that carry one.
SELECT m.id, m.status, m.created_at, m.reference
FROM messages.message AS m
WHERE m.bucket = ANY(:buckets::smallint[]) AND m.service_id = :service_id
  AND m.reference = :reference
ORDER BY m.id DESC
LIMIT 100;

-- name: check_profiles
-- Whether senders may write, for a whole batch of questions. No row: nobody to write to.
-- reads: recipients.profile, recipients.preference, recipients.activation
SELECT
    u.position, p.preferred_languages,
    messages.refusal(
        true,
        p.is_inbox_enabled,
        p.mode,
        p.blocked -> u.service_id ? 'INBOX',
        f.is_inbox_enabled,
        u.category,
        a.status,
        a.updated_at > :fresh_after
    ) AS refusal
FROM unnest(:fiscal_codes::text[], :service_ids::text[], :categories::text[]) WITH ORDINALITY
    AS u (fiscal_code, service_id, category, position)
INNER JOIN recipients.profile AS p
    ON p.bucket = :bucket AND p.fiscal_code = u.fiscal_code AND p.is_inbox_enabled
LEFT JOIN recipients.preference AS f
    ON f.bucket = :bucket AND f.fiscal_code = u.fiscal_code
    AND f.service_id = u.service_id AND f.settings_version = p.settings_version
LEFT JOIN recipients.activation AS a
    ON a.bucket = :bucket AND a.fiscal_code = u.fiscal_code AND a.service_id = u.service_id;

-- name: record_recipients
-- The latest time wins, so that a day slides. Sorted: two processes never wait in a circle.
INSERT INTO messages.guard_recipient AS old (
    bucket, institution_id, fingerprint, recipient, seen_at
)
SELECT u.bucket, u.institution_id, u.fingerprint, u.recipient, u.seen_at
FROM unnest(
    :buckets::smallint[], :institution_ids::text[], :fingerprints::bigint[],
    :recipients::bigint[], :seen::timestamptz[]
) AS u (bucket, institution_id, fingerprint, recipient, seen_at)
ON CONFLICT (bucket, institution_id, fingerprint, recipient)
DO UPDATE SET seen_at = excluded.seen_at WHERE old.seen_at < excluded.seen_at;

-- name: count_recipients
-- Stops at the threshold: how far beyond does not matter.
SELECT count(*) FROM (
    SELECT 1 FROM messages.guard_recipient AS g
    WHERE g.bucket = :bucket AND g.institution_id = :institution_id
      AND g.fingerprint = :fingerprint AND g.seen_at > :since
    LIMIT :limit
) AS counted;

-- name: hold
-- For the operator's eyes; the count itself is what refuses.
INSERT INTO messages.guard_hold AS old (
    bucket, institution_id, fingerprint, service_id, recipients, held_at, last_at
)
VALUES (:bucket, :institution_id, :fingerprint, :service_id, :recipients, :now, :now)
ON CONFLICT (bucket, institution_id, fingerprint)
DO UPDATE SET recipients = excluded.recipients, last_at = excluded.last_at;

-- name: list_holds
-- What was stopped last first, with names. reads: services.institution, services.service
SELECT
    h.institution_id, i.name, h.service_id, coalesce(v.name, '') AS service_name, h.fingerprint,
    h.recipients, h.held_at, coalesce(h.last_at, h.held_at) AS last_at
FROM messages.guard_hold AS h
INNER JOIN services.institution AS i ON i.id = h.institution_id
LEFT JOIN services.service AS v ON v.id = h.service_id
ORDER BY coalesce(h.last_at, h.held_at) DESC
LIMIT 100;

-- name: list_allowances
-- A handful of rows; every process keeps them in memory.
SELECT a.institution_id, a.until, a.reason, a.allowed_by FROM messages.guard_allowance AS a;

-- name: put_allowance
-- A new one replaces the old one; the audit log keeps both.
INSERT INTO messages.guard_allowance (institution_id, until, reason, allowed_by)
VALUES (:institution_id, :until, :reason, :allowed_by)
ON CONFLICT (institution_id) DO UPDATE SET
    until = excluded.until, reason = excluded.reason, allowed_by = excluded.allowed_by;

-- name: end_allowance
-- Before its time; the audit log keeps it.
DELETE FROM messages.guard_allowance AS a WHERE a.institution_id = :institution_id;

-- name: forget_recipients
-- Older than the window they count for nothing. Bounded, by age.
DELETE FROM messages.guard_recipient AS g
USING (
    SELECT o.institution_id, o.fingerprint, o.recipient FROM messages.guard_recipient AS o
    WHERE o.bucket = :bucket AND o.seen_at < :before
    ORDER BY o.seen_at
    LIMIT :limit
) AS old
WHERE g.bucket = :bucket AND g.institution_id = old.institution_id
  AND g.fingerprint = old.fingerprint AND g.recipient = old.recipient;

-- name: page_of_messages
-- A citizen's messages, newest first: the ids of one page. What narrows the list is looked up for
-- each message in turn until the page is full, and only where it is asked for.
SELECT m.id
FROM messages.message AS m
WHERE m.bucket = :bucket AND m.fiscal_code = :fiscal_code AND m.status = 'PROCESSED'
  AND m.id < :before AND m.id > :after
  AND (:archived::boolean IS NULL OR m.is_archived = :archived)
  AND (NOT :unread::boolean OR m.read_at IS NULL)
  AND (:service_id::text IS NULL OR m.service_id = :service_id)
  AND (:kind::text IS NULL OR EXISTS (
      SELECT FROM messages.content AS c
      WHERE c.bucket = :bucket AND c.id = m.id AND CASE :kind
          WHEN 'payment' THEN c.parts ? 'payment_data'
          WHEN 'due_date' THEN c.parts ? 'due_date'
          WHEN 'attachments' THEN c.parts #>> '{third_party_data,has_attachments}' = 'true'
      END
  ))
  AND (:query::text IS NULL OR EXISTS (
      SELECT FROM messages.words AS w
      WHERE w.bucket = :bucket AND w.fiscal_code = :fiscal_code AND w.id = m.id
        AND w.words @@ (SELECT :query::text::tsquery)
  ))
ORDER BY m.id DESC
LIMIT :limit;

-- name: page_upwards
-- The same, oldest first: what lies next to a cursor on its newer side.
SELECT m.id
FROM messages.message AS m
WHERE m.bucket = :bucket AND m.fiscal_code = :fiscal_code AND m.status = 'PROCESSED'
  AND m.id < :before AND m.id > :after
  AND (:archived::boolean IS NULL OR m.is_archived = :archived)
  AND (NOT :unread::boolean OR m.read_at IS NULL)
  AND (:service_id::text IS NULL OR m.service_id = :service_id)
  AND (:kind::text IS NULL OR EXISTS (
      SELECT FROM messages.content AS c
      WHERE c.bucket = :bucket AND c.id = m.id AND CASE :kind
          WHEN 'payment' THEN c.parts ? 'payment_data'
          WHEN 'due_date' THEN c.parts ? 'due_date'
          WHEN 'attachments' THEN c.parts #>> '{third_party_data,has_attachments}' = 'true'
      END
  ))
  AND (:query::text IS NULL OR EXISTS (
      SELECT FROM messages.words AS w
      WHERE w.bucket = :bucket AND w.fiscal_code = :fiscal_code AND w.id = m.id
        AND w.words @@ (SELECT :query::text::tsquery)
  ))
ORDER BY m.id
LIMIT :limit;

-- name: read_for_citizen
-- All that the citizen may know of these messages of theirs. What a joined table lacks is missing
-- from the answer, never the message; of the body only what is asked for is unpacked.
-- reads: services.service, services.institution
SELECT
    m.id, m.fiscal_code, m.service_id, m.subject, m.created_at, m.time_to_live, m.read_at,
    m.is_archived, m.feature_level_type, m.require_secure_channels, o.reported_at,
    coalesce(s.service_name, v.name) AS service_name,
    coalesce(s.organization_name, i.name) AS organization_name,
    coalesce(s.organization_fiscal_code, i.fiscal_code) AS organization_fiscal_code,
    coalesce(s.department_name, v.department) AS department_name,
    CASE WHEN :whole::boolean THEN c.markdown END AS markdown,
    c.parts
FROM messages.message AS m
LEFT JOIN messages.sender AS s ON s.id = m.sender_id
LEFT JOIN messages.content AS c ON c.bucket = :bucket AND c.id = m.id
LEFT JOIN messages.report AS o ON o.bucket = :bucket AND o.message_id = m.id
LEFT JOIN services.service AS v ON v.id = m.service_id
LEFT JOIN services.institution AS i ON i.id = v.institution_id
WHERE m.bucket = :bucket AND m.fiscal_code = :fiscal_code AND m.status = 'PROCESSED'
  AND m.id = ANY(:ids::text[]);

-- name: mark_messages
-- One atomic write: a flag that is not named stays, and whoever reads first is the one who read.
-- Locked in one order, so that two devices never wait for each other in a circle. `shared`: whether
-- the citizen lets the sender know, of a message for which that can be asked.
-- reads: recipients.profile, recipients.preference
WITH own AS MATERIALIZED (
    SELECT
        m.id, m.is_archived AS was_archived,
        m.feature_level_type = 'ADVANCED'
        AND messages.read_shared(p.mode, f.access_read_message_status) AS shared
    FROM messages.message AS m
    LEFT JOIN recipients.profile AS p
        ON p.bucket = :bucket AND p.fiscal_code = :fiscal_code
    LEFT JOIN recipients.preference AS f
        ON f.bucket = :bucket AND f.fiscal_code = :fiscal_code
        AND f.service_id = m.service_id AND f.settings_version = p.settings_version
    WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]) AND m.fiscal_code = :fiscal_code
      AND m.status = 'PROCESSED'
    ORDER BY m.id
    FOR UPDATE OF m
)
UPDATE messages.message AS m SET
    read_at = CASE WHEN :read::boolean THEN coalesce(m.read_at, :now) ELSE m.read_at END,
    is_archived = coalesce(:archived::boolean, m.is_archived)
FROM own
WHERE m.bucket = :bucket AND m.id = own.id
RETURNING
    m.id, m.service_id, m.is_archived, m.read_at IS NOT NULL AS is_read, own.shared,
    :read AND m.read_at = :now AS just_read, m.is_archived <> own.was_archived AS just_moved;

-- name: count_unread
-- For a badge: more than a hundred need no exact number.
SELECT count(*) FROM (
    SELECT 1 FROM messages.message AS m
    WHERE m.bucket = :bucket AND m.fiscal_code = :fiscal_code AND m.status = 'PROCESSED'
      AND m.read_at IS NULL AND NOT m.is_archived
    LIMIT 100
) AS counted;

-- name: report_message
-- Only one's own message, and once: the first time stays. Locked, so that no report outlives a message
-- that is being erased.
INSERT INTO messages.report (bucket, message_id, service_id, reported_at)
SELECT m.bucket, m.id, m.service_id, :now
FROM messages.message AS m
WHERE m.bucket = :bucket AND m.id = :id AND m.fiscal_code = :fiscal_code
  AND m.status = 'PROCESSED'
FOR KEY SHARE OF m
ON CONFLICT DO NOTHING
RETURNING service_id;

-- name: senders_of
-- Who wrote to this citizen, each under the name of its newest message.
SELECT d.service_id, d.service_name, d.organization_name
FROM (
    SELECT DISTINCT ON (m.service_id) m.service_id, s.service_name, s.organization_name
    FROM messages.message AS m
    INNER JOIN messages.sender AS s ON s.id = m.sender_id
    WHERE m.bucket = :bucket AND m.fiscal_code = :fiscal_code AND m.status = 'PROCESSED'
    ORDER BY m.service_id, m.id DESC
) AS d
ORDER BY d.organization_name, d.service_name, d.service_id
LIMIT 200;

-- name: lock_messages_of
-- Before erasing: whatever decides or reads one of them now is waited for.
SELECT m.id, m.service_id FROM messages.message AS m
WHERE m.bucket = :bucket AND m.fiscal_code = :fiscal_code AND m.created_at < :before
ORDER BY m.id
FOR UPDATE;

-- name: erase_messages
-- Part of erasing a citizen.
DELETE FROM messages.message AS m WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]);

-- name: erase_words
-- Part of erasing a citizen. All of them: one that was indexing at that moment has words of messages
-- that are gone, and what is missing afterwards is indexed again by the next search.
DELETE FROM messages.words AS w WHERE w.bucket = :bucket AND w.fiscal_code = :fiscal_code;

-- name: erase_reports
-- Part of erasing a citizen.
DELETE FROM messages.report AS o WHERE o.bucket = :bucket AND o.message_id = ANY(:ids::text[]);

-- name: erase_idempotency_keys
-- Part of erasing a citizen. By the services that wrote: the key of this table begins with them.
DELETE FROM messages.idempotency AS k
WHERE k.bucket = :bucket AND k.service_id = ANY(:service_ids::text[])
  AND k.fiscal_code = :fiscal_code AND k.created_at < :before;

-- name: make_query
-- Both languages' stems, and the last word as the beginning of one. Text, to be passed on.
SELECT (
    websearch_to_tsquery('italian', :words) || websearch_to_tsquery('english', :words)
    || CASE
        WHEN :start::text = '' THEN ''::tsquery
        ELSE (
            websearch_to_tsquery('italian', :head) || websearch_to_tsquery('english', :head)
        ) && to_tsquery('simple', :start || ':*')
    END
)::text;

-- name: index_messages
-- Messages that nobody has looked for yet, each citizen's newest first. Front matter is for
-- machines. Two that index at once: whoever comes second leaves it as it is. What is missing is a
-- difference of two sets: an anti-join was planned as a merge on the citizen alone, each message
-- against all others.
WITH missing AS MATERIALIZED (
    SELECT m.fiscal_code, m.id FROM messages.message AS m
    WHERE m.bucket = :bucket AND m.fiscal_code = ANY(:fiscal_codes::text[])
      AND m.status = 'PROCESSED'
    EXCEPT
    SELECT w.fiscal_code, w.id FROM messages.words AS w
    WHERE w.bucket = :bucket AND w.fiscal_code = ANY(:fiscal_codes::text[])
    ORDER BY fiscal_code, id DESC
    LIMIT :limit
)
INSERT INTO messages.words (bucket, fiscal_code, id, words)
SELECT
    :bucket, n.fiscal_code, n.id,
    to_tsvector('italian', n.body) || to_tsvector('english', n.body)
FROM (
    SELECT
        missing.fiscal_code, missing.id,
        concat_ws(
            E'\n', s.organization_name, s.service_name, s.department_name, m.subject,
            regexp_replace(
                c.markdown,
                '^\ufeff?---[ \t]*?\r?\n(?=\s*(?:---|#|["'']?[\w-]+["'']?[ \t]*:(?:\s|$)))'
                '(?:.*?\n)??---[ \t]*?(?:\r?\n|$)',
                ''
            )
        ) AS body
    FROM missing
    INNER JOIN messages.message AS m ON m.bucket = :bucket AND m.id = missing.id
    LEFT JOIN messages.sender AS s ON s.id = m.sender_id
    LEFT JOIN messages.content AS c ON c.bucket = :bucket AND c.id = missing.id
    ORDER BY missing.fiscal_code, missing.id DESC
) AS n
ON CONFLICT DO NOTHING;

-- name: still_to_index
-- Which of these citizens have messages that were not reached.
SELECT DISTINCT n.fiscal_code FROM (
    SELECT m.fiscal_code, m.id FROM messages.message AS m
    WHERE m.bucket = :bucket AND m.fiscal_code = ANY(:fiscal_codes::text[])
      AND m.status = 'PROCESSED'
    EXCEPT
    SELECT w.fiscal_code, w.id FROM messages.words AS w
    WHERE w.bucket = :bucket AND w.fiscal_code = ANY(:fiscal_codes::text[])
) AS n;

-- name: reports_of_services
-- For the senders themselves. Over all buckets: for people. A page begins below the last report of the
-- page before.
-- reads: services.service
WITH newest AS MATERIALIZED (
    SELECT o.bucket, o.message_id, o.service_id, o.reported_at
    FROM messages.report AS o
    WHERE o.bucket = ANY(:buckets::smallint[]) AND o.service_id = ANY(:service_ids::text[])
      AND (
          :before_at::timestamptz IS NULL
          OR (o.reported_at, o.message_id) < (:before_at, :before_id::text)
      )
    ORDER BY o.reported_at DESC, o.message_id DESC
    LIMIT :limit
)
SELECT
    n.message_id AS id, n.service_id, n.reported_at, coalesce(v.name, '') AS service_name,
    m.subject, coalesce(m.fiscal_code, '') AS fiscal_code
FROM newest AS n
LEFT JOIN messages.message AS m ON m.bucket = n.bucket AND m.id = n.message_id
LEFT JOIN services.service AS v ON v.id = n.service_id
ORDER BY n.reported_at DESC, n.message_id DESC;

-- name: reported_services
-- For operators, now and then. Of each service that was reported what it delivered is counted, by the
-- index of its messages, from the first id on that can have been delivered then; of no other.
-- reads: services.service, services.institution
WITH reported AS (
    SELECT o.service_id, count(*) AS reports
    FROM messages.report AS o
    WHERE o.bucket = ANY(:buckets::smallint[]) AND o.reported_at > :since
    GROUP BY o.service_id
)
SELECT
    reported.service_id, s.name AS service_name, i.name AS institution_name, reported.reports,
    (
        SELECT count(*) FROM messages.message AS m
        WHERE m.bucket = ANY(:buckets::smallint[]) AND m.service_id = reported.service_id
          AND m.id >= :first AND m.status = 'PROCESSED' AND m.decided_at > :since
    ) AS received
FROM reported
LEFT JOIN services.service AS s ON s.id = reported.service_id
LEFT JOIN services.institution AS i ON i.id = s.institution_id;

-- name: newest_sent
-- The ids that one page of a sender's list looks at: newest first, of many services, over all buckets.
-- Service by service and bucket by bucket, so that the index gives each one's newest without sorting.
-- A first look shows which of them have more than a few; these share the window. `floor`: all ids
-- from there on are in the answer; null where that is all there are.
WITH pair AS MATERIALIZED (
    SELECT
        b.bucket, s.service_id,
        ARRAY(
            SELECT m.id FROM messages.message AS m
            WHERE m.bucket = b.bucket AND m.service_id = s.service_id
              AND m.id < :before::text AND m.id >= :after::text
            ORDER BY m.id DESC
            LIMIT :first::integer
        ) AS ids
    FROM unnest(:buckets::smallint[]) AS b (bucket)
    CROSS JOIN unnest(:service_ids::text[]) AS s (service_id)
), depth AS MATERIALIZED (
    SELECT greatest(:first, :window::integer / greatest(count(*), 1)) AS most
    FROM pair
    WHERE cardinality(pair.ids) = :first
), looked_at AS MATERIALIZED (
    SELECT
        pair.bucket,
        CASE
            WHEN cardinality(pair.ids) < :first OR (SELECT depth.most FROM depth) = :first
                THEN pair.ids
            ELSE ARRAY(
                SELECT m.id FROM messages.message AS m
                WHERE m.bucket = pair.bucket AND m.service_id = pair.service_id
                  AND m.id < :before AND m.id >= :after
                ORDER BY m.id DESC
                LIMIT (SELECT depth.most FROM depth)
            )
        END AS ids
    FROM pair
), bound AS MATERIALIZED (
    SELECT max(l.ids[cardinality(l.ids)]) AS floor
    FROM looked_at AS l
    WHERE cardinality(l.ids) >= (SELECT depth.most FROM depth)
), chosen AS (
    SELECT n.bucket, n.id
    FROM (SELECT l.bucket, unnest(l.ids) AS id FROM looked_at AS l) AS n
    WHERE n.id >= coalesce((SELECT bound.floor FROM bound), '')
    ORDER BY n.id DESC
    LIMIT :window
)
SELECT
    coalesce(array_agg(chosen.bucket ORDER BY chosen.id DESC), '{}') AS buckets,
    coalesce(array_agg(chosen.id ORDER BY chosen.id DESC), '{}') AS ids,
    CASE
        WHEN count(*) = :window THEN min(chosen.id) ELSE (SELECT bound.floor FROM bound)
    END AS floor
FROM chosen;

-- name: newest_sent_to
-- The same for one citizen, whose own index is the shorter way. Of whoever wrote to them: so the
-- window is bounded.
WITH newest AS (
    SELECT m.id, m.service_id FROM messages.message AS m
    WHERE m.bucket = :bucket AND m.fiscal_code = :fiscal_code
      AND m.id < :before AND m.id >= :after
    ORDER BY m.id DESC
    LIMIT :window::integer
)
SELECT
    coalesce(
        array_agg(newest.id ORDER BY newest.id DESC)
            FILTER (WHERE newest.service_id = ANY(:service_ids::text[])),
        '{}'
    ) AS ids,
    CASE WHEN count(*) = :window THEN min(newest.id) END AS floor
FROM newest;

-- name: sent_with_reference
-- The same for one of the sender's own references. Under one that stands on a whole campaign there
-- may be any number: whoever gets `too_many` looks through the newest instead.
WITH referred AS (
    SELECT m.bucket, m.id FROM messages.message AS m
    WHERE m.bucket = ANY(:buckets::smallint[]) AND m.service_id = ANY(:service_ids::text[])
      AND m.reference = :reference
    LIMIT :window::integer
)
SELECT
    coalesce(
        array_agg(referred.bucket ORDER BY referred.id DESC)
            FILTER (WHERE referred.id < :before AND referred.id >= :after),
        '{}'
    ) AS buckets,
    coalesce(
        array_agg(referred.id ORDER BY referred.id DESC)
            FILTER (WHERE referred.id < :before AND referred.id >= :after),
        '{}'
    ) AS ids,
    count(*) = :window AS too_many
FROM referred;

-- name: sent_rows
-- Lines of a sender's list: which of these ids are wanted, and only then what is shown of them. In the
-- words the signs of LIKE are escaped.
-- reads: services.service, services.institution, recipients.profile, recipients.preference
WITH wanted AS MATERIALIZED (
    SELECT
        m.bucket, m.id, m.fiscal_code, m.service_id, m.subject, m.status, m.rejection_reason,
        m.feature_level_type, m.reference, m.created_at, m.read_at
    FROM unnest(:buckets::smallint[], :ids::text[]) AS u (bucket, id)
    INNER JOIN messages.message AS m ON m.bucket = u.bucket AND m.id = u.id
    WHERE (:status::text IS NULL OR m.status = :status)
      AND (:reference::text IS NULL OR m.reference = :reference)
      AND lower(m.subject) LIKE ALL(ARRAY(
          SELECT '%' || lower(x.word) || '%' FROM unnest(:words::text[]) AS x (word)
      ))
    ORDER BY m.id DESC
    LIMIT :limit
)
SELECT
    w.id, w.fiscal_code, w.service_id, w.subject, w.status, w.rejection_reason,
    w.feature_level_type, w.reference, w.created_at, w.read_at, v.name AS service_name,
    i.permissions, messages.read_shared(p.mode, f.access_read_message_status) AS read_shared
FROM wanted AS w
INNER JOIN services.service AS v ON v.id = w.service_id
INNER JOIN services.institution AS i ON i.id = v.institution_id
LEFT JOIN recipients.profile AS p
    ON p.bucket = w.bucket AND p.fiscal_code = w.fiscal_code
    AND w.feature_level_type = 'ADVANCED'
LEFT JOIN recipients.preference AS f
    ON f.bucket = w.bucket AND f.fiscal_code = w.fiscal_code
    AND f.service_id = w.service_id AND f.settings_version = p.settings_version
ORDER BY w.id DESC;

-- name: find_sent
-- One message of an institution, by id over all buckets: for people. What was accepted is the
-- sender's own, in the inbox or not; of a rejected message nothing is left.
-- reads: services.service, services.institution, recipients.profile, recipients.preference
SELECT
    m.bucket, m.id, m.fiscal_code, m.service_id, m.subject, m.status, m.rejection_reason,
    m.feature_level_type, m.require_secure_channels, m.time_to_live, m.reference, m.created_at,
    m.decided_at, m.read_at, c.markdown, c.parts, o.reported_at, v.name AS service_name,
    v.institution_id, i.permissions,
    coalesce(s.organization_fiscal_code, i.fiscal_code) AS organization_fiscal_code,
    messages.read_shared(p.mode, f.access_read_message_status) AS read_shared
FROM messages.message AS m
INNER JOIN services.service AS v ON v.id = m.service_id
INNER JOIN services.institution AS i ON i.id = v.institution_id
LEFT JOIN messages.sender AS s ON s.id = m.sender_id
LEFT JOIN messages.content AS c ON c.bucket = m.bucket AND c.id = m.id
LEFT JOIN messages.report AS o ON o.bucket = m.bucket AND o.message_id = m.id
LEFT JOIN recipients.profile AS p
    ON p.bucket = m.bucket AND p.fiscal_code = m.fiscal_code
    AND m.feature_level_type = 'ADVANCED'
LEFT JOIN recipients.preference AS f
    ON f.bucket = m.bucket AND f.fiscal_code = m.fiscal_code
    AND f.service_id = m.service_id AND f.settings_version = p.settings_version
WHERE m.bucket = ANY(:buckets::smallint[]) AND m.id = :id AND v.institution_id = :institution_id;

-- name: told_of_message
-- Of each way to tell the citizen of a new message, the best that came of it, and when.
-- reads: notifications.delivery, notifications.channel
SELECT DISTINCT ON (h.wire_name) h.wire_name AS channel, d.state, d.state_at
FROM notifications.delivery AS d
INNER JOIN notifications.channel AS h ON h.name = d.channel
WHERE d.bucket = :bucket AND d.message_id = :id AND d.occasion = 'new' AND d.state <> 'STOPPED'
ORDER BY
    h.wire_name,
    array_position(ARRAY['SENT', 'THROTTLED', 'QUEUED', 'EXPIRED', 'FAILED'], d.state),
    d.state_at;

-- name: held_lately
-- What of one institution the guard has stopped since then. The bucket is of institution and content.
SELECT count(*) AS contents, max(coalesce(h.last_at, h.held_at)) AS held_at
FROM messages.guard_hold AS h
WHERE h.bucket = ANY(:buckets::smallint[]) AND h.institution_id = :institution_id
  AND coalesce(h.last_at, h.held_at) >= :since;

-- name: holds_of_institution
-- As `list_holds`, of one. reads: services.service
SELECT
    h.service_id, coalesce(v.name, '') AS service_name, h.fingerprint, h.recipients, h.held_at,
    coalesce(h.last_at, h.held_at) AS last_at
FROM messages.guard_hold AS h
LEFT JOIN services.service AS v ON v.id = h.service_id
WHERE h.bucket = ANY(:buckets::smallint[]) AND h.institution_id = :institution_id
ORDER BY coalesce(h.last_at, h.held_at) DESC
LIMIT 100;

-- name: count_failed_up_to
-- No further than somebody wants to know; the partial index holds nothing else.
SELECT count(*) FROM (
    SELECT FROM messages.message AS m
    WHERE m.bucket = ANY(:buckets::smallint[]) AND m.status = 'FAILED'
    LIMIT :most
) AS few;

-- name: shares_of_reports
-- From figures, not from messages, of which there are millions. Reports count from the first day on
-- of which there are figures, if there are any. All services, or those of one institution.
-- reads: events.figure, services.service, services.institution
WITH reported AS MATERIALIZED (
    SELECT o.service_id, (o.reported_at AT TIME ZONE 'Europe/Rome')::date AS day
    FROM messages.report AS o
    INNER JOIN services.service AS s ON s.id = o.service_id
    WHERE o.bucket = ANY(:buckets::smallint[]) AND o.reported_at >= :reported_since
      AND (:institution_id::text IS NULL OR s.institution_id = :institution_id::text)
),
received AS MATERIALIZED (
    SELECT f.service_id, sum(f.number)::bigint AS messages, min(f.day) AS first
    FROM events.figure AS f
    WHERE f.bucket = ANY(:buckets::smallint[]) AND f.kind = 'processed' AND f.day >= :since::date
      AND f.service_id IN (SELECT reported.service_id FROM reported)
    GROUP BY f.service_id
)
SELECT
    s.id AS service_id, s.name AS service_name, i.id AS institution_id,
    i.name AS institution_name, count(*) AS reports, coalesce(r.messages, 0) AS received
FROM reported AS o
LEFT JOIN received AS r ON r.service_id = o.service_id
INNER JOIN services.service AS s ON s.id = o.service_id
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE r.first IS NULL OR o.day >= r.first
GROUP BY s.id, s.name, i.id, i.name, r.messages;
