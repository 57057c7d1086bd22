// The connection: its states, what the server tells of it, and how it is kept and closed.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { proxy } from "./proxy.js";
import { ACTION, dial } from "./raw.js";
import { attached, chat, clientOf, fresh, inBothFormats, over, realtime, start, state, statuses } from "./support.js";
import { pass, record } from "./waiting.js";

const server = await start();
after(() => server.stop());

const taken = (log) => log.items.map(({ current }) => current);

inBothFormats("connections", (format) => {
  test("it goes from initialized over connecting to connected, and over closing to closed", async (t) => {
    const client = chat(t, server, "ann", { ...format, autoConnect: false });
    const seen = statuses(client.connection);
    const first = client.connection.status;

    client.realtime.connect();
    await state(client.realtime.connection, "connected");
    client.realtime.close();
    await seen.first(({ current }) => current === "closed");

    assert.deepEqual([first, ...taken(seen)], ["initialized", "connecting", "connected", "closing", "closed"]);
    assert.equal(client.connection.status, "closed");
  });

  test("the client's name is the one it came with", async (t) => {
    const client = chat(t, server, "ann bölkow:1,2", format);

    await state(client.realtime.connection, "connected");

    assert.equal(client.clientId, "ann bölkow:1,2");
  });

  test("a client with the key alone may act as anybody", async (t) => {
    const client = realtime(t, server, undefined, format);

    await state(client.connection, "connected");

    assert.equal(client.auth.clientId, "*");
  });

  test("it answers pings", async (t) => {
    const { connection } = realtime(t, server, "ann", format);
    await state(connection, "connected");

    const pings = await Promise.all([connection.ping(), connection.ping(), connection.ping()]);

    assert.ok(pings.every((milliseconds) => milliseconds >= 0));
  });

  test("one that is lost is connected again, the same", async (t) => {
    const network = await proxy(t, server);
    const client = chat(t, network, "ann", format);
    const { connection } = client.realtime;
    await state(connection, "connected");
    const { id } = connection;
    const seen = statuses(client.connection);

    network.cut();
    await seen.first(({ current }) => current === "connected");

    assert.deepEqual(taken(seen), ["disconnected", "connecting", "connected"]);
    assert.equal(seen.items[0].error.code, 80003);
    assert.deepEqual([connection.id, client.connection.error], [id, undefined]);
  });

  test("a client that found nobody for long is suspended, and connected when the service is there", async (t) => {
    const network = await proxy(t, server);
    network.close();
    const patience = { connectionStateTtl: 500, suspendedRetryTimeout: 300 };
    const client = over(realtime(t, network, "ann", { ...format, ...patience }));
    const seen = statuses(client.connection);
    await seen.first(({ current }) => current === "suspended");

    network.open();
    await seen.first(({ current }) => current === "connected");

    assert.ok(!taken(seen).includes("failed"));
  });

  test("closing and connecting again is another connection, and rooms come back with it", async (t) => {
    const client = chat(t, server, "ann", format);
    const { connection } = client.realtime;
    const room = await client.rooms.get(fresh());
    await room.attach();
    const { id } = connection;
    client.realtime.close();
    await state(connection, "closed");

    client.realtime.connect();
    await state(connection, "connected");
    await room.attach();
    await room.presence.enter();

    assert.notEqual(connection.id, id);
    assert.equal(await room.presence.isUserPresent("ann"), true);
  });

  test("a client that the network froze comes back by itself, the same", async (t) => {
    const network = await proxy(t, server);
    const patience = { transportParams: { heartbeatInterval: 5000 }, realtimeRequestTimeout: 1000 };
    const room = await attached(t, network, "ann", fresh(), { ...format, ...patience });
    const client = clientOf(room);
    const { connection } = client;
    const { id } = connection;
    const seen = record((listener) => connection.on(listener));
    const gaps = record((listener) => room.onDiscontinuity(listener));
    const told = record((listener) => room.channel.subscribe(listener));
    const bob = await attached(t, server, "bob", room.name, format);

    // The server's side stays open: what comes back takes it over, and was told nothing meanwhile.
    network.freeze();
    network.muteClient();
    await bob.channel.publish("missed", "");
    await seen.first(({ current }) => current === "connected", 15_000);
    await state(room.channel, "attached");
    await bob.channel.publish("heard", "");
    await told.first(({ name }) => name === "heard");

    assert.deepEqual(told.items.map(({ name }) => name), ["missed", "heard"]);
    assert.equal(seen.items[0].reason.code, 80003);
    assert.deepEqual([connection.id, gaps.items], [id, []]);
  });
});

inBothFormats("an idle connection", (format) => {
  test("it is sent heartbeats, if it asked for them, as often as it asked for", async (t) => {
    const idle = await dial(t, server, { ...format, heartbeats: "true", heartbeatInterval: "5000" });
    const { connectionDetails } = await idle.connected();
    const since = Date.now();

    const beat = await idle.next(ACTION.HEARTBEAT);

    assert.equal(connectionDetails.maxIdleInterval, 5000);
    assert.ok(Date.now() - since <= 4500, `${Date.now() - since} ms`);
    assert.equal(beat.id, undefined);
  });

  test("it is pinged, if it did not ask for heartbeats", async (t) => {
    const idle = await dial(t, server, { ...format, heartbeats: "false", heartbeatInterval: "5000" });
    const pings = record((listener) => idle.socket.on("ping", listener));
    await idle.connected();

    await pings.first(() => true);

    assert.deepEqual(idle.frames.items.map(({ action }) => action), [ACTION.CONNECTED]);
  });

  test("the vendor's client stays connected", async (t) => {
    const patience = { transportParams: { heartbeatInterval: 5000 }, realtimeRequestTimeout: 500 };
    const { connection } = realtime(t, server, "ann", { ...format, ...patience });
    await state(connection, "connected");
    const seen = record((listener) => connection.on(listener));

    await pass(7000);

    assert.deepEqual([connection.state, seen.items], ["connected", []]);
  });
});
