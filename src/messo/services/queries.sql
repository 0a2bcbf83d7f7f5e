-- name: bump_version
-- Every process polls this row; a change is seen within a second.
UPDATE services.version AS v SET number = v.number + 1 WHERE v.one;

-- name: read_version
-- The poll: one row, one page.
SELECT v.number FROM services.version AS v WHERE v.one;

-- name: find_key
-- A suspended or deleted service's key does not exist, and the same for its institution.
SELECT
    k.digest, k.institution_id, i.permissions, i.email,
    i.name AS organization_name, i.fiscal_code AS organization_fiscal_code,
    s.id AS service_id, s.name, s.department, s.category, s.state, s.require_secure_channels,
    s.authorized_recipients, s.authorized_cidrs, s.max_allowed_payment_amount
FROM services.key AS k
INNER JOIN services.institution AS i ON i.id = k.institution_id
LEFT JOIN services.service AS s ON s.id = k.service_id
WHERE k.digest = :digest
  AND i.suspended_at IS NULL
  AND (k.service_id IS NULL OR (s.suspended_at IS NULL AND s.state <> 'deleted'));

-- name: create_institution
-- One institution per organisation fiscal code: the mass guard counts by it.
INSERT INTO services.institution (id, fiscal_code, name, email, permissions, created_at)
VALUES (:id, :fiscal_code, :name, :email, :permissions, :now)
ON CONFLICT (fiscal_code) DO NOTHING;

-- name: grant
-- A set: granting twice changes nothing.
UPDATE services.institution AS i SET permissions = ARRAY(
    SELECT DISTINCT p FROM unnest(i.permissions || :permissions::text[]) AS p ORDER BY p
) WHERE i.id = :id;

-- name: revoke
-- What it did not have is not missed.
UPDATE services.institution AS i SET permissions = ARRAY(
    SELECT p FROM unnest(i.permissions) AS p WHERE p <> ALL(:permissions::text[]) ORDER BY p
) WHERE i.id = :id;

-- name: suspend_institution
-- A null restores.
UPDATE services.institution AS i SET suspended_at = :at WHERE i.id = :id;

-- name: create_service
-- Selected from the institution, so that an unknown one creates nothing.
INSERT INTO services.service (
    id, institution_id, name, department, category, state, require_secure_channels,
    authorized_recipients, authorized_cidrs, max_allowed_payment_amount, description, metadata,
    created_at
)
SELECT
    :id, i.id, :name, :department, :category, :state, :require_secure_channels,
    :authorized_recipients, :authorized_cidrs, :max_allowed_payment_amount, :description,
    :metadata::text::jsonb, :now
FROM services.institution AS i WHERE i.id = :institution_id;

-- name: set_postal_account
-- A null takes it away.
UPDATE services.service AS s SET postal_account = :account WHERE s.id = :id;

-- name: suspend_service
-- A null restores.
UPDATE services.service AS s SET suspended_at = :at WHERE s.id = :id;

-- name: set_state
-- A deleted service's keys die with it: find_key no longer sees them.
UPDATE services.service AS s SET state = :state WHERE s.id = :id AND s.state <> 'deleted';

-- name: list_institutions
-- For operators; a few thousand rows at most.
SELECT
    i.id, i.fiscal_code, i.name, i.email, i.permissions, i.suspended_at,
    (SELECT count(*) FROM services.service AS s WHERE s.institution_id = i.id) AS services
FROM services.institution AS i ORDER BY i.name;

-- name: list_services
-- The optional filter is fine here: no hot path lists services.
SELECT s.id, s.institution_id, s.name, s.state, s.category, s.suspended_at
FROM services.service AS s
WHERE :institution_id::text IS NULL OR s.institution_id = :institution_id
ORDER BY s.name;

-- name: institution_of_service
-- Whom a service belongs to.
SELECT s.institution_id FROM services.service AS s WHERE s.id = :id;

-- name: create_keys
-- Both at once: a service has two equal keys or none.
INSERT INTO services.key (digest, institution_id, service_id, slot, encrypted, created_at)
SELECT u.digest, :institution_id, :service_id, u.slot, u.encrypted, :now
FROM unnest(:digests::bytea[], :slots::text[], :encrypted::text[]) AS u (digest, slot, encrypted);

-- name: replace_key
-- The old digest is gone with this statement. The owner is a service, or an institution's manage keys.
UPDATE services.key AS k SET digest = :digest, encrypted = :encrypted, created_at = :now
WHERE k.slot = :slot
  AND (k.service_id = :owner OR (k.service_id IS NULL AND k.institution_id = :owner));

-- name: read_keys
-- Given back to their owner, as the contract says.
SELECT k.slot, k.encrypted FROM services.key AS k
WHERE k.service_id = :owner OR (k.service_id IS NULL AND k.institution_id = :owner)
ORDER BY k.slot;

-- name: describe_service
-- What is not named stays; an emptied member goes. The version tells clients that something changed.
UPDATE services.service AS s SET
    description = coalesce(:description, s.description),
    metadata = (s.metadata || :metadata::text::jsonb) - :emptied::text[],
    version = s.version + 1
WHERE s.id = :id AND s.state <> 'deleted';

-- name: read_service
-- For citizens: in any state but deleted, since a message of it may be in front of them.
SELECT
    s.id, s.name, s.description, s.department, s.category, s.metadata, s.version,
    i.name AS institution_name, i.fiscal_code
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE s.id = :id AND s.state <> 'deleted' AND s.suspended_at IS NULL AND i.suspended_at IS NULL;

-- name: search_institutions
-- Those with something to offer. What begins with the words comes first.
SELECT i.fiscal_code, i.name
FROM services.institution AS i
WHERE i.suspended_at IS NULL AND strpos(lower(i.name), lower(:search)) > 0 AND EXISTS (
    SELECT FROM services.service AS s
    WHERE s.institution_id = i.id AND s.state = 'published' AND s.suspended_at IS NULL
)
ORDER BY strpos(lower(i.name), lower(:search)), lower(i.name), i.fiscal_code
OFFSET :offset LIMIT :limit;

-- name: count_institutions
-- All that `search_institutions` would find.
SELECT count(*) FROM services.institution AS i
WHERE i.suspended_at IS NULL AND strpos(lower(i.name), lower(:search)) > 0 AND EXISTS (
    SELECT FROM services.service AS s
    WHERE s.institution_id = i.id AND s.state = 'published' AND s.suspended_at IS NULL
);

-- name: list_published
-- One institution's services, by name.
SELECT s.id, s.name, s.version
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE i.fiscal_code = :fiscal_code AND i.suspended_at IS NULL
  AND s.state = 'published' AND s.suspended_at IS NULL
ORDER BY lower(s.name), s.id
OFFSET :offset LIMIT :limit;

-- name: count_published
-- All that `list_published` would find.
SELECT count(*) FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE i.fiscal_code = :fiscal_code AND i.suspended_at IS NULL
  AND s.state = 'published' AND s.suspended_at IS NULL;

-- name: feature_services
-- What concerns everybody comes first, then what is new.
SELECT s.id, s.name, s.version, i.name AS institution_name, i.fiscal_code
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE i.suspended_at IS NULL AND s.state = 'published' AND s.suspended_at IS NULL
ORDER BY (s.metadata ->> 'scope') IS NOT DISTINCT FROM 'NATIONAL' DESC, s.id DESC
LIMIT :limit;

-- name: search_services
-- For people: each word somewhere in the names. A few thousand rows need no index.
SELECT
    s.id AS service_id, s.name, s.department, s.category, s.description,
    i.name AS institution_name, i.fiscal_code
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE i.suspended_at IS NULL AND s.state = 'published' AND s.suspended_at IS NULL
  AND NOT EXISTS (
      SELECT FROM unnest(:words::text[]) AS w (word)
      WHERE strpos(lower(concat_ws(' ', i.name, s.name, s.department)), lower(w.word)) = 0
  )
ORDER BY lower(i.name), i.fiscal_code, lower(s.name), s.id
OFFSET :offset LIMIT :limit;
