-- name: open_session
-- The bucket is of the token's digest: whoever comes with a token is found in one look.
INSERT INTO login.session (
    bucket, digest, id, fiscal_code, name, family_name, date_of_birth, email, level, kind, client,
    created_at, seen_at, expires_at, assertion_ref, public_key, authenticated_at
)
VALUES (
    :bucket, :digest, :id, :fiscal_code, :name, :family_name, :date_of_birth, :email, :level,
    :kind, :client, :now, :now, :expires_at, :assertion_ref, :public_key, :authenticated_at
);

-- name: put_sessions
-- Under tokens that are made elsewhere, always the same: opened, or as good as new again.
INSERT INTO login.session AS s (
    bucket, digest, id, fiscal_code, name, family_name, date_of_birth, email, level, kind, client,
    created_at, seen_at, expires_at
)
SELECT
    given.bucket, given.digest, given.id, given.fiscal_code, given.name, given.family_name,
    given.date_of_birth, given.email, given.level, 'client', :client, :now, :now, :expires_at
FROM unnest(
    :buckets::smallint[], :digests::bytea[], :ids::text[], :fiscal_codes::text[], :names::text[],
    :family_names::text[], :dates_of_birth::date[], :emails::text[], :levels::text[]
) AS given (
    bucket, digest, id, fiscal_code, name, family_name, date_of_birth, email, level
)
ON CONFLICT (bucket, digest) DO UPDATE
    SET seen_at = excluded.seen_at, expires_at = excluded.expires_at;

-- name: find_session
-- By primary key; too old or too long unused is as if it were not there. A token of one kind is
-- nothing as the other: it would be kept alive by limits that are not its own.
SELECT
    s.id, s.digest, s.fiscal_code, s.name, s.family_name, s.date_of_birth, s.email, s.level,
    s.kind, s.client, s.created_at, s.seen_at, s.expires_at, s.assertion_ref, s.public_key,
    s.authenticated_at
FROM login.session AS s
WHERE s.bucket = :bucket AND s.digest = :digest AND s.kind = :kind AND s.expires_at > :now
  AND s.seen_at > :idle_since;

-- name: hold_session
-- A logout at the same moment waits, and then finds what was done in the session's name.
SELECT s.id FROM login.session AS s
WHERE s.bucket = :bucket AND s.digest = :digest
FOR KEY SHARE;

-- name: touch_session
-- At most once a minute for each session.
UPDATE login.session AS s SET seen_at = :now WHERE s.bucket = :bucket AND s.digest = :digest;

-- name: list_sessions
-- A citizen's sessions are spread over the buckets: a look by a person, not by every request.
-- Client applications may rest until their session expires.
SELECT
    s.id, s.digest, s.fiscal_code, s.name, s.family_name, s.date_of_birth, s.email, s.level,
    s.kind, s.client, s.created_at, s.seen_at, s.expires_at, s.assertion_ref, s.public_key,
    s.authenticated_at
FROM login.session AS s
WHERE s.bucket = ANY(:buckets::smallint[]) AND s.fiscal_code = :fiscal_code
  AND s.expires_at > :now AND (s.kind = 'client' OR s.seen_at > :idle_since)
ORDER BY s.seen_at DESC;

-- name: close_session
-- By its id and its owner: nobody closes another's.
DELETE FROM login.session AS s
WHERE s.bucket = ANY(:buckets::smallint[]) AND s.fiscal_code = :fiscal_code AND s.id = :id;

-- name: close_all_sessions
-- Everywhere, the one that asks included.
DELETE FROM login.session AS s
WHERE s.bucket = ANY(:buckets::smallint[]) AND s.fiscal_code = :fiscal_code;

-- name: close_token
-- By primary key: whoever holds the token may end its session.
DELETE FROM login.session AS s WHERE s.bucket = :bucket AND s.digest = :digest;

-- name: put_code
-- At the end of a client application's login.
INSERT INTO login.code (bucket, digest, identity, redirect_uri, challenge, expires_at)
VALUES (:bucket, :digest, :identity, :redirect_uri, :challenge, :expires_at);

-- name: take_code
-- Whoever comes first has it; there is no second time, whatever else is wrong.
DELETE FROM login.code AS c
WHERE c.bucket = :bucket AND c.digest = :digest
RETURNING c.identity, c.redirect_uri, c.challenge, c.expires_at;

-- name: forget_sessions
-- Bounded, so that no delete holds locks for long.
DELETE FROM login.session AS s
USING (
    SELECT o.digest FROM login.session AS o
    WHERE o.bucket = :bucket
      AND (o.expires_at <= :now OR (o.kind = 'web' AND o.seen_at <= :idle_since))
    LIMIT :limit
) AS old
WHERE s.bucket = :bucket AND s.digest = old.digest;

-- name: forget_codes
-- Codes nobody exchanged within their minute.
DELETE FROM login.code AS c
USING (
    SELECT o.digest FROM login.code AS o
    WHERE o.bucket = :bucket AND o.expires_at <= :now
    LIMIT :limit
) AS old
WHERE c.bucket = :bucket AND c.digest = old.digest;
