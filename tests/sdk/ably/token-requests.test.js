// Token requests: signed by who has a key, given to who has none, and turned into a token once.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { bearer, chat, fresh, inBothFormats, over, realtime, refusal, rest, start, state } from "./support.js";
import { parts, tokenRequest } from "./tokens.js";

const server = await start();
after(() => server.stop());

const HOUR = 60 * 60 * 1000;
const { name: KEY_NAME } = parts(server.ablyKey);

/** Sends a token request, and gives the status and the body of the answer. */
async function send(body, keyName = KEY_NAME) {
  const response = await fetch(`${server.http}/keys/${keyName}/requestToken`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** Asserts that a token request is refused with the code. */
async function refused(body, code, keyName) {
  const { status, headers, body: { error } } = await send(body, keyName);
  assert.equal(error?.code, code, JSON.stringify(error));
  assert.equal(error.statusCode, status);
  assert.equal(headers.get("x-ably-errorcode"), `${code}`);
  return status;
}

inBothFormats("tokens that are requested", (format) => {
  test("a client with a key and useTokenAuth connects by a token", async (t) => {
    const client = chat(t, server, "ann", { ...format, useTokenAuth: true });
    const room = await client.rooms.get(fresh());
    await room.attach();

    await room.presence.enter();

    assert.equal(client.realtime.auth.tokenDetails.keyName, KEY_NAME);
    assert.equal(await room.presence.isUserPresent("ann"), true);
    assert.deepEqual(await room.occupancy.get(), { connections: 1, presenceMembers: 1 });
  });

  test("a client is given a token request by its application, and connects by it", async (t) => {
    const application = rest(server, format);
    const issue = () => application.auth.createTokenRequest({ clientId: "ann" });

    const client = bearer(t, server, issue, format);
    await state(client.connection, "connected");

    assert.equal(client.auth.clientId, "ann");
  });

  test("a token says for whom, for what, and for how long it is", async (t) => {
    const since = Date.now();
    const capability = { lobby: ["subscribe"] };

    const details = await rest(server, format).auth.requestToken({ clientId: "ann", ttl: 2 * HOUR, capability });

    assert.deepEqual([details.keyName, details.clientId], [KEY_NAME, "ann"]);
    assert.deepEqual(JSON.parse(details.capability), capability);
    assert.equal(details.expires - details.issued, 2 * HOUR);
    assert.ok(Math.abs(details.issued - since) < 60_000, `${details.issued}`);
    const client = bearer(t, server, details.token, format);
    await state(client.connection, "connected");
    assert.equal(client.auth.clientId, "ann");
  });

  test("a token allows what was asked for, and no more", async (t) => {
    const name = fresh();
    const capability = { [name]: ["subscribe"] };
    const { token } = await rest(server, format).auth.requestToken({ clientId: "ann", capability });
    const { rooms } = over(bearer(t, server, token, format));
    const [allowed, other] = await Promise.all([rooms.get(name), rooms.get(fresh())]);

    await allowed.attach();

    assert.deepEqual(await refusal(other.attach()), { code: 40160, statusCode: 401 });
    assert.deepEqual((await refusal(allowed.presence.enter())).code, 40160);
  });

  test("a token lives for an hour, is for nobody, and allows all that the key does, if nothing else is asked", async (t) => {
    const details = await rest(server, format).auth.requestToken();

    const client = bearer(t, server, details.token, format);
    const room = await over(client).rooms.get(fresh());
    await room.attach();

    assert.equal(details.expires - details.issued, HOUR);
    assert.equal(details.clientId, undefined);
    assert.ok(room.channel.modes.includes("publish"));
  });

  test("a client that asks for the time signs with the server's", async (t) => {
    const client = realtime(t, server, "ann", { ...format, useTokenAuth: true, queryTime: true });

    await state(client.connection, "connected");
  });
});

test("the answer to a token request has its fields and no others", async () => {
  const request = tokenRequest(server, { clientId: "ann", capability: '{"lobby":["subscribe"]}' });

  const { status, headers, body } = await send(request);

  assert.ok([200, 201].includes(status), `${status}`);
  assert.equal(headers.get("content-type"), "application/json");
  assert.deepEqual(Object.keys(body).toSorted(), ["capability", "clientId", "expires", "issued", "keyName", "token"]);
  for (const instant of [body.issued, body.expires]) assert.ok(Number.isSafeInteger(instant), `${instant}`);
  assert.deepEqual(JSON.parse(body.capability), { lobby: ["subscribe"] });
});

test("numbers may come as text", async () => {
  const request = tokenRequest(server, { ttl: 60_000 });

  const { body } = await send({ ...request, ttl: `${request.ttl}`, timestamp: `${request.timestamp}` });

  assert.equal(body.expires - body.issued, 60_000);
});

for (const [how, timestamp] of [["long ago", -3 * 60_000], ["in the future", 3 * 60_000]]) {
  test(`a token request made ${how} is refused`, async () => {
    assert.equal(await refused(tokenRequest(server, { timestamp: Date.now() + timestamp }), 40104), 401);
  });
}

test("a token request serves once", async () => {
  const request = tokenRequest(server);
  const { body } = await send(request);

  assert.equal(typeof body.token, "string");
  assert.equal(await refused(request, 40105), 401);
});

test("a token request serves once, also when it is sent many times at once", async () => {
  const request = tokenRequest(server);

  const answers = await Promise.all(Array.from({ length: 20 }, () => send(request)));

  assert.equal(answers.filter(({ body }) => body.token).length, 1);
});

for (const [what, ttl] of [["more than a day", 24 * HOUR + 1], ["nothing", 0], ["less than nothing", -1]]) {
  test(`a token that lives for ${what} is refused`, async () => {
    await refused(tokenRequest(server, { ttl }), 40003);
  });
}

test("a token may live for a day", async () => {
  const { body } = await send(tokenRequest(server, { ttl: 24 * HOUR }));

  assert.equal(body.expires - body.issued, 24 * HOUR);
});

for (const [what, change] of [
  ["with a wrong signature", { mac: Buffer.alloc(32).toString("base64") }],
  ["with a signature that is none", { mac: "?" }],
  ["without a signature", { mac: undefined }],
  ["for another client than was signed", { clientId: "bob" }],
  ["for more than was signed", { capability: '{"*":["*"]}' }],
  ["for longer than was signed", { ttl: 1234 }],
]) {
  test(`a token request ${what} is refused`, async () => {
    assert.equal(await refused({ ...tokenRequest(server), ...change }, 40101), 401);
  });
}

test("a token request of a key that nobody has is refused", async () => {
  const request = { ...tokenRequest(server), keyName: "dev.nobodys" };

  assert.equal(await refused(request, 40101, "dev.nobodys"), 401);
});

test("a token request for another key than the path's is refused", async () => {
  const { status, body } = await send({ ...tokenRequest(server), keyName: "dev.other" });

  assert.ok(status >= 400 && status < 500 && body.error.statusCode === status, `${status}`);
});

for (const [what, body] of [
  ["that is no object", []],
  ["that is empty", {}],
  ["whose nonce is no text", { ...tokenRequest(server), nonce: {} }],
]) {
  test(`a token request ${what} is refused`, async () => {
    const { status, body: { error } } = await send(body);

    assert.ok(status >= 400 && status < 500, `${status}`);
    assert.deepEqual([error.statusCode, typeof error.code, typeof error.message], [status, "number", "string"]);
  });
}

test("a capability that is none is refused", async () => {
  const { status, body } = await send(tokenRequest(server, { capability: "everything" }));

  assert.ok(status >= 400 && status < 500, `${status}`);
  assert.equal(body.error.statusCode, status);
});
