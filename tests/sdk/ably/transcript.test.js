// The frames of a visit to a room, each as it is on the wire.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ACTION, channelOf, dial, dialInto, FLAG, PRESENCE, ROOM_MODES } from "./raw.js";
import { fresh, inBothFormats, rest, start } from "./support.js";

const server = await start();
after(() => server.stop());

const DATA = { data: '{"status":"online"}', encoding: "json" };
const isOccupancy = ({ messages }) => messages?.[0].name === "[meta]occupancy";
const metrics = ({ messages: [{ data }] }) => (typeof data === "string" ? JSON.parse(data) : data).metrics;

/** Asserts that it is an instant of the last minute, in milliseconds. */
function assertNow(timestamp) {
  assert.ok(Number.isSafeInteger(timestamp) && Math.abs(Date.now() - timestamp) < 60_000, `${timestamp}`);
}

inBothFormats("a visit", (format) => {
  test("it begins with CONNECTED, and what the client must know", async (t) => {
    const ann = await dial(t, server, { ...format, clientId: "ann" });

    const { action, connectionId, connectionDetails, error, timestamp } = await ann.connected();

    assert.equal(action, ACTION.CONNECTED);
    assert.equal(ann.frames.items.length, 1);
    assert.match(connectionId, /^[A-Za-z0-9]+$/);
    assert.equal(error, undefined);
    if (timestamp !== undefined) assertNow(timestamp);
    const { clientId, connectionKey, serverId, ...numbers } = connectionDetails;
    assert.equal(clientId, "ann");
    // The secret with which the connection is resumed: 128 bits or more, in letters and digits.
    assert.ok(connectionKey.replace(connectionId, "").length >= 20, connectionKey);
    assert.equal(typeof serverId, "string");
    assert.deepEqual(
      { ...numbers, maxInboundRate: undefined, maxOutboundRate: undefined },
      {
        maxMessageSize: 65536, maxFrameSize: 524288, connectionStateTtl: 120000, maxIdleInterval: 15000,
        maxInboundRate: undefined, maxOutboundRate: undefined,
      },
    );
  });

  test("connections have ids and keys of their own", async (t) => {
    const [one, other] = await Promise.all([1, 2].map(async () => (await dial(t, server, format)).connected()));

    assert.notEqual(one.connectionId, other.connectionId);
    assert.notEqual(one.connectionDetails.connectionKey, other.connectionDetails.connectionKey);
  });

  test("it goes attach, enter, update, leave, detach, ping, close, each echo before its ACK", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dial(t, server, { ...format, clientId: "ann" });
    const { connectionId } = await ann.connected();

    const params = { agent: "chat-js/1.4.0", occupancy: "metrics" };
    await ann.attach(channel, { params });
    await ann.enter(channel, DATA);
    await ann.enter(channel, { action: PRESENCE.UPDATE, data: '{"status":"away"}', encoding: "json" });
    await ann.enter(channel, { action: PRESENCE.LEAVE, data: '{"bye":1}', encoding: "json" });
    ann.send({ action: ACTION.DETACH, channel });
    await ann.next(ACTION.DETACHED);
    ann.send({ action: ACTION.HEARTBEAT, id: "3313093" });
    await ann.next(ACTION.HEARTBEAT);
    ann.send({ action: ACTION.CLOSE });
    await ann.next(ACTION.CLOSED);
    await ann.closed();

    const frames = ann.frames.items.filter((frame) => !isOccupancy(frame));
    const order = [
      ACTION.CONNECTED, ACTION.ATTACHED,
      ACTION.PRESENCE, ACTION.ACK, ACTION.PRESENCE, ACTION.ACK, ACTION.PRESENCE, ACTION.ACK,
      ACTION.DETACHED, ACTION.HEARTBEAT, ACTION.CLOSED,
    ];
    assert.deepEqual(frames.map(({ action }) => action), order);
    const [, attached, entered, ack0, updated, ack1, left, ack2, detached, heartbeat] = frames;
    assert.deepEqual([attached.channel, attached.flags], [channel, ROOM_MODES]);
    assert.deepEqual(attached.params, { occupancy: "metrics" });
    assert.deepEqual([ack0, ack1, ack2].map(({ msgSerial, count }) => [msgSerial, count]), [[0, 1], [1, 1], [2, 1]]);
    const serials = [attached, entered, updated, left].map(({ channelSerial }) => channelSerial);
    assert.deepEqual(serials, [...new Set(serials.toSorted())]);
    for (const [msgSerial, frame, presence] of [
      [0, entered, { action: PRESENCE.ENTER, ...DATA }],
      [1, updated, { action: PRESENCE.UPDATE, data: '{"status":"away"}', encoding: "json" }],
      [2, left, { action: PRESENCE.LEAVE, data: '{"bye":1}', encoding: "json" }],
    ]) {
      const id = `${connectionId}:${msgSerial}`;
      const [{ timestamp }] = frame.presence;
      for (const instant of [timestamp, frame.timestamp]) assertNow(instant);
      assert.deepEqual([frame.channel, frame.connectionId, frame.id], [channel, connectionId, id]);
      const item = { id: `${id}:0`, clientId: "ann", connectionId, timestamp, ...presence };
      assert.deepEqual(frame.presence, [item]);
    }
    assert.equal(detached.channel, channel);
    assert.equal(heartbeat.id, "3313093");
  });

  test("occupancy is told after an echo and its ACK, without a serial, in a string", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dial(t, server, { ...format, clientId: "ann" });
    await ann.connected();

    await ann.attach(channel, { params: { occupancy: "metrics" } });
    await ann.enter(channel);
    const told = await ann.frames.first((frame) => isOccupancy(frame) && metrics(frame).presenceMembers === 1);

    const echo = ann.frames.items.findIndex(({ action }) => action === ACTION.PRESENCE);
    assert.equal(ann.frames.items[echo + 1].action, ACTION.ACK);
    assert.ok(ann.frames.items.indexOf(told) > echo + 1);
    const [message] = told.messages;
    assert.deepEqual(
      [told.action, told.channel, told.channelSerial, told.messages.length, message.action, message.encoding],
      [ACTION.MESSAGE, channel, undefined, 1, 3, "json"],
    );
    assert.equal(typeof told.id, "string");
    assertNow(told.timestamp);
    const { objectPublishers, objectSubscribers, ...counts } = metrics(told);
    assert.deepEqual(counts, {
      connections: 1, publishers: 1, subscribers: 1, presenceConnections: 1, presenceMembers: 1, presenceSubscribers: 1,
    });
    const { items } = await rest(server).request("GET", `/chat/v4/rooms/${channel.split("::")[0]}/occupancy`, 6);
    assert.deepEqual(items, [{ connections: 1, presenceMembers: 1 }]);
  });

  test("a message for the moment is echoed before its ACK, without a serial", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dialInto(t, server, channel, { ...format, clientId: "ann" });
    const { connectionId } = await ann.connected();
    const extras = { ephemeral: true };

    await ann.publish(channel, { name: "typing.started", extras, action: 0, size: 32 });

    const [, , echo, ack] = ann.frames.items;
    const [{ timestamp }] = echo.messages;
    const id = `${connectionId}:0`;
    for (const instant of [timestamp, echo.timestamp]) assertNow(instant);
    assert.deepEqual(
      [echo.action, echo.channel, echo.id, echo.connectionId, echo.channelSerial],
      [ACTION.MESSAGE, channel, id, connectionId, undefined],
    );
    const message = { id: `${id}:0`, name: "typing.started", clientId: "ann", connectionId, timestamp, extras, action: 0 };
    assert.deepEqual(echo.messages, [message]);
    assert.deepEqual(ack, { action: ACTION.ACK, msgSerial: 0, count: 1, res: [{ serials: [null] }] });
  });

  test("messages that are kept have serials that grow, made of the frame's", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dialInto(t, server, channel, { ...format, clientId: "ann" });

    const acks = [
      await ann.publish(channel, { name: "one", data: "1" }, { name: "two", data: "2" }),
      await ann.publish(channel, { name: "three", data: "3" }),
    ];

    const frames = ann.frames.items.filter(({ action }) => action === ACTION.MESSAGE);
    const { channelSerial: floor } = await ann.next(ACTION.ATTACHED);
    const [first, second] = frames;
    assert.match(first.channelSerial, /^\d{14}-\d{3}@[A-Za-z0-9_-]+$/);
    assert.ok(floor < first.channelSerial && first.channelSerial < second.channelSerial);
    const serials = frames.map(({ messages }) => messages.map(({ serial }) => serial));
    assert.deepEqual(serials, [
      [`${first.channelSerial}:000`, `${first.channelSerial}:001`],
      [`${second.channelSerial}:000`],
    ]);
    assert.deepEqual(acks.map(({ res }) => res), serials.map((serials) => [{ serials }]));
    const ids = frames.map(({ messages }) => messages.map(({ id }) => id.slice(id.indexOf(":"))));
    assert.deepEqual(ids, [[":0:0", ":0:1"], [":1:0"]]);
  });

  test("an attach is granted what it asks for, and the usual when it asks for nothing", async (t) => {
    const ann = await dial(t, server, { ...format, clientId: "ann" });
    await ann.connected();
    const usual = FLAG.PRESENCE | FLAG.PUBLISH | FLAG.SUBSCRIBE | FLAG.PRESENCE_SUBSCRIBE | FLAG.ANNOTATION_PUBLISH;
    const all = usual | FLAG.ANNOTATION_SUBSCRIBE;

    for (const [asked, granted] of [
      [undefined, usual], [0, usual], [all, all], [FLAG.SUBSCRIBE, FLAG.SUBSCRIBE],
      [FLAG.PRESENCE | FLAG.PUBLISH, FLAG.PRESENCE | FLAG.PUBLISH],
    ]) {
      const { action, flags } = await ann.attach(fresh(), { flags: asked });
      assert.deepEqual([action, flags], [ACTION.ATTACHED, granted]);
    }
  });

  test("attaching again changes what is granted, and is a resumption", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dialInto(t, server, channel, { ...format, clientId: "ann", attach: { flags: FLAG.SUBSCRIBE } });

    ann.send({ action: ACTION.ATTACH, channel, flags: FLAG.PUBLISH });
    const again = await ann.frames.until((frames) => frames.filter(({ action }) => action === ACTION.ATTACHED)[1]);

    assert.equal(again.flags, FLAG.PUBLISH | FLAG.RESUMED);
    await ann.publish(channel, { name: "not to oneself" });
    assert.equal((await ann.answer(0)).action, ACTION.ACK);
    assert.ok(!ann.frames.items.some(({ action }) => action === ACTION.MESSAGE));
  });

  test("a client that spoke version 2 is served, too", async (t) => {
    const ann = await dialInto(t, server, channelOf(fresh()), { ...format, v: "2" });

    assert.equal((await ann.next(ACTION.ATTACHED)).flags, ROOM_MODES);
  });
});
