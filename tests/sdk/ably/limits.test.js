// Limits: what is too much is refused, the connection stays, and what is not too much goes on.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ACTION, channelOf, dial, dialInto, PRESENCE } from "./raw.js";
import { attached, fresh, inBothFormats, realtime, refusal, start, state } from "./support.js";
import { pass, record } from "./waiting.js";

const server = await start([
  ...["--max-members", "3"],
  ...["--max-rooms-per-connection", "5"],
  ...["--connection-rate", "20"],
  ...["--room-rate", "30"],
  ...["--max-message-size", "1000"],
]);
after(() => server.stop());

/** Publishes that many messages at once, and gives all answers. */
const flood = (connection, channel, number) =>
  Promise.all(Array.from({ length: number }, (_, n) => connection.publish(channel, { name: `${n}` })));
const codes = (answers) => answers.map(({ error }) => error?.code);

inBothFormats("limits", (format) => {
  test("the fourth member of a room for three is refused, until one has left", async (t) => {
    const name = fresh();
    const rooms = await Promise.all(["a", "b", "c", "d"].map((one) => attached(t, server, one, name, format)));
    for (const room of rooms.slice(0, 3)) await room.presence.enter();

    const refused = await refusal(rooms[3].presence.enter());
    await rooms[1].presence.update({ still: "there" });
    await rooms[0].presence.leave();
    await rooms[3].presence.enter();

    assert.deepEqual(refused, { code: 91003, statusCode: 400 });
    const members = record((listener) => rooms[1].channel.presence.subscribe(listener));
    await rooms[3].presence.update({});
    await members.first(({ clientId }) => clientId === "d");
    const there = (await rooms[1].presence.get()).map(({ clientId }) => clientId);
    assert.deepEqual(there.toSorted(), ["b", "c", "d"]);
  });

  test("of many who enter at once no more get in than there is room for", async (t) => {
    const channel = channelOf(fresh());
    const crowd = await Promise.all(
      Array.from({ length: 10 }, (_, n) => dialInto(t, server, channel, { ...format, clientId: `member ${n}` })),
    );

    const answers = await Promise.all(crowd.map((one) => one.enter(channel)));

    const refused = codes(answers).filter((code) => code !== undefined);
    assert.deepEqual(refused, Array(7).fill(91003));
  });

  test("the sixth room of a connection for five is refused, until one is left", async (t) => {
    const ann = await dial(t, server, { ...format, clientId: "ann" });
    await ann.connected();
    const channels = Array.from({ length: 5 }, () => channelOf(fresh()));
    for (const channel of channels) assert.equal((await ann.attach(channel)).action, ACTION.ATTACHED);
    const sixth = channelOf(fresh());

    const { action, error } = await ann.attach(sixth);
    ann.send({ action: ACTION.DETACH, channel: channels[0] });
    ann.send({ action: ACTION.ATTACH, channel: sixth });

    assert.deepEqual([action, error.code, error.statusCode], [ACTION.ERROR, 90010, 400]);
    await ann.next(ACTION.ATTACHED, sixth);
    assert.equal((await ann.publish(channels[1], { name: "still served" })).action, ACTION.ACK);
  });

  test("who publishes too fast is refused, stays connected, and is served again a second later", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dialInto(t, server, channel, { ...format, clientId: "ann" });
    const bob = await dialInto(t, server, channel, { ...format, clientId: "bob" });

    const answers = await flood(ann, channel, 100);
    const meanwhile = await bob.publish(channel, { name: "from bob" });
    await pass(1500);
    const later = await ann.publish(channel, { name: "later" });

    const refused = answers.filter(({ action }) => action === ACTION.NACK);
    assert.ok(refused.length >= 50 && refused.length < 100, `${refused.length} of 100`);
    for (const { error, count } of refused) assert.deepEqual([error.code, error.statusCode, count], [42911, 429, 1]);
    assert.equal(meanwhile.action, ACTION.ACK);
    assert.equal(later.action, ACTION.ACK);
    await bob.frames.first(({ messages }) => messages?.[0].name === "later");
    const told = bob.frames.items.filter(({ messages }) => messages?.[0].clientId === "ann");
    assert.equal(told.length, 100 - refused.length + 1);
  });

  test("presence changes are counted with what is published", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dialInto(t, server, channel, { ...format, clientId: "ann" });

    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) => ann.enter(channel, { action: PRESENCE.UPDATE, data: `${n}` })),
    );

    const refused = codes(answers).filter((code) => code !== undefined);
    assert.ok(refused.length >= 50 && refused.length < 100, `${refused.length} of 100`);
    assert.deepEqual([...new Set(refused)], [42911]);
  });

  test("a room in which too much is published refuses, whoever publishes", async (t) => {
    const channel = channelOf(fresh());
    const crowd = await Promise.all(
      Array.from({ length: 5 }, (_, n) => dialInto(t, server, channel, { ...format, clientId: `member ${n}` })),
    );

    const answers = await Promise.all(crowd.map((one) => flood(one, channel, 18)));

    const refused = codes(answers.flat()).filter((code) => code !== undefined);
    assert.ok(refused.length > 0 && refused.length <= 60, `${refused.length} of 90`);
    assert.deepEqual([...new Set(refused)], [42913]);
  });

  test("the size of a message is limited as the connection was told", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dialInto(t, server, channel, { ...format, clientId: "ann" });

    const [small, large] = [
      await ann.publish(channel, { name: "x", data: "x".repeat(900) }),
      await ann.publish(channel, { name: "x", data: "x".repeat(1001) }),
    ];

    assert.equal((await ann.connected()).connectionDetails.maxMessageSize, 1000);
    assert.deepEqual([small.action, large.action, large.error?.code], [ACTION.ACK, ACTION.NACK, 40009]);
  });
});

test("a server that is full turns nobody away for good, and lets in who waits when there is room", async (t) => {
  const full = await start(["--max-connections", "1"]); // and one more, which is kept for backends
  t.after(() => full.stop());
  const [one, two] = [realtime(t, full, "one"), realtime(t, full, "two")];
  await Promise.all([state(one.connection, "connected"), state(two.connection, "connected")]);
  const third = realtime(t, full, "three");
  const seen = record((listener) => third.connection.on(listener));
  await seen.first(({ current }) => current === "disconnected");

  one.close();
  await state(third.connection, "connected");

  assert.ok(!seen.items.some(({ current }) => current === "failed"));
  assert.equal(two.connection.state, "connected");
});
