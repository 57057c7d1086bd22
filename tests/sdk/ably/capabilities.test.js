// Capabilities: which rooms a token opens, and what may be done in them.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ACTION, channelOf, dial, dialInto, FLAG, PRESENCE, ROOM_MODES } from "./raw.js";
import { attached, bearer, fresh, inBothFormats, over, refusal, start } from "./support.js";
import { token } from "./tokens.js";
import { record } from "./waiting.js";

const server = await start();
after(() => server.stop());

const DENIED = { code: 40160, statusCode: 401 };

/** A chat client whose token has the capability. */
function limited(t, capability, format) {
  return over(bearer(t, server, token(server, { clientId: "bob", capability }), format));
}

/** Whether a token with the capability opens the room. */
async function opens(t, capability, name, format) {
  const room = await limited(t, capability, format).rooms.get(name);
  return await room.attach().then(() => true, (error) => assert.equal(error.code, 40160) ?? false);
}

const HEAR = ["presence_subscribe", "subscribe"];

inBothFormats("capabilities", (format) => {
  for (const [ops, modes] of [
    [["*"], [...HEAR, "annotation_publish", "presence", "publish"]],
    [["subscribe"], HEAR],
    [["publish"], ["publish"]],
    [["presence"], ["presence"]],
    [["subscribe", "presence", "history"], [...HEAR, "presence"]],
    [["annotation-publish"], ["annotation_publish"]],
  ]) {
    for (const [what, resource] of [["a room", (name) => name], ["a channel", channelOf]]) {
      test(`${ops.join(" and ")} of ${what} grants ${modes.toSorted().join(", ")}`, async (t) => {
        const name = fresh();
        const room = await limited(t, { [resource(name)]: ops }, format).rooms.get(name);

        await room.attach();

        assert.deepEqual(room.channel.modes.toSorted(), modes.toSorted());
      });
    }
  }

  test("annotations to hear are granted with their own capability", async (t) => {
    const name = fresh();
    const rooms = { messages: { rawMessageReactions: true } };
    const room = await limited(t, { [name]: ["annotation-subscribe"] }, format).rooms.get(name, rooms);

    await room.attach();

    assert.deepEqual(room.channel.modes, ["annotation_subscribe"]);
  });

  for (const ops of [["history"], ["channel-metadata"], []]) {
    test(`${ops.join() || "nothing"} opens no room`, async (t) => {
      const name = fresh();
      assert.equal(await opens(t, { [name]: ops, other: ["*"] }, name, format), false);
    });
  }

  for (const [resource, opened, closed] of [
    ["*", ["a", "a:b", "a:b:c"], []],
    ["lobby", ["lobby"], ["lobby2", "Lobby", "lobby:a", "x:lobby"]],
    ["team:*", ["team:a", "team:a:b"], ["teams:a", "a:team"]],
    ["team:*:x", ["team:a:x"], ["team:x", "team:a:y", "team:a:b:x"]],
    ["lob*", ["lob*"], ["lobby", "lob"]],
    ["[*]*", ["a", "a:b"], []],
    ["[meta]*", [], ["a", "meta:a"]],
  ]) {
    test(`${resource} opens ${opened.join() || "no room"}, not ${closed.join() || "less than all"}`, async (t) => {
      for (const [names, wanted] of [[opened, true], [closed, false]]) {
        for (const name of names) {
          assert.equal(await opens(t, { [resource]: ["*"] }, name, format), wanted, name);
        }
      }
    });
  }

  test("several entries that match add up", async (t) => {
    const name = fresh();
    const capability = { "*": ["subscribe"], [name]: ["presence"], [channelOf(name)]: ["publish"] };
    const room = await limited(t, capability, format).rooms.get(name);

    await room.attach();

    assert.deepEqual(room.channel.modes.toSorted(), ["presence", "publish", ...HEAR].toSorted());
  });

  test("who may only hear can't enter, type or react", async (t) => {
    const name = fresh();
    const ann = await attached(t, server, "ann", name, format);
    const room = await limited(t, { [name]: ["subscribe"] }, format).rooms.get(name);
    await room.attach();
    const heard = record((listener) => room.reactions.subscribe(listener));

    assert.deepEqual(await refusal(room.presence.enter()), DENIED);
    assert.deepEqual(await refusal(room.typing.keystroke()), DENIED);
    assert.deepEqual(await refusal(room.reactions.send({ name: "like" })), DENIED);

    await ann.reactions.send({ name: "heard" });
    await heard.first(({ reaction }) => reaction.name === "heard");
    assert.deepEqual(await ann.presence.get(), []);
  });

  test("who may only be present hears nobody but oneself", async (t) => {
    const name = fresh();
    const channel = channelOf(name);
    const ann = await dialInto(t, server, channel, { ...format, clientId: "ann" });
    const access_token = token(server, { clientId: "bob", capability: { [name]: ["presence"] } });
    const bob = await dialInto(t, server, channel, { ...format, access_token });

    await ann.enter(channel);
    await ann.publish(channel, { name: "for those who may hear" });
    await bob.enter(channel);

    const entered = bob.frames.items.filter(({ action }) => action === ACTION.PRESENCE);
    assert.deepEqual(entered.map(({ presence: [{ clientId }] }) => clientId), ["bob"]);
    assert.ok(!bob.frames.items.some(({ action }) => [ACTION.MESSAGE, ACTION.SYNC].includes(action)));
    await ann.frames.first(({ presence }) => presence?.[0].clientId === "bob");
  });

  test("the modes that are granted are those asked for and allowed", async (t) => {
    const name = fresh();
    const access_token = token(server, { clientId: "bob", capability: { [name]: ["subscribe", "presence"] } });
    const bob = await dial(t, server, { ...format, access_token });
    await bob.connected();

    const { flags } = await bob.attach(channelOf(name), { flags: FLAG.PUBLISH | FLAG.SUBSCRIBE });

    assert.equal(flags, FLAG.SUBSCRIBE);
  });

  test("a channel of which nothing is granted fails alone", async (t) => {
    const name = fresh();
    const access_token = token(server, { clientId: "bob", capability: { [name]: ["subscribe"] } });
    const bob = await dial(t, server, { ...format, access_token });
    await bob.connected();

    const refused = await bob.attach(channelOf(name), { flags: FLAG.PUBLISH });
    bob.send({ action: ACTION.ATTACH, channel: channelOf(name), flags: ROOM_MODES });

    assert.deepEqual(
      [refused.action, refused.channel, refused.error.code, refused.error.statusCode],
      [ACTION.ERROR, channelOf(name), 40160, 401],
    );
    const again = await bob.next(ACTION.ATTACHED, channelOf(name));
    assert.equal(again.flags, FLAG.SUBSCRIBE | FLAG.PRESENCE_SUBSCRIBE);
  });

  test("occupancy is told to who may read the channel's metadata", async (t) => {
    const name = fresh();
    const [yes, no] = await Promise.all([["subscribe", "channel-metadata"], ["subscribe"]].map(async (ops) => {
      const { rooms } = limited(t, { [name]: ops }, format);
      const room = await rooms.get(name, { occupancy: { enableEvents: true } });
      return { room, told: record((listener) => room.occupancy.subscribe(listener)) };
    }));
    await no.room.attach();
    await yes.room.attach();

    await yes.told.first(({ occupancy }) => occupancy.connections === 2);
    const ann = await attached(t, server, "ann", name, format);
    const heard = record((listener) => no.room.reactions.subscribe(listener));
    await yes.told.first(({ occupancy }) => occupancy.connections === 3);
    await ann.reactions.send({ name: "after it" });
    await heard.first(() => true);

    assert.deepEqual([yes.room.channel.params, no.room.channel.params], [{ occupancy: "metrics" }, {}]);
    assert.deepEqual(no.told.items, []);
  });

  test("occupancy is answered to who may read the channel's metadata", async (t) => {
    const name = fresh();
    const room = async (ops) => limited(t, { [name]: ops }, format).rooms.get(name);

    const counts = await (await room(["channel-metadata"])).occupancy.get();
    const refused = await refusal((await room(["subscribe", "history"])).occupancy.get());

    assert.deepEqual(counts, { connections: 0, presenceMembers: 0 });
    assert.deepEqual(refused, DENIED);
  });

  test("who may do all in a room is still nobody else", async (t) => {
    const name = fresh();
    const channel = channelOf(name);
    const access_token = token(server, { clientId: "bob", capability: { [name]: ["*"] } });
    const bob = await dialInto(t, server, channel, { ...format, access_token });

    const refused = await bob.enter(channel, { clientId: "ann" });

    assert.deepEqual([refused.action, refused.error.code], [ACTION.NACK, 40012]);
    assert.equal((await bob.enter(channel, { action: PRESENCE.ENTER })).action, ACTION.ACK);
  });
});
