// A lost connection that comes back: what it missed is replayed, what it sent is not done twice.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { proxy } from "./proxy.js";
import { attached, clientOf, fresh, inBothFormats, over, realtime, start, state } from "./support.js";
import { eventually, Log, record, within } from "./waiting.js";

const server = await start();
after(() => server.stop());

/** Ann behind a network that may fail, Bob before it, both in one room, and all that Ann is told. */
async function annAndBob(t, format, options) {
  const name = fresh();
  const network = await proxy(t, server);
  const ann = await attached(t, network, "ann", name, { ...format, ...options });
  const bob = await attached(t, server, "bob", name, format);
  const told = new Log();
  ann.channel.subscribe(({ name, data }) => told.push(["message", name, data]));
  ann.channel.presence.subscribe(({ action, clientId, data }) => told.push([action, clientId, data]));
  const { connection } = clientOf(ann);
  return {
    network, ann, bob, told, connection,
    id: connection.id,
    gaps: record((listener) => ann.onDiscontinuity(listener)),
    states: record((listener) => connection.on(listener)),
  };
}

inBothFormats("a connection that resumes", (format) => {
  test("is told all that it missed, in order, without a discontinuity", async (t) => {
    const { network, ann, bob, told, connection, id, gaps } = await annAndBob(t, format);
    await ann.presence.enter();
    await bob.presence.enter({ n: 0 });
    await told.count(2);
    network.close();
    await state(connection, "disconnected");

    await bob.channel.publish("one", "1");
    await bob.presence.update({ n: 1 });
    await bob.channel.publish("two", { n: 2 });
    await bob.presence.leave({ n: 2 });
    await bob.channel.publish("three", "3");
    network.open();
    await told.first(([, name]) => name === "three");

    assert.deepEqual(told.items, [
      ["enter", "ann", undefined],
      ["enter", "bob", { n: 0 }],
      ["message", "one", "1"],
      ["update", "bob", { n: 1 }],
      ["message", "two", { n: 2 }],
      ["leave", "bob", { n: 2 }],
      ["message", "three", "3"],
    ]);
    assert.deepEqual([connection.id, gaps.items, ann.status], [id, [], "attached"]);
    assert.deepEqual((await ann.presence.get()).map(({ clientId }) => clientId), ["ann"]);
  });

  test("goes on hearing what comes after", async (t) => {
    const { network, bob, told, ann } = await annAndBob(t, format);
    network.cut();
    await state(clientOf(ann).connection, "connected");

    await bob.channel.publish("after", "it");
    await bob.presence.enter();

    await told.first(([action]) => action === "enter");
    assert.deepEqual(told.items, [["message", "after", "it"], ["enter", "bob", undefined]]);
  });

  test("has its own members still there, who were never gone for others", async (t) => {
    const { network, ann, bob, connection, states } = await annAndBob(t, format);
    const seen = record((listener) => bob.presence.subscribe(listener));
    await ann.presence.enter({ n: 1 });
    await seen.count(1);

    network.cut();
    await states.first(({ current }) => current === "connected");
    await state(ann.channel, "attached");
    await ann.presence.update({ n: 2 });
    await seen.first(({ type }) => type === "update");

    const types = seen.items.map(({ type }) => type);
    assert.ok(!types.includes("leave"), types.join());
    const members = await bob.presence.get();
    assert.deepEqual(members.map(({ clientId, data, connectionId }) => [clientId, data, connectionId]),
      [["ann", { n: 2 }, connection.id]]);
  });

  test("resumes at once, before anything was sent on it", async (t) => {
    const network = await proxy(t, server);
    const { connection } = realtime(t, network, "ann", format);
    await state(connection, "connected");
    const { id } = connection;
    const states = record((listener) => connection.on(listener));

    network.cut();
    const { reason } = await states.first(({ current }) => current === "connected");

    assert.deepEqual([connection.id, reason?.code], [id, undefined]);
  });

  test("resumes again and again", async (t) => {
    const { network, bob, told, connection, id, gaps, ann } = await annAndBob(t, format);
    for (let round = 0; round < 4; round++) {
      network.close();
      await state(connection, "disconnected");
      await bob.channel.publish("round", `${round}`);
      network.open();
      await told.count(round + 1);
      await state(ann.channel, "attached");
    }

    assert.deepEqual(told.items.map(([, , round]) => round), ["0", "1", "2", "3"]);
    assert.deepEqual([connection.id, gaps.items], [id, []]);
  });

  test("a message whose ACK was lost is told once, and its publisher learns its serial", async (t) => {
    const { network, ann, bob, told, id, connection } = await annAndBob(t, format);
    const heard = record((listener) => bob.channel.subscribe(listener));
    network.muteServer();

    const published = ann.channel.publish("once", "only");
    const { serial } = await heard.first(({ name }) => name === "once");
    network.cut();
    const { serials } = await within(published, "the ACK of what is sent again");
    await ann.channel.publish("next", "to it");
    await heard.first(({ name }) => name === "next");
    await told.first(([, name]) => name === "next");

    assert.deepEqual(serials, [serial]);
    assert.deepEqual(heard.items.map(({ name }) => name), ["once", "next"]);
    assert.deepEqual(told.items, [["message", "once", "only"], ["message", "next", "to it"]]);
    assert.equal(connection.id, id);
  });

  test("a message that was lost on its way is told once when it is sent again", async (t) => {
    const { network, ann, bob, told } = await annAndBob(t, format);
    const heard = record((listener) => bob.channel.subscribe(listener));
    network.muteClient();

    const published = ann.channel.publish("lost", "at first");
    network.cut();
    await within(published, "the ACK of what is sent again");

    await heard.count(1);
    await told.count(1);
    assert.deepEqual(heard.items.map(({ name }) => name), ["lost"]);
    assert.deepEqual(told.items, [["message", "lost", "at first"]]);
  });

  test("entering whose ACK was lost is done", async (t) => {
    const { network, ann, bob } = await annAndBob(t, format);
    const seen = record((listener) => bob.presence.subscribe(listener));
    network.muteServer();

    const entered = ann.presence.enter({ n: 1 });
    await seen.count(1);
    network.cut();
    await within(entered, "the ACK of what is sent again");

    const members = await bob.presence.get();
    assert.deepEqual(members.map(({ clientId, data }) => [clientId, data]), [["ann", { n: 1 }]]);
    assert.equal(await ann.presence.isUserPresent("ann"), true);
  });

  test("what was published and entered while it was lost is done when it is back", async (t) => {
    const { network, ann, bob, connection } = await annAndBob(t, format);
    const heard = record((listener) => bob.channel.subscribe(listener));
    const seen = record((listener) => bob.presence.subscribe(listener));
    network.close();
    await state(connection, "disconnected");

    const done = Promise.all([ann.channel.publish("queued", "1"), ann.presence.enter({ n: 1 })]);
    network.open();
    await within(done, "the ACKs of what was queued");

    await heard.first(({ name }) => name === "queued");
    await seen.first(({ type, member }) => type === "enter" && member.clientId === "ann");
  });

  test("a member who came and went while it was lost is not there", async (t) => {
    const { network, ann, bob, told, connection } = await annAndBob(t, format);
    network.close();
    await state(connection, "disconnected");

    await bob.presence.enter();
    await bob.presence.leave();
    await bob.channel.publish("that was all", "");
    network.open();
    await told.first(([, name]) => name === "that was all");

    assert.deepEqual(await ann.presence.get(), []);
  });

  test("is recovered by another client that knows its recovery key, which is told what was missed", async (t) => {
    const { network, ann, bob, id, connection } = await annAndBob(t, format);
    await bob.channel.publish("heard", "before");
    await ann.presence.enter({ n: 1 });
    const recover = connection.createRecoveryKey();
    network.close();
    await bob.channel.publish("missed", "between");

    const client = realtime(t, server, "ann", { ...format, recover });
    const room = await over(client).rooms.get(ann.name);
    const told = record((listener) => room.channel.subscribe(listener));
    const gaps = record((listener) => room.onDiscontinuity(listener));
    await room.attach();
    await told.first(({ name }) => name === "missed");
    await room.channel.publish("goes on", "");
    await told.first(({ name }) => name === "goes on");

    assert.deepEqual(told.items.map(({ name }) => name), ["missed", "goes on"]);
    assert.deepEqual([client.connection.id, gaps.items, client.connection.errorReason], [id, [], null]);
    assert.equal(await room.presence.isUserPresent("ann"), true);
  });

  test("counts again when many were lost at once", async (t) => {
    const { network, ann, bob } = await annAndBob(t, format);
    const others = await Promise.all([1, 2, 3].map((n) => attached(t, network, `other ${n}`, ann.name, format)));
    const counts = () => bob.occupancy.get();
    const before = await counts();

    network.close();
    await eventually(counts, ({ connections }) => connections === 1);
    network.open();
    await Promise.all(others.map((room) => state(clientOf(room).connection, "connected")));

    assert.equal(before.connections, 5);
    await eventually(counts, ({ connections }) => connections === 5);
  });
});
