// The server goes and comes back: clients are never failed, and end up where they were.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { chat, fresh, start, state, statuses } from "./support.js";
import { eventually, record } from "./waiting.js";

/** A client in each format, both in one room as members, with all that is told to each. */
async function annAndBob(t, server) {
  const name = fresh();
  const join = async (clientId, useBinaryProtocol) => {
    const client = chat(t, server, clientId, { useBinaryProtocol });
    const room = await client.rooms.get(name);
    await room.attach();
    await room.presence.enter({ of: clientId });
    const log = {
      statuses: statuses(client.connection),
      changes: record((listener) => client.realtime.connection.on(listener)),
      rooms: statuses(room),
      gaps: record((listener) => room.onDiscontinuity(listener)),
    };
    return { client, room, id: client.realtime.connection.id, ...log };
  };
  return [await join("ann", false), await join("bob", true)];
}

/** Who is there, as a room knows it. */
const members = async (room) =>
  (await room.presence.get()).map(({ clientId, data, connectionId }) => [clientId, data, connectionId]).toSorted();

describe("a server that goes and comes back", { concurrency: 3 }, () => {
  test("a server that was killed and lost all state is joined again, as if by newcomers", async (t) => {
    const first = await start();
    const people = await annAndBob(t, first);
    await first.kill();
    for (const { statuses } of people) await statuses.first(({ current }) => current === "disconnected");

    const second = await start([], first);
    t.after(() => second.stop());

    for (const { client, room, changes, id } of people) {
      const { reason } = await changes.first(({ current }) => current === "connected");
      await state(room.channel, "attached");
      assert.deepEqual([reason.code, reason.statusCode], [80008, 400]);
      assert.notEqual(client.realtime.connection.id, id);
    }
    for (const { room, gaps, statuses, rooms } of people) {
      const { code } = await gaps.first(() => true);
      assert.equal(code, 102100);
      assert.equal(gaps.items.length, 1);
      const expected = people.map(({ client }) => [client.clientId, { of: client.clientId }, client.realtime.connection.id]);
      await eventually(() => members(room), (there) => isDeepStrictEqual(there, expected));
      const whole = { connections: 2, presenceMembers: 2 };
      await eventually(() => room.occupancy.get(), (counts) => isDeepStrictEqual(counts, whole));
      assert.equal(room.status, "attached");
      const bad = ["suspended", "failed", "closed", "detached"];
      const taken = [...statuses.items, ...rooms.items].map(({ current }) => current);
      assert.deepEqual(taken.filter((one) => bad.includes(one)), []);
    }
    await people[0].room.reactions.send({ name: "still here" });
  });

  test("a server that was told to end does so at once, and clients come back to the next one", async (t) => {
    const first = await start();
    const people = await annAndBob(t, first);
    const since = Date.now();

    const ended = await first.terminate();

    const took = Date.now() - since;
    assert.deepEqual(ended, { code: 0, signal: null });
    assert.ok(took < 3000, `${took} ms`);
    for (const { statuses } of people) await statuses.first(({ current }) => current === "disconnected");
    const second = await start([], first);
    t.after(() => second.stop());
    for (const { client, room, statuses } of people) {
      await statuses.first(({ current }) => current === "connected");
      await state(room.channel, "attached");
      await room.reactions.send({ name: "back" });
      assert.ok(!statuses.items.some(({ current }) => current === "failed"));
      assert.equal(client.connection.status, "connected");
    }
  });

  test("a client that waits for a server finds it when it starts", async (t) => {
    const first = await start();
    await first.terminate();
    const client = chat(t, first, "ann", {});
    const seen = statuses(client.connection);
    await seen.first(({ current }) => current === "disconnected");

    const second = await start([], first);
    t.after(() => second.stop());
    await state(client.realtime.connection, "connected");

    const room = await client.rooms.get(fresh());
    await room.attach();
    assert.equal(room.status, "attached");
  });
});
