-- name: read_configuration
-- One, whoever owns it; cached by each process until something about institutions changes.
SELECT c.id, c.institution_id, c.name, c.description, c.has_precondition, c.sealed
FROM content.configuration AS c WHERE c.id = :id;

-- name: list_configurations
-- In the order in which they were made.
SELECT c.id, c.institution_id, c.name, c.description, c.has_precondition, c.sealed
FROM content.configuration AS c WHERE c.institution_id = :institution_id
ORDER BY c.id;

-- name: create_configuration
-- Nothing is written if there is one under the same key: that one is answered.
INSERT INTO content.configuration (
    id, institution_id, name, description, has_precondition, sealed, created_at, changed_at,
    idempotency_key, idempotency_digest
)
VALUES (
    :id, :institution_id, :name, :description, :has_precondition, :sealed, :now, :now,
    :idempotency_key, :idempotency_digest
)
ON CONFLICT (institution_id, idempotency_key) DO NOTHING;

-- name: find_repeated
-- What was made under this key before.
SELECT c.id, c.idempotency_digest FROM content.configuration AS c
WHERE c.institution_id = :institution_id AND c.idempotency_key = :idempotency_key;

-- name: replace_configuration
-- All of it but its id and its owner.
UPDATE content.configuration AS c SET
    name = :name, description = :description, has_precondition = :has_precondition,
    sealed = :sealed, changed_at = :now
WHERE c.id = :id AND c.institution_id = :institution_id;

-- name: allow
-- Announced once more is allowed for longer.
INSERT INTO content.allowed AS a (bucket, digest, expires_at)
SELECT :bucket, given.digest, :expires_at FROM unnest(:digests::bytea[]) AS given (digest)
ON CONFLICT (bucket, digest) DO UPDATE SET expires_at = excluded.expires_at;

-- name: is_allowed
-- By primary key, for every attachment that a client application opens.
SELECT true FROM content.allowed AS a
WHERE a.bucket = :bucket AND a.digest = :digest AND a.expires_at > :now;

-- name: hand_over
-- A code that opens one attachment; the bucket is of its digest.
INSERT INTO content.allowed (bucket, digest, sealed, expires_at)
VALUES (:bucket, :digest, :sealed, :expires_at);

-- name: take_over
-- Once: whoever comes second finds nothing.
DELETE FROM content.allowed AS a
WHERE a.bucket = :bucket AND a.digest = :digest AND a.sealed IS NOT NULL
RETURNING a.sealed, a.expires_at;

-- name: forget_allowed
-- In bounded deletes, oldest first.
DELETE FROM content.allowed AS a
WHERE a.bucket = :bucket AND a.digest = ANY(ARRAY(
    SELECT old.digest FROM content.allowed AS old
    WHERE old.bucket = :bucket AND old.expires_at <= :now
    ORDER BY old.expires_at LIMIT :limit
    FOR UPDATE SKIP LOCKED
));

-- name: page_of_configurations
-- For people, who go through them: in the order in which they were made.
SELECT c.id, c.institution_id, c.name, c.description, c.has_precondition, c.sealed
FROM content.configuration AS c
WHERE c.institution_id = :institution_id AND c.id > :after
ORDER BY c.id
LIMIT :limit;

-- name: names_of_configurations
-- For people who choose one: nothing of it that is secret.
SELECT c.id, c.name FROM content.configuration AS c
WHERE c.institution_id = :institution_id ORDER BY c.id LIMIT :limit;
