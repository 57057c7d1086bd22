-- What was answered to a create that a client may send again (acs-rooms.md, section 3).

CREATE TABLE repeated_requests (
    resource_id uuid        NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    request_id  uuid        NOT NULL,
    first_sent  timestamptz NOT NULL,
    body_digest bytea       NOT NULL, -- SHA-256
    room_id     bigint      NOT NULL, -- no foreign key: the answer outlives the room
    answer      bytea       NOT NULL, -- the body as it was given
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (resource_id, request_id)
);

-- The sweeper deletes what is past its time.
CREATE INDEX repeated_requests_by_end ON repeated_requests (expires_at);
