// Occupancy: how many are in a room, asked for and told.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { attached, chat, fresh, inBothFormats, realtime, rest, start, UNHURRIED } from "./support.js";
import { channelOf } from "./raw.js";
import { eventually, Log, record } from "./waiting.js";

const server = await start(["--occupancy-interval", "1s", ...UNHURRIED]);
after(() => server.stop());

const EVENTS = { room: { occupancy: { enableEvents: true } } };

/** Has that many connections and members. */
const is = (connections, presenceMembers) => (counted) =>
  counted?.connections === connections && counted.presenceMembers === presenceMembers;
/** Tells of that many connections and members. */
const tells = (...counts) => ({ occupancy }) => is(...counts)(occupancy);

/** A room that tells of its occupancy, and all that it tells, from the first. */
async function watched(t, clientId, name, format) {
  const room = await chat(t, server, clientId, format).rooms.get(name, EVENTS.room);
  const seen = record((listener) => room.occupancy.subscribe(listener));
  await room.attach();
  return { room, seen };
}

inBothFormats("occupancy", (format) => {
  test("it is told soon after attaching, and kept as the current one", async (t) => {
    const room = await chat(t, server, "ann", format).rooms.get(fresh(), EVENTS.room);
    const seen = record((listener) => room.occupancy.subscribe(listener));
    const before = room.occupancy.current;
    const since = Date.now();
    await room.attach();

    const event = await seen.first(() => true);

    assert.ok(Date.now() - since < 1000, `${Date.now() - since} ms`);
    assert.equal(before, undefined);
    assert.deepEqual(event, { type: "occupancy.updated", occupancy: { connections: 1, presenceMembers: 0 } });
    assert.deepEqual(room.occupancy.current, { connections: 1, presenceMembers: 0 });
  });

  test("it counts those who come, enter, leave and go", async (t) => {
    const name = fresh();
    const { room, seen } = await watched(t, "ann", name, format);
    const bob = await attached(t, server, "bob", name, format);

    await seen.first(tells(2, 0));
    await Promise.all([room.presence.enter(), bob.presence.enter()]);
    await seen.first(tells(2, 2));
    await bob.presence.leave();
    await seen.first(tells(2, 1));
    await bob.detach();
    await seen.first(tells(1, 1));
  });

  test("what is told equals what is asked for", async (t) => {
    const name = fresh();
    const { room, seen } = await watched(t, "ann", name, format);
    const bob = await attached(t, server, "bob", name, format);
    await bob.presence.enter();
    await seen.first(tells(2, 1));

    const asked = await room.occupancy.get();

    assert.deepEqual(asked, room.occupancy.current);
    assert.deepEqual(asked, { connections: 2, presenceMembers: 1 });
  });

  test("it is asked for without events, and without attaching", async (t) => {
    const name = fresh();
    await attached(t, server, "ann", name, format);
    const room = await chat(t, server, "bob", format).rooms.get(name);

    assert.deepEqual(await room.occupancy.get(), { connections: 1, presenceMembers: 0 });
  });

  test("a room that nobody knows has nobody", async (t) => {
    const room = await chat(t, server, "ann", format).rooms.get(fresh());

    assert.deepEqual(await room.occupancy.get(), { connections: 0, presenceMembers: 0 });
  });

  test("a room without the events subscribes to none and is sent none", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const room = await chat(t, server, "bob", format).rooms.get(name);
    const heard = record((listener) => room.channel.subscribe(listener));
    await room.attach();

    await room.presence.enter();
    await seen.first(tells(2, 1));
    await room.reactions.send({ name: "after it" });

    await heard.first(({ name }) => name === "roomReaction");
    assert.deepEqual(heard.items.map(({ name }) => name), ["roomReaction"]);
    assert.throws(() => room.occupancy.subscribe(() => {}), { code: 102108 });
    assert.throws(() => room.occupancy.current, { code: 102108 });
  });

  test("who unsubscribes hears no more, and the current one goes on", async (t) => {
    const name = fresh();
    const { room, seen } = await watched(t, "ann", name, format);
    await seen.first(tells(1, 0));
    const heard = new Log();
    const { unsubscribe } = room.occupancy.subscribe((event) => heard.push(event));
    unsubscribe();

    await attached(t, server, "bob", name, format);
    await seen.first(tells(2, 0));

    assert.deepEqual(heard.items, []);
    assert.deepEqual(room.occupancy.current, { connections: 2, presenceMembers: 0 });
  });

  test("one user on two connections is two connections and two members", async (t) => {
    const name = fresh();
    const { room, seen } = await watched(t, "ann", name, format);
    const other = await attached(t, server, "ann", name, format);

    await Promise.all([room.presence.enter(), other.presence.enter()]);

    await seen.first(tells(2, 2));
  });

  test("one connection may have many members", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const channel = realtime(t, server, undefined, format).channels.get(channelOf(name));

    await Promise.all(["a", "b", "c"].map((one) => channel.presence.enterClient(one)));

    await seen.first(tells(2, 3));
  });

  test("a hundred changes in a second are told in few events, of which the last is exact", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const channel = realtime(t, server, undefined, format).channels.get(channelOf(name));
    await channel.attach();
    await seen.first(tells(2, 0));
    const before = seen.items.length;
    const since = Date.now();

    await Promise.all(Array.from({ length: 100 }, (_, n) => channel.presence.enterClient(`member ${n}`)));
    const seconds = (Date.now() - since) / 1000;
    await seen.first(tells(2, 100));

    // One at once, since the room had no member before, then one each second.
    const told = seen.items.length - before;
    assert.ok(told <= 2 + Math.ceil(seconds), `${told} events in ${seconds} s`);
  });

  test("nothing is told twice in a row", async (t) => {
    const name = fresh();
    const { room, seen } = await watched(t, "ann", name, format);
    for (const data of [{ n: 1 }, { n: 2 }, { n: 3 }]) await room.presence.enter(data);
    await seen.first(tells(1, 1));
    await attached(t, server, "bob", name, format);
    await seen.first(tells(2, 1));

    const told = seen.items.map(({ occupancy }) => JSON.stringify(occupancy));

    assert.deepEqual(told, [...new Set(told)]);
  });

  for (const name of ["a/b", "a%2Fb", "100%", "two words", "привет мир", "部屋", "👋🏽 hello", "q?x=1#y", "a+b", "a:b"]) {
    test(`a room may be called ${name}`, async (t) => {
      const own = `${fresh()} ${name}`;
      const { room, seen } = await watched(t, "ann", own, format);
      await room.presence.enter();

      await seen.first(tells(1, 1));
      assert.deepEqual(await room.occupancy.get(), { connections: 1, presenceMembers: 1 });
    });
  }

  test("rooms whose names look alike once encoded are two", async (t) => {
    const [prefix, client] = [fresh(), chat(t, server, "ann", format)];
    const [slash, encoded] = await Promise.all([`${prefix}/b`, `${prefix}%2Fb`].map((name) => client.rooms.get(name)));

    await slash.attach();

    assert.deepEqual(await slash.occupancy.get(), { connections: 1, presenceMembers: 0 });
    assert.deepEqual(await encoded.occupancy.get(), { connections: 0, presenceMembers: 0 });
  });

  test("all metrics of a channel are asked for over REST", async (t) => {
    const name = fresh();
    const ann = await attached(t, server, "ann", name, { ...format, ...EVENTS });
    await ann.presence.enter();
    await attached(t, server, "bob", name, { ...format, room: { presence: { enableEvents: false } } });
    const path = `/channels/${encodeURIComponent(channelOf(name))}`;

    const answer = await eventually(() => rest(server, format).request("GET", path, 6), ({ items }) =>
      items[0]?.status?.occupancy.metrics.presenceMembers === 1);

    const [{ channelId, status }] = answer.items;
    assert.equal(channelId, channelOf(name));
    assert.equal(status.isActive, true);
    const { objectPublishers, objectSubscribers, ...metrics } = status.occupancy.metrics;
    assert.deepEqual(metrics, {
      connections: 2,
      publishers: 2,
      subscribers: 2,
      presenceConnections: 2,
      presenceMembers: 1,
      presenceSubscribers: 1,
    });
    assert.deepEqual([objectPublishers ?? 0, objectSubscribers ?? 0], [0, 0]);
  });
});
