// Entering: what the SDK does by itself, however much of it at once, is not refused for its number a second.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ACTION, channelOf, dialInto, PRESENCE } from "./raw.js";
import { attached, chat, fresh, inBothFormats, realtime, rest, start, state } from "./support.js";
import { eventually, pass, record } from "./waiting.js";

const server = await start();
after(() => server.stop());

const range = (length) => Array.from({ length }, (_, n) => n);

/** How many members a channel has, as REST tells. */
async function members(of, channel) {
  const path = `/channels/${encodeURIComponent(channel)}/presence`;
  const { items } = await rest(of).request("GET", path, 4, { limit: "1000" });
  return items.length;
}

inBothFormats("entering", (format) => {
  test("a client enters 60 rooms at once", async (t) => {
    const client = chat(t, server, "ann", format);
    const rooms = await Promise.all(range(60).map(() => client.rooms.get(fresh())));
    await Promise.all(rooms.map((room) => room.attach()));

    await Promise.all(rooms.map((room) => room.presence.enter()));

    for (const room of rooms) await eventually(() => room.presence.isUserPresent("ann"), (isPresent) => isPresent);
  });

  test("a backend enters 110 clients at once, and one frame enters 51", async (t) => {
    const backend = realtime(t, server, undefined, format);
    const channel = backend.channels.get(fresh());
    await channel.attach();
    const raw = await dialInto(t, server, channel.name, format);

    await Promise.all(range(110).map((n) => channel.presence.enterClient(`client ${n}`)));
    const presence = range(51).map((n) => ({ action: PRESENCE.ENTER, clientId: `other ${n}` }));
    const { action } = await raw.ask({ action: ACTION.PRESENCE, channel: channel.name, presence });

    assert.equal(action, ACTION.ACK);
    assert.equal(await members(server, channel.name), 161);
  });

  test("the connection is told the rate that is taken from it", async (t) => {
    const ann = await dialInto(t, server, fresh(), format);

    assert.equal((await ann.connected()).connectionDetails.maxInboundRate, 50);
  });

  test("in a full room a client that lost its connection takes its own place", async (t) => {
    const small = await start(["--max-members", "2"]);
    t.after(() => small.stop());
    const channel = channelOf(fresh());
    const [ann, bob] = await Promise.all(
      ["ann", "bob"].map((clientId) => dialInto(t, small, channel, { ...format, clientId })),
    );
    await Promise.all([ann.enter(channel), bob.enter(channel)]);
    ann.cut();
    await eventually(() => rest(small).request("GET", `/channels/${encodeURIComponent(channel)}`, 4),
      ({ items }) => items[0].status.occupancy.metrics.connections === 1);

    const [again, eve] = await Promise.all(
      ["ann", "eve"].map((clientId) => dialInto(t, small, channel, { ...format, clientId })),
    );
    const refused = await eve.enter(channel);
    const entered = await again.enter(channel);

    assert.deepEqual([refused.error?.code, entered.action], [91003, ACTION.ACK]);
    assert.equal(await members(small, channel), 2);
  });

  test("of a busy room, a quiet client gets all of its messages through", async (t) => {
    const channel = channelOf(fresh());
    const loud = await Promise.all(range(3).map((n) => dialInto(t, server, channel, { ...format, clientId: `loud ${n}` })));
    const quiet = await dialInto(t, server, channel, { ...format, clientId: "quiet" });
    const timers = loud.map((one) => setInterval(() => void one.publish(channel, { name: "noise" }), 20));
    t.after(() => timers.forEach(clearInterval));
    await loud[0].frames.first(({ action, error }) => action === ACTION.NACK && error.code === 42913);

    const answers = [];
    for (const n of range(25)) {
      answers.push((await quiet.publish(channel, { name: `${n}` })).action);
      await pass(200);
    }

    assert.deepEqual(answers, Array(25).fill(ACTION.ACK));
  });
}, { concurrency: 5 });

test("after a restart everybody is present again in every room", async (t) => {
  const flags = ["--max-members", "60"];
  const before = await start(flags);
  const clients = await Promise.all(range(3).map((n) => {
    const client = chat(t, before, `client ${n}`, { channelRetryTimeout: 500 });
    return Promise.all(range(60).map(async (r) => {
      const room = await client.rooms.get(`room ${r}`);
      await room.attach();
      await room.presence.enter();
      return room;
    }));
  }));
  const failures = record((listener) => {
    for (const room of clients.flat()) room.channel.on("update", ({ reason }) => reason?.code === 91004 && listener(reason));
  });

  await before.terminate();
  const again = await start(flags, before);
  t.after(() => again.stop());
  await Promise.all(clients.flat().map((room) => state(room.channel, "attached", 30_000)));

  for (const r of range(60)) {
    await eventually(() => members(again, channelOf(`room ${r}`)), (count) => count === 3, 20_000);
  }
  assert.deepEqual(failures.items, []);
});

test("a room of many that all come back at once takes every one of them", async (t) => {
  const backend = await attached(t, server, "watcher", "crowd");
  const crowd = await Promise.all(range(180).map((n) => dialInto(t, server, backend.channel.name, { clientId: `c ${n}` })));
  for (const _ of range(3)) {
    const entered = await Promise.all(crowd.map((one) => one.enter(backend.channel.name)));
    assert.deepEqual([...new Set(entered.map(({ action }) => action))], [ACTION.ACK]);
    const leave = { action: PRESENCE.LEAVE };
    await Promise.all(crowd.map((one) => one.enter(backend.channel.name, leave)));
  }
});
