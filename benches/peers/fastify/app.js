// The routes: bodies are checked by a schema, answers are written by one.
import Fastify from 'fastify';

import { roomIds } from './ids.js';
import { signed } from './signature.js';
import { store } from './store.js';

const PAGE = 30;
const LAST = '9223372036854775807';
const LONGEST_MS = 180 * 24 * 60 * 60 * 1_000;
const ATTEMPTS = 10;

const time = { type: 'string', format: 'date-time' };
const participant = {
  type: ['object', 'null'],
  properties: { role: { enum: ['Presenter', 'Attendee', 'Consumer', 'Collaborator'] } },
};
const participants = {
  type: 'object',
  maxProperties: 350,
  propertyNames: { pattern: '^8:acs:[0-9a-f-]{36}_[0-9a-f-]{36}$' },
  additionalProperties: participant,
};
const room = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    createdAt: time,
    validFrom: time,
    validUntil: time,
    pstnDialOutEnabled: { type: 'boolean' },
  },
};
const page = { type: 'object', properties: { value: { type: 'array', items: room }, nextLink: { type: 'string' } } };
const one = { type: 'object', properties: { roomId: { type: 'string', pattern: '^[0-9]{16,18}$' } } };
const query = { type: 'object', properties: { nextLink: { type: 'string' } } };
const repeatable = {
  type: 'object',
  properties: {
    'repeatability-request-id': { type: 'string', format: 'uuid' },
    'repeatability-first-sent': { type: 'string' },
  },
};
const wanted = {
  type: 'object',
  properties: { validFrom: time, validUntil: time, pstnDialOutEnabled: { type: 'boolean' }, participants },
};

const schemas = {
  create: { headers: repeatable, body: wanted, response: { 201: room } },
  get: { params: one, response: { 200: room } },
  list: { querystring: query, response: { 200: page } },
  patch: { params: one, body: { type: 'object', properties: { participants } }, response: { 200: { type: 'object' } } },
};

const refused = (statusCode, message) => Object.assign(new Error(message), { statusCode });

/** Who is to be there in which role, in two columns, and who is not. */
function roster(given = {}) {
  const [rawIds, roles, removals] = [[], [], []];
  for (const [rawId, wanted] of Object.entries(given)) {
    if (wanted === null) removals.push(rawId);
    else rawIds.push(rawId) && roles.push(wanted.role ?? 'Attendee');
  }
  return { upserts: { rawIds, roles }, removals };
}

function newRoom({ validFrom, validUntil, pstnDialOutEnabled = false }, id) {
  const createdAt = new Date();
  const from = validFrom ? new Date(validFrom) : createdAt;
  const until = validUntil ? new Date(validUntil) : new Date(createdAt.getTime() + LONGEST_MS);
  if (until <= createdAt || from >= until || until - from > LONGEST_MS) throw refused(400, 'The window is not valid.');
  return { id, createdAt, validFrom: from, validUntil: until, pstnDialOutEnabled };
}

/** By what a create is known when it comes again. */
function repeat({ headers, digest }) {
  const { 'repeatability-request-id': request, 'repeatability-first-sent': firstSent } = headers;
  if (!request !== !firstSent) throw refused(400, 'One header of the two.');
  if (request && Number.isNaN(Date.parse(firstSent))) throw refused(400, 'Not a date.');
  return request && { request, firstSent: new Date(firstSent), digest };
}

export function app({ pool, resource, key }) {
  const server = Fastify();
  const rooms = store(pool, resource);
  const nextId = roomIds();

  server.decorateRequest('rawBody', null);
  server.decorateRequest('digest', null);
  const kinds = ['application/json', 'application/merge-patch+json'];
  const parse = server.getDefaultJsonParser('error', 'error');
  server.removeContentTypeParser('application/json');
  server.addContentTypeParser(kinds, { parseAs: 'buffer' }, (request, body, done) => {
    request.rawBody = body;
    parse(request, body.toString(), done);
  });
  server.addHook('preValidation', signed(key));

  server.post('/rooms', { schema: schemas.create }, async (request, reply) => {
    const repeated = repeat(request);
    const { upserts } = roster(request.body.participants);
    const render = reply.getSerializationFunction(201);
    const created = ({ id, answer }) => {
      reply.code(201).headers({ location: id, 'repeatability-result': 'accepted' });
      return reply.type('application/json').send(answer);
    };
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const made = newRoom(request.body, nextId());
      const answer = render(made);
      try {
        if (await rooms.create(made, upserts, repeated, answer)) return created({ id: made.id, answer });
      } catch (error) {
        if (error.constraint === 'rooms_pkey') continue; // another worker made the same id
        throw error;
      }
      const first = await rooms.recall(repeated.request);
      const isSentThen = first?.first_sent.getTime() === repeated.firstSent.getTime();
      const isSame = isSentThen && first.body_digest.equals(repeated.digest);
      if (isSame) return created({ id: first.room_id, answer: first.answer });
      if (first) throw refused(400, 'The request id came before with something else.');
    }
    throw refused(503, 'Try again.');
  });

  server.get('/rooms', { schema: schemas.list }, async (request) => {
    const { nextLink } = request.query;
    const before = nextLink ? Buffer.from(nextLink, 'base64url').toString() : LAST;
    const found = await rooms.list(before, PAGE + 1);
    if (found.length <= PAGE) return { value: found };
    const value = found.slice(0, PAGE);
    const token = Buffer.from(value[PAGE - 1].id).toString('base64url');
    return { value, nextLink: `http://${request.headers.host}/rooms?nextLink=${token}&api-version=2025-03-13` };
  });

  server.get('/rooms/:roomId', { schema: schemas.get }, async (request) => {
    const found = await rooms.get(request.params.roomId);
    if (!found) throw refused(404, 'There is no such room.');
    return found;
  });

  server.patch('/rooms/:roomId/participants', { schema: schemas.patch }, async (request) => {
    const { upserts, removals } = roster(request.body.participants);
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const { there, fits } = await rooms.patch(request.params.roomId, upserts, removals, new Date());
      if (!there) throw refused(404, 'There is no such room.');
      if (fits) return {};
      if (fits === false) throw refused(400, 'There would be too many.');
    }
    throw refused(503, 'Try again.');
  });

  return server;
}
