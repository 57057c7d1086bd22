-- How often the tokens of a user were revoked. A token says the count as of its issue, and is void when that is lower:
-- the clocks of replicas differ, and the order in which the database does things does not.

ALTER TABLE identities ADD COLUMN revocations bigint NOT NULL DEFAULT 0;
