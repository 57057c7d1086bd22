// One room, both worlds: the backend manages it with Azure's clients, those who are in it use Ably's.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { CommunicationIdentityClient } from "@azure/communication-identity";
import { createCommunicationAccessKeyCredentialPolicy, parseClientArguments } from "@azure/communication-common";
import { RoomsClient } from "@azure/communication-rooms";
import { createDefaultHttpClient, createHttpHeaders, createPipelineFromOptions, createPipelineRequest } from "@azure/core-rest-pipeline";
import { attached, bearer, clientOf, fresh, inBothFormats, over, realtime, refusal, start, statuses } from "./support.js";
import { proxy } from "./proxy.js";
import { eventually, record } from "./waiting.js";

const server = await start();
after(() => server.stop());

const insecure = { allowInsecureConnection: true };
const rooms = new RoomsClient(server.httpConnectionString, insecure);
const identity = new CommunicationIdentityClient(server.httpConnectionString, insecure);
const HOUR = 60 * 60 * 1000;

/** A user with a client of its own, which fetches a new token whenever it is asked for one. */
async function user(t, format) {
  const id = await identity.createUser();
  const client = bearer(t, server, async () => (await identity.getToken(id, ["chat"])).token, format);
  return { id, client, chat: over(client) };
}

/** A managed room with that user on its roster, and the user's client in it. */
async function inside(t, format, role) {
  const guest = await user(t, format);
  const managed = await rooms.createRoom({ participants: [{ id: guest.id, role }] });
  const room = await guest.chat.rooms.get(managed.id, { occupancy: { enableEvents: true } });
  await room.attach();
  return { ...guest, managed, room };
}

inBothFormats("a managed room", (format) => {
  test("who is invited enters and is counted", async (t) => {
    const { id, managed, room } = await inside(t, format, "Attendee");

    await room.presence.enter({ hello: true });

    await eventually(() => room.presence.isUserPresent(id.communicationUserId), (present) => present);
    const backend = over(realtime(t, server, undefined, format));
    const seen = await (await backend.rooms.get(managed.id)).occupancy.get();
    assert.deepEqual(seen, { connections: 1, presenceMembers: 1 });
  });

  test("who is not invited does not enter, and reads why", async (t) => {
    const { chat } = await user(t, format);
    const managed = await rooms.createRoom({});

    const room = await chat.rooms.get(managed.id);

    assert.deepEqual(await refusal(room.attach()), { code: 40320, statusCode: 403 });
  });

  test("who is invited later enters when it tries again", async (t) => {
    const { id, chat } = await user(t, format);
    const managed = await rooms.createRoom({});
    const room = await chat.rooms.get(managed.id);
    await refusal(room.attach());

    await rooms.addOrUpdateParticipants(managed.id, [{ id }]);
    await room.attach();

    assert.equal(room.status, "attached");
  });

  test("before its window a room is not open, and says when it is", async (t) => {
    const { id, chat } = await user(t, format);
    const validFrom = new Date(Date.now() + HOUR);
    const managed = await rooms.createRoom({ validFrom, participants: [{ id }] });
    const room = await chat.rooms.get(managed.id);

    await assert.rejects(room.attach(), (error) => {
      assert.equal(error.code, 40321);
      assert.match(error.message, new RegExp(validFrom.toISOString().slice(0, 19)));
      return true;
    });
  });

  test("a window that is moved to now lets its roster in, and one that is moved away closes the room", async (t) => {
    const { id, chat } = await user(t, format);
    const later = { validFrom: new Date(Date.now() + HOUR), validUntil: new Date(Date.now() + 2 * HOUR) };
    const managed = await rooms.createRoom({ ...later, participants: [{ id }] });
    const room = await chat.rooms.get(managed.id);
    await refusal(room.attach());

    await rooms.updateRoom(managed.id, { ...later, validFrom: new Date(Date.now() - HOUR) });
    await room.attach();
    const seen = statuses(room);
    await rooms.updateRoom(managed.id, later);

    const closed = await seen.first(({ current }) => current === "failed");
    assert.equal(closed.error.code, 40321);
  });

  test("who is removed is put out, and sees why", async (t) => {
    const { id, managed, room } = await inside(t, format, "Presenter");
    const other = await attached(t, server, "backend", managed.id, { ...format, room: { occupancy: { enableEvents: true } } });
    const counts = record((log) => other.occupancy.subscribe(({ occupancy }) => log(occupancy)));
    await counts.first(({ connections }) => connections === 2);
    const seen = statuses(room);

    await rooms.removeParticipants(managed.id, [id]);

    const closed = await seen.first(({ current }) => current === "failed");
    assert.equal(closed.error.code, 40320);
    await counts.first(({ connections }) => connections === 1);
    assert.deepEqual(await refusal(room.attach()), { code: 40320, statusCode: 403 });
  });

  test("another role is told in place: who becomes a consumer stays, and is not heard any more", async (t) => {
    const { id, managed, room } = await inside(t, format, "Attendee");
    await room.reactions.send({ name: "like" });
    const seen = statuses(room);

    await rooms.addOrUpdateParticipants(managed.id, [{ id, role: "Consumer" }]);

    await eventually(() => room.reactions.send({ name: "like" }).then(() => 0, ({ code }) => code), (code) => code === 40160);
    assert.equal(room.status, "attached");
    assert.deepEqual(seen.items, []);
  });

  test("a deleted room closes for everyone", async (t) => {
    const { managed, room } = await inside(t, format, "Attendee");
    const backends = await attached(t, server, "backend", managed.id, format);
    const seen = [statuses(room), statuses(backends)];

    await rooms.deleteRoom(managed.id);

    for (const log of seen) {
      const closed = await log.first(({ current }) => current === "failed");
      assert.equal(closed.error.code, 40400);
    }
  });

  test("a revoked token ends the connection; with a new one the client comes back and is in again", async (t) => {
    const { id, client, room } = await inside(t, format, "Attendee");
    const states = record((log) => client.connection.on(log));

    await identity.revokeTokens(id);

    await states.first(({ current }) => current === "disconnected");
    await states.first(({ current }) => current === "connected");
    await eventually(() => room.status, (status) => status === "attached");
    assert.equal(states.items.some(({ current }) => current === "failed"), false);
  });

  test("a user that was deleted does not come back", async (t) => {
    const { id, client } = await inside(t, format, "Attendee");
    const states = record((log) => client.connection.on(log));

    await identity.deleteUser(id);

    const ended = await states.first(({ current }) => current === "failed" || current === "disconnected");
    assert.equal(ended.reason.code, 40141);
  });
});

/** Gets or makes a room by name: ours, so the vendor's client has no method for it, but signs and sends it. */
async function byName(name, body) {
  const url = `${server.http}/rooms/by-name/${encodeURIComponent(name)}?api-version=2025-03-13`;
  const headers = createHttpHeaders({ "content-type": "application/json" });
  const request = createPipelineRequest({ url, method: "PUT", headers, body: JSON.stringify(body), ...insecure });
  const pipeline = createPipelineFromOptions({});
  const { credential } = parseClientArguments(server.httpConnectionString);
  pipeline.addPolicy(createCommunicationAccessKeyCredentialPolicy(credential));
  const { status, bodyAsText } = await pipeline.sendRequest(createDefaultHttpClient(), request);
  return { status, ...JSON.parse(bodyAsText) };
}

inBothFormats("a managed room with a name", (format) => {
  test("is entered by its name, and by its id, and is one room", async (t) => {
    const [ann, bob] = [await user(t, format), await user(t, format)];
    const name = fresh();
    const participants = Object.fromEntries([ann, bob].map(({ id }) => [id.communicationUserId, {}]));
    const made = await byName(name, { participants });
    assert.equal(made.status, 201);

    const byItsName = await ann.chat.rooms.get(name);
    const byItsId = await bob.chat.rooms.get(made.id);
    await Promise.all([byItsName.attach(), byItsId.attach()]);
    await byItsName.presence.enter();
    const told = record((log) => byItsId.reactions.subscribe(({ reaction }) => log(reaction)));
    await byItsName.reactions.send({ name: "wave" });

    assert.equal((await told.first(() => true)).clientId, ann.id.communicationUserId);
    await eventually(() => byItsId.presence.isUserPresent(ann.id.communicationUserId), (present) => present);
    assert.deepEqual(await byItsId.occupancy.get(), { connections: 2, presenceMembers: 1 });
    assert.equal((await byName(name, {})).id, made.id);
  });

  test("puts out who was there before and is not on its roster", async (t) => {
    const [ann, bob] = [await user(t, format), await user(t, format)];
    const name = fresh();
    const inside = [];
    for (const { chat } of [ann, bob]) inside.push(await chat.rooms.get(name));
    await Promise.all(inside.map((room) => room.attach()));
    const seen = statuses(inside[1]);

    await byName(name, { participants: { [ann.id.communicationUserId]: {} } });

    assert.equal((await seen.first(({ current }) => current === "failed")).error.code, 40320);
    assert.equal(inside[0].status, "attached");
  });

  test("sends no events that its options forbid, and says so where a client asks for them", async (t) => {
    const guest = await user(t, format);
    const name = fresh();
    const options = { occupancy: { enableEvents: false }, presence: { enableEvents: false } };
    await byName(name, { participants: { [guest.id.communicationUserId]: {} }, options });
    const room = await guest.chat.rooms.get(name, { occupancy: { enableEvents: true }, presence: { enableEvents: true } });
    const told = [];
    room.occupancy.subscribe((event) => told.push(event));
    room.presence.subscribe((event) => told.push(event));

    await room.attach();
    const backend = await attached(t, server, "backend", name, format);
    await backend.presence.enter();
    const heard = record((log) => room.reactions.subscribe(({ reaction }) => log(reaction.name)));
    await backend.reactions.send({ name: "late" });
    await heard.first((name) => name === "late");

    assert.equal(room.channel.params.occupancy, undefined);
    assert.equal(room.channel.modes.includes("PRESENCE_SUBSCRIBE"), false);
    assert.deepEqual(told, []);
  });
});

inBothFormats("a client that a backend makes leave", (format) => {
  test("does not come back by itself, also when its connection was lost and resumed", async (t) => {
    const name = fresh();
    const network = await proxy(t, server);
    const room = await attached(t, network, "ann", name, format);
    const others = await attached(t, server, "bob", name, format);
    const seen = record((log) => others.presence.subscribe((event) => log(event.type)));
    await room.presence.enter();
    await seen.first((type) => type === "enter");

    const path = `${server.http}/channels/${encodeURIComponent(`${name}::$chat`)}/presence/ann`;
    const authorization = `Basic ${Buffer.from(server.ablyKey).toString("base64")}`;
    const answer = await fetch(path, { method: "DELETE", headers: { authorization } });
    await seen.first((type) => type === "leave");
    const client = clientOf(room);
    const states = record((log) => client.connection.on(log));
    network.cut();
    await states.first(({ current }) => current === "connected");
    // The first is told again once it is attached, and enters what it has to; the second comes behind that.
    const heard = [room, others].map(({ channel }) => record((log) => channel.subscribe(({ name }) => log(name))));
    await room.channel.publish("first", null);
    await heard[0].first((name) => name === "first");
    await room.channel.publish("second", null);
    await heard[1].first((name) => name === "second");

    assert.deepEqual(await answer.json(), { members: 1 });
    assert.equal(await room.presence.isUserPresent("ann"), false);
    assert.equal(await others.presence.isUserPresent("ann"), false);
  });
});
