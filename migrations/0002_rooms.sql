-- Managed rooms and their rosters.

CREATE TABLE rooms (
    resource_id           uuid        NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    id                    bigint      NOT NULL, -- grows with time: the key appends, and is the list's order
    created_at            timestamptz NOT NULL,
    valid_from            timestamptz NOT NULL,
    valid_until           timestamptz NOT NULL,
    pstn_dial_out_enabled boolean     NOT NULL,
    participant_count     integer     NOT NULL CHECK (participant_count >= 0),
    roster_version        bigint      NOT NULL, -- one up with each change of the roster
    PRIMARY KEY (resource_id, id),
    CHECK (valid_from < valid_until)
);

-- The sweeper asks for the rooms that have been over the longest; nothing else is asked by time.
CREATE INDEX rooms_by_end ON rooms (valid_until);

CREATE TABLE participants (
    resource_id uuid   NOT NULL,
    room_id     bigint NOT NULL,
    raw_id      text   NOT NULL,
    role        text   NOT NULL CHECK (role IN ('Presenter', 'Attendee', 'Consumer', 'Collaborator')),
    position    bigint NOT NULL, -- when it was added: nanoseconds since 1970, made of µs and the place in the request
    PRIMARY KEY (resource_id, room_id, raw_id),
    FOREIGN KEY (resource_id, room_id) REFERENCES rooms (resource_id, id) ON DELETE CASCADE
);
