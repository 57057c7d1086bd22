// What no client of good will sends: refused or cut, and nobody else in the room notices.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { encode } from "@msgpack/msgpack";
import { ACTION, channelOf, dial, dialInto, FLAG, PRESENCE, ROOM_MODES } from "./raw.js";
import { fresh, inBothFormats, start } from "./support.js";

const server = await start();
after(() => server.stop());

/** Ann, who behaves, and Mallory, in one room. */
async function annAndMallory(t, format, attach) {
  const channel = channelOf(fresh());
  const ann = await dialInto(t, server, channel, { ...format, clientId: "ann" });
  const mallory = await dialInto(t, server, channel, { ...format, clientId: "mallory", attach });
  await ann.settled();
  const before = ann.frames.items.length;
  return {
    channel, ann, mallory,
    /** Asserts that Ann was told nothing since, and is still served. */
    async assertUnnoticed() {
      await ann.settled();
      const told = ann.frames.items.slice(before).filter(({ action }) => action !== ACTION.HEARTBEAT);
      assert.deepEqual(told, []);
      assert.equal((await ann.publish(channel, { name: "served" })).action, ACTION.ACK);
    },
  };
}

/** Asserts a NACK with the code. */
function assertRefused({ action, count, error }, code, statusCode) {
  assert.deepEqual([action, count, error?.code], [ACTION.NACK, 1, code]);
  assert.equal(typeof error.message, "string");
  if (statusCode) assert.equal(error.statusCode, statusCode);
}

/** Resolves when the connection was cut, or answers as if nothing had been. */
const cutOrServed = (connection) => Promise.race([connection.closed(), connection.settled()]);

inBothFormats("bad input", (format) => {
  const encoded = (frame) => (format.useBinaryProtocol ? encode(frame) : JSON.stringify(frame));
  const other = (frame) => (format.useBinaryProtocol ? JSON.stringify(frame) : encode(frame));
  const nothing = Buffer.from([]);
  const message = { action: ACTION.MESSAGE, channel: "x", msgSerial: 0 };

  for (const [what, bytes, binary] of [
    ["half of a frame", encoded({ action: ACTION.HEARTBEAT, id: "x" }).slice(0, 5), format.useBinaryProtocol],
    ["an empty frame", nothing, format.useBinaryProtocol],
    ["text that is no JSON", "hello {", false],
    ["bytes that are no MessagePack", Buffer.from([0xc1, 0xff, 0x00]), true],
    ["a list", encoded([1, 2, 3]), format.useBinaryProtocol],
    ["a number", encoded(7), format.useBinaryProtocol],
    ["a frame without an action", encoded({ channel: "x" }), format.useBinaryProtocol],
    ["an action that is text", encoded({ action: "attach" }), format.useBinaryProtocol],
    ["an action that nobody knows", encoded({ action: 99 }), format.useBinaryProtocol],
    ["an action less than nothing", encoded({ action: -1 }), format.useBinaryProtocol],
    ["what only the server says", encoded({ action: ACTION.CONNECTED, connectionId: "x" }), format.useBinaryProtocol],
    ["messages that are no list", encoded({ ...message, messages: 7 }), format.useBinaryProtocol],
    ["a frame of the other format", other({ action: ACTION.HEARTBEAT, id: "x" }), !format.useBinaryProtocol],
    ["a frame that is a depth of lists", depth(100_000, format), format.useBinaryProtocol],
    ["a list that says it is long", Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]), true],
    ["more than 512 KiB", encoded({ action: ACTION.HEARTBEAT, id: "x".repeat(524_288) }), format.useBinaryProtocol],
  ]) {
    test(`${what} is the sender's trouble alone`, async (t) => {
      const { mallory, assertUnnoticed } = await annAndMallory(t, format);

      mallory.socket.send(bytes, { binary });

      await cutOrServed(mallory);
      await assertUnnoticed();
    });
  }

  test("a frame of more than 512 KiB ends the connection", async (t) => {
    const { mallory, channel } = await annAndMallory(t, format);

    mallory.send({ action: ACTION.MESSAGE, channel, messages: [{ name: "x", data: "x".repeat(600_000) }], msgSerial: 0 });

    await mallory.closed();
  });

  test("messages and presence of a channel that was never attached are refused", async (t) => {
    const { channel, assertUnnoticed } = await annAndMallory(t, format);
    const stranger = await dial(t, server, { ...format, clientId: "stranger" });
    await stranger.connected();

    assertRefused(await stranger.enter(channel), 90001);
    assertRefused(await stranger.publish(channel, { name: "x" }), 90001);

    await assertUnnoticed();
  });

  test("what was not asked for when attaching is refused", async (t) => {
    const { channel, mallory, assertUnnoticed } = await annAndMallory(t, format, { flags: FLAG.SUBSCRIBE });

    assertRefused(await mallory.enter(channel), 40160, 401);
    assertRefused(await mallory.publish(channel, { name: "x" }), 40160, 401);

    await assertUnnoticed();
  });

  test("another's name is refused, on messages and in presence", async (t) => {
    const { channel, mallory, assertUnnoticed } = await annAndMallory(t, format);

    assertRefused(await mallory.publish(channel, { name: "x", clientId: "ann" }), 40012, 400);
    assertRefused(await mallory.enter(channel, { clientId: "ann" }), 40012, 400);
    assertRefused(await mallory.publish(channel, { name: "x" }, { name: "y", clientId: "ann" }), 40012, 400);
    assertRefused(await mallory.enter(channel, { clientId: "*" }), 40012, 400);

    await assertUnnoticed();
  });

  test("presence without a name is refused when the connection has none", async (t) => {
    const { channel, assertUnnoticed } = await annAndMallory(t, format);
    const anybody = await dialInto(t, server, channel, format);

    const { action, error } = await anybody.enter(channel);

    assert.deepEqual([action, [91000, 40012].includes(error.code)], [ACTION.NACK, true]);
    await assertUnnoticed();
  });

  test("another's connection id, time and claims are never shown", async (t) => {
    const { channel, ann, mallory } = await annAndMallory(t, format);
    const [own, others] = [await mallory.connected(), await ann.connected()];
    const forged = {
      connectionId: others.connectionId, timestamp: 1, serial: "9", version: { serial: "9" },
      extras: { userClaim: "owner", ephemeral: true },
    };

    await mallory.publish(channel, { ...forged, name: "x" });
    await mallory.enter(channel, { ...forged, id: `${others.connectionId}:0:0` });
    await ann.settled();

    const items = ann.frames.items.flatMap(({ messages, presence }) => [...(messages ?? []), ...(presence ?? [])]);
    assert.equal(items.length, 2);
    for (const { connectionId, clientId, timestamp, id, extras } of items) {
      assert.deepEqual([connectionId, clientId, extras?.userClaim], [own.connectionId, "mallory", undefined]);
      assert.ok(Date.now() - timestamp < 60_000, `${timestamp}`);
      assert.ok(id.startsWith(`${own.connectionId}:`), id);
    }
    for (const frame of ann.frames.items.filter(({ messages, presence }) => messages ?? presence)) {
      assert.equal(frame.connectionId, own.connectionId);
    }
  });

  test("nobody makes another leave, by its connection id or its name", async (t) => {
    const { channel, ann, mallory } = await annAndMallory(t, format);
    await ann.enter(channel);
    const { connectionId } = await ann.connected();
    const leave = { action: PRESENCE.LEAVE, connectionId, id: `${connectionId}:0:1` };

    await mallory.enter(channel, leave);
    assertRefused(await mallory.enter(channel, { ...leave, clientId: "ann" }), 40012, 400);

    await ann.settled();
    assert.ok(!ann.frames.items.some(({ presence }) => presence?.[0].action === PRESENCE.LEAVE));
    const late = await dialInto(t, server, channel, { ...format, clientId: "late" });
    const { presence } = await late.next(ACTION.SYNC);
    assert.deepEqual(presence.map(({ clientId }) => clientId), ["ann"]);
  });

  test("a SYNC from a client changes nobody's view", async (t) => {
    const { channel, mallory, assertUnnoticed } = await annAndMallory(t, format);

    const presence = [{ action: PRESENCE.PRESENT, clientId: "ghost" }];
    mallory.send({ action: ACTION.SYNC, channel, channelSerial: "x:", presence });

    await cutOrServed(mallory);
    await assertUnnoticed();
  });

  test("a message of more than 64 KiB is refused, one of less is told", async (t) => {
    const { channel, ann, mallory, assertUnnoticed } = await annAndMallory(t, format);

    assertRefused(await mallory.publish(channel, { name: "x", data: "x".repeat(65_537) }), 40009);
    assertRefused(await mallory.enter(channel, { data: "x".repeat(65_537) }), 40009);
    assertRefused(await mallory.publish(channel, ...Array(3).fill({ name: "x", data: "x".repeat(30_000) })), 40009);

    await assertUnnoticed();
    assert.equal((await mallory.publish(channel, { name: "x", data: "x".repeat(60_000) })).action, ACTION.ACK);
    await ann.frames.first(({ messages }) => messages?.[0].data?.length === 60_000);
  });

  for (const name of ["[meta]occupancy", "[meta]", "[meta]x"]) {
    test(`a message called ${name} is refused`, async (t) => {
      const { channel, mallory, assertUnnoticed } = await annAndMallory(t, format);

      const { action, error } = await mallory.publish(channel, { name, data: '{"metrics":{}}', encoding: "json" });

      assert.deepEqual([action, error.statusCode >= 400 && error.statusCode < 500], [ACTION.NACK, true]);
      await assertUnnoticed();
    });
  }

  for (const channel of ["", "[x", "[meta]log", "[?rewind=1]x", ":x", ",x", " x", "x\ny", "x\r", "x".repeat(2049)]) {
    const shown = channel.length > 20 ? `of ${channel.length} letters` : JSON.stringify(channel);
    test(`the channel name ${shown} is refused`, async (t) => {
      const { mallory, assertUnnoticed } = await annAndMallory(t, format);

      const { action, error } = await mallory.attach(channel);

      assert.deepEqual([action, error?.code, error?.statusCode], [ACTION.ERROR, 40010, 400]);
      await mallory.settled();
      await assertUnnoticed();
    });
  }

  test("a channel name in the other letter case is another channel", async (t) => {
    const { channel, assertUnnoticed } = await annAndMallory(t, format);
    const other = await dialInto(t, server, channel.toUpperCase(), { ...format, clientId: "other" });

    await other.publish(channel.toUpperCase(), { name: "x" });

    await assertUnnoticed();
  });

  test("what comes after DETACH is refused", async (t) => {
    const { channel, mallory, assertUnnoticed } = await annAndMallory(t, format);
    mallory.send({ action: ACTION.DETACH, channel });
    await mallory.next(ACTION.DETACHED);

    assertRefused(await mallory.publish(channel, { name: "x" }), 90001);

    await assertUnnoticed();
    assert.equal((await mallory.settled()).action, ACTION.HEARTBEAT);
  });

  test("the 201st room of a connection is refused, the others go on", async (t) => {
    const { channel, mallory, assertUnnoticed } = await annAndMallory(t, format);
    const names = Array.from({ length: 199 }, () => channelOf(fresh()));
    const attached = await Promise.all(names.map((name) => mallory.attach(name)));

    const { action, error } = await mallory.attach(channelOf(fresh()));

    assert.ok(attached.every(({ action }) => action === ACTION.ATTACHED));
    assert.deepEqual([action, error.code, error.statusCode], [ACTION.ERROR, 90010, 400]);
    await assertUnnoticed();
    assert.equal((await mallory.publish(channel, { name: "served" })).action, ACTION.ACK);
  });

  test("an unknown mode and unknown params are left out", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dial(t, server, { ...format, clientId: "ann" });
    await ann.connected();

    const attached = await ann.attach(channel, { flags: ROOM_MODES | (1 << 30), params: { agent: "x", nonsense: "y" } });

    assert.deepEqual([attached.flags, attached.params ?? {}], [ROOM_MODES, {}]);
  });
});

/** A frame of lists in lists, which would fill the stack of who reads it carelessly. */
function depth(levels, { useBinaryProtocol }) {
  if (useBinaryProtocol) return Buffer.alloc(levels, 0x91);
  return `{"action":15,"messages":${"[".repeat(levels)}${"]".repeat(levels)}}`;
}
