// Typing: who types in a room, told to everybody in it and kept by nobody.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { proxy } from "./proxy.js";
import { attached, bearer, chat, fresh, inBothFormats, over, refusal, start, state } from "./support.js";
import { token } from "./tokens.js";
import { record } from "./waiting.js";

const server = await start();
after(() => server.stop());

// What is left of a throttle outlives a test: a second is short enough, and long enough for many keystrokes.
const THROTTLED = { room: { typing: { heartbeatThrottleMs: 1000 } } };

/** A room with all that it is told of typing. */
async function watched(t, clientId, name, options, where = server) {
  const room = await attached(t, where, clientId, name, { ...THROTTLED, ...options });
  return { room, seen: record((listener) => room.typing.subscribe(listener)) };
}

const change = (type, clientId) => ({ change }) => change.type === `typing.${type}` && change.clientId === clientId;

inBothFormats("typing", (format) => {
  test("others and oneself see who types, and who stops", async (t) => {
    const name = fresh();
    const ann = await watched(t, "ann", name, format);
    const bob = await watched(t, "bob", name, format);

    await bob.room.typing.keystroke();
    for (const { seen, room } of [ann, bob]) {
      const { currentlyTyping } = await seen.first(change("started", "bob"));
      assert.deepEqual([...currentlyTyping], ["bob"]);
      assert.deepEqual([...room.typing.current], ["bob"]);
    }
    await bob.room.typing.stop();
    for (const { seen, room } of [ann, bob]) {
      const { currentlyTyping } = await seen.first(change("stopped", "bob"));
      assert.deepEqual([...currentlyTyping], []);
      assert.deepEqual([...room.typing.current], []);
    }
  });

  test("several type at once", async (t) => {
    const name = fresh();
    const ann = await watched(t, "ann", name, format);
    const bob = await watched(t, "bob", name, format);

    await Promise.all([ann.room.typing.keystroke(), bob.room.typing.keystroke()]);

    for (const { seen } of [ann, bob]) {
      const { currentlyTyping } = await seen.first(({ currentlyTyping }) => currentlyTyping.size === 2);
      assert.deepEqual([...currentlyTyping].toSorted(), ["ann", "bob"]);
    }
  });

  test("many keystrokes are told once within the throttle", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const bob = await attached(t, server, "bob", name, { ...THROTTLED, ...format });
    const heard = record((listener) => bob.channel.subscribe("typing.started", listener));

    for (let n = 0; n < 5; n++) await bob.typing.keystroke();
    await bob.typing.stop();
    await seen.first(change("stopped", "bob"));

    assert.equal(heard.items.length, 1);
  });

  test("who types no more has stopped two seconds after the throttle", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, { ...format, room: { typing: { heartbeatThrottleMs: 100 } } });
    const bob = await attached(t, server, "bob", name, { ...THROTTLED, ...format });
    await bob.typing.keystroke();
    await seen.first(change("started", "bob"));
    const since = Date.now();

    await seen.first(change("stopped", "bob"));

    assert.ok(Date.now() - since >= 1900, `${Date.now() - since} ms`);
  });

  test("who comes later is not told who types", async (t) => {
    const name = fresh();
    const ann = await watched(t, "ann", name, format);
    await ann.room.typing.keystroke();
    await ann.seen.first(change("started", "ann"));

    const bob = await watched(t, "bob", name, format);
    const reactions = record((listener) => bob.room.reactions.subscribe(listener));
    await ann.room.reactions.send({ name: "after it" });
    await reactions.first(() => true);

    assert.deepEqual(bob.seen.items, []);
  });

  test("what was typed while the connection was lost is not told after it resumes", async (t) => {
    const name = fresh();
    const network = await proxy(t, server);
    const ann = await watched(t, "ann", name, format, network);
    const bob = await attached(t, server, "bob", name, { ...THROTTLED, ...format });
    const messages = record((listener) => ann.room.channel.subscribe(listener));
    network.close();

    await bob.typing.keystroke();
    await bob.channel.publish("kept", "this is");
    network.open();
    await messages.first(({ name }) => name === "kept");

    assert.deepEqual(messages.items.map(({ name }) => name), ["kept"]);
    assert.deepEqual(ann.seen.items, []);
  });

  test("a claim of the token about the user stands with who types", async (t) => {
    const name = fresh();
    const { seen } = await watched(t, "ann", name, format);
    const claims = { clientId: "bob", [`ably.room.${name}`]: "moderator" };
    const bob = await over(bearer(t, server, token(server, claims), format)).rooms.get(name, THROTTLED.room);
    await bob.attach();

    await bob.typing.keystroke();

    const { currentTypers } = await seen.first(change("started", "bob"));
    assert.deepEqual(currentTypers, [{ clientId: "bob", userClaim: "moderator" }]);
  });

  test("nobody types without a connection", async (t) => {
    const client = chat(t, server, "ann", format);
    const room = await client.rooms.get(fresh());
    await room.attach();
    client.realtime.close();
    await state(client.realtime.connection, "closed");

    assert.deepEqual(await refusal(room.typing.keystroke()), { code: 80003, statusCode: 400 });
  });
});
