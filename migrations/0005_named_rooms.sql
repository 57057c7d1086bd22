-- Managed rooms with a name and options of their own, and whether there are rooms that no backend made.

ALTER TABLE rooms
    ADD COLUMN name                  text, -- beside the id; null for most
    ADD COLUMN typing_throttle_ms    integer CHECK (typing_throttle_ms > 0),
    ADD COLUMN presence_events       boolean, -- null leaves an option to each client
    ADD COLUMN occupancy_events      boolean,
    ADD COLUMN raw_message_reactions boolean,
    ADD COLUMN default_reaction      text CHECK (default_reaction IN ('unique', 'distinct', 'multiple'));

-- A name is free again when its room is deleted. Rooms without one cost nothing here.
CREATE UNIQUE INDEX rooms_by_name ON rooms (resource_id, name) WHERE name IS NOT NULL;

-- False: only what a backend made can be entered.
ALTER TABLE resources ADD COLUMN named_rooms boolean NOT NULL DEFAULT true;
