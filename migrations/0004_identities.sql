-- Communication users.

CREATE TABLE identities (
    resource_id       uuid        NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    id                uuid        NOT NULL, -- the second guid of the raw id
    created_at        timestamptz NOT NULL,
    tokens_valid_from timestamptz NOT NULL, -- a token issued before it is void
    deleted_at        timestamptz,
    PRIMARY KEY (resource_id, id)
);
