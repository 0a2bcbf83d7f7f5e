-- Leases are the time an item is due, moved ahead (docs/decisions/0011): the column had no user.

-- squawk-ignore ban-drop-column
ALTER TABLE work.item DROP COLUMN leased_until;
