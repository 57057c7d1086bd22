// Rooms: made, shared, entered, left and disposed of, with the options that the documentation names.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { proxy } from "./proxy.js";
import { attached, bearer, chat, fresh, inBothFormats, over, realtime, refusal } from "./support.js";
import { rest, start, state, statuses } from "./support.js";
import { token } from "./tokens.js";
import { eventually, record } from "./waiting.js";

const server = await start();
after(() => server.stop());

/** Who is in a room and how many are connected, as anybody may ask. */
async function occupancy(name) {
  const { items } = await rest(server).request("GET", `/chat/v4/rooms/${encodeURIComponent(name)}/occupancy`, 6);
  return items[0];
}

inBothFormats("rooms", (format) => {
  test("the same name with equal options gives the same room", async (t) => {
    const { rooms } = chat(t, server, "ann", format);
    const name = fresh();

    const first = await rooms.get(name, { occupancy: { enableEvents: true } });
    const second = await rooms.get(name, { occupancy: { enableEvents: true } });

    assert.equal(first, second);
    assert.equal(first.name, name);
    assert.notEqual(await rooms.get(fresh()), first);
  });

  test("the same name with different options is refused", async (t) => {
    const { rooms } = chat(t, server, "ann", format);
    const name = fresh();
    await rooms.get(name, { occupancy: { enableEvents: true } });

    const refused = await refusal(rooms.get(name, { occupancy: { enableEvents: false } }));

    assert.deepEqual(refused, { code: 102107, statusCode: 400 });
  });

  test("a room without options has those of the documentation", async (t) => {
    const room = await attached(t, server, "ann", fresh(), format);

    assert.deepEqual(room.options(), {
      typing: { heartbeatThrottleMs: 10000 },
      occupancy: { enableEvents: false },
      presence: { enableEvents: true },
      messages: { rawMessageReactions: false, defaultMessageReactionType: "distinct" },
      isReactClient: false,
    });
    const modes = ["presence", "publish", "subscribe", "presence_subscribe", "annotation_publish"];
    assert.deepEqual(room.channel.modes.toSorted(), modes.toSorted());
    assert.deepEqual(room.channel.params, {});
  });

  test("a room without presence events is granted no presence to hear", async (t) => {
    const room = await attached(t, server, "ann", fresh(), { ...format, room: { presence: { enableEvents: false } } });

    assert.deepEqual(room.channel.modes.includes("presence_subscribe"), false);
    assert.throws(() => room.presence.subscribe(() => {}), { code: 102108 });
  });

  test("a room with raw message reactions is granted annotations to hear", async (t) => {
    const options = { messages: { rawMessageReactions: true, defaultMessageReactionType: "unique" } };
    const room = await attached(t, server, "ann", fresh(), { ...format, room: options });

    assert.ok(room.channel.modes.includes("annotation_subscribe"), room.channel.modes.join());
    assert.equal(room.options().messages.defaultMessageReactionType, "unique");
  });

  test("a room without raw message reactions subscribes to none", async (t) => {
    const room = await attached(t, server, "ann", fresh(), format);

    assert.throws(() => room.messages.reactions.subscribeRaw(() => {}), { code: 102108 });
  });

  test("a room with occupancy events is told that it gets them", async (t) => {
    const room = await attached(t, server, "ann", fresh(), { ...format, room: { occupancy: { enableEvents: true } } });

    assert.deepEqual(room.channel.params, { occupancy: "metrics" });
  });

  for (const heartbeatThrottleMs of [0, -1]) {
    test(`a typing throttle of ${heartbeatThrottleMs} ms is refused`, async (t) => {
      const { rooms } = chat(t, server, "ann", format);

      const refused = await refusal(rooms.get(fresh(), { typing: { heartbeatThrottleMs } }));

      assert.deepEqual(refused, { code: 40003, statusCode: 400 });
    });
  }

  test("a room goes from initialized over attaching to attached, and over detaching to detached", async (t) => {
    const room = await chat(t, server, "ann", format).rooms.get(fresh());
    const seen = statuses(room);
    const first = room.status;

    await room.attach();
    await room.detach();

    const taken = seen.items.map(({ current }) => current);
    assert.deepEqual([first, ...taken], ["initialized", "attaching", "attached", "detaching", "detached"]);
  });

  test("a room that was detached is attached again without a discontinuity", async (t) => {
    const room = await attached(t, server, "ann", fresh(), format);
    const gaps = record((listener) => room.onDiscontinuity(listener));
    await room.detach();

    await room.attach();

    assert.deepEqual([room.status, gaps.items], ["attached", []]);
  });

  test("attaching twice at once attaches once", async (t) => {
    const room = await chat(t, server, "ann", format).rooms.get(fresh());
    const changes = record((listener) => room.channel.on(listener));

    await Promise.all([room.attach(), room.attach()]);

    assert.deepEqual(changes.items.map(({ current }) => current), ["attaching", "attached"]);
  });

  test("a room that the token does not cover fails", async (t) => {
    const client = bearer(t, server, token(server, { clientId: "ann", capability: { elsewhere: ["*"] } }), format);
    const room = await over(client).rooms.get(fresh());

    const refused = await refusal(room.attach());

    assert.deepEqual(refused, { code: 40160, statusCode: 401 });
    assert.deepEqual([room.status, room.error.code], ["failed", 40160]);
    assert.equal(client.connection.state, "connected");
  });

  test("a room whose attach is not answered is suspended, and attached when the answer comes", async (t) => {
    const network = await proxy(t, server);
    const client = realtime(t, network, "ann", { ...format, realtimeRequestTimeout: 500 });
    const room = await over(client).rooms.get(fresh());
    await state(client.connection, "connected");
    network.freeze();

    const refused = await refusal(room.attach());
    const between = room.status;
    network.thaw();
    await state(room.channel, "attached");

    assert.deepEqual(refused, { code: 90007, statusCode: 408 });
    assert.deepEqual([between, room.status], ["suspended", "attached"]);
  });

  test("releasing a room ends its member and its connection in it", async (t) => {
    const name = fresh();
    const { rooms } = chat(t, server, "ann", format);
    const room = await rooms.get(name);
    await room.attach();
    await room.presence.enter();
    await eventually(() => occupancy(name), ({ connections, presenceMembers }) => connections && presenceMembers);

    await rooms.release(name);

    assert.equal(room.status, "released");
    assert.deepEqual(await occupancy(name), { connections: 0, presenceMembers: 0 });
  });

  test("releasing an unknown room is nothing", async (t) => {
    await chat(t, server, "ann", format).rooms.release(fresh());
  });

  test("a room is released at once that was never attached, or is detached", async (t) => {
    const { rooms } = chat(t, server, "ann", format);
    const never = await rooms.get(fresh());
    const detached = await rooms.get(fresh());
    await detached.attach();
    await detached.detach();

    await Promise.all([rooms.release(never.name), rooms.release(detached.name)]);

    assert.deepEqual([never.status, detached.status], ["released", "released"]);
  });

  test("getting a room waits for its release, and gives another room", async (t) => {
    const { rooms } = chat(t, server, "ann", format);
    const name = fresh();
    const first = await rooms.get(name);
    await first.attach();

    const released = rooms.release(name);
    const second = await rooms.get(name);

    assert.equal(first.status, "released");
    assert.notEqual(first, second);
    await Promise.all([released, second.attach()]);
    assert.equal(second.status, "attached");
  });

  test("getting a room is refused when it is released first", async (t) => {
    const { rooms } = chat(t, server, "ann", format);
    const name = fresh();
    await (await rooms.get(name)).attach();

    const released = rooms.release(name);
    const got = refusal(rooms.get(name));
    const again = rooms.release(name);

    assert.deepEqual(await got, { code: 102106, statusCode: 400 });
    await Promise.all([released, again]);
  });

  test("a released room attaches no more", async (t) => {
    const { rooms } = chat(t, server, "ann", format);
    const room = await rooms.get(fresh());
    await rooms.release(room.name);

    assert.deepEqual(await refusal(room.attach()), { code: 102112, statusCode: 400 });
  });

  test("disposing releases every room, gives no more, and leaves the connection", async (t) => {
    const client = chat(t, server, "ann", format);
    const rooms = await Promise.all([client.rooms.get(fresh()), client.rooms.get(fresh())]);
    await Promise.all(rooms.map((room) => room.attach()));

    await client.dispose();

    assert.deepEqual(rooms.map((room) => room.status), ["released", "released"]);
    for (const { name } of rooms) assert.deepEqual(await occupancy(name), { connections: 0, presenceMembers: 0 });
    assert.deepEqual(await refusal(client.rooms.get(fresh())), { code: 40014, statusCode: 400 });
    assert.equal(client.realtime.connection.state, "connected");
  });

  test("many rooms over one connection keep to themselves", async (t) => {
    const client = chat(t, server, "ann", format);
    const rooms = await Promise.all(Array.from({ length: 50 }, () => client.rooms.get(fresh())));
    await Promise.all(rooms.map((room) => room.attach()));

    await rooms[7].presence.enter({ at: 7 });

    const members = await Promise.all(rooms.map((room) => room.presence.get()));
    assert.deepEqual(members.map((one) => one.length), rooms.map((_, index) => (index === 7 ? 1 : 0)));
  });
});
