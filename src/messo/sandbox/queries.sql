-- name: mark_sandbox
-- Never unmarked: production refuses a database that was a sandbox.
UPDATE base.database AS d SET sandbox = true WHERE d.one;

-- name: is_sandbox
-- Read by production before it starts.
SELECT d.sandbox FROM base.database AS d;

-- name: all_keys
-- The sandbox hands out the keys it made; groups are what people make. reads: services.key
SELECT k.institution_id, k.service_id, k.slot, k.encrypted FROM services.key AS k
WHERE k.group_id IS NULL;

-- name: all_configurations
-- The sandbox's own of each institution: the oldest, for people make others. reads: content.configuration
SELECT DISTINCT ON (c.institution_id) c.id, c.institution_id FROM content.configuration AS c
ORDER BY c.institution_id, c.id;

-- name: find_notice
-- The newest message that carries this notice, as the payment node would know it from its creditor.
-- reads: payments.carrier, messages.message, messages.content, messages.sender
SELECT
    (c.parts #>> '{payment_data,amount}')::bigint AS amount,
    (c.parts ->> 'due_date')::timestamptz AS due_at, m.subject,
    s.organization_name AS payee_name, m.fiscal_code = :pays_at_once AS is_paid_at_once
FROM payments.carrier AS k
INNER JOIN messages.message AS m ON m.bucket = k.message_bucket AND m.id = k.message_id
INNER JOIN messages.content AS c ON c.bucket = m.bucket AND c.id = m.id
INNER JOIN messages.sender AS s ON s.id = m.sender_id
WHERE k.bucket = ANY(:buckets::smallint[]) AND k.payee = :payee AND k.number = :number
ORDER BY m.id DESC
LIMIT 1;

-- name: client_of_address
-- The relying party of the sandbox knows its own address, and by it which client it is.
-- reads: sso.client
SELECT c.id FROM sso.client AS c
WHERE c.redirects @> :redirect::text::jsonb
ORDER BY c.created_at
LIMIT 1;

-- name: has_members
-- A sandbox that was made before there were any gets them, too.
-- reads: people.member
SELECT EXISTS (SELECT FROM people.member);
