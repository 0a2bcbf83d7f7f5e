-- name: find_clients
-- What every request of a relying party begins with. A suspended or deleted service's client does
-- not exist, and the same for its institution.
-- reads: services.service services.institution
SELECT
    c.id, c.service_id, c.environment, c.redirects, c.post_logout_redirect_uris, c.auth_method,
    c.secret_digest, c.old_secret_digest, c.old_secret_until, c.jwks, c.id_token_alg,
    c.request_protection, c.subject_type, c.optional_claims, c.level, c.backchannel_logout_uri,
    c.state_missing_at, s.institution_id, s.name AS service_name, s.state, s.authorized_recipients,
    i.name AS institution_name
FROM sso.client AS c
INNER JOIN services.service AS s ON s.id = c.service_id
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE c.id = ANY(:ids::text[])
  AND s.state <> 'deleted' AND s.suspended_at IS NULL AND i.suspended_at IS NULL;

-- name: lock_signing_keys
-- Two workers that find a key grown old must not both make the next one. Reading goes on.
LOCK TABLE sso.signing_key IN SHARE ROW EXCLUSIVE MODE;

-- name: list_signing_keys
-- A handful: of each algorithm the one that signs, the one before and the one after.
SELECT k.kid, k.alg, k.encrypted, k.active_at, k.retired_at
FROM sso.signing_key AS k
ORDER BY k.active_at, k.kid;

-- name: add_signing_key
-- Published from now on, signing from `active_at`.
INSERT INTO sso.signing_key (kid, alg, encrypted, created_at, active_at)
VALUES (:kid, :alg, :encrypted, :now, :active_at);

-- name: drop_future_signing_keys
-- Keys that have not signed yet: others are made in their place.
DELETE FROM sso.signing_key AS k WHERE k.active_at > :after;

-- name: supersede_signing_keys
-- A key keeps the end it has: whatever comes after it never lengthens its life.
UPDATE sso.signing_key AS k SET retired_at = :at WHERE k.alg = :alg AND k.retired_at IS NULL;

-- name: retire_signing_keys
-- In an emergency: all but the new ones are nobody's any more.
UPDATE sso.signing_key AS k SET retired_at = :at WHERE k.kid <> ALL(:kids::text[]);

-- name: forget_signing_keys
-- Not the moment they are retired: whoever asks what happened can still see when.
DELETE FROM sso.signing_key AS k WHERE k.retired_at <= :before;

-- name: note_missing_state
-- At most once a day for each client, for its institution to see.
UPDATE sso.client AS c SET state_missing_at = :now WHERE c.id = :id;

-- name: put_code
-- At the end of the citizen's consent, in its transaction.
INSERT INTO sso.code (bucket, id, client_id, code_digest, sealed, created_at)
VALUES (:bucket, :id, :client_id, :digest, :sealed, :now);

-- name: spend_code
-- One of two that come at once waits for the row, and then finds it used: a code works once.
UPDATE sso.code AS c SET used_at = :now, token_digest = :token_digest
WHERE c.bucket = :bucket AND c.id = :id AND c.client_id = :client_id AND c.code_digest = :digest
  AND c.used_at IS NULL AND c.created_at > :since
RETURNING c.id, c.sealed;

-- name: revoke_code
-- Whoever came first may have been the thief: neither of the two keeps anything.
UPDATE sso.code AS c SET token_digest = NULL
WHERE c.bucket = :bucket AND c.id = :id AND c.client_id = :client_id AND c.code_digest = :digest
  AND c.used_at IS NOT NULL
RETURNING c.id, c.sealed;

-- name: find_token
-- By primary key; what is too old or was taken back is as if it were not there.
SELECT c.id, c.client_id, c.sealed FROM sso.code AS c
WHERE c.bucket = :bucket AND c.id = :id AND c.token_digest = :digest
  AND c.used_at > :since;

-- name: begin_access
-- The page may be loaded again, and may show something else then. What was answered stays.
INSERT INTO sso.access AS a (
    bucket, fiscal_code, id, client_id, service_id, redirect_uri, names, outcome, claims, terms,
    message_id, session_id, requested_at
)
VALUES (
    :bucket, :fiscal_code, :id, :client_id, :service_id, :redirect_uri, :names::text::jsonb,
    'requested', :claims, :terms, :message_id, :session_id, :now
)
ON CONFLICT (bucket, fiscal_code, id) DO UPDATE
    SET claims = excluded.claims, terms = excluded.terms
    WHERE a.outcome = 'requested';

-- name: shown_terms
-- By primary key: what the citizen was shown, while it waits for their answer.
SELECT a.terms FROM sso.access AS a
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code AND a.id = :id
  AND a.outcome = 'requested';

-- name: settle_access
-- Only from the states before it: what a citizen answered once is not answered again.
UPDATE sso.access AS a
SET outcome = :outcome, settled_at = :now, claims = coalesce(:claims::text[], a.claims)
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code AND a.id = :id
  AND a.outcome = ANY(:before::text[]);

-- name: drop_unanswered
-- Questions that cannot be answered any more. By primary key's beginning: the few of one citizen.
DELETE FROM sso.access AS a
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code AND a.client_id = :client_id
  AND a.outcome = 'requested' AND a.requested_at < :before;

-- name: access_stands
-- By primary key, for each use of an access token.
SELECT a.id FROM sso.access AS a
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code AND a.id = :id
  AND a.outcome = 'redeemed' AND a.ended_at IS NULL;

-- name: find_consent
-- By primary key; what has run out is asked for anew.
SELECT c.agreed, c.refused, c.expires_at FROM sso.consent AS c
WHERE c.bucket = :bucket AND c.fiscal_code = :fiscal_code AND c.client_id = :client_id
  AND c.expires_at > :now;

-- name: keep_consent
-- What is said now replaces what was said before.
INSERT INTO sso.consent AS c (
    bucket, fiscal_code, client_id, agreed, refused, given_at, expires_at
)
VALUES (:bucket, :fiscal_code, :client_id, :agreed, :refused, :now, :expires_at)
ON CONFLICT (bucket, fiscal_code, client_id) DO UPDATE
    SET agreed = excluded.agreed, refused = excluded.refused, given_at = excluded.given_at,
    expires_at = excluded.expires_at;

-- name: drop_consent
-- The citizen's own, by primary key.
DELETE FROM sso.consent AS c
WHERE c.bucket = :bucket AND c.fiscal_code = :fiscal_code AND c.client_id = :client_id;

-- name: sites_of_institution
-- Where an institution's sites are: the few clients of all its services that may be used.
-- reads: services.service services.institution
SELECT c.redirects
FROM services.institution AS i
INNER JOIN services.service AS s ON s.institution_id = i.id
INNER JOIN sso.client AS c ON c.service_id = s.id
WHERE i.id = :institution_id AND i.suspended_at IS NULL
  AND s.state <> 'deleted' AND s.suspended_at IS NULL;

-- name: clients_beside_service
-- The same by one of the services: a button may lead to the site of another one of them.
-- reads: services.service services.institution
SELECT c.id, c.redirects
FROM services.service AS sender
INNER JOIN services.institution AS i ON i.id = sender.institution_id
INNER JOIN services.service AS s ON s.institution_id = i.id
INNER JOIN sso.client AS c ON c.service_id = s.id
WHERE sender.id = :service_id AND i.suspended_at IS NULL
  AND s.state <> 'deleted' AND s.suspended_at IS NULL;

-- name: leave_tickets
-- Whoever presses again, or another button to the same site, has one ticket: the newest.
INSERT INTO sso.launch (bucket, session_digest, client_id, message_id, expires_at)
SELECT :bucket::smallint, :session_digest::bytea, c.id, :message_id::text, :expires_at::timestamptz
FROM unnest(:client_ids::text[]) AS c (id)
ON CONFLICT (bucket, session_digest, client_id)
DO UPDATE SET message_id = excluded.message_id, expires_at = excluded.expires_at;

-- name: take_ticket
-- Taken once, late or not: of two that ask at once only one finds it.
DELETE FROM sso.launch AS l
WHERE l.bucket = :bucket AND l.session_digest = :session_digest AND l.client_id = :client_id
RETURNING l.message_id, l.expires_at;

-- name: use_assertion
-- The second who comes with the same one writes nothing, and is refused.
INSERT INTO sso.assertion (bucket, digest, expires_at)
VALUES (:bucket, :digest, :expires_at)
ON CONFLICT DO NOTHING;

-- name: list_accesses
-- A page of what citizens see of themselves, newest first; ids are in order of time. A service that
-- is gone keeps its name.
-- reads: services.service services.institution
SELECT
    a.id, a.client_id, a.service_id, s.name AS service_name, i.name AS institution_name,
    a.redirect_uri, a.names, a.outcome, a.claims, a.message_id, a.requested_at, a.settled_at
FROM sso.access AS a
INNER JOIN services.service AS s ON s.id = a.service_id
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code
  AND a.outcome = ANY(:outcomes::text[])
  AND (:before::text IS NULL OR a.id < :before)
ORDER BY a.id DESC
LIMIT :limit;

-- name: list_consents
-- Those that still work. A client may be gone: its service is in its id.
-- reads: services.service services.institution
SELECT
    o.client_id, s.id AS service_id, s.name AS service_name, i.name AS institution_name,
    o.agreed, o.refused, o.given_at, o.expires_at
FROM sso.consent AS o
INNER JOIN services.service AS s ON s.id = regexp_replace(o.client_id, '-test$', '')
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE o.bucket = :bucket AND o.fiscal_code = :fiscal_code AND o.expires_at > :now
ORDER BY o.given_at DESC, o.client_id;

-- name: find_visited
-- Who a citizen may take their word back from: a site that is remembered, or that let them in.
-- reads: services.service services.institution
SELECT
    s.name AS service_name, i.name AS institution_name,
    EXISTS (
        SELECT 1 FROM sso.consent AS o
        WHERE o.bucket = :bucket AND o.fiscal_code = :fiscal_code AND o.client_id = :client_id
          AND o.expires_at > :now
    ) AS is_remembered,
    EXISTS (
        SELECT 1 FROM sso.access AS a
        WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code AND a.client_id = :client_id
          AND a.outcome = 'redeemed'
    ) AS was_let_in
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE s.id = :service_id;

-- name: erase_accesses
-- Part of erasing a citizen. The sites that let them in are told.
DELETE FROM sso.access AS a
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code AND a.requested_at < :before
RETURNING a.client_id, a.outcome, a.claims;

-- name: erase_consents
-- Part of erasing a citizen.
DELETE FROM sso.consent AS o
WHERE o.bucket = :bucket AND o.fiscal_code = :fiscal_code AND o.given_at < :before;

-- name: forget_old_codes
-- Long after the last use of their tokens. Bounded, as every delete that keeps house.
DELETE FROM sso.code AS c
USING (
    SELECT o.id FROM sso.code AS o
    WHERE o.bucket = :bucket AND o.created_at < :before
    LIMIT :limit
) AS old
WHERE c.bucket = :bucket AND c.id = old.id;

-- name: forget_late_launches
-- Tickets that nobody used in their time.
DELETE FROM sso.launch AS l
USING (
    SELECT o.session_digest, o.client_id FROM sso.launch AS o
    WHERE o.bucket = :bucket AND o.expires_at < :before
    LIMIT :limit
) AS old
WHERE l.bucket = :bucket AND l.session_digest = old.session_digest
  AND l.client_id = old.client_id;

-- name: forget_late_assertions
-- An assertion that has expired is refused for that, used or not.
DELETE FROM sso.assertion AS a
USING (
    SELECT o.digest FROM sso.assertion AS o
    WHERE o.bucket = :bucket AND o.expires_at < :before
    LIMIT :limit
) AS old
WHERE a.bucket = :bucket AND a.digest = old.digest;

-- name: forget_expired_consents
-- They work no more, and the citizen is asked anew.
DELETE FROM sso.consent AS c
USING (
    SELECT o.fiscal_code, o.client_id FROM sso.consent AS o
    WHERE o.bucket = :bucket AND o.expires_at < :before
    LIMIT :limit
) AS old
WHERE c.bucket = :bucket AND c.fiscal_code = old.fiscal_code AND c.client_id = old.client_id;

-- name: forget_old_logouts
-- Told, or given up long ago.
DELETE FROM sso.logout AS l
USING (
    SELECT o.id FROM sso.logout AS o
    WHERE o.bucket = :bucket AND o.created_at < :before
    LIMIT :limit
) AS old
WHERE l.bucket = :bucket AND l.id = old.id;

-- name: forget_old_accesses
-- Ids are in order of time: what is below this one is older.
DELETE FROM sso.access AS a
USING (
    SELECT o.fiscal_code, o.id FROM sso.access AS o
    WHERE o.bucket = :bucket AND o.id < :before
    ORDER BY o.id
    LIMIT :limit
) AS old
WHERE a.bucket = :bucket AND a.fiscal_code = old.fiscal_code AND a.id = old.id;

-- name: list_entered
-- Where a citizen was let in during these sessions, or during any, and whether that site got the
-- fiscal code: the few of one citizen.
SELECT
    a.client_id,
    CASE WHEN :session_ids::text[] IS NULL THEN '' ELSE a.session_id END AS session_id,
    bool_or('fiscal_code' = ANY(a.claims)) AS knows_code
FROM sso.access AS a
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code AND a.outcome = 'redeemed'
  AND a.requested_at > :since
  AND (:session_ids::text[] IS NULL OR a.session_id = ANY(:session_ids::text[]))
  AND (:client_ids::text[] IS NULL OR a.client_id = ANY(:client_ids::text[]))
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: end_accesses
-- A code that was handed out before a logout, or a withdrawal, lets nobody in after it, and a token
-- tells nothing more.
UPDATE sso.access AS a
SET ended_at = :now,
    outcome = CASE WHEN a.outcome = 'granted' THEN 'failed' ELSE a.outcome END
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code
  AND a.outcome IN ('granted', 'redeemed') AND a.ended_at IS NULL AND a.settled_at > :since
  AND (:session_ids::text[] IS NULL OR a.session_id = ANY(:session_ids::text[]))
  AND (:client_ids::text[] IS NULL OR a.client_id = ANY(:client_ids::text[]));

-- name: put_logouts
-- With the fact they tell; each in the bucket of its own id, so that it names nobody.
INSERT INTO sso.logout (bucket, id, client_id, sealed, created_at)
SELECT u.bucket, u.id, u.client_id, u.sealed, :now::timestamptz
FROM unnest(:buckets::smallint[], :ids::text[], :client_ids::text[], :sealed::bytea[])
    AS u (bucket, id, client_id, sealed);

-- name: read_logouts
-- What is leased, with where it goes now: an address may have changed, or its client be gone.
-- reads: services.service services.institution
SELECT l.id, l.client_id, l.sealed, l.created_at, c.backchannel_logout_uri, c.id_token_alg
FROM sso.logout AS l
INNER JOIN sso.client AS c ON c.id = l.client_id
INNER JOIN services.service AS s ON s.id = c.service_id
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE l.bucket = :bucket AND l.id = ANY(:ids::text[]) AND c.backchannel_logout_uri IS NOT NULL
  AND s.state <> 'deleted' AND s.suspended_at IS NULL AND i.suspended_at IS NULL;

-- name: drop_logouts
-- Told, or given up.
DELETE FROM sso.logout AS l WHERE l.bucket = :bucket AND l.id = ANY(:ids::text[]);

-- name: registered_clients
-- What an institution sees of a service: no row says that it has no such service, one without an
-- id that the service has no client yet. An operator names no institution.
-- reads: services.service
SELECT
    s.id AS service_id, c.id, c.environment, c.redirects, c.post_logout_redirect_uris,
    c.auth_method, c.old_secret_until, c.jwks, c.id_token_alg, c.request_protection,
    c.subject_type, c.optional_claims, c.level, c.backchannel_logout_uri, c.state_missing_at,
    c.created_at, c.changed_at
FROM services.service AS s
LEFT JOIN sso.client AS c
    ON c.service_id = s.id
    AND (:environment::text IS NULL OR c.environment = :environment::text)
WHERE s.id = :service_id AND s.state <> 'deleted'
  AND (:institution_id::text IS NULL OR s.institution_id = :institution_id::text)
ORDER BY c.environment;

-- name: register_client
-- Made or replaced, whoever else does so at the same time. Selected from the service, so that
-- another institution's makes nothing. A client that keeps to secrets keeps the one it has.
-- reads: services.service
INSERT INTO sso.client AS c (
    id, service_id, environment, redirects, post_logout_redirect_uris, auth_method, secret_digest,
    jwks, id_token_alg, request_protection, subject_type, optional_claims, level,
    backchannel_logout_uri, created_at, changed_at
)
SELECT
    :id::text, s.id, :environment::text, :redirects::text::jsonb,
    :post_logout_redirect_uris::text[], :auth_method::text, :secret_digest::bytea,
    :jwks::text::jsonb, :id_token_alg::text, :request_protection::text, :subject_type::text,
    :optional_claims::text[], :level::text, :backchannel_logout_uri::text, :now::timestamptz,
    :now::timestamptz
FROM services.service AS s
WHERE s.id = :service_id AND s.state <> 'deleted'
  AND (:institution_id::text IS NULL OR s.institution_id = :institution_id::text)
ON CONFLICT (id) DO UPDATE SET
    redirects = excluded.redirects,
    post_logout_redirect_uris = excluded.post_logout_redirect_uris,
    auth_method = excluded.auth_method,
    secret_digest = CASE
        WHEN excluded.secret_digest IS NOT NULL THEN coalesce(c.secret_digest, excluded.secret_digest)
    END,
    old_secret_digest = CASE WHEN excluded.secret_digest IS NOT NULL THEN c.old_secret_digest END,
    old_secret_until = CASE WHEN excluded.secret_digest IS NOT NULL THEN c.old_secret_until END,
    jwks = excluded.jwks,
    id_token_alg = excluded.id_token_alg,
    request_protection = excluded.request_protection,
    subject_type = excluded.subject_type,
    optional_claims = excluded.optional_claims,
    level = excluded.level,
    backchannel_logout_uri = excluded.backchannel_logout_uri,
    changed_at = excluded.changed_at
RETURNING
    c.id, c.service_id, c.environment, c.redirects, c.post_logout_redirect_uris, c.auth_method,
    c.secret_digest, c.old_secret_until, c.jwks, c.id_token_alg, c.request_protection,
    c.subject_type, c.optional_claims, c.level, c.backchannel_logout_uri, c.state_missing_at,
    c.created_at, c.changed_at;

-- name: delete_client
-- What citizens agreed to is theirs, and ends by itself.
DELETE FROM sso.client AS c WHERE c.id = :id;

-- name: replace_client_secret
-- An old secret that is still good stays so, and the one made in between ends: whoever lost an
-- answer and asks again must not cut their site off. A client without secrets is left alone.
UPDATE sso.client AS c SET
    secret_digest = :digest,
    old_secret_digest = CASE
        WHEN c.old_secret_until > :now::timestamptz THEN c.old_secret_digest
        ELSE c.secret_digest
    END,
    old_secret_until = CASE
        WHEN c.old_secret_until > :now::timestamptz THEN c.old_secret_until
        ELSE :until::timestamptz
    END,
    changed_at = :now::timestamptz
WHERE c.id = :id AND c.secret_digest IS NOT NULL;

-- name: drop_old_client_secret
-- Nothing is written where there is none.
UPDATE sso.client AS c
SET old_secret_digest = NULL, old_secret_until = NULL, changed_at = :now
WHERE c.id = :id AND c.old_secret_digest IS NOT NULL;

-- name: page_of_clients
-- For people: all clients of an institution by their ids, which begin with that of their service.
-- reads: services.service
SELECT
    c.id, c.service_id, c.environment, c.redirects, c.auth_method, c.created_at, c.changed_at,
    s.name AS service_name
FROM services.service AS s
INNER JOIN sso.client AS c ON c.service_id = s.id
WHERE s.institution_id = :institution_id AND s.state <> 'deleted' AND c.id > :after
ORDER BY c.id
LIMIT :limit;
