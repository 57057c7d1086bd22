// How often occupancy is told: at most once an interval, and at once when a room becomes empty or is empty no more.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { attached, chat, fresh, inBothFormats, start } from "./support.js";
import { record } from "./waiting.js";

const INTERVAL = 3000;
const server = await start(["--occupancy-interval", `${INTERVAL}ms`]);
after(() => server.stop());

const OCCUPANCY = { occupancy: { enableEvents: true } };
const tells = (connections, presenceMembers) => ({ occupancy }) =>
  occupancy.connections === connections && occupancy.presenceMembers === presenceMembers;

/** A room with all that is told of its occupancy, each with the time. */
async function watched(t, clientId, name, format) {
  const room = await chat(t, server, clientId, format).rooms.get(name, OCCUPANCY);
  const seen = record((listener) => room.occupancy.subscribe((event) => listener({ ...event, at: Date.now() })));
  await room.attach();
  return { room, seen };
}

inBothFormats("an interval of three seconds", (format) => {
  test("the first member and the last are told of at once", async (t) => {
    const { room, seen } = await watched(t, "ann", fresh(), format);
    await seen.first(tells(1, 0));
    const since = Date.now();

    await room.presence.enter();
    await seen.first(tells(1, 1));
    await room.presence.leave();
    await seen.until((items) => items.filter(tells(1, 0)).length === 2);

    assert.ok(Date.now() - since < INTERVAL / 2, `${Date.now() - since} ms`);
  });

  test("more of what is there already is told once the interval is over", async (t) => {
    const name = fresh();
    const { room, seen } = await watched(t, "ann", name, format);
    await room.presence.enter();
    const before = await seen.first(tells(1, 1));

    const others = await Promise.all(["b", "c", "d"].map((one) => attached(t, server, one, name, format)));
    await Promise.all(others.map(({ presence }) => presence.enter()));
    const then = await seen.first(tells(4, 4));

    assert.deepEqual(seen.items.slice(seen.items.indexOf(before) + 1), [then]);
    const waited = then.at - before.at;
    assert.ok(waited > INTERVAL / 2 && waited < 2 * INTERVAL, `${waited} ms`);
  });

  test("who comes is told at once, whatever was told to others", async (t) => {
    const name = fresh();
    const { seen: first } = await watched(t, "ann", name, format);
    await first.first(tells(1, 0));
    const since = Date.now();

    const { seen } = await watched(t, "bob", name, format);
    const { occupancy } = await seen.first(() => true);

    assert.ok(Date.now() - since < INTERVAL / 2, `${Date.now() - since} ms`);
    assert.deepEqual(occupancy, { connections: 2, presenceMembers: 0 });
  });

  test("what is asked for is what is, whatever was told", async (t) => {
    const name = fresh();
    const { room, seen } = await watched(t, "ann", name, format);
    await seen.first(tells(1, 0));

    await attached(t, server, "bob", name, format);

    assert.deepEqual(await room.occupancy.get(), { connections: 2, presenceMembers: 0 });
  });
});
