-- Times that the serials of live rooms stay below, so that a node that starts begins after them, whatever its clock
-- says (docs/order.md).

CREATE TABLE serial_ceilings (
    resource_id uuid PRIMARY KEY REFERENCES resources (id) ON DELETE CASCADE,
    ceiling     bigint NOT NULL, -- milliseconds since 1970
    before      bigint NOT NULL  -- what it was before it was raised last: a statement tells both
);
