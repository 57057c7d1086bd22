// Presence: who is in a room, with what data, and how others learn of it.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { attached, bearer, chat, fresh, inBothFormats, over, realtime, refusal, start, UNHURRIED } from "./support.js";
import { channelOf } from "./raw.js";
import { token } from "./tokens.js";
import { record } from "./waiting.js";

const server = await start(UNHURRIED);
after(() => server.stop());

const OCCUPANCY = { room: { occupancy: { enableEvents: true } } };

/** A room with all the presence events it is told. */
async function watched(t, clientId, name, options) {
  const room = await attached(t, server, clientId, name, options);
  return { room, seen: record((listener) => room.presence.subscribe(listener)) };
}

/** Type, member and data of each event. */
const told = (log) => log.items.map(({ type, member }) => [type, member.clientId, member.data]);
const by = (clientId, wanted) => ({ type, member }) => type === wanted && member.clientId === clientId;

inBothFormats("presence", (format) => {
  test("others see a member enter, update and leave, each with its data", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const bob = await attached(t, server, "bob", name, format);

    await bob.presence.enter({ status: "online" });
    await bob.presence.update({ status: "away" });
    await bob.presence.leave({ reason: "lunch" });
    await seen.count(3);

    assert.deepEqual(told(seen), [
      ["enter", "bob", { status: "online" }],
      ["update", "bob", { status: "away" }],
      ["leave", "bob", { reason: "lunch" }],
    ]);
  });

  test("members see themselves", async (t) => {
    const { room, seen } = await watched(t, "ann", fresh(), format);

    await room.presence.enter({ n: 1 });
    await seen.count(1);

    assert.deepEqual(told(seen), [["enter", "ann", { n: 1 }]]);
    const [{ member }] = seen.items;
    assert.equal(member.connectionId, (await room.presence.get())[0].connectionId);
    assert.ok(Math.abs(member.updatedAt - Date.now()) < 60_000, member.updatedAt);
  });

  test("data comes as it was sent", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const bob = await attached(t, server, "bob", name, format);
    const data = { text: "привет 👋🏽 \u0000 \"'", nested: [{ a: null, b: [1.5, -1, 2 ** 40, true] }], empty: {} };

    await bob.presence.enter(data);

    const { member } = await seen.first(by("bob", "enter"));
    assert.deepEqual(member.data, data);
  });

  test("a member without data has none", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const bob = await attached(t, server, "bob", name, format);

    await bob.presence.enter();

    const { member } = await seen.first(by("bob", "enter"));
    assert.equal(member.data, undefined);
  });

  test("who enters twice is one member, with the later data", async (t) => {
    const name = fresh();
    const { room, seen } = await watched(t, "ann", name, format);
    const bob = await attached(t, server, "bob", name, format);

    await bob.presence.enter({ n: 1 });
    await bob.presence.enter({ n: 2 });
    await seen.count(2);

    assert.deepEqual(told(seen), [["enter", "bob", { n: 1 }], ["enter", "bob", { n: 2 }]]);
    assert.deepEqual((await room.presence.get()).map(({ data }) => data), [{ n: 2 }]);
  });

  test("an update without entering enters", async (t) => {
    const name = fresh();
    const { room } = await watched(t, "ann", name, format);
    const bob = await attached(t, server, "bob", name, format);

    await bob.presence.update({ n: 1 });

    assert.equal(await bob.presence.isUserPresent("bob"), true);
    const late = await attached(t, server, "carol", name, format);
    assert.deepEqual((await late.presence.get()).map(({ clientId }) => clientId), ["bob"]);
    assert.equal(room.status, "attached");
  });

  test("who leaves without data leaves with the last", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const bob = await attached(t, server, "bob", name, format);
    await bob.presence.enter({ n: 1 });

    await bob.presence.leave();

    const { member } = await seen.first(by("bob", "leave"));
    assert.deepEqual(member.data, { n: 1 });
  });

  test("leaving without having entered is nothing", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const bob = await attached(t, server, "bob", name, format);

    await bob.presence.leave();
    await bob.presence.enter();
    await seen.count(1);

    assert.deepEqual(told(seen), [["enter", "bob", undefined]]);
  });

  test("who comes later sees who is there as present", async (t) => {
    const name = fresh();
    const ann = await attached(t, server, "ann", name, format);
    const bob = await attached(t, server, "bob", name, format);
    await Promise.all([ann.presence.enter({ n: 1 }), bob.presence.enter({ n: 2 })]);
    const carol = await chat(t, server, "carol", format).rooms.get(name);
    const seen = record((listener) => carol.presence.subscribe(listener));

    await carol.attach();
    await seen.count(2);

    const present = told(seen).toSorted(([, a], [, b]) => a.localeCompare(b));
    assert.deepEqual(present, [["present", "ann", { n: 1 }], ["present", "bob", { n: 2 }]]);
    assert.equal(await carol.presence.isUserPresent("ann"), true);
    assert.equal(await carol.presence.isUserPresent("carol"), false);
  });

  test("a member who left is not there for who comes later", async (t) => {
    const name = fresh();
    const ann = await attached(t, server, "ann", name, format);
    await ann.presence.enter();
    await ann.presence.leave();

    const bob = await attached(t, server, "bob", name, format);

    assert.deepEqual(await bob.presence.get(), []);
  });

  test("a room without presence events has members that others see, and sees only its own", async (t) => {
    const name = fresh();
    const { room: ann, seen } = await watched(t, "ann", name, format);
    const bob = await attached(t, server, "bob", name, { ...format, room: { presence: { enableEvents: false } } });
    const heard = record((listener) => bob.channel.presence.subscribe(listener));

    await ann.presence.enter();
    await bob.presence.enter();
    await seen.first(by("bob", "enter"));
    await heard.first(({ clientId }) => clientId === "bob");

    assert.deepEqual(heard.items.map(({ clientId }) => clientId), ["bob"]);
  });

  test("one user on two connections is two members, of whom one may leave", async (t) => {
    const name = fresh();
    const { room, seen } = await watched(t, "ann", name, format);
    const [one, other] = [await attached(t, server, "bob", name, format), await attached(t, server, "bob", name, format)];
    await one.presence.enter({ n: 1 });
    await other.presence.enter({ n: 2 });
    await seen.count(2);
    const both = await room.presence.get({ clientId: "bob" });

    await one.presence.leave();
    await seen.first(by("bob", "leave"));

    assert.equal(new Set(both.map(({ connectionId }) => connectionId)).size, 2);
    assert.deepEqual((await room.presence.get()).map(({ data }) => data), [{ n: 2 }]);
    assert.equal(await room.presence.isUserPresent("bob"), true);
  });

  test("one connection with the key alone may enter for several, and for each leave", async (t) => {
    const name = fresh();
    const { room, seen } = await watched(t, "ann", name, format);
    const channel = realtime(t, server, undefined, format).channels.get(channelOf(name));

    for (const one of ["x", "y", "z"]) await channel.presence.enterClient(one, { one });
    await channel.presence.leaveClient("y");
    await seen.first(by("y", "leave"));

    const members = await room.presence.get();
    assert.deepEqual(members.map(({ clientId, data }) => [clientId, data.one]).toSorted(), [["x", "x"], ["z", "z"]]);
    assert.equal(new Set(members.map(({ connectionId }) => connectionId)).size, 1);
  });

  test("a hundred and fifty members are all there for who comes later", async (t) => {
    const name = fresh();
    const channel = realtime(t, server, undefined, format).channels.get(channelOf(name));
    const names = Array.from({ length: 150 }, (_, n) => `member ${n}`);
    await Promise.all(names.map((one) => channel.presence.enterClient(one, { one })));

    const { presence } = await attached(t, server, "ann", name, format);

    const members = await presence.get();
    assert.deepEqual(members.map(({ clientId }) => clientId).toSorted(), names.toSorted());
    assert.ok(members.every(({ clientId, data }) => data.one === clientId));
  });

  test("entering a room that is not attached is refused by the client", async (t) => {
    const room = await chat(t, server, "ann", format).rooms.get(fresh());

    assert.deepEqual(await refusal(room.presence.enter()), { code: 102112, statusCode: 400 });
  });

  test("entering while the room attaches waits for it", async (t) => {
    const room = await chat(t, server, "ann", format).rooms.get(fresh());

    const attaching = room.attach();
    await Promise.all([attaching, new Promise(setImmediate).then(() => room.presence.enter())]);

    assert.equal(await room.presence.isUserPresent("ann"), true);
  });

  test("nobody enters without a name", async (t) => {
    const room = await over(bearer(t, server, token(server), format)).rooms.get(fresh());
    await room.attach();

    assert.deepEqual(await refusal(room.presence.enter()), { code: 40012, statusCode: 400 });
  });

  test("a claim of the token about the user stands with the member", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const claims = { clientId: "bob", [`ably.room.${name}`]: "moderator" };
    const bob = await over(bearer(t, server, token(server, claims), format)).rooms.get(name);
    await bob.attach();

    await bob.presence.enter();

    const { member } = await seen.first(by("bob", "enter"));
    assert.equal(member.userClaim, "moderator");
  });
});

/** Enters fifty rooms, each over a connection of its own, and gives those in which one is not present then. */
async function enterFifty(t, format) {
  const failures = [];
  for (let round = 0; round < 50; round++) {
    const client = chat(t, server, "ann", format);
    const room = await client.rooms.get(fresh(), OCCUPANCY.room);
    await room.attach();
    await room.presence.enter({ round });
    if (!(await room.presence.isUserPresent("ann"))) failures.push(round);
    client.realtime.close();
  }
  return failures;
}

inBothFormats("presence beside occupancy", (format) => {
  test("who has entered is present, fifty times of fifty", async (t) => {
    const failures = await enterFifty(t, format);

    // The SDK takes the ACK before the echo if it reads both behind an occupancy frame at once. The server keeps
    // them apart by milliseconds; a client that stands still for longer, on a busy machine, gets another try.
    if (failures.length === 1) assert.deepEqual(await enterFifty(t, format), []);
    else assert.deepEqual(failures, []);
  });
});
