// Tokens that end while a connection lives: renewed in place, or after a short break.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ACTION, channelOf, dial, dialInto } from "./raw.js";
import { bearer, fresh, inBothFormats, over, refusal, start, state } from "./support.js";
import { token } from "./tokens.js";
import { record } from "./waiting.js";

const server = await start();
after(() => server.stop());

const ANN = { clientId: "ann" };

inBothFormats("a token that ends", (format) => {
  test("is renewed before, and nothing is attached again", async (t) => {
    const lives = [6, 3600];
    const client = bearer(t, server, () => token(server, { ...ANN, seconds: lives.shift() }), format);
    const room = await over(client).rooms.get(fresh());
    await room.attach();
    await room.presence.enter({ n: 1 });
    const connection = record((listener) => client.connection.on(listener));
    const channel = record((listener) => room.channel.on(listener));

    const update = await connection.first(() => true);

    assert.deepEqual([update.current, update.previous, update.reason], ["connected", "connected", undefined]);
    assert.deepEqual(lives, []);
    await room.reactions.send({ name: "still here" });
    assert.deepEqual(channel.items, []);
    assert.equal(await room.presence.isUserPresent("ann"), true);
  });

  test("is asked for by AUTH, and answered by CONNECTED of the same connection", async (t) => {
    const ann = await dial(t, server, { ...format, access_token: token(server, { ...ANN, seconds: 6 }) });
    const first = await ann.connected();
    const asked = await ann.next(ACTION.AUTH);
    assert.deepEqual(asked, { action: ACTION.AUTH });

    ann.send({ action: ACTION.AUTH, auth: { accessToken: token(server, ANN) } });

    const again = await ann.frames.until((frames) => frames.filter(({ action }) => action === ACTION.CONNECTED)[1]);
    assert.equal(again.connectionId, first.connectionId);
    assert.deepEqual(Object.keys(again.connectionDetails).toSorted(), Object.keys(first.connectionDetails).toSorted());
    assert.equal(again.connectionDetails.clientId, "ann");
  });

  test("ends the connection with 40142 when it is not renewed", async (t) => {
    const since = Date.now();
    const ann = await dial(t, server, { ...format, access_token: token(server, { ...ANN, seconds: 3 }) });

    const { error } = await ann.next(ACTION.DISCONNECTED);

    assert.deepEqual([error.code, error.statusCode, typeof error.message], [40142, 401, "string"]);
    assert.ok(Date.now() - since >= 1900, `${Date.now() - since} ms`);
    await ann.closed();
  });

  test("is renewed after its end by a client that could not before, which resumes", async (t) => {
    const lives = [4, 3600];
    // While the client is connected no new token is to be had.
    const issue = () => {
      if (client.connection.state === "connected") throw new Error("the application's server is away");
      return token(server, { ...ANN, seconds: lives.shift() });
    };
    const client = bearer(t, server, issue, { ...format, autoConnect: false });
    const room = await over(client).rooms.get(fresh());
    client.connect();
    await room.attach();
    const { id } = client.connection;
    const changes = record((listener) => client.connection.on(listener));
    const gaps = record((listener) => room.onDiscontinuity(listener));

    await changes.first(({ current }) => current === "connected");
    await room.reactions.send({ name: "still here" });

    assert.deepEqual(changes.items.map(({ current }) => current), ["disconnected", "connecting", "connected"]);
    assert.equal(changes.items[0].reason.code, 40142);
    assert.deepEqual([client.connection.id, gaps.items, lives], [id, [], []]);
  });
});

inBothFormats("a client that authorizes again", (format) => {
  test("may do more in place, when the new token allows it", async (t) => {
    const name = fresh();
    const capabilities = [{ elsewhere: ["*"] }, { elsewhere: ["*"], [name]: ["*"] }];
    const client = bearer(t, server, () => token(server, { ...ANN, capability: capabilities.shift() }), format);
    const room = await over(client).rooms.get(name);
    const before = await refusal(room.attach());
    const { id } = client.connection;

    await client.auth.authorize();
    await room.attach();

    assert.equal(before.code, 40160);
    assert.deepEqual([room.status, client.connection.id], ["attached", id]);
  });

  test("loses the rooms that the new token does not cover, and keeps the others", async (t) => {
    const [kept, lost] = [fresh(), fresh()];
    const capabilities = [{ [kept]: ["*"], [lost]: ["*"] }, { [kept]: ["*"] }];
    const client = bearer(t, server, () => token(server, { ...ANN, capability: capabilities.shift() }), format);
    const chat = over(client);
    const rooms = await Promise.all([chat.rooms.get(kept), chat.rooms.get(lost)]);
    await Promise.all(rooms.map((room) => room.attach()));

    await client.auth.authorize();
    await state(rooms[1].channel, "failed");

    assert.deepEqual([rooms[1].status, rooms[1].error.code], ["failed", 40160]);
    await rooms[0].presence.enter();
    assert.equal(rooms[0].status, "attached");
  });

  test("may not become somebody else", async (t) => {
    const access_token = token(server, ANN);
    const ann = await dialInto(t, server, channelOf(fresh()), { ...format, access_token });

    ann.send({ action: ACTION.AUTH, auth: { accessToken: token(server, { clientId: "bob" }) } });

    const { error, channel } = await ann.next(ACTION.ERROR);
    assert.deepEqual([error.code, channel], [40102, undefined]);
    await ann.closed();
  });

  test("with a token that is none is refused", async (t) => {
    const ann = await dial(t, server, { ...format, access_token: token(server, ANN) });
    await ann.connected();

    ann.send({ action: ACTION.AUTH, auth: { accessToken: "a.b.c" } });

    const refused = await ann.frames.first(({ action }) => [ACTION.ERROR, ACTION.DISCONNECTED].includes(action));
    assert.equal(refused.error.statusCode, 401);
    await ann.closed();
  });
});
