// The SQL, a named statement a request: what the service asks of the same tables (src/store).
const ROOM = `id, created_at AS "createdAt", valid_from AS "validFrom", valid_until AS "validUntil",
              pstn_dial_out_enabled AS "pstnDialOutEnabled"`;

const GET = { name: 'get', text: `SELECT ${ROOM} FROM rooms WHERE resource_id = $1 AND id = $2` };

const LIST = {
  name: 'list',
  text: `SELECT ${ROOM} FROM rooms WHERE resource_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3`,
};

const CREATE = {
  name: 'create',
  text: `
    WITH remembered AS (
      INSERT INTO repeated_requests AS r
        (resource_id, request_id, first_sent, body_digest, room_id, answer, expires_at)
      SELECT $1, $9, $10, $11, $2, $12, $3::timestamptz + interval '24 hours' WHERE $9::uuid IS NOT NULL
      ON CONFLICT (resource_id, request_id) DO UPDATE
      SET first_sent = excluded.first_sent, body_digest = excluded.body_digest,
          room_id = excluded.room_id, answer = excluded.answer, expires_at = excluded.expires_at
      WHERE r.expires_at <= $3
      RETURNING true
    ), turn AS (
      SELECT FROM remembered UNION ALL SELECT WHERE $9::uuid IS NULL
    ), room AS (
      INSERT INTO rooms (resource_id, id, created_at, valid_from, valid_until,
                         pstn_dial_out_enabled, participant_count, roster_version)
      SELECT $1, $2, $3, $4, $5, $6, cardinality($7::text[]), 0 FROM turn
      RETURNING true
    ), roster AS (
      INSERT INTO participants (resource_id, room_id, raw_id, role, position)
      SELECT $1, $2, given.raw_id, given.role, $13::bigint + given.place
      FROM turn, unnest($7::text[], $8::text[]) WITH ORDINALITY AS given (raw_id, role, place)
    )
    SELECT EXISTS (SELECT FROM room) AS done`,
};

const RECALL = {
  name: 'recall',
  text: `SELECT first_sent, body_digest, room_id, answer FROM repeated_requests
         WHERE resource_id = $1 AND request_id = $2 AND expires_at > now()`,
};

const PATCH = {
  name: 'patch',
  text: `
    WITH seen AS (
      SELECT roster_version, participant_count FROM rooms WHERE resource_id = $1 AND id = $2
    ), turn AS (
      SELECT roster_version FROM rooms WHERE resource_id = $1 AND id = $2 FOR UPDATE
    ), growth AS (
      SELECT cardinality($3::text[]) - count(*) FILTER (WHERE raw_id = ANY ($3))
           - count(*) FILTER (WHERE raw_id = ANY ($5)) AS by
      FROM participants
      WHERE resource_id = $1 AND room_id = $2 AND raw_id = ANY ($3::text[] || $5::text[])
    ), fresh AS (
      SELECT seen.participant_count + growth.by AS size,
             growth.by <= 0 OR seen.participant_count + growth.by <= $7 AS fits
      FROM seen JOIN turn USING (roster_version) CROSS JOIN growth
    ), removed AS (
      DELETE FROM participants USING fresh
      WHERE fits AND resource_id = $1 AND room_id = $2 AND raw_id = ANY ($5)
    ), upserted AS (
      INSERT INTO participants (resource_id, room_id, raw_id, role, position)
      SELECT $1, $2, given.raw_id, given.role, $6::bigint + given.place
      FROM fresh, unnest($3::text[], $4::text[]) WITH ORDINALITY AS given (raw_id, role, place)
      WHERE fits
      ON CONFLICT (resource_id, room_id, raw_id) DO UPDATE SET role = excluded.role
    ), counted AS (
      UPDATE rooms SET participant_count = fresh.size, roster_version = rooms.roster_version + 1
      FROM fresh WHERE fits AND resource_id = $1 AND id = $2
    )
    SELECT EXISTS (SELECT FROM turn) AS there, (SELECT fits FROM fresh) AS fits`,
};

/** The most that a roster holds. */
const MAX_PARTICIPANTS = 350;

/** In nanoseconds: where those who come now begin in the order of a roster. */
const position = (now) => `${now.getTime()}000000`;

export function store(pool, resource) {
  const ask = async (statement, ...values) => (await pool.query({ ...statement, values: [resource, ...values] })).rows;
  return {
    get: async (id) => (await ask(GET, id))[0],
    list: (before, limit) => ask(LIST, before, limit),
    recall: async (request) => (await ask(RECALL, request))[0],

    /** False if the request is remembered already. */
    create: async (room, { rawIds, roles }, repeat, answer) => {
      const { id, createdAt, validFrom, validUntil, pstnDialOutEnabled } = room;
      const remember = [repeat?.request ?? null, repeat?.firstSent ?? null, repeat?.digest ?? null, answer];
      const given = [createdAt, validFrom, validUntil, pstnDialOutEnabled, rawIds, roles];
      return (await ask(CREATE, id, ...given, ...remember, position(createdAt)))[0].done;
    },

    /** Whether the room is there, and whether all fitted: null if another change came in between. */
    patch: async (id, { rawIds, roles }, removals, now) =>
      (await ask(PATCH, id, rawIds, roles, removals, position(now), MAX_PARTICIPANTS))[0],
  };
}
