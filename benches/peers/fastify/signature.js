// Who calls: HMAC-SHA256 over method, target, date, host and the hash of the body, as Azure's clients sign.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

const SCHEME = 'HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=';
const CLOCK_SKEW_MS = 15 * 60 * 1_000;
const DENIED = { error: { code: 'Denied', message: 'The request is not signed with a key of the resource.' } };
const NO_BODY = Buffer.alloc(0);

export const digest = (body) => createHash('sha256').update(body).digest();

/** Of equal length and equal, in a time that does not tell where they differ. */
function same(sent, expected) {
  const [a, b] = [Buffer.from(sent), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** A hook that refuses what is not signed with the key; the body's digest is kept for who remembers the request. */
export function signed(key) {
  return (request, reply, done) => {
    const { authorization = '', host = '', 'x-ms-date': date = '', 'x-ms-content-sha256': hash = '' } = request.headers;
    request.digest = digest(request.rawBody ?? NO_BODY);
    const text = `${request.method}\n${request.raw.url}\n${date};${host};${hash}`;
    const mac = createHmac('sha256', key).update(text).digest('base64');
    const isSigned =
      authorization.startsWith(SCHEME) &&
      same(hash, request.digest.toString('base64')) &&
      same(authorization.slice(SCHEME.length), mac) &&
      Math.abs(Date.parse(date) - Date.now()) <= CLOCK_SKEW_MS;
    if (isSigned) done();
    else reply.code(401).send(DENIED);
  };
}
