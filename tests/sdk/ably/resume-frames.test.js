// The frames with which a connection resumes, or is told that it can't.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ACTION, channelOf, dial, dialInto, FLAG, PRESENCE, ROOM_MODES } from "./raw.js";
import { fresh, inBothFormats, start } from "./support.js";

const server = await start();
after(() => server.stop());

const keyOf = async (connection) => (await connection.connected()).connectionDetails.connectionKey;
const isSync = ({ action }) => action === ACTION.SYNC;

inBothFormats("the frames of a resumption", (format) => {
  const ann = { ...format, clientId: "ann" };
  const bob = { ...format, clientId: "bob" };

  test("CONNECTED has the same id; ATTACHED is resumed where it was; then what was missed, then SYNC", async (t) => {
    const channel = channelOf(fresh());
    const first = await dialInto(t, server, channel, ann);
    const other = await dialInto(t, server, channel, bob);
    await first.enter(channel, { data: "1" });
    const { connectionId } = await first.connected();
    const { channelSerial } = await first.next(ACTION.PRESENCE);
    first.cut();
    await other.publish(channel, { name: "missed" });
    await other.publish(channel, { name: "typing.started", extras: { ephemeral: true } });
    await other.enter(channel);

    const second = await dial(t, server, { ...ann, resume: await keyOf(first) });
    await second.connected();
    await second.attach(channel, { channelSerial });
    await second.frames.first(isSync);

    const [connected, attached, message, entered, sync, ...more] = second.frames.items;
    assert.deepEqual([connected.connectionId, connected.error], [connectionId, undefined]);
    assert.equal(typeof connected.connectionDetails.connectionKey, "string");
    assert.deepEqual(
      [attached.action, attached.flags, attached.channelSerial, attached.error],
      [ACTION.ATTACHED, ROOM_MODES | FLAG.RESUMED | FLAG.HAS_PRESENCE, channelSerial, undefined],
    );
    assert.deepEqual([message.action, message.messages[0].name], [ACTION.MESSAGE, "missed"]);
    assert.deepEqual([entered.action, entered.presence[0].clientId], [ACTION.PRESENCE, "bob"]);
    assert.ok(channelSerial < message.channelSerial && message.channelSerial < entered.channelSerial);
    assert.deepEqual(sync.presence.map(({ clientId, action }) => [clientId, action]).toSorted(), [["ann", 1], ["bob", 1]]);
    assert.deepEqual(more, []);
  });

  test("a frame that is sent again is acknowledged again as it was, and not done again", async (t) => {
    const channel = channelOf(fresh());
    const first = await dialInto(t, server, channel, ann);
    const other = await dialInto(t, server, channel, bob);
    const acks = [await first.publish(channel, { name: "one" }), await first.publish(channel, { name: "[meta]no" })];
    first.cut();

    const second = await dial(t, server, { ...ann, resume: await keyOf(first) });
    const frame = { action: ACTION.MESSAGE, channel };
    const again = [
      await second.ask({ ...frame, msgSerial: 0, messages: [{ name: "one" }] }),
      await second.ask({ ...frame, msgSerial: 1, messages: [{ name: "[meta]no" }] }),
    ];
    await second.attach(channel);
    await second.ask({ ...frame, msgSerial: 2, messages: [{ name: "two" }] });
    await other.frames.first(({ messages }) => messages?.[0].name === "two");

    assert.deepEqual(again, acks);
    assert.deepEqual(acks.map(({ action }) => action), [ACTION.ACK, ACTION.NACK]);
    const told = other.frames.items.filter(({ action }) => action === ACTION.MESSAGE).map(({ messages }) => messages[0].name);
    assert.deepEqual(told, ["one", "two"]);
  });

  test("a member that enters again with its own id stays, and is acknowledged", async (t) => {
    const channel = channelOf(fresh());
    const first = await dialInto(t, server, channel, ann);
    const other = await dialInto(t, server, channel, bob);
    await first.enter(channel, { data: "1" });
    const { id } = (await first.next(ACTION.PRESENCE)).presence[0];
    first.cut();

    const second = await dial(t, server, { ...ann, resume: await keyOf(first) });
    await second.attach(channel);
    const again = await second.ask({
      action: ACTION.PRESENCE, channel, msgSerial: 1, presence: [{ action: PRESENCE.ENTER, id, clientId: "ann", data: "1" }],
    });

    assert.equal(again.action, ACTION.ACK);
    await second.ask({ action: ACTION.PRESENCE, channel, msgSerial: 2, presence: [{ action: PRESENCE.LEAVE }] });
    const left = await other.frames.first(({ presence }) => presence?.[0].action === PRESENCE.LEAVE);
    assert.deepEqual([left.presence[0].clientId, left.presence[0].data], ["ann", "1"]);
  });

  test("the old socket is closed when its connection is resumed while it is open", async (t) => {
    const channel = channelOf(fresh());
    const first = await dialInto(t, server, channel, ann);
    await first.enter(channel);

    const second = await dial(t, server, { ...ann, resume: await keyOf(first) });

    await first.closed();
    assert.equal((await second.connected()).connectionId, (await first.connected()).connectionId);
    const { flags } = await second.attach(channel);
    assert.ok(flags & FLAG.HAS_PRESENCE);
  });

  test("what an old socket no longer carried is told on the one that resumes", async (t) => {
    const channel = channelOf(fresh());
    const first = await dialInto(t, server, channel, ann);
    const other = await dialInto(t, server, channel, bob);
    const { channelSerial } = await first.next(ACTION.ATTACHED);
    // Its network is gone, of which the server does not know yet.
    first.socket._socket.pause();
    await other.publish(channel, { name: "one" });
    await other.enter(channel);

    const second = await dial(t, server, { ...ann, resume: await keyOf(first) });
    const attached = await second.attach(channel, { channelSerial });
    await other.publish(channel, { name: "two" });
    await second.frames.first(({ messages }) => messages?.[0].name === "two");

    assert.equal(attached.flags, ROOM_MODES | FLAG.RESUMED | FLAG.HAS_PRESENCE);
    assert.equal(attached.channelSerial, channelSerial);
    const [, , one, entered, sync, two] = second.frames.items;
    assert.deepEqual([one.messages?.[0].name, entered.presence?.[0].clientId, sync.action], ["one", "bob", ACTION.SYNC]);
    assert.equal(two.messages[0].name, "two");
  });

  for (const [what, resume] of [["an unknown key", "nobodysKey!secret"], ["nonsense", "👋 \n"]]) {
    test(`with ${what} it is another connection, and says so`, async (t) => {
      const second = await dial(t, server, { ...ann, resume });

      const { connectionId, connectionDetails, error } = await second.connected();

      assert.ok([80008, 80018].includes(error.code), `${error.code}`);
      assert.deepEqual([error.statusCode, typeof error.message], [400, "string"]);
      assert.equal(typeof connectionId, "string");
      assert.equal(connectionDetails.clientId, "ann");
    });
  }

  test("nobody resumes another's connection, even with its key", async (t) => {
    const first = await dialInto(t, server, channelOf(fresh()), ann);

    const second = await dial(t, server, { ...bob, resume: await keyOf(first) });

    const { connectionId, connectionDetails, error } = await second.connected();
    assert.notEqual(connectionId, (await first.connected()).connectionId);
    assert.ok([80008, 80018].includes(error.code), `${error.code}`);
    assert.equal(connectionDetails.clientId, "bob");
    await first.settled();
  });

  test("a connection that was closed is not resumed", async (t) => {
    const first = await dial(t, server, ann);
    const resume = await keyOf(first);
    first.send({ action: ACTION.CLOSE });
    await first.closed();

    const second = await dial(t, server, { ...ann, resume });

    assert.equal((await second.connected()).error.code, 80008);
  });

  test("a connection that said DISCONNECT is resumed", async (t) => {
    const first = await dial(t, server, ann);
    const { connectionId } = await first.connected();
    first.send({ action: ACTION.DISCONNECT });
    first.socket.close();
    await first.closed();

    const second = await dial(t, server, { ...ann, resume: await keyOf(first) });

    const again = await second.connected();
    assert.deepEqual([again.connectionId, again.error], [connectionId, undefined]);
  });

  test("a serial from elsewhere is no place to resume from", async (t) => {
    const channel = channelOf(fresh());
    const first = await dialInto(t, server, channel, ann);
    const { channelSerial } = await first.next(ACTION.ATTACHED);

    for (const serial of ["00000000000001-000@elsewhere", "zzz", "99999999999999-999@elsewhere"]) {
      const second = await dial(t, server, { ...ann, resume: await keyOf(first) });
      const { flags, error, channelSerial: head } = await second.attach(channel, { channelSerial: serial });
      assert.equal(flags & FLAG.RESUMED, 0, serial);
      assert.ok(head >= channelSerial && head !== serial, head);
      assert.equal(typeof error?.code, "number", serial);
    }
  });
});
