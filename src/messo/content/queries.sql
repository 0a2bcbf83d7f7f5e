-- name: owner_of
-- Asked when a message with remote content is accepted; cached by the process.
SELECT c.institution_id FROM content.configuration AS c WHERE c.id = :id;

-- name: create_configuration
-- The managing API comes with remote content; until then the sandbox and tests make them.
INSERT INTO content.configuration (id, institution_id, name, description, has_precondition, created_at)
VALUES (:id, :institution_id, :name, :description, :has_precondition, :now);
