"""The history of the schema, as plain SQL. The result is `schema.sql` at the root."""
