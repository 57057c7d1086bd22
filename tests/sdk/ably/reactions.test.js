// Room reactions, and what else is published for the moment: told to everybody in a room and kept by nobody.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { proxy } from "./proxy.js";
import { attached, bearer, chat, fresh, inBothFormats, over, refusal, start, state } from "./support.js";
import { token } from "./tokens.js";
import { record } from "./waiting.js";

const server = await start();
after(() => server.stop());

/** A room with all the reactions in it. */
async function watched(t, clientId, name, options, where = server) {
  const room = await attached(t, where, clientId, name, options);
  return { room, seen: record((listener) => room.reactions.subscribe(listener)) };
}

inBothFormats("room reactions", (format) => {
  test("others and oneself see a reaction, with what came along", async (t) => {
    const name = fresh();
    const ann = await watched(t, "ann", name, format);
    const bob = await watched(t, "bob", name, format);

    await bob.room.reactions.send({ name: "👍", metadata: { effect: ["confetti", 3] }, headers: { streak: 2 } });

    for (const [{ seen }, isSelf] of [[ann, false], [bob, true]]) {
      const { type, reaction } = await seen.first(() => true);
      const { createdAt, userClaim, ...rest } = reaction;
      const expected = { name: "👍", metadata: { effect: ["confetti", 3] }, headers: { streak: 2 }, clientId: "bob" };
      assert.equal(type, "reaction");
      assert.deepEqual(rest, { ...expected, isSelf });
      assert.ok(Math.abs(createdAt - Date.now()) < 60_000, createdAt);
      assert.equal(userClaim, undefined);
    }
  });

  test("reactions come in the order in which they were sent", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const bob = await attached(t, server, "bob", name, format);
    const names = Array.from({ length: 20 }, (_, n) => `reaction ${n}`);

    await Promise.all(names.map((name) => bob.reactions.send({ name })));
    await seen.count(20);

    assert.deepEqual(seen.items.map(({ reaction }) => reaction.name), names);
  });

  test("reactions stay in their room", async (t) => {
    const client = chat(t, server, "ann", format);
    const [one, other] = await Promise.all([client.rooms.get(fresh()), client.rooms.get(fresh())]);
    await Promise.all([one.attach(), other.attach()]);
    const seen = record((listener) => other.reactions.subscribe(listener));

    await one.reactions.send({ name: "not here" });
    await other.reactions.send({ name: "here" });
    await seen.count(1);

    assert.deepEqual(seen.items.map(({ reaction }) => reaction.name), ["here"]);
  });

  test("a client that wants no echo hears others only", async (t) => {
    const name = fresh();
    const ann = await watched(t, "ann", name, { ...format, echoMessages: false });
    const bob = await watched(t, "bob", name, format);

    await ann.room.reactions.send({ name: "from ann" });
    await bob.seen.count(1);
    await bob.room.reactions.send({ name: "from bob" });
    await ann.seen.count(1);

    assert.deepEqual(ann.seen.items.map(({ reaction }) => reaction.name), ["from bob"]);
  });

  test("a client that wants no echo still sees itself enter", async (t) => {
    const room = await attached(t, server, "ann", fresh(), { ...format, echoMessages: false });

    await room.presence.enter();

    assert.equal(await room.presence.isUserPresent("ann"), true);
  });

  test("reactions sent while the connection was lost are not told after it resumes", async (t) => {
    const name = fresh();
    const network = await proxy(t, server);
    const ann = await watched(t, "ann", name, format, network);
    const bob = await attached(t, server, "bob", name, format);
    const messages = record((listener) => ann.room.channel.subscribe(listener));
    network.close();

    await bob.reactions.send({ name: "missed" });
    await bob.channel.publish("kept", "this is");
    network.open();
    await messages.first(({ name }) => name === "kept");

    assert.deepEqual(messages.items.map(({ name }) => name), ["kept"]);
    assert.deepEqual(ann.seen.items, []);
  });

  test("a claim of the token about the user stands with the reaction, and nobody can forge one", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const carol = await attached(t, server, "carol", name, format);
    const claims = { clientId: "bob", [`ably.room.${name}`]: "moderator", "ably.room.elsewhere": "owner" };
    const bob = await over(bearer(t, server, token(server, claims), format)).rooms.get(name);
    await bob.attach();

    await bob.reactions.send({ name: "real" });
    const forged = { ephemeral: true, headers: {}, userClaim: "moderator" };
    await carol.channel.publish({ name: "roomReaction", data: { name: "forged" }, extras: forged });
    await seen.count(2);

    const claimed = Object.fromEntries(seen.items.map(({ reaction }) => [reaction.name, reaction.userClaim]));
    assert.deepEqual(claimed, { real: "moderator", forged: undefined });
  });

  test("a reaction needs a name", async (t) => {
    const room = await attached(t, server, "ann", fresh(), format);

    assert.deepEqual(await refusal(room.reactions.send({ name: "" })), { code: 40003, statusCode: 400 });
  });

  test("nobody reacts without a connection", async (t) => {
    const client = chat(t, server, "ann", format);
    const room = await client.rooms.get(fresh());
    await room.attach();
    client.realtime.close();
    await state(client.realtime.connection, "closed");

    assert.deepEqual(await refusal(room.reactions.send({ name: "like" })), { code: 80003, statusCode: 400 });
  });
});

inBothFormats("messages of a channel", (format) => {
  test("a message comes to everybody as it was sent, with who sent it", async (t) => {
    const name = fresh();
    const ann = await attached(t, server, "ann", name, format);
    const bob = await attached(t, server, "bob", name, format);
    const seen = record((listener) => ann.channel.subscribe(listener));

    for (const data of ["text", { an: ["object", null] }, Buffer.from([0, 1, 255])]) await bob.channel.publish("it", data);
    await seen.count(3);

    assert.deepEqual(seen.items.map(({ data }) => data), ["text", { an: ["object", null] }, Buffer.from([0, 1, 255])]);
    for (const { name, clientId } of seen.items) assert.deepEqual([name, clientId], ["it", "bob"]);
  });

  test("bytes and objects cross from one format to the other", async (t) => {
    const name = fresh();
    const other = { useBinaryProtocol: !format.useBinaryProtocol };
    const ann = await attached(t, server, "ann", name, other);
    const bob = await attached(t, server, "bob", name, format);
    const seen = record((listener) => ann.channel.subscribe(listener));
    const data = [Buffer.from([0, 1, 254, 255]), { deep: [{ er: "👋🏽" }] }, "text"];

    for (const one of data) await bob.channel.publish("it", one);
    await seen.count(3);

    assert.deepEqual(seen.items.map(({ data }) => data), data);
  });

  test("who publishes learns the serial that others see", async (t) => {
    const room = await attached(t, server, "ann", fresh(), format);
    const seen = record((listener) => room.channel.subscribe(listener));

    const { serials } = await room.channel.publish([{ name: "one" }, { name: "two" }]);
    await seen.count(2);

    assert.equal(typeof serials[0], "string");
    assert.deepEqual(serials, seen.items.map(({ serial }) => serial));
  });

  test("what is for the moment has no serial", async (t) => {
    const room = await attached(t, server, "ann", fresh(), format);

    const { serials } = await room.channel.publish({ name: "brief", extras: { ephemeral: true } });

    assert.deepEqual(serials, [null]);
  });
});
